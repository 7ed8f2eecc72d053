"""Serving what creates, changes and deletes service records.

A password is accepted and goes no further than the request: nothing here needs one to run a
program as somebody, and what is not kept cannot leak. In which form it came does not matter.
"""

from __future__ import annotations

from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CheckScmHandle,
    Config2Value,
    CreateService,
    DeleteService,
    FailureActionsChange,
    IdentifyService,
)
from scmd.ndr.values import NULL_HANDLE
from scmd.server.multi_strings import byte_multi_string
from scmd.server.steps import Steps, Work
from scmd.svcctl.configuration import (
    ChangeServiceConfig2Request,
    ChangeServiceConfigRequest,
    ChangeServiceConfigResponse,
    ConfigInfo,
    CreateServiceRequest,
    CreateServiceResponse,
    CreateWowServiceRequest,
    PreferredNode,
    RequiredPrivileges,
    ServiceDescription,
    ServiceFailureActions,
    ServiceFlag,
    ServiceTrigger,
    TriggerInfo,
)
from scmd.svcctl.interface import ErrorResponse, ServiceRequest
from scmd.vocabulary.configuration import (
    LOCAL_SYSTEM,
    FailureAction,
    ServiceConfig,
    Trigger,
    TriggerItem,
)
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import NO_CHANGE, ActionType, ConfigLevel, ScmAccess, ServiceAccess

NATIVE_WOW_TYPES = (0, 1)
"""dwServiceWowType: unknown, and the host's own architecture ([MS-SCMR] 3.1.4.49)."""


def create(work: Work, request: CreateServiceRequest) -> Steps[CreateServiceResponse]:
    scm = work.handle(request.scm)
    try:
        config = _new_config(work, request)
    except Refused as refused:
        return (yield from _refused_creation(work, request, refused.error))
    wants_tag = request.tag_id is not None
    reply = yield CreateService(
        work.call, scm, config, request.desired_access, assign_tag=wants_tag
    )
    if reply.error:
        return _not_created(request, reply.error)
    assert isinstance(reply.result, tuple)
    handle, tag = reply.result
    return CreateServiceResponse(
        tag_id=tag if wants_tag else None, handle=work.wire(HandleId(handle)), error=0
    )


def create_wow(work: Work, request: CreateWowServiceRequest) -> Steps[CreateServiceResponse]:
    """RCreateWowService for programs of this machine's own architecture; others are error 50."""
    if request.wow_type not in NATIVE_WOW_TYPES:
        return (yield from _refused_creation(work, request, Error.NOT_SUPPORTED))
    return (yield from create(work, request))


def _refused_creation(
    work: Work, request: CreateServiceRequest, error: Error
) -> Steps[CreateServiceResponse]:
    """The error, unless handle or right are missing: they are looked at first."""
    reply = yield CheckScmHandle(work.call, work.handle(request.scm), ScmAccess.CREATE_SERVICE)
    return _not_created(request, reply.error or error)


def _new_config(work: Work, request: CreateServiceRequest) -> ServiceConfig:
    return ServiceConfig(
        name=request.name,
        display_name=request.display_name or "",
        type=request.type,
        start_type=request.start_type,
        error_control=request.error_control,
        image_path=request.binary_path_name,
        load_order_group=request.load_order_group or "",
        dependencies=byte_multi_string(request.dependencies, work.ansi) or (),
        account=request.service_start_name or LOCAL_SYSTEM,
    )


def _not_created(request: CreateServiceRequest, error: int) -> CreateServiceResponse:
    tag = None if request.tag_id is None else 0
    return CreateServiceResponse(tag_id=tag, handle=NULL_HANDLE, error=error)


def delete(work: Work, request: ServiceRequest) -> Steps[ErrorResponse]:
    reply = yield DeleteService(work.call, work.handle(request.service))
    return ErrorResponse(error=reply.error)


def change(work: Work, request: ChangeServiceConfigRequest) -> Steps[ChangeServiceConfigResponse]:
    service = work.handle(request.service)
    wants_tag = request.tag_id is not None
    try:
        dependencies = byte_multi_string(request.dependencies, work.ansi)
    except Refused as refused:
        reply = yield IdentifyService(work.call, service, ServiceAccess.CHANGE_CONFIG)
        error = reply.error or refused.error
        return ChangeServiceConfigResponse(tag_id=0 if wants_tag else None, error=error)
    reply = yield ChangeConfig(
        work.call,
        service,
        type=_kept(request.type),
        start_type=_kept(request.start_type),
        error_control=_kept(request.error_control),
        image_path=request.binary_path_name,
        load_order_group=request.load_order_group,
        assign_tag=wants_tag,
        dependencies=dependencies,
        account=request.service_start_name,
        display_name=request.display_name,
    )
    tag = reply.result if isinstance(reply.result, int) else 0
    return ChangeServiceConfigResponse(tag_id=tag if wants_tag else None, error=reply.error)


def _kept(value: int) -> int | None:
    return None if value == NO_CHANGE else value


def change2(work: Work, request: ChangeServiceConfig2Request) -> Steps[ErrorResponse]:
    service = work.handle(request.service)
    try:
        level, value = config2_change(request.config)
    except Refused as refused:
        reply = yield IdentifyService(work.call, service, ServiceAccess.CHANGE_CONFIG)
        return ErrorResponse(error=reply.error or refused.error)
    reply = yield ChangeConfig2(work.call, service, level, value)
    return ErrorResponse(error=reply.error)


def config2_change(config: ConfigInfo) -> tuple[ConfigLevel, Config2Value]:
    """The level and value for the core. Refused: a number without a meaning."""
    info = config.info
    level = ConfigLevel(config.level)
    match info:
        case None:
            # Nothing to change, yet handle and right are checked. Level 9 has no value for
            # that: there None deletes.
            return ConfigLevel.DESCRIPTION, None
        case ServiceDescription():
            return level, info.description
        case ServiceFailureActions():
            return level, _failure_actions(info)
        case ServiceFlag():
            return level, info.value != 0 if level in _BOOLEANS else info.value
        case RequiredPrivileges():
            return level, byte_multi_string(info.required_privileges, ansi=False)
        case TriggerInfo():
            return level, tuple(_trigger(trigger) for trigger in info.triggers or ())
        case PreferredNode():
            return level, None if info.delete else info.preferred_node


def _failure_actions(info: ServiceFailureActions) -> FailureActionsChange:
    actions = info.actions
    if actions is not None and any(action.type not in _ACTION_TYPES for action in actions):
        raise Refused(Error.INVALID_PARAMETER, "failure action of an unknown type")
    return FailureActionsChange(
        reset_period_s=info.reset_period,
        reboot_message=info.reboot_message,
        command=info.command,
        actions=None
        if actions is None
        else tuple(FailureAction(type=ActionType(a.type), delay=a.delay) for a in actions),
    )


_ACTION_TYPES = frozenset(ActionType)
_BOOLEANS = (
    ConfigLevel.DELAYED_AUTO_START_INFO,
    ConfigLevel.FAILURE_ACTIONS_FLAG,
    ConfigLevel.MANAGED_ACCOUNT_INFO,
)


def _trigger(trigger: ServiceTrigger) -> Trigger:
    if trigger.trigger_subtype is None:
        raise Refused(Error.INVALID_PARAMETER, "trigger without a subtype")
    items = trigger.data_items or ()
    return Trigger(
        type=trigger.trigger_type,
        action=trigger.action,
        subtype=bytes(trigger.trigger_subtype),
        items=tuple(TriggerItem(type=item.data_type, data=item.data or b"") for item in items),
    )
