"""Serving what opens, closes and names: SCM handles, service handles, display and key names."""

from __future__ import annotations

from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    CloseHandle,
    GetDisplayName,
    GetKeyName,
    OpenScm,
    OpenService,
)
from scmd.core.messages.effects import Reply
from scmd.ndr.values import NULL_HANDLE
from scmd.server.steps import Steps, Work
from scmd.svcctl.control import NameRequest, NameResponse
from scmd.svcctl.interface import HandleResponse
from scmd.svcctl.opening import (
    CloseServiceHandleRequest,
    OpenScManager2Request,
    OpenScManagerRequest,
    OpenServiceRequest,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import utf16_units

MAX_CAPACITY = 4097
"""Maximum count of the string of RGetServiceDisplayName and RGetServiceKeyName."""


def close_handle(work: Work, request: CloseServiceHandleRequest) -> Steps[HandleResponse]:
    reply = yield CloseHandle(work.call, work.handle(request.handle))
    return HandleResponse(handle=NULL_HANDLE, error=reply.error)


def open_scm(
    work: Work, request: OpenScManagerRequest | OpenScManager2Request
) -> Steps[HandleResponse]:
    reply = yield OpenScm(work.call, request.database, request.desired_access)
    return handle_response(work, reply)


def open_service(work: Work, request: OpenServiceRequest) -> Steps[HandleResponse]:
    reply = yield OpenService(
        work.call, work.handle(request.scm), request.name, request.desired_access
    )
    return handle_response(work, reply)


def handle_response(work: Work, reply: Reply) -> HandleResponse:
    """A new handle, or zeros and the error."""
    if reply.error:
        return HandleResponse(handle=NULL_HANDLE, error=reply.error)
    assert isinstance(reply.result, int)
    return HandleResponse(handle=work.wire(HandleId(reply.result)), error=0)


def get_display_name(work: Work, request: NameRequest) -> Steps[NameResponse]:
    reply = yield GetDisplayName(work.call, work.handle(request.scm), request.name)
    return _name_response(work, request, reply)


def get_key_name(work: Work, request: NameRequest) -> Steps[NameResponse]:
    reply = yield GetKeyName(work.call, work.handle(request.scm), request.name)
    return _name_response(work, request, reply)


def _name_response(work: Work, request: NameRequest, reply: Reply) -> NameResponse:
    """A name that needs `length` + 1 characters; the ANSI twin's counts are Windows' own."""
    room = request.buffer_size
    capacity = min(room if work.ansi else room + 1, MAX_CAPACITY)
    if reply.error:
        return NameResponse(name="", capacity=capacity, length=0, error=reply.error)
    name = reply.result
    assert isinstance(name, str)
    length = len(name.encode("utf-8", "surrogatepass")) if work.ansi else utf16_units(name)
    if room <= length:
        return NameResponse(
            name="",
            capacity=capacity,
            length=2 * length if work.ansi else length,
            error=Error.INSUFFICIENT_BUFFER,
        )
    return NameResponse(name=name, capacity=capacity, length=room if work.ansi else length, error=0)
