from __future__ import annotations

import json
import queue
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TypeVar

import pytest

from scmd import Change, ServiceState, ServiceStatus
from scmd.client.scm import Scm
from scmd.examples import notifications as example
from scmd.examples import outbox
from scmd.examples.delivery import Message, deliveries
from scmd.examples.notifications import Failures
from scmd.examples.outbox import Outbox
from scmd.vocabulary.service import Control
from tests.client.conftest import scm, world
from tests.client.world import World, report
from tests.examples.conftest import Start

__all__ = ["scm", "world"]

T = TypeVar("T")

RUNNING = ServiceStatus(state=ServiceState.RUNNING)
STOPPED = ServiceStatus(state=ServiceState.STOPPED)
NEVER_STARTED = ServiceStatus(state=ServiceState.STOPPED, win32_exit_code=1077)
FAILED = ServiceStatus(state=ServiceState.STOPPED, win32_exit_code=1067)
FAILED_OTHERWISE = ServiceStatus(
    state=ServiceState.STOPPED, win32_exit_code=1066, service_specific_exit_code=3
)
FAILURE: Message = {"host": "h", "service": "Web", "text": "Web stopped with error 1067"}


def told(*statuses: ServiceStatus) -> list[Message]:
    failures = Failures()
    changes = [Change(kind="status", name="Web", status=status) for status in statuses]
    return [each for change in changes if (each := failures.of(change)) is not None]


@pytest.mark.parametrize(
    ("statuses", "count"),
    [
        ((RUNNING,), 0),
        ((STOPPED,), 0),
        ((NEVER_STARTED,), 0),
        ((FAILED,), 1),
        ((RUNNING, STOPPED), 0),
        ((FAILED, FAILED), 1),
        ((FAILED, FAILED_OTHERWISE), 2),
        ((FAILED, RUNNING, FAILED), 2),
        ((NEVER_STARTED, FAILED), 1),
    ],
)
def test_each_failure_is_told_once(statuses: tuple[ServiceStatus, ...], count: int) -> None:
    assert len(told(*statuses)) == count


def test_a_failure_says_what_failed_and_how() -> None:
    (failure,) = told(FAILED_OTHERWISE)
    assert failure["text"] == "Web stopped with error 1066, its own error 3"
    assert failure["service_specific_exit_code"] == 3
    json.dumps(failure)


def test_what_is_beyond_the_limit_comes_in_one_message() -> None:
    waits = Outbox(2, 60)
    waits.waiting.extend({**FAILURE, "service": name} for name in ("A", "B", "C", "D"))
    assert [waits.next(at) for at in (0.0, 1.0)] == [
        {**FAILURE, "service": "A"},
        {**FAILURE, "service": "B"},
    ]
    assert waits.next(2.0) is None
    assert waits.delay(2.0) == 58.0
    summary = waits.next(60.0)
    assert summary is not None
    assert summary["text"] == "2 failures of C, D"
    assert waits.next(60.0) is None
    waits.waiting.append(FAILURE)
    assert waits.next(60.5) is None
    assert waits.next(61.0) == FAILURE


def test_what_fails_is_tried_again_after_pauses_that_grow_up_to_a_limit() -> None:
    waits, now = Outbox(100, 60), 0.0
    waits.waiting.append(FAILURE)
    for pause in (*(float(2**number) for number in range(9)), 300.0, 300.0):
        assert waits.next(now) == FAILURE
        waits.undelivered(FAILURE, now)
        assert waits.delay(now) == pause
        assert waits.next(now + pause / 2) is None
        now += pause


def test_what_fails_holds_nothing_up() -> None:
    poison, other, last = ({**FAILURE, "service": name} for name in ("P", "O", "L"))
    waits = Outbox(100, 60)
    waits.waiting.extend((poison, other))
    assert waits.next(0.0) is poison
    waits.undelivered(poison, 0.0)
    assert waits.next(0.0) is other
    waits.undelivered(other, 0.0)
    waits.waiting.append(last)
    assert waits.next(0.5) is last
    waits.delivered()
    # The way is open, so that there is no pause any more.
    assert waits.next(0.5) is poison
    waits.undelivered(poison, 0.5)
    assert waits.next(1.5) is other
    waits.delivered()
    assert waits.next(1.5) is poison
    assert len(waits) == 0


def test_what_is_tried_again_is_within_the_limit() -> None:
    waits = Outbox(2, 60)
    waits.waiting.append(FAILURE)
    for now in (0.0, 1.0):
        assert waits.next(now) == FAILURE
        waits.undelivered(FAILURE, now)
    assert waits.delay(1.0) == 59.0


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class _Receiver(BaseHTTPRequestHandler):
    got: queue.Queue[dict[str, object]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.put(json.loads(body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[str]:
    """Serves until the end; gives host:port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "{}:{}".format(*server.server_address)
        finally:
            server.shutdown()
            thread.join()


class Hook:
    """A web hook that answers with `status`."""

    def __init__(self) -> None:
        self.got: queue.Queue[dict[str, object]] = queue.Queue()
        self.handler: type[_Receiver] = type("Handler", (_Receiver,), {"got": self.got})
        self.server = HTTPServer(("127.0.0.1", 0), self.handler)

    def answer(self, status: int) -> None:
        self.handler.status = status


def test_a_failure_reaches_the_web_hook() -> None:
    hook = Hook()
    with serving(hook.server) as address:
        (deliver,) = deliveries({"WebhookUrl": f"http://{address}/"})
        deliver(FAILURE)
    assert hook.got.get_nowait() == FAILURE


def test_only_http_addresses_are_posted_to() -> None:
    (deliver,) = deliveries({"WebhookUrl": "file:///etc/passwd"})
    with pytest.raises(OSError, match="no http address"):
        deliver(FAILURE)


class _MailServer(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 to take one message, but not for `nobody`."""

    got: queue.Queue[tuple[list[str], str]]

    def handle(self) -> None:
        self.say("220 ready")
        envelope: list[str] = []
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.got.put((envelope, "".join(lines)))
            elif "nobody" in line:
                self.say("550 no such mailbox")
                continue
            elif line.upper().startswith(("MAIL", "RCPT")):
                envelope.append(line)
            elif line.upper() == "QUIT":
                self.say("221 bye")
                return
            self.say("250 done")

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


class Mail:
    """A mail server and what it has taken."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[list[str], str]] = queue.Queue()
        handler = type("Handler", (_MailServer,), {"got": self.got})
        self.server = socketserver.TCPServer(("127.0.0.1", 0), handler)


def test_a_failure_reaches_the_mail_server() -> None:
    server = Mail()
    with serving(server.server) as address:
        (deliver,) = deliveries({"MailTo": "a@example.org", "MailServer": address})
        deliver(FAILURE)
    envelope, message = server.got.get_nowait()
    assert [line.split()[0] for line in envelope] == ["mail", "rcpt"]
    assert "Subject: h: Web stopped with error 1067" in message


def test_a_receiver_who_is_refused_is_told_of_and_the_others_get_their_mail() -> None:
    server, receivers = Mail(), ("a@example.org", "nobody@example.org", "b@example.org")
    with serving(server.server) as address:
        first, refused, last = deliveries({"MailTo": receivers, "MailServer": address})
        first(FAILURE)
        with pytest.raises(OSError, match=r"nobody@example\.org.*no such mailbox"):
            refused(FAILURE)
        last(FAILURE)
    assert [server.got.get_nowait()[0][-1] for _ in range(2)] == [
        "rcpt TO:<a@example.org>",
        "rcpt TO:<b@example.org>",
    ]


def test_a_service_name_cannot_keep_a_mail_from_going_out() -> None:
    server = Mail()
    with serving(server.server) as address:
        (deliver,) = deliveries({"MailTo": "a@example.org", "MailServer": address})
        deliver({**FAILURE, "text": "We\nb stopped"})
    assert "Subject: h: We\\nb stopped" in server.got.get_nowait()[1]


@pytest.mark.parametrize(
    "parameters",
    [
        {"MailTo": "a@example.org", "MailServer": "127.0.0.1:smtp"},
        {"MailTo": "a@example.org", "MailServer": "[::1"},
        {"MailTo": "a@example.org\nBcc: b@example.org", "MailServer": "127.0.0.1:1"},
    ],
)
def test_parameters_that_make_no_sense_are_a_failure_to_deliver(
    parameters: dict[str, str],
) -> None:
    (deliver,) = deliveries(parameters)
    with pytest.raises(OSError, match=r"^mail by "):
        deliver(FAILURE)


def failing(world: World, scm: Scm, name: str) -> None:
    """A service that runs, and fails when it is told to stop."""
    stopped = report(ServiceState.STOPPED, win32_exit_code=1067)
    world.program(name).reports[Control.STOP] = [stopped]
    scm.create(name, "/usr/bin/x")
    scm[name].start()


def test_the_service_tells_of_a_failure(start: Start, world: World, scm: Scm) -> None:
    failing(world, scm, "Web")
    failing(world, scm, "Other")
    hook = Hook()
    with serving(hook.server) as address:
        host = start(example.notifications, WebhookUrl=f"http://{address}/", Services="Web")
        scm["Other"].stop()
        scm["Web"].stop()
        assert host.entry("stopped") == "Web stopped with error 1067"
        assert hook.got.get(timeout=20)["service"] == "Web"
        assert host.stop().win32_exit_code == 0


def test_what_was_not_delivered_at_the_stop_is_counted(
    start: Start, world: World, scm: Scm
) -> None:
    failing(world, scm, "Web")
    host = start(example.notifications, WebhookUrl="nowhere")
    scm["Web"].stop()
    host.entry("could not be delivered")
    assert host.stop().win32_exit_code == 0
    assert host.entry("before the stop") == "1 notifications were not delivered before the stop"


def test_what_was_not_delivered_is_tried_again(
    start: Start, world: World, scm: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FIRST_PAUSE_S", 0.01)
    failing(world, scm, "Web")
    hook = Hook()
    hook.answer(503)
    with serving(hook.server) as address:
        host = start(example.notifications, WebhookUrl=f"http://{address}/")
        scm["Web"].stop()
        assert "503" in host.entry("could not be delivered")
        hook.answer(200)
        first = hook.got.get(timeout=20)
        assert hook.got.get(timeout=20) == first
        host.stop()


def test_the_service_goes_on_when_no_scm_answers(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", str(tmp_path))
    host = start(example.notifications)
    host.entry("No answer")
    assert host.stop().win32_exit_code == 0
