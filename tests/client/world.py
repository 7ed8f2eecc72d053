"""A real SCM core and server behind a real socket, with simulated services and no disk.

A service does what its `Program` says: each control has a list of status reports, of which
the first is made at once and each further one after another question to the SCM, so that a client
sees every one of them and no test waits for a clock.
"""

from __future__ import annotations

import selectors
import shutil
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from scmd.core.feed import WaitForChanges
from scmd.core.messages import Caller, LaunchId, ServiceId, Settings
from scmd.core.messages.commands import Command, QueryStatus
from scmd.core.messages.effects import (
    Effect,
    KillProcess,
    LaunchProcess,
    RemoveRecord,
    Reply,
    SaveControl,
    SaveRecord,
    SendControl,
    SendStart,
    SignalProcess,
)
from scmd.core.messages.events import (
    AssociationEnded,
    CallsAbandoned,
    ControlAnswered,
    DispatcherConnected,
    Event,
    HandlerRegistered,
    ProcessExited,
    ProcessStarted,
    RecordSaved,
    StartAnswered,
    StatusReported,
)
from scmd.core.notify_requests import GetNotifyResults, NotifyStatusChange
from scmd.core.scm import Scm
from scmd.scmd_interface.operations import LATEST_EVENTS, LOG_END
from scmd.security.token import unix_token
from scmd.server.conversation import Conversation, Conversations
from scmd.server.host_requests import (
    QueryManagerStatus,
    QueryRemote,
    QueryUsage,
    ReadCrash,
    ReadEvents,
    ReadHistory,
    ReadLog,
)
from scmd.server.session import Sessions
from scmd.server.steps import Asked
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ControlsAccepted, ServiceState, ServiceType
from scmd.vocabulary.status import ServiceStatus

ACCEPTED = ControlsAccepted.STOP | ControlsAccepted.PAUSE_CONTINUE | ControlsAccepted.PARAMCHANGE
FOR_EVER = 0xFFFF_FFFF
EVENTS = [
    b'{"number":%d,"time":"2031-07-01T12:00:00.000Z","source":"%s","id":7036,"type":"information",'
    b'"strings":["Web","running"],"message":"The Web service entered the running state."}'
    % (number, source)
    for number, source in ((1, b"Service Control Manager"), (2, b"Web"), (4, b"Web"))
]


def report(state: ServiceState, **fields: int) -> ServiceStatus:
    """A status as a service reports it; a running or paused one accepts stop and pause."""
    rests = state in (ServiceState.RUNNING, ServiceState.PAUSED)
    values = {"controls_accepted": int(ACCEPTED) if rests else 0, **fields}
    return ServiceStatus(type=ServiceType.WIN32_OWN_PROCESS, state=state, **values)


class Program:
    """What a service answers to its start and to each control."""

    def __init__(self, *start: ServiceStatus) -> None:
        self.arguments: tuple[str, ...] = ()
        self.controls: list[int] = []
        self.reports: dict[int, list[ServiceStatus]] = {
            0: list(start) or [report(ServiceState.RUNNING)],
            Control.STOP: [report(ServiceState.STOPPED)],
            Control.SHUTDOWN: [report(ServiceState.STOPPED)],
            Control.PAUSE: [report(ServiceState.PAUSED)],
            Control.CONTINUE: [report(ServiceState.RUNNING)],
        }
        self.errors: dict[int, int] = {}


class Wire:
    """One connection: its socket and the conversation at its other end."""

    congested = False

    def __init__(self, world: World, end: socket.socket) -> None:
        self.socket = end
        self.conversation: Conversation = world.conversations.open(world.caller, self)

    def send(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def hold(self, held: bool) -> None:
        """A test's client always reads."""

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)


class World:
    """The SCM; a context manager that serves `runtime`/scm.sock from a thread of its own."""

    def __init__(self, *, administrator: bool = True) -> None:
        self.runtime = Path(tempfile.mkdtemp(prefix="scmd-world-"))
        self.programs: dict[str, Program] = {}
        self.log = b""
        self.log_start = 0
        self.history = b""
        self.crashes: list[bytes] = []
        """The newest first."""
        self.event_reads: list[int] = []
        """The `after` of each request for events."""
        self.events_that_fit = len(EVENTS)
        self.remote = b'{"users": []}'
        self.has_feed = True
        """If not, this is a server without the operation, as others are."""
        self.has_notifications = True
        """The same, of NotifyServiceStatusChange."""
        self.waits = 0
        """Requests for changes so far."""
        self.status = b'{"keeper_pid": 4, "uptime_ms": 93784000, "counts": {"running": 1}}'
        self.caller = Caller(unix_token(0, (0,), administrator=administrator), "tester", "test")
        self.scm = Scm((), Settings())
        self.conversations = Conversations(Sessions(b"worlds!!"), self, self._do_later)
        self._later: deque[Callable[[], None]] = deque()
        self._messages: deque[Command | Event] = deque()
        self._is_working = False
        self._due: deque[Event] = deque()
        self._names: dict[LaunchId, str] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.runtime / "scm.sock"))
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._ended, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        shutil.rmtree(self.runtime)

    def program(self, name: str) -> Program:
        """What the service of this name does; made on first use."""
        return self.programs.setdefault(name, Program())

    # Sockets ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._ended:
                    return
                if key.fileobj is self._listener:
                    end, _ = self._listener.accept()
                    self._selector.register(end, selectors.EVENT_READ, Wire(self, end))
                else:
                    self._receive(key.data)

    def _receive(self, wire: Wire) -> None:
        try:
            data = wire.socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        if data:
            wire.conversation.received(data)
            while self._later:
                self._later.popleft()()
        else:
            wire.conversation.lost()
            self._selector.unregister(wire.socket)
            wire.socket.close()

    def _do_later(self, action: Callable[[], None]) -> None:
        self._later.append(action)

    # Performing -------------------------------------------------------------------------------

    def perform(self, asked: Asked) -> None:
        """Part of `Performer`: commands go to the core, host requests are answered here."""
        if isinstance(asked, Command):
            if (isinstance(asked, WaitForChanges) and not self.has_feed) or (
                isinstance(asked, NotifyStatusChange) and not self.has_notifications
            ):
                self.conversations.answer(Reply(asked.call.id, Error.RPC_PROCNUM_OUT_OF_RANGE))
                return
            if isinstance(asked, QueryStatus | WaitForChanges | GetNotifyResults) and self._due:
                self._take(self._due.popleft())
            if isinstance(asked, WaitForChanges):
                self.waits += 1
                # There is no clock here: what may end without a change does.
                if asked.limit != FOR_EVER:
                    asked = replace(asked, limit=0)
            self._take(asked)
        elif isinstance(asked, ReadLog):
            self._answer(asked.call.id, self._read_log(asked))
        elif isinstance(asked, ReadEvents):
            self._answer(asked.call.id, self._read_events(asked))
        elif isinstance(asked, ReadHistory):
            self._answer(asked.call.id, self.history)
        elif isinstance(asked, ReadCrash):
            crashes = self.crashes[asked.age :]
            self._answer(asked.call.id, crashes[0] if crashes else b"")
        elif isinstance(asked, QueryRemote):
            self._answer(asked.call.id, self.remote)
        elif isinstance(asked, QueryUsage):
            self._answer(asked.call.id, b'{"processes":1}')
        else:
            assert isinstance(asked, QueryManagerStatus)
            self._answer(asked.call.id, self.status)

    def happened(self, event: AssociationEnded | CallsAbandoned) -> None:
        """Part of `Performer`."""
        self._take(event)

    def _answer(self, call: int, result: object) -> None:
        self.conversations.answer(Reply(call, Error.SUCCESS, result))  # type: ignore[arg-type] # a CallId

    def _read_log(self, asked: ReadLog) -> tuple[int, bytes, int]:
        end = self.log_start + len(self.log)
        wanted = end - asked.count if asked.position == LOG_END else asked.position
        start = min(max(wanted, self.log_start), end)
        data = self.log[start - self.log_start :][: asked.count]
        return start, data, start + len(data)

    def _read_events(self, asked: ReadEvents) -> tuple[bytes, int]:
        self.event_reads.append(asked.after)
        numbered = [(int(line.split(b":")[1].split(b",")[0]), line) for line in EVENTS]
        if asked.after == LATEST_EVENTS:
            wanted = [line for _, line in numbered if not asked.source or b'"Web","id"' in line]
            last = wanted[-min(asked.count, self.events_that_fit) :]
            return b"".join(line + b"\n" for line in last), numbered[-1][0]
        found = [
            (number, line)
            for number, line in numbered
            if number > asked.after
            and (asked.source is None or b'"source":"%s"' % asked.source.encode() in line)
        ][:1]
        return b"".join(line + b"\n" for _, line in found), found[-1][0] if found else asked.after

    def _take(self, message: Command | Event) -> None:
        """Hand a message to the core and do what follows, which may be further messages."""
        self._messages.append(message)
        if self._is_working:
            return
        self._is_working = True
        while self._messages:
            for effect in self.scm.handle(self._messages.popleft(), 0):
                self._do(effect)
        self._is_working = False

    def _do(self, effect: Effect) -> None:
        match effect:
            case Reply():
                self.conversations.answer(effect)
            case SaveRecord() | RemoveRecord() | SaveControl():
                self._messages.append(RecordSaved(effect.save))
            case LaunchProcess():
                self._names[effect.launch] = effect.spec.name
                self._messages.append(ProcessStarted(effect.launch, 1000 + effect.launch))
                if effect.spec.control_channel:
                    self._messages.append(DispatcherConnected(effect.launch, (effect.spec.name,)))
            case SendStart():
                self._start(effect)
            case SendControl():
                self._control(effect)
            case SignalProcess() | KillProcess():
                self._messages.append(ProcessExited(effect.launch, None, 15))

    def _start(self, effect: SendStart) -> None:
        program = self.program(self._names[effect.launch])
        program.arguments = effect.arguments
        self._messages.append(StartAnswered(effect.launch, effect.service, Error.SUCCESS))
        self._messages.append(HandlerRegistered(effect.launch, effect.service))
        self._report(effect.launch, effect.service, program.reports[0])

    def _control(self, effect: SendControl) -> None:
        program = self.program(self._names[effect.launch])
        program.controls.append(effect.code)
        self._report(effect.launch, effect.service, program.reports.get(effect.code, []))
        error = program.errors.get(effect.code, Error.SUCCESS)
        self._messages.append(ControlAnswered(effect.launch, effect.control, error))

    def _report(self, launch: LaunchId, service: ServiceId, reports: list[ServiceStatus]) -> None:
        """The first report now; each of the others when the status is next asked for."""
        self._due.clear()
        for index, status in enumerate(reports):
            event = StatusReported(launch, service, status)
            (self._due if index else self._messages).append(event)
            if status.state == ServiceState.STOPPED:
                end = ProcessExited(launch, 0, None)
                (self._due if index else self._messages).append(end)
