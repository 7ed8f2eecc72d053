"""The manager's side of its connection to the keeper, on asyncio.

Orders go out at once and are buffered when the keeper is busy; what the keeper says comes
back as the core's events. The keeper's own side is `keeper`; the bytes are
`keeper_messages`'.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.effects import LaunchSpec
from scmd.core.messages.events import (
    Event,
    LaunchFailed,
    LineSeen,
    ProcessExited,
    ProcessFollowed,
    ProcessStarted,
)
from scmd.core.messages.events import Shutdown as ShutdownRequested
from scmd.daemon import keeper_messages as wire
from scmd.vocabulary.errors import Error

TOO_OLD = "this keeper is too old"
ANEW = "stop the SCM and start `scmd run` anew"
_READ_SIZE = 1 << 18
_MAX_DESCRIPTORS = 64


class KeeperLost(Exception):
    """The keeper is gone or speaks nonsense; without it a manager has nothing to manage."""


@dataclass(frozen=True, slots=True)
class AdoptedLaunch:
    """A process that an earlier manager had started and the keeper still holds."""

    launch: LaunchId
    service: ServiceId
    name: str
    process_id: int
    channel: socket.socket | None
    """The manager's end of the control channel: non-blocking, SO_PASSCRED on."""
    hook: bool = False
    ended: bool = False
    """Its `ProcessExited` follows."""


@dataclass(frozen=True, slots=True)
class KeeperState:
    """What the keeper tells a manager that begins."""

    state: Path
    runtime: Path
    keeper_pid: int
    boot_id: str
    listener: socket.socket
    """RUNTIME/scm.sock: bound, listening, non-blocking."""
    notify: socket.socket
    """RUNTIME/notify.sock: bound, SO_PASSCRED on, non-blocking."""
    launches: tuple[AdoptedLaunch, ...]
    is_init: bool = False
    """The SCM ends when an essential service does."""
    version: int = wire.VERSION
    """The keeper's, which may be older than this manager."""
    listeners: tuple[tuple[str, socket.socket], ...] = ()
    """What it listens at for the manager, by name."""
    program: str = ""
    """The version of scmd that it is of; "": one that does not say so."""


class KeeperLink:
    """Made by `connect`; then `start` once, from then on events arrive in order."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = wire.FrameReader()
        self._pending: deque[memoryview] = deque()
        self._writing = False
        self._closed = False
        self._follows = False
        self._early: deque[tuple[wire.Message, list[int]]] = deque()
        self._on_event: Callable[[Event], None] | None = None
        self._on_channel: Callable[[LaunchId, socket.socket], None] | None = None
        self._on_lost: Callable[[KeeperLost], None] | None = None
        self._on_output_ended: Callable[[LaunchId], None] = lambda _: None
        self._listening: dict[str, list[asyncio.Future[socket.socket]]] = {}

    @classmethod
    async def connect(cls, descriptor: int) -> tuple[KeeperLink, KeeperState]:
        """Greet the keeper at the inherited socket; raises `KeeperLost`."""
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        os.set_inheritable(descriptor, False)
        link = cls(connection)
        link._send(wire.Hello(version=wire.VERSION))
        return link, await link._welcomed()

    def start(
        self,
        on_event: Callable[[Event], None],
        on_channel: Callable[[LaunchId, socket.socket], None],
        on_lost: Callable[[KeeperLost], None],
        on_output_ended: Callable[[LaunchId], None] = lambda _: None,
    ) -> None:
        """Deliver ProcessStarted, LaunchFailed, ProcessExited and Shutdown from now on.

        `on_channel` is called just before the ProcessStarted of a launch with a control
        channel. Exits of adopted launches come first. `on_lost` comes last, once.
        `on_output_ended`: all that the launch will ever write is in its log.
        """
        self._on_event, self._on_channel, self._on_lost = on_event, on_channel, on_lost
        self._on_output_ended = on_output_ended
        loop = asyncio.get_running_loop()
        loop.call_soon(self._deliver_early)
        loop.add_reader(self._socket, self._readable)

    def launch(self, launch: LaunchId, spec: LaunchSpec) -> None:
        """Answered by ProcessStarted or LaunchFailed."""
        if not self._follows and _asks_for_more(spec):
            # It would pass over what it does not know, and run the program without.
            detail = f"{TOO_OLD} for its limits, account, privileges or AppReady: {ANEW}"
            error = int(Error.NOT_SUPPORTED)
            self._say(wire.LaunchFailed(number=launch, error=error, detail=detail))
            return
        self._send(
            wire.Launch(
                number=launch,
                service=spec.service,
                name=spec.name,
                argv=spec.argv,
                account=spec.account,
                control_channel=spec.control_channel,
                directory=spec.directory,
                environment=spec.environment,
                extra_environment=spec.extra_environment,
                umask=spec.umask,
                nice=spec.nice,
                affinity=spec.affinity,
                limits=spec.limits,
                shares=spec.shares,
                uid=spec.uid,
                groups=spec.groups,
                capabilities=spec.capabilities,
                hook=spec.hook,
                essential=spec.essential,
                awaited_line=spec.awaited_line,
                log_timestamps=spec.log_timestamps,
                log_name=spec.log_name,
            )
        )

    def signal(self, launch: LaunchId, signal: int, tree: bool = False) -> None:
        self._send(wire.Signal(number=launch, signal=signal, tree=tree))

    def follow(self, launch: LaunchId, process_id: int) -> None:
        """Answered by ProcessFollowed."""
        if self._follows:
            self._send(wire.Follow(number=launch, process_id=process_id))
        else:
            problem = f"{TOO_OLD} to follow it: {ANEW}"
            self._say(wire.Followed(number=launch, process_id=process_id, problem=problem))

    def _say(self, message: wire.Message) -> None:
        """For a keeper that does not know what it was to be asked."""
        self._early.append((message, []))
        if self._on_event is not None:
            asyncio.get_running_loop().call_soon(self._deliver_early)

    def kill(self, launch: LaunchId) -> None:
        self._send(wire.Kill(number=launch))

    def forget(self, launch: LaunchId, *, keep_tree: bool = False) -> None:
        self._send(wire.Forget(number=launch, keep_tree=keep_tree))

    def replace(self) -> None:
        """New programs for manager and logger: the keeper starts them when this one exits."""
        self._send(wire.Replace())

    def listen(self, name: str) -> asyncio.Future[socket.socket]:
        """The listening socket of this name (`keeper_listeners`); OSError: there is none."""
        future = asyncio.get_running_loop().create_future()
        self._listening.setdefault(name, []).append(future)
        self._send(wire.Listen(name=name))
        return future

    def unlisten(self, name: str) -> None:
        self._send(wire.Unlisten(name=name))

    def ready(self) -> None:
        """The manager serves: the keeper prints its ready line and tells systemd."""
        self._send(wire.Ready())

    def shutdown_done(self, exit_code: int = 0) -> None:
        """Everything is stopped: when the manager exits, the keeper kills the rest and exits."""
        self._send(wire.ShutdownDone(exit_code=exit_code))

    async def drain(self) -> None:
        """Return when everything said so far is on its way; for a manager about to exit."""
        loop = asyncio.get_running_loop()
        while self._pending and not self._closed:
            writable = loop.create_future()
            loop.remove_writer(self._socket)
            loop.add_writer(self._socket, _resolve, writable)
            await writable
            loop.remove_writer(self._socket)
            self._writing = False
            self._flush()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        for descriptor in self._reader.leftover_descriptors():
            os.close(descriptor)
        self._socket.close()

    # Reading ------------------------------------------------------------------------------

    async def _welcomed(self) -> KeeperState:
        welcome: wire.Welcome | None = None
        sockets: list[socket.socket] = []
        launches: list[AdoptedLaunch] = []
        listeners: list[tuple[str, socket.socket]] = []
        while (
            welcome is None
            or len(launches) < welcome.launches
            or len(listeners) < welcome.listeners
        ):
            message, descriptors = await self._next()
            if isinstance(message, wire.Welcome) and len(descriptors) == 2:
                welcome, sockets = message, [_socket(number) for number in descriptors]
            elif isinstance(message, wire.Adopted):
                launches.append(_adopted(message, descriptors))
            elif isinstance(message, wire.Listening) and len(descriptors) == 1:
                listeners.append((message.name, _socket(descriptors[0])))
            else:
                raise KeeperLost(f"{type(message).__name__} instead of a welcome")
        self._follows = welcome.follows
        listener, notify = sockets
        return KeeperState(
            Path(welcome.state),
            Path(welcome.runtime),
            welcome.keeper_pid,
            welcome.boot_id,
            listener,
            notify,
            tuple(launches),
            welcome.is_init,
            welcome.version,
            tuple(listeners),
            welcome.program,
        )

    async def _next(self) -> tuple[wire.Message, list[int]]:
        loop = asyncio.get_running_loop()
        while not self._early:
            readable = loop.create_future()
            loop.add_reader(self._socket, _resolve, readable)
            try:
                await readable
            finally:
                loop.remove_reader(self._socket)
            self._early.extend(self._receive())
        return self._early.popleft()

    def _receive(self) -> list[tuple[wire.Message, list[int]]]:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _READ_SIZE, _MAX_DESCRIPTORS)
        except BlockingIOError:
            return []
        except OSError as failed:
            raise KeeperLost(f"reading: {failed}") from failed
        if not data:
            raise KeeperLost("the keeper closed the connection")
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._reader.feed(data, list(descriptors))
        try:
            return list(self._reader.messages())
        except wire.Malformed as malformed:
            raise KeeperLost(f"malformed: {malformed}") from malformed

    def _readable(self) -> None:
        try:
            received = self._receive()
        except KeeperLost as lost:
            self._lose(lost)
            return
        self._early.extend(received)
        self._deliver_early()

    def _deliver_early(self) -> None:
        while self._early and not self._closed:
            message, descriptors = self._early.popleft()
            self._deliver(message, descriptors)

    def _deliver(self, message: wire.Message, descriptors: list[int]) -> None:
        assert self._on_event is not None
        assert self._on_channel is not None
        match message:
            case wire.Launched():
                launch = LaunchId(message.number)
                for descriptor in descriptors[:1]:
                    self._on_channel(launch, _socket(descriptor))
                self._on_event(ProcessStarted(launch, message.process_id, message.without))
            case wire.LaunchFailed():
                launch = LaunchId(message.number)
                self._on_event(LaunchFailed(launch, _error(message.error), message.detail))
            case wire.Exited():
                launch = LaunchId(message.number)
                self._on_event(
                    ProcessExited(launch, message.exit_code, message.signal, message.out_of_memory)
                )
            case wire.Followed():
                launch = LaunchId(message.number)
                self._on_event(ProcessFollowed(launch, message.process_id, message.problem))
            case wire.LineSeen():
                self._on_event(LineSeen(LaunchId(message.number)))
            case wire.OutputEnded():
                self._on_output_ended(LaunchId(message.number))
            case wire.Listening():
                self._listened(message.name, _socket(descriptors[0]))
            case wire.ListenFailed():
                self._listened(message.name, OSError(message.detail))
            case wire.Shutdown():
                self._on_event(ShutdownRequested())
            case _:
                self._lose(KeeperLost(f"unexpected {type(message).__name__}"))

    def _listened(self, name: str, outcome: socket.socket | OSError) -> None:
        waiting = self._listening.get(name)
        future = waiting.pop(0) if waiting else None
        if not waiting:
            self._listening.pop(name, None)
        if future is None or future.done():
            if isinstance(outcome, socket.socket):
                outcome.close()
        elif isinstance(outcome, socket.socket):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    def _lose(self, lost: KeeperLost) -> None:
        if self._closed:
            return
        self.close()
        if self._on_lost is not None:
            self._on_lost(lost)

    # Writing ------------------------------------------------------------------------------

    def _send(self, message: wire.Message) -> None:
        if self._closed:
            return
        self._pending.append(memoryview(wire.encode(message)))
        if not self._writing:
            self._flush()

    def _flush(self) -> None:
        while self._pending:
            try:
                sent = self._socket.send(self._pending[0])
            except BlockingIOError:
                break
            except OSError:
                # What the keeper said last is still to be read; reading reports the loss.
                self._pending.clear()
                break
            if sent < len(self._pending[0]):
                self._pending[0] = self._pending[0][sent:]
            else:
                self._pending.popleft()
        self._watch_writable(bool(self._pending))

    def _watch_writable(self, wanted: bool) -> None:
        if wanted == self._writing or self._closed:
            return
        self._writing = wanted
        loop = asyncio.get_running_loop()
        if wanted:
            loop.add_writer(self._socket, self._flush)
        else:
            loop.remove_writer(self._socket)


def _asks_for_more(spec: LaunchSpec) -> bool:
    """For what a keeper that does not know `Follow` need not know either."""
    is_somebody = spec.uid or spec.groups or spec.capabilities is not None
    return bool(is_somebody or spec.shares or spec.awaited_line)


def _socket(descriptor: int) -> socket.socket:
    received = socket.socket(fileno=descriptor)
    received.setblocking(False)
    return received


def _adopted(message: wire.Adopted, descriptors: list[int]) -> AdoptedLaunch:
    return AdoptedLaunch(
        LaunchId(message.number),
        ServiceId(message.service),
        message.name,
        message.process_id,
        _socket(descriptors[0]) if descriptors else None,
        message.hook,
        message.ended,
    )


def _error(number: int) -> Error:
    try:
        return Error(number)
    except ValueError:  # A newer keeper knows more of them.
        return Error.PROCESS_ABORTED


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
