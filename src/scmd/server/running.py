"""Serving what concerns running services: status, start, controls."""

from __future__ import annotations

from scmd.core.messages.commands import (
    ControlService,
    IdentifyService,
    QueryStatus,
    SetStatus,
    StartService,
)
from scmd.core.messages.effects import Reply
from scmd.server.steps import Steps, Work
from scmd.svcctl.buffers import fill, pack_status_process
from scmd.svcctl.control import (
    ControlReasonOut,
    ControlServiceExRequest,
    ControlServiceExResponse,
    ControlServiceRequest,
    Query8KResponse,
    QueryServiceStatusExRequest,
    SetServiceStatusRequest,
    StartServiceRequest,
    StatusResponse,
)
from scmd.svcctl.interface import ErrorResponse, ServiceRequest
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceAccess
from scmd.vocabulary.status import ServiceStatus

NO_STATUS = ServiceStatus(type=0, state=0)
"""A zeroed SERVICE_STATUS, as errors carry it."""


def query_status(work: Work, request: ServiceRequest) -> Steps[StatusResponse]:
    reply = yield QueryStatus(work.call, work.handle(request.service))
    return _status_response(reply)


def control(work: Work, request: ControlServiceRequest) -> Steps[StatusResponse]:
    reply = yield ControlService(work.call, work.handle(request.service), request.control)
    return _status_response(reply)


def _status_response(reply: Reply) -> StatusResponse:
    status = reply.result
    if not isinstance(status, ServiceStatus):
        status = NO_STATUS
    return StatusResponse(status=status, error=reply.error)


def set_status(work: Work, request: SetServiceStatusRequest) -> Steps[ErrorResponse]:
    reply = yield SetStatus(work.call, work.handle(request.service), request.status)
    return ErrorResponse(error=reply.error)


def control_ex(work: Work, request: ControlServiceExRequest) -> Steps[ControlServiceExResponse]:
    """Another level than 1 has been a fault: the union has no arm for it."""
    service = work.handle(request.service)
    given = request.parameters
    reason = given.reason if given is not None else 0
    if request.control == Control.STOP and reason == 0:
        # 0 is how the core is told of a stop without a reason, which only RControlService has.
        reply = yield IdentifyService(work.call, service, ServiceAccess.STOP)
        error = reply.error or Error.INVALID_PARAMETER
        return ControlServiceExResponse(parameters=None, error=error)
    comment = given.comment if given is not None else None
    reply = yield ControlService(
        work.call, service, request.control, reason, comment, is_extended=True
    )
    status = reply.result
    known = ControlReasonOut(status=status) if isinstance(status, ServiceStatus) else None
    return ControlServiceExResponse(parameters=known, error=reply.error)


def query_status_ex(work: Work, request: QueryServiceStatusExRequest) -> Steps[Query8KResponse]:
    reply = yield QueryStatus(work.call, work.handle(request.service))
    if not reply.error and request.level != 0:
        reply = Reply(reply.call, Error.INVALID_LEVEL)
    if reply.error:
        return Query8KResponse(buffer=bytes(request.buffer_size), bytes_needed=0, error=reply.error)
    assert isinstance(reply.result, ServiceStatus)
    return query_response(pack_status_process(reply.result), request.buffer_size)


def query_response(data: bytes, buffer_size: int) -> Query8KResponse:
    """`data` in a buffer of exactly the size asked for, or 122 and a buffer of zeros."""
    return Query8KResponse(
        buffer=fill(data, buffer_size),
        bytes_needed=len(data),
        error=Error.INSUFFICIENT_BUFFER if len(data) > buffer_size else Error.SUCCESS,
    )


def start(work: Work, request: StartServiceRequest) -> Steps[ErrorResponse]:
    """The client's strings follow argv[0], which is always the service's name.

    So it is in the Platform SDK's page on StartService. Clients that by another convention repeat
    the name as their first string get it as argv[1].
    """
    service = work.handle(request.service)
    given = request.arguments or ()
    arguments = tuple(argument.text for argument in given if argument.text is not None)
    if len(arguments) < request.argument_count:
        reply = yield IdentifyService(work.call, service, ServiceAccess.START)
        return ErrorResponse(error=reply.error or Error.INVALID_PARAMETER)
    reply = yield StartService(work.call, service, arguments)
    return ErrorResponse(error=reply.error)
