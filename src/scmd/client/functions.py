"""The Win32 functions of service control programs; `scmd.winsvc` has them under these names.

Arguments come in Win32's order and are Python's own: None keeps a value (or is NULL), lists are
multi-strings, buffers and sizes do not occur. Results are returned, failures raise `WinError` with
the function's name: 5 without the right, 6 for a handle that is closed or of the other kind, 1722
and 1726 when the connection cannot be made or breaks, 1115 for changes and starts while the
machine shuts down, and what a function's own text says.
"""

from __future__ import annotations

from scmd.client import configuration
from scmd.client.calls import open_calls
from scmd.client.hosts import HOST_PREFIXES
from scmd.client.sc_handle import ScHandle, Shared, use
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

    from scmd.client.calls import Entry
    from scmd.svcctl.config2_buffers import Config2Value
    from scmd.vocabulary.configuration import Trigger
    from scmd.vocabulary.status import ServiceStatus


# Handles ------------------------------------------------------------------------------------


def OpenSCManager(
    machine_name: str | None = None,
    database_name: str | None = None,
    desired_access: int = ScmAccess.CONNECT,
) -> ScHandle:
    """Connect to the SCM; ServicesActive is the database. [MS-SCMR] 3.1.4.15.

    `machine_name` is a HOST (`hosts`), with or without the slashes before it. Errors: 123 and 1065
    for another database.
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
    return ScHandle(Shared(calls), raw)


def OpenService(scm: ScHandle, service_name: str, desired_access: int) -> ScHandle:
    """A handle by key name, [MS-SCMR] 3.1.4.16. Errors: 123 (no legal name), 1060."""
    calls, raw = use(scm, "OpenService")
    expect(str, service_name, "OpenService", Error.INVALID_NAME)
    return scm.child(calls.open_service(raw, service_name, desired_access), service_name)


def CloseServiceHandle(handle: ScHandle) -> None:
    """Close it; 6 when it is closed already. [MS-SCMR] 3.1.4.1."""
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
    """A handle to the new service; with a true `tag`, the handle and the tag it was given.

    [MS-SCMR] 3.1.4.12. Needs SC_MANAGER_CREATE_SERVICE. Errors: 87 (types and start types that do
    not go together, texts that are too long), 123 (an illegal name), 1057 (the account), 1059 (it
    would depend on itself), 1072 (one of this name is marked for deletion), 1073, 1078 (the
    display name is another one's).
    """
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
    """Mark for deletion; it goes when it is stopped and the last handle is closed.

    [MS-SCMR] 3.1.4.3. Needs DELETE. Errors: 1072, it is marked already.
    """
    configuration.delete_service(*use(service, "DeleteService"))


def QueryServiceConfig(service: ScHandle) -> ServiceConfig:
    """The members of QUERY_SERVICE_CONFIG; the record's other fields have their defaults.

    [MS-SCMR] 3.1.4.17. Needs SERVICE_QUERY_CONFIG.
    """
    return configuration.query_config(*use(service, "QueryServiceConfig"), service.name)


def QueryServiceConfig2(service: ScHandle, info_level: int) -> Config2Value | tuple[Trigger, ...]:
    """1 str; 2 FailureActions; 3, 4, 11 bool; 5, 7, 10, 12 int; 6 tuple of str; 8 tuple of Trigger;
    9 int or None.

    Level 7 is in milliseconds. [MS-SCMR] 3.1.4.37. Needs SERVICE_QUERY_CONFIG. Errors: 124, a level
    there is not.
    """
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
    """None and SERVICE_NO_CHANGE keep, "" and () clear; with a true `tag`, the new tag.

    [MS-SCMR] 3.1.4.11. Needs SERVICE_CHANGE_CONFIG. Errors: as CreateService's, but for the name.
    """
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

    [MS-SCMR] 3.1.4.35. Needs SERVICE_CHANGE_CONFIG; to restart the service SERVICE_START too, to
    reboot SeShutdownPrivilege. Errors: 87 (a value of another type than the level's, or out of
    its range), 124 (a level there is not), 1072, 1080 (failure actions of a driver).
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
    """SERVICE_STATUS; process id and flags are 0. [MS-SCMR] 3.1.4.7. Needs SERVICE_QUERY_STATUS."""
    calls, raw = use(service, "QueryServiceStatus")
    return calls.query_basic_status(raw)


def QueryServiceStatusEx(service: ScHandle) -> ServiceStatus:
    """SERVICE_STATUS_PROCESS: with process id and flags. [MS-SCMR] 3.1.4.38.

    Needs SERVICE_QUERY_STATUS.
    """
    calls, raw = use(service, "QueryServiceStatusEx")
    return calls.query_status(raw)


def StartService(service: ScHandle, arguments: Sequence[str] | None = None) -> None:
    """Answered when ServiceMain's thread exists; `arguments` follow the service name in argv.

    [MS-SCMR] 3.1.4.19. Needs SERVICE_START. Errors: 2, 3, 193 (there is no such program, or it is
    none), 1053 (it did not connect or answer in time), 1056, 1058, 1068, 1069, 1072, 1075 (a
    dependency is not there), 1079, 1083.
    """
    calls, raw = use(service, "StartService")
    calls.start_service(raw, arguments or ())


def ControlService(service: ScHandle, control: int) -> ServiceStatus:
    """Send a control; the status after the Handler returned.

    [MS-SCMR] 3.1.4.2. Needs SERVICE_STOP to stop, SERVICE_INTERROGATE, from 128 on
    SERVICE_USER_DEFINED_CONTROL, else SERVICE_PAUSE_CONTINUE. Errors: 87 (no control that may be
    sent), 1051, 1052, 1053, 1061, 1062, and what the Handler returned.
    """
    calls, raw = use(service, "ControlService")
    return calls.control_service(raw, control)


def ControlServiceEx(
    service: ScHandle, control: int, reason: int | None = None, comment: str | None = None
) -> ServiceStatus:
    """The same with a stop reason (SERVICE_STOP_REASON_*) and a comment; with process id.

    [MS-SCMR] 3.1.4.47. A stop without a reason is a planned one for none; a comment has 127
    characters at most. Errors: 87 too for a reason that is not one flag, one major and one minor
    code, and for a comment on another control than a stop.
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
    """Every service that matches and may be queried: name, display_name, status.

    [MS-SCMR] 3.1.4.14. Needs SC_MANAGER_ENUMERATE_SERVICE. Errors: 87, a mask without or with other
    bits.
    """
    calls, raw = use(scm, "EnumServicesStatus")
    return calls.enum_services(raw, service_type, service_state, None)


def EnumServicesStatusEx(
    scm: ScHandle,
    service_type: int = ServiceType.WIN32,
    service_state: int = StateMask.ALL,
    group_name: str | None = None,
) -> list[Entry]:
    """The same, of one load-order group; "" means services without a group, None all.

    [MS-SCMR] 3.1.4.40. Errors: 1060 too, there is no such group.
    """
    calls, raw = use(scm, "EnumServicesStatusEx")
    return calls.enum_services(raw, service_type, service_state, group_name)


def EnumDependentServices(service: ScHandle, service_state: int = StateMask.ALL) -> list[Entry]:
    """Those that depend on it, in the order in which to stop them. [MS-SCMR] 3.1.4.13.

    Needs SERVICE_ENUMERATE_DEPENDENTS.
    """
    calls, raw = use(service, "EnumDependentServices")
    return calls.enum_dependents(raw, service_state)


def GetServiceDisplayName(scm: ScHandle, service_name: str) -> str:
    """The display name of a key name, [MS-SCMR] 3.1.4.20. Errors: 123 (no legal name), 1060."""
    calls, raw = use(scm, "GetServiceDisplayName")
    return calls.display_name(raw, service_name)


def GetServiceKeyName(scm: ScHandle, display_name: str) -> str:
    """The key name of a display name, [MS-SCMR] 3.1.4.21. Errors: 123 (too long), 1060."""
    calls, raw = use(scm, "GetServiceKeyName")
    return calls.key_name(raw, display_name)
