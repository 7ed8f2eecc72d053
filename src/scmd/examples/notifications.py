"""Notifications: tells somebody when a service fails.

Parameters:
    Services         names of the services to look after (default: all)
    WebhookUrl       http(s) address that gets a POST with a JSON object for each failure
    MailTo           addresses that get a mail; with MailFrom (default scmd@<host name>) and
                     MailServer (default localhost:25)
    IntervalSeconds  time between looks (default 10)

A service has failed when it is STOPPED with an exit code, or when its process is another one
without a stop in between that we saw. Each failure is told once, and is in the event log in any
case. What cannot be delivered is tried again at the next look.
"""

from __future__ import annotations

import json
import smtplib
import socket
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from email.message import EmailMessage

import scmd

ERROR_SERVICE_NEVER_STARTED = 1077
MAX_WAITING = 1000
DELIVERY_LIMIT_S = 10
Statuses = dict[str, "scmd.ServiceStatus"]
Failure = dict[str, object]
Deliver = Callable[[Failure], None]


def has_failed(status: scmd.ServiceStatus) -> bool:
    return status.state == scmd.ServiceState.STOPPED and status.win32_exit_code not in (
        0,
        ERROR_SERVICE_NEVER_STARTED,
    )


def failures(before: Statuses, now: Statuses) -> list[Failure]:
    """What failed between two looks. At the first look, `before` is empty: what has failed."""
    found: list[Failure] = []
    for name, status in now.items():
        was = before.get(name)
        if has_failed(status):
            if was is None or not has_failed(was) or was.win32_exit_code != status.win32_exit_code:
                found.append(describe(name, status, "stopped"))
        elif (
            was is not None
            and was.state == status.state == scmd.ServiceState.RUNNING
            and was.process_id != status.process_id
        ):
            found.append(describe(name, status, "was started again"))
    return found


def describe(name: str, status: scmd.ServiceStatus, what: str) -> Failure:
    text = f"{name} {what}"
    if status.win32_exit_code:
        text += f" with error {status.win32_exit_code}"
    return {
        "host": socket.gethostname(),
        "service": name,
        "state": scmd.ServiceState(status.state).name,
        "win32_exit_code": status.win32_exit_code,
        "service_specific_exit_code": status.service_specific_exit_code,
        "text": text,
    }


def look(names: tuple[str, ...]) -> Statuses:
    """The statuses of these services, or of all. scmd.WinError: the SCM does not answer."""
    wanted = {name.lower() for name in names}
    with scmd.connect() as scm:
        return {
            each.name: each.last_status
            for each in scm.services()
            if not wanted or each.name.lower() in wanted
        }


def post(url: str, failure: Failure) -> None:
    """OSError: not delivered."""
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is no http address")
    body = json.dumps(failure).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=DELIVERY_LIMIT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise


def mail(server: str, sender: str, receivers: tuple[str, ...], failure: Failure) -> None:
    """OSError (which SMTPException is): not delivered."""
    message = EmailMessage()
    message["Subject"] = f"{failure['host']}: {failure['text']}"
    message["From"], message["To"] = sender, ", ".join(receivers)
    message.set_content(json.dumps(failure, indent=2))
    host, _, port = server.partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=DELIVERY_LIMIT_S) as connection:
        connection.send_message(message)


def deliveries(parameters: Mapping[str, object]) -> list[Deliver]:
    """The ways that are configured."""
    ways: list[Deliver] = []
    url = str(parameters.get("WebhookUrl", ""))
    if url:
        ways.append(lambda failure: post(url, failure))
    receivers = texts(parameters.get("MailTo"))
    if receivers:
        server = str(parameters.get("MailServer", "localhost:25"))
        sender = str(parameters.get("MailFrom", f"scmd@{socket.gethostname()}"))
        ways.append(lambda failure: mail(server, sender, receivers, failure))
    return ways


def texts(value: object) -> tuple[str, ...]:
    """A parameter that may be one text or several."""
    if isinstance(value, tuple):
        return tuple(str(each) for each in value)
    return (str(value),) if value else ()


class Outbox:
    """Failures with the ways they have still to go."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Failure, Deliver]] = deque(maxlen=MAX_WAITING)

    def flush(self, is_over: Callable[[], bool]) -> list[OSError]:
        """Tries everything once; returns what went wrong. `is_over` ends it early."""
        errors: list[OSError] = []
        for _ in range(len(self.waiting)):
            if is_over():
                break
            failure, deliver = self.waiting.popleft()
            try:
                deliver(failure)
            except OSError as error:
                errors.append(error)
                self.waiting.append((failure, deliver))
        return errors


@scmd.service(
    "Notifications", display="Notifications", description="Tells somebody when a service fails."
)
def notifications(svc: scmd.ServiceContext) -> None:
    outbox = Outbox()
    known: Statuses = {}
    svc.ready()
    while True:
        try:
            now = look(texts(svc.parameters.get("Services")))
        except (scmd.WinError, OSError) as error:
            svc.log.warning("No answer from the SCM: %s", error)
            now = known
        now.pop(svc.name, None)
        for failure in failures(known, now):
            svc.log.warning("%s", failure["text"])
            outbox.waiting.extend((failure, way) for way in deliveries(svc.parameters))
        known = now
        for problem in outbox.flush(lambda: svc.stopping):
            svc.log.error("A notification could not be delivered: %s", problem)
        if svc.wait(int(svc.parameters.get("IntervalSeconds", 10))):
            return


if __name__ == "__main__":
    notifications.main()
