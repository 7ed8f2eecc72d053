"""The services of one process under the SCM's control; `process` has the Win32 functions.

The thread that calls `run` receives everything: for a Start it makes a thread that runs
ServiceMain, for a Control it calls the Handler itself, one at a time. Reports go out from
whichever thread makes them. A service has stopped when it reported STOPPED, after which its
status handle is dead; `run` returns when every service that was started has stopped.

A ServiceMain that returns without reporting STOPPED leaves its service running, as on
Windows: its Handler may hold the fort. If it registered none, nobody could ever stop it, so it
is reported STOPPED with ERROR_PROCESS_ABORTED; one that raises, with 1064. When the SCM is
gone for good (its end of the channel is closed), services get SHUTDOWN or STOP, whichever
they accept: a service that nothing can control any more must not linger.
"""

from __future__ import annotations

import sys
import threading
import time
from operator import index

from scmd.control_pipe.packets import (
    VERSION,
    Control,
    ControlAnswer,
    Event,
    Hello,
    ParametersChanged,
    Registered,
    Resync,
    Start,
    StartAnswer,
    Status,
    Welcome,
)
from scmd.sdk.channel import Channel, ChannelClosed
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import Control as ControlCode
from scmd.vocabulary.service import ControlsAccepted, ServiceState, ServiceType
from scmd.vocabulary.status import ServiceStatus, illegal
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from scmd.control_pipe.packets import Packet
    from scmd.sdk.backend import ControlHandler, ServiceMain

    ServiceTable = Sequence[tuple[str | None, ServiceMain | None]]

FLUSH_TIME = 5_000
"""Milliseconds the last reports may take on a channel that nobody reads."""
THREAD_END_TIME = 1_000
"""Milliseconds a ServiceMain gets to return after it reported STOPPED."""


class _Run:
    """One start of one service in this process."""

    def __init__(self, service: int, name: str, main: ServiceMain) -> None:
        self.service = service
        self.name = name
        self.main = main
        self.handle = 0
        self.handler: ControlHandler | None = None
        self.on_parameters_changed: Callable[[bool], object] | None = None
        self.sequence = 0
        self.status: ServiceStatus | None = None
        self.may_begin = threading.Event()
        self.thread: threading.Thread | None = None

    @property
    def is_active(self) -> bool:
        return self.status is None or self.status.state != ServiceState.STOPPED

    def parameters_changed(self, is_certain: bool) -> None:
        if self.on_parameters_changed is not None:
            try:
                self.on_parameters_changed(is_certain)
            except BaseException:
                print_traceback()


class Dispatcher:
    """The services of one process on one control channel; a `Backend`."""

    def __init__(self, fd: int, service_type: ServiceType | None = None) -> None:
        """Takes `fd`, the descriptor of the control channel, over.

        `service_type`: OWN or SHARE; None when the SCM is too old to say so, then the number of
        services in the table says it.
        """
        self._type = service_type
        self._names: tuple[str, ...] = ()
        self._mains: dict[str, ServiceMain] = {}
        self._channel = Channel(fd)
        self._lock = threading.Lock()
        self._runs: dict[int, _Run] = {}
        self._handles: dict[int, _Run] = {}
        self._next_handle = 1
        self._lost = False

    # For services, on any thread ------------------------------------------------------------

    def register(self, name: str, handler: ControlHandler) -> int:
        """The status handle. A second registration replaces the first; WinError 1083."""
        with self._lock:
            run = self._active_run(name)
            if run is None:
                raise WinError(Error.SERVICE_NOT_IN_EXE, "RegisterServiceCtrlHandlerEx")
            run.handler = handler
            if not run.handle:
                run.handle = self._next_handle
                self._next_handle += 1
                self._handles[run.handle] = run
            self._channel.send(Registered(service=run.service))
            return run.handle

    def _active_run(self, name: str) -> _Run | None:
        key = name_key(name)
        active = [run for run in self._runs.values() if run.is_active]
        for run in active:
            if name_key(run.name) == key:
                return run
        return active[0] if self._is_own and active else None

    def set_status(self, handle: int, status: ServiceStatus) -> None:
        """WinError 6 for a handle that never was or has stopped, 13 for illegal values."""
        with self._lock:
            run = self._handles.get(handle)
            if run is None or not run.is_active:
                raise WinError(Error.INVALID_HANDLE, "SetServiceStatus")
            if illegal(status) or not _fits(status):
                raise WinError(Error.INVALID_DATA, "SetServiceStatus")
            self._report(run, status)

    def _report(self, run: _Run, status: ServiceStatus) -> None:
        run.sequence += 1
        run.status = status
        self._channel.send(Status(service=run.service, sequence=run.sequence, status=status))
        if not run.is_active:
            self._channel.wake()

    def report_event(
        self, handle: int, type: int, event_id: int, category: int, strings: Sequence[str]
    ) -> None:
        """NUL and lone surrogates in `strings` are replaced; lost when the SCM is gone."""
        with self._lock:
            run = self._handles.get(handle)
        if run is None:
            raise WinError(Error.INVALID_HANDLE, "ReportEvent")
        self._channel.send(
            Event(
                service=run.service,
                type=type,
                category=category,
                event_id=event_id,
                strings=tuple(_cleaned(text) for text in strings),
            )
        )

    def read_parameters(self, name: str) -> Mapping[str, Any]:
        from scmd.sdk import parameters

        return parameters.read_parameters(name)

    def on_parameters_changed(self, handle: int, callback: Callable[[bool], object]) -> None:
        with self._lock:
            run = self._handles.get(handle)
            if run is None:
                raise WinError(Error.INVALID_HANDLE, "on_parameters_changed")
            run.on_parameters_changed = callback

    # The dispatcher thread --------------------------------------------------------------------

    def run(self, table: ServiceTable) -> None:
        """Returns when the last service has stopped; for one call only.

        WinError 87: empty table; 13: malformed table; 1063: the SCM hung up before a start.
        """
        self._names, self._mains = checked_table(table)
        self._channel.send(Hello(version=VERSION, table=self._names))
        try:
            while not self._is_finished():
                packet = self._receive()
                if packet is not None:
                    self._handle(packet)
            self._await_threads()
        finally:
            self._channel.close(FLUSH_TIME)

    def _receive(self) -> Packet | None:
        if self._lost:
            self._channel.wait_for_wake()
            return None
        try:
            return self._channel.receive()
        except ChannelClosed as error:
            self._lose(error)
            return None

    def _is_finished(self) -> bool:
        with self._lock:
            if not self._runs or any(run.is_active for run in self._runs.values()):
                return False
        if self._lost:
            return True
        # A Start that is already here must not be lost to a service that just stopped.
        try:
            packet = self._channel.poll()
        except ChannelClosed:
            return True
        if packet is None:
            return True
        self._handle(packet)
        return False

    def _await_threads(self) -> None:
        end = time.monotonic() + THREAD_END_TIME / 1000
        for run in self._runs.values():
            if run.thread is not None:
                run.thread.join(max(0.0, end - time.monotonic()))

    def _handle(self, packet: Packet) -> None:
        match packet:
            case Start():
                self._start(packet)
            case Control():
                self._control(packet)
            case ParametersChanged():
                run = self._runs.get(packet.service)
                if run is not None:
                    run.parameters_changed(True)
            case Resync():
                self._resync()
                for run in list(self._runs.values()):
                    run.parameters_changed(False)
            case Welcome() if packet.version != VERSION:
                self._lose(ChannelClosed(f"the SCM speaks version {packet.version}"))
            case _:
                pass

    def _start(self, packet: Start) -> None:
        error = self._begin(packet)
        self._channel.send(StartAnswer(service=packet.service, error=error))
        if not error:
            self._runs[packet.service].may_begin.set()

    def _begin(self, packet: Start) -> int:
        name = packet.arguments[0] if packet.arguments else ""
        main = self._main(name)
        if main is None:
            return Error.SERVICE_NOT_IN_EXE
        with self._lock:
            before = self._runs.get(packet.service)
            if before is not None and before.is_active:
                return Error.SERVICE_ALREADY_RUNNING
            run = _Run(packet.service, name, main)
            run.thread = threading.Thread(
                target=self._serve, args=(run, list(packet.arguments)), name=name, daemon=True
            )
            try:
                run.thread.start()
            except RuntimeError:
                return Error.SERVICE_NO_THREAD
            if before is not None:
                self._handles.pop(before.handle, None)
            self._runs[packet.service] = run
        return Error.SUCCESS

    def _main(self, name: str) -> ServiceMain | None:
        if self._is_own:
            return next(iter(self._mains.values()))
        return self._mains.get(name_key(name))

    def _serve(self, run: _Run, arguments: list[str]) -> None:
        run.may_begin.wait()
        try:
            run.main(arguments)
        except BaseException:
            print_traceback()
            self._give_up(run, Error.EXCEPTION_IN_SERVICE)
        else:
            if run.handler is None:
                self._give_up(run, Error.PROCESS_ABORTED)

    def _give_up(self, run: _Run, error: Error) -> None:
        with self._lock:
            if run.is_active:
                self._report(run, ServiceStatus(type=self.service_type, win32_exit_code=error))

    @property
    def _is_own(self) -> bool:
        """Whether the first entry of the table is the service, whatever its name.

        The names that a process of its own gives its service mean nothing (SERVICE_TABLE_ENTRY,
        RegisterServiceCtrlHandler).
        """
        return self.service_type == ServiceType.WIN32_OWN_PROCESS

    @property
    def service_type(self) -> ServiceType:
        """What reports made on a service's behalf say it is."""
        if self._type is not None:
            return self._type
        shared = len(self._mains) > 1
        return ServiceType.WIN32_SHARE_PROCESS if shared else ServiceType.WIN32_OWN_PROCESS

    def _control(self, packet: Control) -> None:
        run = self._runs.get(packet.service)
        if run is None or not run.is_active:
            error: int = Error.SERVICE_NOT_ACTIVE
        elif run.handler is None:
            error = Error.SERVICE_CANNOT_ACCEPT_CTRL
        else:
            error = _call_handler(run.handler, packet.code, packet.event_type, packet.data)
        self._channel.send(ControlAnswer(control=packet.control, error=error))

    def _resync(self) -> None:
        with self._lock:
            self._channel.send(Hello(version=VERSION, table=self._names))
            for run in self._runs.values():
                if run.handler is not None:
                    self._channel.send(Registered(service=run.service))
                if run.status is not None:
                    self._channel.send(
                        Status(service=run.service, sequence=run.sequence, status=run.status)
                    )

    def _lose(self, reason: ChannelClosed) -> None:
        self._lost = True
        if not self._runs:
            raise WinError(
                Error.FAILED_SERVICE_CONTROLLER_CONNECT, "StartServiceCtrlDispatcher"
            ) from reason
        for run in list(self._runs.values()):
            if run.is_active and run.handler is not None and run.status is not None:
                accepted = run.status.controls_accepted
                if accepted & ControlsAccepted.SHUTDOWN:
                    _call_handler(run.handler, ControlCode.SHUTDOWN, 0, b"")
                elif accepted & ControlsAccepted.STOP:
                    _call_handler(run.handler, ControlCode.STOP, 0, b"")


def checked_table(table: ServiceTable) -> tuple[tuple[str, ...], dict[str, ServiceMain]]:
    """The names, and the ServiceMains by name key; a final (None, None) is allowed, as in C."""
    funcname = "StartServiceCtrlDispatcher"
    try:
        entries = [(name, main) for name, main in table]
    except (TypeError, ValueError) as error:
        raise WinError(Error.INVALID_DATA, funcname) from error
    if entries and entries[-1] == (None, None):
        entries.pop()
    if not entries:
        raise WinError(Error.INVALID_PARAMETER, funcname)
    names: list[str] = []
    mains: dict[str, ServiceMain] = {}
    for name, main in entries:
        if not isinstance(name, str) or not callable(main) or name_key(name) in mains:
            raise WinError(Error.INVALID_DATA, funcname)
        names.append(name)
        mains[name_key(name)] = main
    return tuple(names), mains


def _fits(status: ServiceStatus) -> bool:
    numbers = (
        status.win32_exit_code,
        status.service_specific_exit_code,
        status.check_point,
        status.wait_hint,
    )
    return min(numbers) >= 0 and max(numbers) <= 0xFFFFFFFF


def _cleaned(text: str) -> str:
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def _call_handler(handler: ControlHandler, code: int, event_type: int, data: bytes) -> int:
    try:
        result = handler(code, event_type, data)
        return 0 if result is None else index(result) & 0xFFFFFFFF
    except BaseException:
        print_traceback()
        return Error.EXCEPTION_IN_SERVICE


def print_traceback() -> None:
    """The current exception on stderr, if there is one: it is None in some hosts."""
    if sys.stderr is not None:
        import traceback

        traceback.print_exc()
