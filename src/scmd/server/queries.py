"""Serving what reads configurations: QueryServiceConfig, its levels, triggers."""

from __future__ import annotations

from scmd.core.messages.commands import QueryConfig
from scmd.core.messages.effects import Reply
from scmd.ndr.errors import INVALID_TAG
from scmd.ndr.values import Guid
from scmd.server.running import query_response
from scmd.server.steps import Fault, Steps, Work
from scmd.svcctl.buffers import join_dependencies, query_config_bytes
from scmd.svcctl.config2_buffers import QUERY_LEVELS, pack_config2
from scmd.svcctl.configuration import (
    ConfigInfo,
    QueryServiceConfig,
    QueryServiceConfig2Request,
    QueryServiceConfigExRequest,
    QueryServiceConfigExResponse,
    QueryServiceConfigRequest,
    QueryServiceConfigResponse,
    ServiceTrigger,
    TriggerDataItem,
    TriggerInfo,
)
from scmd.svcctl.control import Query8KResponse
from scmd.vocabulary.configuration import ServiceConfig, Trigger
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ConfigLevel


def query_config(
    work: Work, request: QueryServiceConfigRequest
) -> Steps[QueryServiceConfigResponse]:
    reply = yield QueryConfig(work.call, work.handle(request.service))
    if reply.error:
        return QueryServiceConfigResponse(
            config=QueryServiceConfig(), bytes_needed=0, error=reply.error
        )
    assert isinstance(reply.result, ServiceConfig)
    config = wire_config(reply.result)
    needed = query_config_bytes(config, ansi=work.ansi)
    if needed > request.buffer_size:
        return QueryServiceConfigResponse(
            config=QueryServiceConfig(), bytes_needed=needed, error=Error.INSUFFICIENT_BUFFER
        )
    return QueryServiceConfigResponse(config=config, bytes_needed=needed, error=0)


def wire_config(config: ServiceConfig) -> QueryServiceConfig:
    """Empty strings rather than NULL: clients look into every one of them."""
    return QueryServiceConfig(
        type=config.type,
        start_type=config.start_type,
        error_control=config.error_control,
        binary_path_name=config.image_path,
        load_order_group=config.load_order_group,
        tag_id=config.tag,
        dependencies=join_dependencies(config.dependencies),
        service_start_name=config.account,
        display_name=config.display_name,
    )


def query_config2(work: Work, request: QueryServiceConfig2Request) -> Steps[Query8KResponse]:
    """Level 8 has RQueryServiceConfigEx for itself; here it is error 124 like unknown ones."""
    reply = yield QueryConfig(work.call, work.handle(request.service))
    if not reply.error and request.level not in QUERY_LEVELS:
        reply = Reply(reply.call, Error.INVALID_LEVEL)
    if reply.error:
        return Query8KResponse(buffer=bytes(request.buffer_size), bytes_needed=0, error=reply.error)
    assert isinstance(reply.result, ServiceConfig)
    data = pack_config2(request.level, reply.result, ansi=work.ansi)
    return query_response(data, request.buffer_size)


def query_config_ex(
    work: Work, request: QueryServiceConfigExRequest
) -> Steps[QueryServiceConfigExResponse]:
    """Triggers. A level that the union has no arm for cannot be answered but by a fault."""
    if request.level != ConfigLevel.TRIGGER_INFO:
        raise Fault(INVALID_TAG)
    reply = yield QueryConfig(work.call, work.handle(request.service))
    info = None
    if not reply.error:
        assert isinstance(reply.result, ServiceConfig)
        info = TriggerInfo(triggers=tuple(map(_wire_trigger, reply.result.triggers)) or None)
    config = ConfigInfo(level=ConfigLevel.TRIGGER_INFO, info=info)
    return QueryServiceConfigExResponse(config=config, error=reply.error)


def _wire_trigger(trigger: Trigger) -> ServiceTrigger:
    items = tuple(TriggerDataItem(data_type=item.type, data=item.data) for item in trigger.items)
    return ServiceTrigger(
        trigger_type=trigger.type,
        action=trigger.action,
        trigger_subtype=Guid(trigger.subtype),
        data_items=items or None,
    )
