"""The Win32 functions of service control programs; `scmd.winsvc` has them under these names.

Arguments come in Win32's order and are Python's own: None keeps a value (or is NULL), lists are
multi-strings, buffers and sizes do not occur. Results are returned, failures raise `WinError` with
the function's name. A handle closes itself when it is collected; a connection ends with its last
handle.
"""

from __future__ import annotations

from _thread import allocate_lock
from os import getpid

from scmd.client import configuration
from scmd.client.calls import open_calls
from scmd.client.hosts import HOST_PREFIXES
from scmd.vocabulary.configuration import LOCAL_SYSTEM, FailureActions, ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    NO_CHANGE,
    ConfigLevel,
    Control,
    ScmAccess,
    ServiceType,
    StateMask,
)
from scmd.vocabulary.winerror import WinError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from scmd.client.calls import Calls, Entry
    from scmd.client.multiplexing import Multiplexed
    from scmd.client.notifications import Watching
    from scmd.ndr.values import ContextHandle
    from scmd.svcctl.config2_buffers import Config2Value
    from scmd.vocabulary.configuration import Trigger
    from scmd.vocabulary.status import ServiceStatus


class _Shared:
    """A connection and how many handles are open on it."""

    __slots__ = ("calls", "handles", "left", "link", "linking", "process")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.process = getpid()
        self.handles = 0
        self.left: list[ScHandle] = []
        """Handles that were collected when they could not be closed."""
        self.linking = allocate_lock()
        self.link: Multiplexed | None = None
        """The connection that notifications come by, once it is needed."""

    @property
    def is_busy(self) -> bool:
        """A call is under way, perhaps the very one in whose midst this is asked."""
        link = self.link
        return self.calls.is_busy or self.linking.locked() or (link is not None and link.is_busy)

    def close_left(self) -> None:
        while self.left:
            try:
                self.left.pop().Close()
            except (IndexError, WinError):
                # Another thread has closed the last one; or the connection has, by its end.
                continue


class ScHandle:
    """SC_HANDLE: a handle to the SCM or to a service; a context manager."""

    __slots__ = ("_raw", "_shared", "name", "watching")

    def __init__(self, shared: _Shared, raw: ContextHandle, name: str = "") -> None:
        shared.handles += 1
        self._shared = shared
        self._raw: ContextHandle | None = raw
        self.name = name
        """The service's key name as it was given; "" for the SCM."""
        self.watching: Watching | None = None
        """What `notifications` keeps."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.Close()

    def __del__(self) -> None:
        try:
            if self._raw is not None and self._shared.is_busy:
                # This may be in the midst of the very call that closing it would wait for.
                self._shared.left.append(self)
            else:
                self.Close()
        except Exception:
            # The SCM closes what it cannot be told about when the connection ends.
            return

    def __bool__(self) -> bool:
        return self._raw is not None

    def __repr__(self) -> str:
        what = repr(self.name) if self.name else "the SCM"
        return f"<handle to {what}>" if self else f"<closed handle to {what}>"

    @property
    def opened(self) -> tuple[Calls, ContextHandle] | None:
        """What a call needs; None after Close."""
        self._shared.close_left()
        return None if self._raw is None else (self._shared.calls, self._raw)

    def child(self, raw: ContextHandle, name: str) -> ScHandle:
        """A service handle on the same connection."""
        return ScHandle(self._shared, raw, name)

    def link(self) -> Multiplexed:
        """The connection that notifications come by."""
        from scmd.client.multiplexing import Multiplexed

        shared = self._shared
        with shared.linking:
            if shared.link is None or shared.link.has_ended():
                shared.link = Multiplexed(shared.calls.another_connection())
            return shared.link

    def Close(self) -> None:
        """Close it; a second time does nothing, nor does a child that was forked since."""
        raw, self._raw = self._raw, None
        shared = self._shared
        if raw is None or shared.process != getpid():
            return
        shared.close_left()
        shared.handles -= 1
        if self.watching is not None:
            self.watching.close()
        if not shared.handles and shared.link is not None:
            shared.link.close()
        if shared.calls.is_closed:
            return
        if shared.handles:
            shared.calls.close_handle(raw)
        else:
            shared.calls.close()


def use(handle: ScHandle, function: str) -> tuple[Calls, ContextHandle]:
    """What a call needs; WinError 6 for a closed handle, and for what is none."""
    expect(ScHandle, handle, function)
    opened = handle.opened
    if opened is None:
        raise WinError(Error.INVALID_HANDLE, function)
    return opened


# Handles ------------------------------------------------------------------------------------


def OpenSCManager(
    machine_name: str | None = None,
    database_name: str | None = None,
    desired_access: int = ScmAccess.CONNECT,
) -> ScHandle:
    """Connect to the SCM; ServicesActive is the database. 5, 123, 1065, 1722.

    `machine_name` is a HOST (`hosts`), with or without the slashes before it.
    """
    host = machine_name or None
    if host is not None and not host.startswith(HOST_PREFIXES):
        host = f"//{host}"
    calls = open_calls(host)
    try:
        raw = calls.open_scm(desired_access, database_name)
    except BaseException:
        calls.close()
        raise
    return ScHandle(_Shared(calls), raw)


def OpenService(scm: ScHandle, service_name: str, desired_access: int) -> ScHandle:
    """A handle by key name. 5, 6, 123, 1060."""
    calls, raw = use(scm, "OpenService")
    expect(str, service_name, "OpenService", Error.INVALID_NAME)
    return scm.child(calls.open_service(raw, service_name, desired_access), service_name)


def CloseServiceHandle(handle: ScHandle) -> None:
    """6 when it is closed already."""
    use(handle, "CloseServiceHandle")
    handle.Close()


# Records ------------------------------------------------------------------------------------


def CreateService(
    scm: ScHandle,
    service_name: str,
    display_name: str | None,
    desired_access: int,
    service_type: int,
    start_type: int,
    error_control: int,
    binary_path_name: str,
    load_order_group: str | None = None,
    tag: bool = False,
    dependencies: Sequence[str] | None = None,
    service_start_name: str | None = None,
    password: str | None = None,
) -> ScHandle | tuple[ScHandle, int]:
    """A handle to the new service; with a true `tag`, the handle and the tag it was given."""
    calls, raw = use(scm, "CreateService")
    expect(str, service_name, "CreateService", Error.INVALID_NAME)
    config = ServiceConfig(
        name=service_name,
        display_name=display_name or "",
        type=service_type,
        start_type=start_type,
        error_control=error_control,
        image_path=binary_path_name,
        load_order_group=load_order_group or "",
        dependencies=tuple(dependencies or ()),
        account=service_start_name or LOCAL_SYSTEM,
    )
    created, number = configuration.create_service(
        calls, raw, config, desired_access, password, tag
    )
    handle = scm.child(created, service_name)
    return (handle, number) if tag else handle


def DeleteService(service: ScHandle) -> None:
    """Mark for deletion; it goes when it is stopped and the last handle is closed. 5, 1072."""
    configuration.delete_service(*use(service, "DeleteService"))


def QueryServiceConfig(service: ScHandle) -> ServiceConfig:
    """The members of QUERY_SERVICE_CONFIG; the record's other fields have their defaults."""
    return configuration.query_config(*use(service, "QueryServiceConfig"), service.name)


def QueryServiceConfig2(service: ScHandle, info_level: int) -> Config2Value | tuple[Trigger, ...]:
    """1 str; 2 FailureActions; 3, 4, 11 bool; 5, 7, 10, 12 int; 6 tuple of str; 8 tuple of Trigger;
    9 int or None. 124."""
    calls, raw = use(service, "QueryServiceConfig2")
    if info_level == ConfigLevel.TRIGGER_INFO:
        from scmd.client.administration import query_triggers

        return query_triggers(calls, raw)
    return configuration.query_config2(calls, raw, info_level)


def ChangeServiceConfig(
    service: ScHandle,
    service_type: int | None = None,
    start_type: int | None = None,
    error_control: int | None = None,
    binary_path_name: str | None = None,
    load_order_group: str | None = None,
    tag: bool = False,
    dependencies: Sequence[str] | None = None,
    service_start_name: str | None = None,
    password: str | None = None,
    display_name: str | None = None,
) -> int | None:
    """None and SERVICE_NO_CHANGE keep, "" and () clear; with a true `tag`, the new tag."""
    calls, raw = use(service, "ChangeServiceConfig")
    number = configuration.change_config(
        calls,
        raw,
        type=_changed(service_type),
        start_type=_changed(start_type),
        error_control=_changed(error_control),
        image_path=binary_path_name,
        load_order_group=load_order_group,
        assign_tag=tag,
        dependencies=dependencies,
        account=service_start_name,
        password=password,
        display_name=display_name,
    )
    return number if tag else None


def _changed(value: int | None) -> int | None:
    # Some headers have SERVICE_NO_CHANGE as -1.
    return None if value is None or value & NO_CHANGE == NO_CHANGE else value


def ChangeServiceConfig2(
    service: ScHandle, info_level: int, info: Config2Value | tuple[Trigger, ...]
) -> None:
    """The value of a level as QueryServiceConfig2 gives it; None changes nothing, but deletes at 9.

    87: a value of another type than the level's; 124: a level there is not.
    """
    calls, raw = use(service, "ChangeServiceConfig2")
    if info_level not in _LEVEL_TYPES:
        raise WinError(Error.INVALID_LEVEL, "ChangeServiceConfig2")
    if info is None and info_level != ConfigLevel.PREFERRED_NODE:
        return
    if info is not None and not isinstance(info, _LEVEL_TYPES[info_level]):
        raise WinError(Error.INVALID_PARAMETER, "ChangeServiceConfig2")
    if info_level == ConfigLevel.TRIGGER_INFO:
        from scmd.client.administration import change_triggers

        change_triggers(calls, raw, info)  # type: ignore[arg-type] # the level's type
    elif isinstance(info, FailureActions):
        configuration.change_failure_actions(
            calls,
            raw,
            reset_period_s=info.reset_period_s,
            reboot_message=info.reboot_message,
            command=info.command,
            actions=info.actions,
        )
    else:
        level = ConfigLevel(info_level)
        configuration.change_config2(calls, raw, level, info)  # type: ignore[arg-type] # likewise


_LEVEL_TYPES: dict[int, type] = {
    ConfigLevel.DESCRIPTION: str,
    ConfigLevel.FAILURE_ACTIONS: FailureActions,
    ConfigLevel.DELAYED_AUTO_START_INFO: int,
    ConfigLevel.FAILURE_ACTIONS_FLAG: int,
    ConfigLevel.SERVICE_SID_INFO: int,
    ConfigLevel.REQUIRED_PRIVILEGES_INFO: tuple,
    ConfigLevel.PRESHUTDOWN_INFO: int,
    ConfigLevel.TRIGGER_INFO: tuple,
    ConfigLevel.PREFERRED_NODE: int,
    ConfigLevel.RUNLEVEL_INFO: int,
    ConfigLevel.MANAGED_ACCOUNT_INFO: int,
    ConfigLevel.LAUNCH_PROTECTED: int,
}


# Status, start, control ---------------------------------------------------------------------


def QueryServiceStatus(service: ScHandle) -> ServiceStatus:
    """SERVICE_STATUS; process id and flags are 0."""
    calls, raw = use(service, "QueryServiceStatus")
    return calls.query_basic_status(raw)


def QueryServiceStatusEx(service: ScHandle) -> ServiceStatus:
    """SERVICE_STATUS_PROCESS: with process id and flags."""
    calls, raw = use(service, "QueryServiceStatusEx")
    return calls.query_status(raw)


def StartService(service: ScHandle, arguments: Sequence[str] | None = None) -> None:
    """Answered when ServiceMain's thread exists; `arguments` follow the service name in argv."""
    calls, raw = use(service, "StartService")
    calls.start_service(raw, arguments or ())


def ControlService(service: ScHandle, control: int) -> ServiceStatus:
    """Send a control; the status after the Handler returned. 1051, 1052, 1053, 1061, 1062."""
    calls, raw = use(service, "ControlService")
    return calls.control_service(raw, control)


def ControlServiceEx(
    service: ScHandle, control: int, reason: int | None = None, comment: str | None = None
) -> ServiceStatus:
    """The same with a stop reason (SERVICE_STOP_REASON_*) and a comment; with process id.

    A stop without a reason is a planned one for none. 87: a reason that is not one flag, one major
    and one minor code; a comment on another control than a stop.
    """
    if reason is None:
        reason = _NO_STOP_REASON if control == Control.STOP else 0
    calls, raw = use(service, "ControlServiceEx")
    return calls.control_service_ex(raw, control, reason, comment)


_NO_STOP_REASON = 0x4006_0017
"""FLAG_PLANNED, MAJOR_NONE, MINOR_NONE."""


# Enumerations and names -----------------------------------------------------------------------


def EnumServicesStatus(
    scm: ScHandle, service_type: int = ServiceType.WIN32, service_state: int = StateMask.ALL
) -> list[Entry]:
    """Every service that matches: name, display_name, status."""
    calls, raw = use(scm, "EnumServicesStatus")
    return calls.enum_services(raw, service_type, service_state, None)


def EnumServicesStatusEx(
    scm: ScHandle,
    service_type: int = ServiceType.WIN32,
    service_state: int = StateMask.ALL,
    group_name: str | None = None,
) -> list[Entry]:
    """The same, of one load-order group; "" means services without a group, None all."""
    calls, raw = use(scm, "EnumServicesStatusEx")
    return calls.enum_services(raw, service_type, service_state, group_name)


def EnumDependentServices(service: ScHandle, service_state: int = StateMask.ALL) -> list[Entry]:
    """Those that depend on it, in the order in which to stop them."""
    calls, raw = use(service, "EnumDependentServices")
    return calls.enum_dependents(raw, service_state)


def GetServiceDisplayName(scm: ScHandle, service_name: str) -> str:
    """The display name of a key name. 1060."""
    calls, raw = use(scm, "GetServiceDisplayName")
    return calls.display_name(raw, service_name)


def GetServiceKeyName(scm: ScHandle, display_name: str) -> str:
    """The key name of a display name. 1060."""
    calls, raw = use(scm, "GetServiceKeyName")
    return calls.key_name(raw, display_name)
