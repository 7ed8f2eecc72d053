"""A small part of `scmd.winsvc`, made of the Windows functions of the same names by ctypes.

Runs in a CPython for Windows, and knows nothing of scmd: what `notify_scenarios` and the service
program of the tests use, with the same arguments, results and exceptions.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref
from ctypes import c_uint32 as DWORD
from ctypes import c_void_p as HANDLE
from ctypes import c_wchar_p as LPWSTR
from typing import Any

# Names that only a ctypes for Windows has.
_windows: Any = ctypes
_MAIN = _windows.WINFUNCTYPE(None, DWORD, POINTER(LPWSTR))
_HANDLER = _windows.WINFUNCTYPE(DWORD, DWORD, DWORD, HANDLE, HANDLE)
_CALLBACK = _windows.WINFUNCTYPE(None, HANDLE)
_INVALID_HANDLE = 6
_INTERNAL_ERROR = 1359


class WinError(Exception):
    """As scmd's, without the text."""

    def __init__(self, winerror: int, funcname: str) -> None:
        super().__init__(winerror, funcname)
        self.winerror = winerror


class _Table(Structure):
    """SERVICE_TABLE_ENTRYW."""

    _fields_ = (("name", LPWSTR), ("main", _MAIN))


class _Status(Structure):
    """SERVICE_STATUS_PROCESS, which begins with SERVICE_STATUS."""

    _fields_ = tuple(
        (name, DWORD)
        for name in (
            "type",
            "state",
            "controls_accepted",
            "win32_exit_code",
            "service_specific_exit_code",
            "check_point",
            "wait_hint",
            "process_id",
            "flags",
        )
    )


class _Notify(Structure):
    """SERVICE_NOTIFY_2W."""

    _fields_ = (
        ("version", DWORD),
        ("callback", _CALLBACK),
        ("context", HANDLE),
        ("notification_status", DWORD),
        ("service_status", _Status),
        ("notification_triggered", DWORD),
        ("service_names", LPWSTR),
    )


def _function(library: str, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_windows.WinDLL(library, use_last_error=True), name)
    function.restype, function.argtypes = result, arguments
    return function


def _advapi32(name: str, result: Any, *arguments: Any) -> Any:
    return _function("advapi32", name, result, *arguments)


_open_sc_manager = _advapi32("OpenSCManagerW", HANDLE, LPWSTR, LPWSTR, DWORD)
_create_service = _advapi32(
    "CreateServiceW", HANDLE, HANDLE, LPWSTR, LPWSTR, *[DWORD] * 4, LPWSTR, LPWSTR, *[HANDLE] * 4
)
_open_service = _advapi32("OpenServiceW", HANDLE, HANDLE, LPWSTR, DWORD)
_close = _advapi32("CloseServiceHandle", DWORD, HANDLE)
_delete_service = _advapi32("DeleteService", DWORD, HANDLE)
_start_service = _advapi32("StartServiceW", DWORD, HANDLE, DWORD, HANDLE)
_control_service = _advapi32("ControlService", DWORD, HANDLE, DWORD, POINTER(_Status))
_query = _advapi32("QueryServiceStatus", DWORD, HANDLE, POINTER(_Status))
_notify = _advapi32("NotifyServiceStatusChangeW", DWORD, HANDLE, DWORD, POINTER(_Notify))
_dispatch = _advapi32("StartServiceCtrlDispatcherW", DWORD, POINTER(_Table))
_register = _advapi32("RegisterServiceCtrlHandlerExW", HANDLE, LPWSTR, _HANDLER, HANDLE)
_set_status = _advapi32("SetServiceStatus", DWORD, HANDLE, POINTER(_Status))
_sleep_ex = _function("kernel32", "SleepEx", DWORD, DWORD, DWORD)


def _checked(result: Any, name: str) -> Any:
    if not result:
        raise WinError(_windows.get_last_error(), name)
    return result


# For programs that control ------------------------------------------------------------------


class ScHandle:
    """SC_HANDLE; closed by CloseServiceHandle only."""

    def __init__(self, raw: int) -> None:
        self.raw: int | None = raw


def _opened(result: Any, name: str) -> ScHandle:
    return ScHandle(_checked(result, name))


def OpenSCManager(machine: str | None, database: str | None, access: int) -> ScHandle:
    return _opened(_open_sc_manager(machine, database, access), "OpenSCManager")


def CreateService(
    scm: ScHandle,
    name: str,
    display_name: str | None,
    access: int,
    type: int,
    start_type: int,
    error_control: int,
    command: str,
) -> ScHandle:
    numbers = (access, type, start_type, error_control)
    made = _create_service(scm.raw, name, display_name, *numbers, command, None, *[None] * 4)
    return _opened(made, "CreateService")


def OpenService(scm: ScHandle, name: str, access: int) -> ScHandle:
    return _opened(_open_service(scm.raw, name, access), "OpenService")


def CloseServiceHandle(handle: ScHandle) -> None:
    if handle.raw is None:
        raise WinError(_INVALID_HANDLE, "CloseServiceHandle")
    _checked(_close(handle.raw), "CloseServiceHandle")
    handle.raw = None


def DeleteService(service: ScHandle) -> None:
    _checked(_delete_service(service.raw), "DeleteService")


def StartService(service: ScHandle) -> None:
    """Now and then Wine's service manager fails of itself; asked again it does it."""
    if not _start_service(service.raw, 0, None):
        error = _windows.get_last_error()
        if error != _INTERNAL_ERROR:
            raise WinError(error, "StartService")
        _checked(_start_service(service.raw, 0, None), "StartService")


def ControlService(service: ScHandle, control: int) -> ServiceStatus:
    status = _Status()
    _checked(_control_service(service.raw, control, byref(status)), "ControlService")
    return ServiceStatus.of(status)


def QueryServiceStatus(service: ScHandle) -> ServiceStatus:
    status = _Status()
    _checked(_query(service.raw, byref(status)), "QueryServiceStatus")
    return ServiceStatus.of(status)


class ServiceNotify:
    """What is to be called, and the members that were told, once it has been called."""

    def __init__(self, callback: Any, context: object = None, version: int = 2) -> None:
        self.callback = callback
        self.notification_status = self.notification_triggered = 0
        self.service_status = ServiceStatus()
        self.raw = _Notify(version=version, callback=_CALLBACK(self._called))

    def _called(self, _: int) -> None:
        self.notification_status = self.raw.notification_status
        self.service_status = ServiceStatus.of(self.raw.service_status)
        self.notification_triggered = self.raw.notification_triggered
        self.callback(self)


_buffers: list[ServiceNotify] = []
"""Windows may write to one at any time."""


def NotifyServiceStatusChange(handle: ScHandle, mask: int, buffer: ServiceNotify) -> None:
    _buffers.append(buffer)
    error = _notify(handle.raw, mask, byref(buffer.raw))
    if error:
        raise WinError(error, "NotifyServiceStatusChange")


def SleepEx(milliseconds: int, alertable: bool) -> int:
    result: int = _sleep_ex(milliseconds, alertable)
    return result


# For services -------------------------------------------------------------------------------


class ServiceStatus:
    """The numbers of SERVICE_STATUS."""

    def __init__(
        self, type: int = 0x10, state: int = 1, controls_accepted: int = 0, wait_hint: int = 0
    ) -> None:
        self.type = type
        self.state = state
        self.controls_accepted = controls_accepted
        self.wait_hint = wait_hint

    @classmethod
    def of(cls, raw: _Status) -> ServiceStatus:
        return cls(raw.type, raw.state, raw.controls_accepted, raw.wait_hint)


_kept: list[object] = []
"""What Windows calls back must live."""


def StartServiceCtrlDispatcher(table: list[tuple[str, Any]]) -> None:
    entries = (_Table * (len(table) + 1))()
    for entry, (name, main) in zip(entries, table, strict=False):

        def run(count: int, arguments: Any, main: Any = main) -> None:
            main([arguments[number] for number in range(count)])

        entry.name, entry.main = name, _MAIN(run)
    _kept.append(entries)
    _checked(_dispatch(entries), "StartServiceCtrlDispatcher")


def RegisterServiceCtrlHandlerEx(name: str, handler: Any) -> int:
    raw = _HANDLER(lambda control, kind, data, context: handler(control, kind, b"", None))
    _kept.append(raw)
    handle: int = _checked(_register(name, raw, None), "RegisterServiceCtrlHandlerEx")
    return handle


def SetServiceStatus(handle: int, status: ServiceStatus) -> None:
    raw = _Status(
        type=status.type,
        state=status.state,
        controls_accepted=status.controls_accepted,
        wait_hint=status.wait_hint,
    )
    _checked(_set_status(handle, byref(raw)), "SetServiceStatus")
