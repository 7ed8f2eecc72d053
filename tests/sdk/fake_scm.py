"""The SCM's end of a control channel, as a test plays it: real packets, a real socket pair.

It decides nothing and times nothing: a test says what is sent and waits for what must come.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from scmd.control_pipe.packets import (
    CONTROL_FD_VARIABLE,
    MAX_PACKET,
    PROCESS_PACKETS,
    Control,
    ControlAnswer,
    Decoder,
    Event,
    Hello,
    Packet,
    Registered,
    Start,
    StartAnswer,
    Status,
    Welcome,
    encode,
)
from scmd.sdk.backend import ServiceMain
from scmd.sdk.dispatcher import Dispatcher
from scmd.sdk.service import Service, run_on
from scmd.vocabulary.service import ServiceState, ServiceType

PATIENCE_S = 20
P = TypeVar("P", bound=Packet)


class FakeScm:
    """One channel. `history` has every packet that came, in order."""

    def __init__(self) -> None:
        self.socket, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE_S)
        self.history: list[Packet] = []
        self._decoder = Decoder(PROCESS_PACKETS)
        self._unread: list[Packet] = []
        self._control = 0

    def close(self) -> None:
        self.socket.close()
        self.other.close()

    def send(self, packet: Packet) -> None:
        for datagram in encode(packet):
            self.socket.send(datagram)

    def receive(self) -> Packet | None:
        """The next packet, in order of arrival; None at the end."""
        while True:
            data = self.socket.recv(MAX_PACKET)
            if not data:
                return None
            packet = self._decoder.feed(data)
            if packet is not None:
                self.history.append(packet)
                return packet

    def expect(self, kind: type[P], matches: Callable[[P], bool] = lambda packet: True) -> P:
        """The first packet of this kind that matches and was not expected before."""
        for waiting in self._unread:
            if isinstance(waiting, kind) and matches(waiting):
                self._unread.remove(waiting)
                return waiting
        while (packet := self._next()) is not None:
            if isinstance(packet, kind) and matches(packet):
                return packet
            self._unread.append(packet)
        raise AssertionError(f"no {kind.__name__}; came: {self.history}")

    def _next(self) -> Packet | None:
        try:
            return self.receive()
        except TimeoutError:
            return None

    def welcome(self) -> Hello:
        hello = self.expect(Hello)
        self.send(Welcome())
        return hello

    def start(self, *arguments: str, service: int = 1) -> None:
        self.send(Start(service=service, arguments=arguments))
        assert self.expect(StartAnswer, lambda a: a.service == service).error == 0
        self.expect(Registered, lambda a: a.service == service)

    def post(self, code: int, service: int = 1, event_type: int = 0, data: bytes = b"") -> int:
        """Send a control and do not wait; its number."""
        self._control += 1
        self.send(
            Control(
                service=service,
                control=self._control,
                code=code,
                event_type=event_type,
                data=data,
            )
        )
        return self._control

    def answer(self, number: int) -> int:
        return self.expect(ControlAnswer, lambda a: a.control == number).error

    def control(self, code: int, service: int = 1) -> int:
        """Send a control; the Handler's answer."""
        return self.answer(self.post(code, service))

    def expect_state(self, state: ServiceState, service: int = 1) -> Status:
        return self.expect(
            Status, lambda report: report.service == service and report.status.state == state
        )

    def drain(self) -> None:
        """Read until the process closes its end."""
        while self.receive() is not None:
            pass

    def reports(self, service: int = 1) -> list[Status]:
        return [p for p in self.history if isinstance(p, Status) and p.service == service]

    def states(self, service: int = 1) -> list[str]:
        """The states reported so far, without repetitions (check points)."""
        names = [ServiceState(report.status.state).name for report in self.reports(service)]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    def events(self) -> list[Event]:
        return [packet for packet in self.history if isinstance(packet, Event)]


class InProcess(FakeScm):
    """Services on threads of the test's own process."""

    def __init__(self, service_type: ServiceType | None = None) -> None:
        super().__init__()
        self.dispatcher = Dispatcher(self.other.detach(), service_type)
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def serve(self, *services: Service) -> None:
        self._begin(lambda: run_on(self.dispatcher, services))

    def dispatch(self, *table: tuple[str, ServiceMain]) -> None:
        self._begin(lambda: self.dispatcher.run(table))

    def _begin(self, run: Callable[[], None]) -> None:
        def target() -> None:
            try:
                run()
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=target)
        self._thread.start()

    def join(self) -> None:
        """Wait until the dispatcher has returned, reading what it still sends."""
        assert self._thread is not None
        self.drain()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        super().close()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()


class SubProcess(FakeScm):
    """A service program, started as the SCM starts it."""

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        *,
        close_output: bool = False,
        **environment: str,
    ) -> None:
        super().__init__()
        fd = self.other.fileno()
        command = [sys.executable, *arguments]
        if close_output:
            command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={"PATH": os.environ["PATH"], CONTROL_FD_VARIABLE: str(fd), **environment},
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.other.close()

    def finish(self) -> tuple[int, str]:
        """Exit code and stderr, when the process has ended by itself."""
        self.drain()
        _, stderr = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, stderr

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        super().close()
