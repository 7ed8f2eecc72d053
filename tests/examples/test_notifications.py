from __future__ import annotations

import json
import logging
import queue
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import TypeVar

import pytest

from scmd import Change, ServiceState, ServiceStatus
from scmd.client.scm import Scm
from scmd.examples import notifications as example
from scmd.examples.delivery import Message, deliveries
from scmd.examples.notifications import Failures, Outbox
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
    outbox = Outbox(2, 60)
    outbox.waiting.extend({**FAILURE, "service": name} for name in ("A", "B", "C", "D"))
    assert [outbox.next(at) for at in (0.0, 1.0)] == [
        {**FAILURE, "service": "A"},
        {**FAILURE, "service": "B"},
    ]
    assert outbox.next(2.0) is None
    assert outbox.delay(2.0) == 58.0
    summary = outbox.next(60.0)
    assert summary is not None
    assert summary["text"] == "2 failures of C, D"
    assert outbox.next(60.0) is None
    outbox.waiting.append(FAILURE)
    assert outbox.next(60.5) is None
    assert outbox.next(61.0) == FAILURE


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
    """Enough of RFC 5321 to take one message."""

    got: queue.Queue[tuple[list[str], str]]

    def handle(self) -> None:
        self.say("220 ready")
        envelope: list[str] = []
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.got.put((envelope, "".join(lines)))
            elif line.upper().startswith(("MAIL", "RCPT")):
                envelope.append(line)
            elif line.upper() == "QUIT":
                self.say("221 bye")
                return
            self.say("250 done")

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


def test_a_failure_reaches_the_mail_server() -> None:
    got: queue.Queue[tuple[list[str], str]] = queue.Queue()
    handler = type("Handler", (_MailServer,), {"got": got})
    with serving(socketserver.TCPServer(("127.0.0.1", 0), handler)) as address:
        (deliver,) = deliveries(
            {"MailTo": ("a@example.org", "b@example.org"), "MailServer": address}
        )
        deliver(FAILURE)
    envelope, message = got.get_nowait()
    assert [line.split()[0] for line in envelope] == ["mail", "rcpt", "rcpt"]
    assert "Subject: h: Web stopped with error 1067" in message


def test_a_service_name_cannot_keep_a_mail_from_going_out() -> None:
    got: queue.Queue[tuple[list[str], str]] = queue.Queue()
    handler = type("Handler", (_MailServer,), {"got": got})
    with serving(socketserver.TCPServer(("127.0.0.1", 0), handler)) as address:
        (deliver,) = deliveries({"MailTo": "a@example.org", "MailServer": address})
        deliver({**FAILURE, "text": "We\nb stopped"})
    assert "Subject: h: We\\nb stopped" in got.get_nowait()[1]


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
    monkeypatch.setattr(example, "FIRST_PAUSE_S", 0.01)
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


def test_the_pauses_grow_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float | None] = []
    failures = [OSError("not now")] * 11
    delivered = threading.Event()

    class Impatient(threading.Condition):
        def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
            pauses.append(timeout)
            return predicate()

    def deliver(_: Message) -> None:
        if failures:
            raise failures.pop()
        delivered.set()

    patched = SimpleNamespace(**{**vars(threading), "Condition": Impatient})
    monkeypatch.setattr(example, "threading", patched)
    sender = example.Sender(deliver, Outbox(1, 60), logging.getLogger("quiet"))
    sender.add(FAILURE)
    assert delivered.wait(20)
    sender.end()
    sender.thread.join()
    assert pauses == [*(float(2**number) for number in range(9)), 300.0, 300.0]


def test_the_service_goes_on_when_no_scm_answers(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", str(tmp_path))
    host = start(example.notifications)
    host.entry("No answer")
    assert host.stop().win32_exit_code == 0
