from __future__ import annotations

import json
import queue
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scmd import ServiceState, ServiceStatus
from scmd.examples import notifications as example
from scmd.examples.notifications import Outbox, deliveries, failures
from tests.examples.conftest import Start

RUNNING = ServiceStatus(state=ServiceState.RUNNING, process_id=10)
STOPPED = ServiceStatus(state=ServiceState.STOPPED)
NEVER_STARTED = ServiceStatus(state=ServiceState.STOPPED, win32_exit_code=1077)
FAILED = ServiceStatus(state=ServiceState.STOPPED, win32_exit_code=1067)
FAILED_OTHERWISE = ServiceStatus(
    state=ServiceState.STOPPED, win32_exit_code=1066, service_specific_exit_code=3
)
FAILURE: example.Failure = {"host": "h", "text": "Web stopped with error 1067"}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, RUNNING, 0),
        (None, STOPPED, 0),
        (None, NEVER_STARTED, 0),
        (None, FAILED, 1),
        (RUNNING, STOPPED, 0),
        (RUNNING, FAILED, 1),
        (FAILED, FAILED, 0),
        (FAILED, FAILED_OTHERWISE, 1),
        (FAILED, RUNNING, 0),
        (NEVER_STARTED, FAILED, 1),
        (RUNNING, RUNNING, 0),
        (RUNNING, RUNNING.replace(process_id=11), 1),
        (STOPPED, RUNNING, 0),
    ],
)
def test_each_failure_is_told_once(
    before: ServiceStatus | None, now: ServiceStatus, told: int
) -> None:
    known = {} if before is None else {"Web": before}
    assert len(failures(known, {"Web": now})) == told


def test_a_failure_says_what_failed_and_how() -> None:
    (failure,) = failures({}, {"Web": FAILED_OTHERWISE})
    assert failure["text"] == "Web stopped with error 1066"
    assert failure["service_specific_exit_code"] == 3
    json.dumps(failure)


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


def test_what_was_not_delivered_is_tried_again() -> None:
    hook = Hook()
    outbox = Outbox()
    with serving(hook.server) as address:
        (deliver,) = deliveries({"WebhookUrl": f"http://{address}/"})
        outbox.waiting.append((FAILURE, deliver))
        hook.answer(503)
        (error,) = outbox.flush(lambda: False)
        assert "503" in str(error)
        hook.answer(200)
        assert outbox.flush(lambda: False) == []
        assert outbox.flush(lambda: False) == []
    assert hook.got.qsize() == 2


def test_a_stop_ends_deliveries_early() -> None:
    outbox = Outbox()
    outbox.waiting.append((FAILURE, lambda failure: None))
    assert outbox.flush(lambda: True) == []
    assert len(outbox.waiting) == 1


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


def test_the_service_tells_of_a_failure(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: Iterator[Sequence[tuple[str, ServiceStatus]]] = iter([[("Web", FAILED)]])
    monkeypatch.setattr(example, "look", lambda names: dict(next(looks)))
    hook = Hook()
    with serving(hook.server) as address:
        host = start(example.notifications, WebhookUrl=f"http://{address}/", IntervalSeconds=3600)
        assert host.entry("Web") == "Web stopped with error 1067"
        assert hook.got.get(timeout=20)["service"] == "Web"
        host.stop()


def test_the_service_goes_on_when_no_scm_answers(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(names: tuple[str, ...]) -> example.Statuses:
        raise ConnectionRefusedError

    monkeypatch.setattr(example, "look", fail)
    host = start(example.notifications, IntervalSeconds=3600)
    host.entry("No answer")
    assert host.stop().win32_exit_code == 0
