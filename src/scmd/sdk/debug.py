"""A backend without an SCM: services in the foreground, controls from the keyboard.

`stop`, `pause`, `continue`, `interrogate`, `paramchange` or 128 to 255, one a line; with
several services, a service's name may follow. Ctrl-C and SIGTERM stop; a second Ctrl-C
ends the process. Status changes are printed as they are reported.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

from scmd.sdk.dispatcher import print_traceback
from scmd.vocabulary.errors import Error, error_text
from scmd.vocabulary.names import name_key
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.service import (
    FIRST_USER_CONTROL,
    LAST_USER_CONTROL,
    Control,
    ControlsAccepted,
    ServiceState,
)
from scmd.vocabulary.status import ServiceStatus, illegal
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType
    from typing import Any

    from scmd.sdk.backend import ControlHandler, ServiceMain

COMMANDS = {
    "stop": Control.STOP,
    "pause": Control.PAUSE,
    "continue": Control.CONTINUE,
    "interrogate": Control.INTERROGATE,
    "paramchange": Control.PARAMCHANGE,
    "shutdown": Control.SHUTDOWN,
}
_NEEDED: Mapping[int, ControlsAccepted] = {
    Control.STOP: ControlsAccepted.STOP,
    Control.PAUSE: ControlsAccepted.PAUSE_CONTINUE,
    Control.CONTINUE: ControlsAccepted.PAUSE_CONTINUE,
    Control.PARAMCHANGE: ControlsAccepted.PARAMCHANGE,
    Control.SHUTDOWN: ControlsAccepted.SHUTDOWN,
}
NOT_INSTALLED = (
    Error.RPC_SERVER_UNAVAILABLE,
    Error.SERVICE_DOES_NOT_EXIST,
    Error.ACCESS_DENIED,
)


class _Debugged:
    def __init__(self, handle: int, name: str) -> None:
        self.handle = handle
        self.name = name
        self.handler: ControlHandler | None = None
        self.status: ServiceStatus | None = None
        self.thread: threading.Thread | None = None

    @property
    def is_active(self) -> bool:
        return self.status is None or self.status.state != ServiceState.STOPPED


class Console:
    """A `Backend` at a terminal. Starts every service of its table at once."""

    def __init__(self, stdin: int = 0, write: Callable[[str], object] | None = None) -> None:
        """`stdin` is the descriptor that commands are read from; `write` takes lines."""
        self._stdin = stdin
        self._write = _print if write is None else write
        self._lock = threading.Lock()
        self._services: list[_Debugged] = []
        self._wakes, self._wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._input = b""
        self._interrupted = False

    def run(self, table: Sequence[tuple[str, ServiceMain]]) -> None:
        """KeyboardInterrupt: a second Ctrl-C, while services are still stopping."""
        self._services = [_Debugged(number, name) for number, (name, _) in enumerate(table, 1)]
        # Before the first service says anything that somebody answers with Ctrl-C.
        restore = self._take_signals()
        try:
            for service, (_, main) in zip(self._services, table, strict=True):
                service.thread = threading.Thread(
                    target=self._serve, args=(service, main), name=service.name, daemon=True
                )
                service.thread.start()
            self._loop()
        finally:
            restore()
        for service in self._services:
            if service.thread is not None:
                service.thread.join(1.0)

    def _take_signals(self) -> Callable[[], None]:
        """What gives them back; none are taken outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        # A handler alone would not wake the loop when the signal comes just before it sleeps.
        wakeup = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        signals = (signal.SIGINT, signal.SIGTERM)
        handlers = {number: signal.signal(number, self._interrupt) for number in signals}

        def restore() -> None:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)

        return restore

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _loop(self) -> None:
        poller = select.poll()
        poller.register(self._wakes, select.POLLIN)
        poller.register(self._stdin, select.POLLIN)
        told = False
        while any(service.is_active for service in self._services):
            ready = dict(poller.poll())
            if self._wakes in ready:
                os.read(self._wakes, 4096)
            # A service that has no Handler yet is told when its first report wakes this loop.
            if self._interrupted and not told and self._can_be_told():
                told = True
                self._write("stopping (Ctrl-C again ends the process)")
                self._command("stop")
            if self._stdin in ready and not self._read_commands():
                poller.unregister(self._stdin)

    def _can_be_told(self) -> bool:
        return all(service.handler is not None for service in self._services if service.is_active)

    def _read_commands(self) -> bool:
        """False at the end of the input, after which only Ctrl-C is left."""
        data = os.read(self._stdin, 4096)
        self._input += data
        *lines, self._input = self._input.split(b"\n")
        for line in lines:
            if text := line.decode(errors="replace").strip():
                self._command(text)
        return bool(data)

    def _command(self, line: str) -> None:
        word, _, name = line.partition(" ")
        code: int | None = COMMANDS.get(word.lower())
        if code is None:
            code = decimal(word)
            if code is not None and not FIRST_USER_CONTROL <= code <= LAST_USER_CONTROL:
                code = None
        if code is None:
            self._write(f"{word}: no control; {', '.join(COMMANDS)}, or 128 to 255")
            return
        for service in self._services:
            if service.is_active and (not name or name_key(name) == name_key(service.name)):
                self._control(service, code)

    def _control(self, service: _Debugged, code: int) -> None:
        error = self._refusal(service, code)
        if not error and service.handler is not None:
            try:
                error = service.handler(code, 0, b"") or 0
            except Exception:
                print_traceback()
                error = Error.EXCEPTION_IN_SERVICE
        if error:
            self._write(f"{service.name}: {error_text(error)} ({int(error)})")

    def _refusal(self, service: _Debugged, code: int) -> int:
        """What an SCM would answer without asking the service; 0: it would ask."""
        status = service.status
        if service.handler is None or status is None:
            return Error.SERVICE_CANNOT_ACCEPT_CTRL
        if status.state == ServiceState.STOP_PENDING:
            return Error.SERVICE_CANNOT_ACCEPT_CTRL
        # A person at the keyboard may stop a service that is still starting.
        if code == Control.STOP and status.state == ServiceState.START_PENDING:
            return Error.SUCCESS
        needed = _NEEDED.get(code, ControlsAccepted(0))
        refused = needed and not status.controls_accepted & needed
        return Error.INVALID_SERVICE_CONTROL if refused else Error.SUCCESS

    def _serve(self, service: _Debugged, main: ServiceMain) -> None:
        failed = ServiceStatus(win32_exit_code=Error.EXCEPTION_IN_SERVICE)
        try:
            main([service.name])
        except BaseException:
            print_traceback()
        finally:
            if service.is_active:
                self.set_status(service.handle, failed)

    # For services --------------------------------------------------------------------------

    def register(self, name: str, handler: ControlHandler) -> int:
        service = next((s for s in self._services if name_key(s.name) == name_key(name)), None)
        if service is None:
            raise WinError(Error.SERVICE_NOT_IN_EXE, "RegisterServiceCtrlHandlerEx")
        service.handler = handler
        return service.handle

    def set_status(self, handle: int, status: ServiceStatus) -> None:
        with self._lock:
            service = self._services[handle - 1]
            if not service.is_active:
                raise WinError(Error.INVALID_HANDLE, "SetServiceStatus")
            if illegal(status):
                raise WinError(Error.INVALID_DATA, "SetServiceStatus")
            service.status = status
        self._write(f"{service.name}: {describe(status)}")
        try:
            os.write(self._wakeup, b"\0")
        except BlockingIOError:
            pass  # So full that it will wake up anyway.

    def report_event(
        self, handle: int, type: int, event_id: int, category: int, strings: Sequence[str]
    ) -> None:
        """Nothing: the logger prints its records by itself."""

    def read_parameters(self, name: str) -> Mapping[str, Any]:
        """Those of the installed service; none when it is not installed or no SCM runs."""
        from scmd.sdk import parameters

        try:
            return parameters.read_parameters(name)
        except WinError as error:
            if error.winerror not in NOT_INSTALLED:
                raise
            self._write(f"{name}: no Parameters: {error}")
            return {}

    def on_parameters_changed(self, handle: int, callback: Callable[[bool], object]) -> None:
        """Nothing: there is no SCM to tell."""

    @property
    def failed(self) -> bool:
        """Whether a service ended with an error."""
        return any(s.status is None or s.status.win32_exit_code != 0 for s in self._services)


def describe(status: ServiceStatus) -> str:
    """One line for people: `STOP_PENDING (check point 2, wait hint 20 s)`."""
    text = ServiceState(status.state).name
    if status.check_point or status.wait_hint:
        text += f" (check point {status.check_point}, wait hint {status.wait_hint / 1000:g} s)"
    if status.win32_exit_code == Error.SERVICE_SPECIFIC_ERROR:
        text += f" (service-specific error {status.service_specific_exit_code})"
    elif status.win32_exit_code:
        text += f" ({error_text(status.win32_exit_code)} {status.win32_exit_code})"
    return text


def _print(line: str) -> None:
    """Whoever read the lines may have gone: that ends no service."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = None
