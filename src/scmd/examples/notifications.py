"""Notifications: tells somebody when a service fails.

Parameters, read at the start:
    Services         names of the services to look after (default: all)
    WebhookUrl       http(s) address that gets a POST with a JSON object for each failure; chat
                     servers (the incoming web hooks of Mattermost and Slack) show its `text`
    MailTo           addresses that get a mail each; with MailFrom (default scmd@<host name>) and
                     MailServer (default localhost:25)
    MaxMessages      so many messages (default 5) by each way in so many seconds; the failures
    PerSeconds       beyond that come in one message when the time (default 60) is over

A service has failed when it is STOPPED with an exit code. Each failure is told once, and is in
the event log in any case. The SCM tells what happens (`scmd.watch`), also what happened while its
manager was being replaced. What cannot be delivered is tried again, after longer and longer pauses,
and holds up nothing that comes after it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

import scmd
from scmd.client.watching import Watch
from scmd.examples.delivery import Message, deliveries, texts
from scmd.examples.outbox import FIRST_PAUSE_S, Outbox, Sender
from scmd.vocabulary.names import escaped

ERROR_SERVICE_SPECIFIC_ERROR = 1066
ERROR_SERVICE_NEVER_STARTED = 1077
STOP_LIMIT_S = 2.0


class Failures:
    """Which changes are failures that have not been told yet."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, int]] = {}

    def of(self, change: scmd.Change) -> Message | None:
        status = change.status
        codes = status.win32_exit_code, status.service_specific_exit_code
        failed = status.state == scmd.ServiceState.STOPPED
        if not failed or codes[0] in (0, ERROR_SERVICE_NEVER_STARTED):
            self._told.pop(change.name, None)
            return None
        if self._told.get(change.name) == codes:
            return None
        self._told[change.name] = codes
        own = f", its own error {codes[1]}" if codes[0] == ERROR_SERVICE_SPECIFIC_ERROR else ""
        return {
            "host": socket.gethostname(),
            "service": change.name,
            "state": "STOPPED",
            "win32_exit_code": codes[0],
            "service_specific_exit_code": codes[1],
            "text": f"{change.name} stopped with error {codes[0]}" + own,
        }


class Reader:
    """Reads what the SCM tells; `end` from another thread ends it."""

    def __init__(self, names: tuple[str, ...], log: logging.Logger) -> None:
        self._names, self._log = names, log
        self._over = threading.Event()
        self._watch: Watch | None = None

    def run(self, tell: Callable[[scmd.Change], None]) -> None:
        while not self._over.is_set():
            try:
                with scmd.watch(*self._names, initial=True) as self._watch:
                    while not self._over.is_set():
                        tell(next(self._watch))
            except StopIteration:
                return
            except (scmd.WinError, OSError) as error:
                self._log.warning("No answer from the SCM: %s", error)
                self._over.wait(FIRST_PAUSE_S)

    def end(self) -> None:
        self._over.set()
        if self._watch is not None:
            self._watch.close()


@scmd.service(
    "Notifications", display="Notifications", description="Tells somebody when a service fails."
)
def notifications(svc: scmd.ServiceContext) -> None:
    parameters = svc.parameters
    most, seconds = int(parameters.get("MaxMessages", 5)), int(parameters.get("PerSeconds", 60))
    senders = [Sender(way, Outbox(most, seconds), svc.log) for way in deliveries(parameters)]
    reader = Reader(texts(parameters.get("Services")), svc.log)
    failures = Failures()

    def tell(change: scmd.Change) -> None:
        failure = failures.of(change)
        if failure is not None and change.name != svc.name:
            svc.log.warning("%s", escaped(str(failure["text"])))
            for sender in senders:
                sender.add(failure)

    reading = threading.Thread(target=reader.run, args=(tell,), daemon=True)
    reading.start()
    svc.wait()
    reader.end()
    for sender in senders:
        sender.end()
    for thread in (reading, *(sender.thread for sender in senders)):
        thread.join(STOP_LIMIT_S)
    if left := sum(len(sender.outbox) for sender in senders):
        svc.log.warning("%d notifications were not delivered before the stop", left)


if __name__ == "__main__":
    notifications.main()
