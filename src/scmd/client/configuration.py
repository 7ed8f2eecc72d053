"""Service records over svcctl: create, delete, query and change configurations.

Functions over `Calls`; the values are `vocabulary.configuration`'s. None keeps a value. Levels are
those of ChangeServiceConfig2 and QueryServiceConfig2 ([MS-SCMR] 3.1.4.35 and 37).
"""

from __future__ import annotations

from scmd.client.connection import bad_answers
from scmd.ndr.errors import NdrError
from scmd.svcctl import configuration as wire
from scmd.svcctl.buffers import pack_multi_string, split_dependencies
from scmd.svcctl.config2_buffers import unpack_config2
from scmd.svcctl.interface import ServiceRequest
from scmd.svcctl.opening import OpenServiceRequest
from scmd.vocabulary.configuration import FailureActions, ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import NO_CHANGE, ConfigLevel
from scmd.vocabulary.winerror import BufferTooSmall, WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.svcctl.config2_buffers import Config2Value
    from scmd.vocabulary.configuration import FailureAction

    Info = (
        wire.ServiceDescription
        | wire.ServiceFailureActions
        | wire.ServiceFlag
        | wire.RequiredPrivileges
        | wire.PreferredNode
    )

FIRST_BYTES = 1024
MAX_BYTES = 8192
NEEDS_BUFFER = (Error.INSUFFICIENT_BUFFER,)


def create_service(
    calls: Calls,
    scm: ContextHandle,
    config: ServiceConfig,
    access: int,
    password: str | None = None,
    assign_tag: bool = False,
) -> tuple[ContextHandle, int]:
    """A handle to the new service, and its tag. Only what CreateService takes is used."""
    if "\0" in config.name:
        raise WinError(Error.INVALID_NAME, "CreateService")
    secret = _password(calls, password, "CreateService")
    request = wire.CreateServiceRequest(
        scm=scm,
        name=config.name,
        display_name=config.display_name or None,
        desired_access=access,
        type=config.type,
        start_type=config.start_type,
        error_control=config.error_control,
        binary_path_name=config.image_path,
        load_order_group=config.load_order_group or None,
        tag_id=0 if assign_tag else None,
        dependencies=_multi_string(config.dependencies) if config.dependencies else None,
        service_start_name=config.account or None,
        password=secret,
    )
    again = OpenServiceRequest(scm=scm, name=config.name, desired_access=access)
    answer = calls.call(
        wire.CREATE_SERVICE_W,
        request,
        unfit=Error.INVALID_NAME,
        opened=lambda answer: calls.opened_service(answer.handle, again),
    )
    return answer.handle, answer.tag_id or 0


def delete_service(calls: Calls, service: ContextHandle) -> None:
    calls.call(wire.DELETE_SERVICE, ServiceRequest(service=service))


def change_config(
    calls: Calls,
    service: ContextHandle,
    *,
    type: int | None = None,
    start_type: int | None = None,
    error_control: int | None = None,
    image_path: str | None = None,
    load_order_group: str | None = None,
    assign_tag: bool = False,
    dependencies: Sequence[str] | None = None,
    account: str | None = None,
    password: str | None = None,
    display_name: str | None = None,
) -> int:
    """ChangeServiceConfig; the tag, if one was asked for. An empty text or list clears."""
    request = wire.ChangeServiceConfigRequest(
        service=service,
        type=NO_CHANGE if type is None else type,
        start_type=NO_CHANGE if start_type is None else start_type,
        error_control=NO_CHANGE if error_control is None else error_control,
        binary_path_name=image_path,
        load_order_group=load_order_group,
        tag_id=0 if assign_tag else None,
        dependencies=None if dependencies is None else _multi_string(dependencies),
        service_start_name=account,
        password=_password(calls, password, "ChangeServiceConfig"),
        display_name=display_name,
    )
    return calls.call(wire.CHANGE_SERVICE_CONFIG_W, request).tag_id or 0


def query_config(
    calls: Calls, service: ContextHandle, name: str, size: int | None = None
) -> ServiceConfig:
    """QueryServiceConfig, as the record `name` with its own fields; the others have defaults.

    A given `size` does not grow: BufferTooSmall.
    """
    for bytes_ in _sizes(size):
        request = wire.QueryServiceConfigRequest(service=service, buffer_size=bytes_)
        answer = calls.call(wire.QUERY_SERVICE_CONFIG_W, request, NEEDS_BUFFER)
        if not answer.error:
            break
    else:
        raise BufferTooSmall(answer.error, "QueryServiceConfig", answer.bytes_needed)
    found = answer.config
    return ServiceConfig(
        name=name,
        display_name=found.display_name or "",
        type=found.type,
        start_type=found.start_type,
        error_control=found.error_control,
        image_path=found.binary_path_name or "",
        load_order_group=found.load_order_group or "",
        tag=found.tag_id,
        dependencies=split_dependencies(found.dependencies),
        account=found.service_start_name or "",
    )


def query_whole_config(calls: Calls, service: ContextHandle, name: str) -> ServiceConfig:
    """The record with levels 1 to 7 of QueryServiceConfig2 besides."""
    return query_config(calls, service, name).replace(
        description=query_config2(calls, service, ConfigLevel.DESCRIPTION),
        failure_actions=query_config2(calls, service, ConfigLevel.FAILURE_ACTIONS),
        delayed_auto_start=is_delayed(calls, service),
        failure_actions_flag=query_config2(calls, service, ConfigLevel.FAILURE_ACTIONS_FLAG),
        sid_type=query_config2(calls, service, ConfigLevel.SERVICE_SID_INFO),
        required_privileges=query_config2(calls, service, ConfigLevel.REQUIRED_PRIVILEGES_INFO),
        preshutdown_timeout=query_config2(calls, service, ConfigLevel.PRESHUTDOWN_INFO),
    )


def query_config2(
    calls: Calls, service: ContextHandle, level: int, size: int | None = None
) -> Config2Value:
    """One level, its value as in `svcctl.config2_buffers`; 124 for a level there is not.

    A given `size` does not grow: BufferTooSmall.
    """
    for bytes_ in _sizes(size):
        request = wire.QueryServiceConfig2Request(service=service, level=level, buffer_size=bytes_)
        answer = calls.call(wire.QUERY_SERVICE_CONFIG_2_W, request, NEEDS_BUFFER)
        if not answer.error:
            break
    else:
        raise BufferTooSmall(answer.error, "QueryServiceConfig2", answer.bytes_needed)
    with bad_answers("QueryServiceConfig2"):
        return unpack_config2(level, answer.buffer)


def is_delayed(calls: Calls, service: ContextHandle) -> bool:
    """Whether it starts late; never on a server without such a level, such as Samba."""
    try:
        return bool(query_config2(calls, service, ConfigLevel.DELAYED_AUTO_START_INFO))
    except WinError as error:
        if error.winerror != Error.INVALID_LEVEL:
            raise
        return False


def query_description(calls: Calls, service: ContextHandle, size: int | None = None) -> str:
    return str(query_config2(calls, service, ConfigLevel.DESCRIPTION, size))


def query_failure_actions(
    calls: Calls, service: ContextHandle, size: int | None = None
) -> FailureActions:
    value = query_config2(calls, service, ConfigLevel.FAILURE_ACTIONS, size)
    assert isinstance(value, FailureActions)
    return value


def query_required_privileges(
    calls: Calls, service: ContextHandle, size: int | None = None
) -> tuple[str, ...]:
    value = query_config2(calls, service, ConfigLevel.REQUIRED_PRIVILEGES_INFO, size)
    assert isinstance(value, tuple)
    return value


def query_number(
    calls: Calls, service: ContextHandle, level: ConfigLevel, size: int | None = None
) -> int:
    """The levels whose value is a bool or an int."""
    value = query_config2(calls, service, level, size)
    assert isinstance(value, int)
    return value


def change_config2(
    calls: Calls,
    service: ContextHandle,
    level: ConfigLevel,
    value: str | bool | int | tuple[str, ...] | None,
) -> None:
    """Every level but 2 and 8, its value as in `svcctl.config2_buffers`; None deletes at 9."""
    info: Info
    if level == ConfigLevel.DESCRIPTION:
        info = wire.ServiceDescription(description=str(value))
    elif level == ConfigLevel.REQUIRED_PRIVILEGES_INFO:
        assert isinstance(value, tuple)
        info = wire.RequiredPrivileges(required_privileges=_multi_string(value))
    elif level == ConfigLevel.PREFERRED_NODE:
        node = 0 if value is None else int(value)  # type: ignore[arg-type] # the level's type
        info = wire.PreferredNode(preferred_node=node, delete=int(value is None))
    else:
        assert isinstance(value, int)
        info = wire.ServiceFlag(value=int(value))
    _change2(calls, service, level, info)


def change_failure_actions(
    calls: Calls,
    service: ContextHandle,
    *,
    reset_period_s: int = 0,
    reboot_message: str | None = None,
    command: str | None = None,
    actions: Sequence[FailureAction] | None = None,
) -> None:
    """Level 2. Without actions the stored ones and the reset period stay; "" deletes a text.

    A restart among the actions needs SERVICE_START on the handle.
    """
    info = wire.ServiceFailureActions(
        reset_period=reset_period_s,
        reboot_message=reboot_message,
        command=command,
        actions=None
        if actions is None
        else tuple(wire.ScAction(type=action.type, delay=action.delay) for action in actions),
    )
    _change2(calls, service, ConfigLevel.FAILURE_ACTIONS, info)


def _change2(calls: Calls, service: ContextHandle, level: ConfigLevel, info: Info) -> None:
    config = wire.ConfigInfo(level=level, info=info)
    calls.call(
        wire.CHANGE_SERVICE_CONFIG_2_W,
        wire.ChangeServiceConfig2Request(service=service, config=config),
    )


def _sizes(size: int | None) -> tuple[int, ...]:
    """The buffer sizes to try; more than the largest cannot be asked for."""
    return (FIRST_BYTES, MAX_BYTES) if size is None else (min(size, MAX_BYTES),)


def _multi_string(strings: Sequence[str]) -> bytes:
    try:
        return pack_multi_string(strings)
    except NdrError as error:
        raise WinError(Error.INVALID_PARAMETER, "ChangeServiceConfig") from error


def _password(calls: Calls, password: str | None, funcname: str) -> bytes | None:
    """[MS-SCMR] 3.1.4.11: plain, but encrypted where the call goes by named pipe. 87: too long."""
    if password is None:
        return None
    secret = calls.connection.concealed((password + "\0").encode("utf-16-le"))
    if len(secret) > wire.MAX_PASSWORD_BYTES:
        raise WinError(Error.INVALID_PARAMETER, funcname)
    return secret
