"""This process's one dispatcher, and the Win32 functions that use it.

A process connects to the SCM once. `winsvc` re-exports the functions under their names.
"""

from __future__ import annotations

import os
import stat
import threading

from scmd.control_pipe.packets import CONTROL_FD_VARIABLE, SERVICE_TYPE_VARIABLE
from scmd.sdk.dispatcher import Dispatcher, checked_table
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceType
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scmd.sdk.dispatcher import ServiceTable


_DISPATCH = "StartServiceCtrlDispatcher"


class _Process:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.called = False
        self.dispatcher: Dispatcher | None = None


_process = _Process()


def connect() -> Dispatcher:
    """The dispatcher on the channel this process inherited from the SCM.

    Takes the variables that tell of it out of the environment. WinError 1063 when the SCM did
    not start this process, 1056 the second time.
    """
    with _process.lock:
        if _process.called:
            raise WinError(Error.SERVICE_ALREADY_RUNNING, _DISPATCH)
        fd = _inherited_channel()
        if fd is None:
            raise WinError(Error.FAILED_SERVICE_CONTROLLER_CONNECT, _DISPATCH)
        _process.called = True
        _process.dispatcher = Dispatcher(fd, _service_type())
        return _process.dispatcher


def _inherited_channel() -> int | None:
    text = os.environ.pop(CONTROL_FD_VARIABLE, "")
    if not text.isascii() or not text.isdecimal():
        return None
    try:
        is_socket = stat.S_ISSOCK(os.fstat(int(text)).st_mode)
    except (OSError, OverflowError):
        return None
    return int(text) if is_socket else None


def _service_type() -> ServiceType | None:
    text = os.environ.pop(SERVICE_TYPE_VARIABLE, "")
    for kind in (ServiceType.WIN32_OWN_PROCESS, ServiceType.WIN32_SHARE_PROCESS):
        if text == str(int(kind)):
            return kind
    return None


def has_channel() -> bool:
    """Whether the SCM started this process and it has not connected yet."""
    return CONTROL_FD_VARIABLE in os.environ


def StartServiceCtrlDispatcher(table: ServiceTable) -> None:
    """Connect to the SCM and serve (name, ServiceMain) pairs until all have stopped.

    ServiceMain gets argv as a list. WinError 1063: not started by the SCM; 1056: called twice;
    87: empty table; 13: malformed table.
    """
    checked_table(table)
    connect().run(table)


def RegisterServiceCtrlHandler(name: str, handler: Callable[[int], object]) -> int:
    """Make `handler(control)` the service's Handler; the status handle."""

    def handle(control: int, event_type: int, data: bytes) -> int:
        handler(control)
        return 0

    return _connected("RegisterServiceCtrlHandler").register(name, handle)


def RegisterServiceCtrlHandlerEx(
    name: str, handler: Callable[[int, int, bytes, object], int | None], context: object = None
) -> int:
    """Make `handler(control, event_type, event_data, context)` the Handler; the status handle.

    What it returns is the answer to whoever sent the control: 0 (None too), 120 for a control
    it does not know. An exception is answered with 1064, and the service goes on.
    """

    def handle(control: int, event_type: int, data: bytes) -> int | None:
        return handler(control, event_type, data, context)

    return _connected("RegisterServiceCtrlHandlerEx").register(name, handle)


def SetServiceStatus(handle: int, status: ServiceStatus | Sequence[int]) -> None:
    """Report a status: a ServiceStatus, or SERVICE_STATUS as a sequence of seven numbers.

    Returns at once, sent or queued. WinError 13: illegal values; 6: no such handle, or the
    service has reported STOPPED before.
    """
    if not isinstance(status, ServiceStatus):
        status = _status_of(status)
    _connected("SetServiceStatus", Error.INVALID_HANDLE).set_status(handle, status)


def _status_of(numbers: Sequence[int]) -> ServiceStatus:
    try:
        kind, state, accepted, exit_code, specific, check_point, wait_hint = numbers
    except (TypeError, ValueError) as error:
        raise WinError(Error.INVALID_DATA, "SetServiceStatus") from error
    if not all(isinstance(number, int) for number in numbers):
        raise WinError(Error.INVALID_DATA, "SetServiceStatus")
    return ServiceStatus(
        type=kind,
        state=state,
        controls_accepted=accepted,
        win32_exit_code=exit_code,
        service_specific_exit_code=specific,
        check_point=check_point,
        wait_hint=wait_hint,
    )


def _connected(funcname: str, error: Error = Error.SERVICE_NOT_IN_EXE) -> Dispatcher:
    dispatcher = _process.dispatcher
    if dispatcher is None:
        raise WinError(error, funcname)
    return dispatcher
