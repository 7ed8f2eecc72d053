"""Serving enumerations: services, the members of a group, dependents, a page at a time.

A page holds as many whole entries as fit the client's buffer. The resume index stands for the
record number of the next one: numbers only grow, so services that come and go between two pages
make none appear twice and none disappear.
"""

from __future__ import annotations

from scmd.core.messages.commands import CheckScmHandle, EnumDependents, EnumServices, ServiceEntry
from scmd.core.messages.effects import Reply
from scmd.server.steps import Steps, Work
from scmd.svcctl.buffers import pack_services
from scmd.svcctl.control import (
    EnumDependentServicesRequest,
    EnumDependentServicesResponse,
    EnumServiceGroupRequest,
    EnumServicesResponse,
    EnumServicesStatusExRequest,
    EnumServicesStatusRequest,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ScmAccess

AnyEnumRequest = EnumServicesStatusRequest | EnumServiceGroupRequest | EnumServicesStatusExRequest


def enum_services(work: Work, request: EnumServicesStatusRequest) -> Steps[EnumServicesResponse]:
    reply = yield _question(work, request, None)
    return _page(work, request, reply, process=False)


def enum_group(work: Work, request: EnumServiceGroupRequest) -> Steps[EnumServicesResponse]:
    reply = yield _question(work, request, request.group)
    return _page(work, request, reply, process=False)


def enum_services_ex(
    work: Work, request: EnumServicesStatusExRequest
) -> Steps[EnumServicesResponse]:
    if request.level != 0:
        scm = work.handle(request.scm)
        reply = yield CheckScmHandle(work.call, scm, ScmAccess.ENUMERATE_SERVICE)
        reply = Reply(reply.call, reply.error or Error.INVALID_LEVEL)
    else:
        reply = yield _question(work, request, request.group)
    return _page(work, request, reply, process=True)


def _question(work: Work, request: AnyEnumRequest, group: str | None) -> EnumServices:
    return EnumServices(
        work.call,
        work.handle(request.scm),
        request.type,
        request.state,
        group,
        work.resume.after(request.resume_index or 0),
    )


def _page(work: Work, request: AnyEnumRequest, reply: Reply, process: bool) -> EnumServicesResponse:
    resumable = request.resume_index is not None
    if reply.error:
        return EnumServicesResponse(
            buffer=bytes(request.buffer_size),
            bytes_needed=0,
            returned=0,
            resume_index=0 if resumable else None,
            error=reply.error,
        )
    entries = _entries(reply)
    buffer, placed, needed = pack_services(
        entries, request.buffer_size, with_process=process, ansi=work.ansi
    )
    index = work.resume.index(entries[placed].id) if placed < len(entries) else 0
    return EnumServicesResponse(
        buffer=buffer,
        bytes_needed=needed,
        returned=placed,
        resume_index=index if resumable else None,
        error=Error.MORE_DATA if placed < len(entries) else Error.SUCCESS,
    )


def enum_dependents(
    work: Work, request: EnumDependentServicesRequest
) -> Steps[EnumDependentServicesResponse]:
    reply = yield EnumDependents(work.call, work.handle(request.service), request.state)
    if reply.error:
        return EnumDependentServicesResponse(
            buffer=bytes(request.buffer_size), bytes_needed=0, returned=0, error=reply.error
        )
    entries = _entries(reply)
    buffer, placed, needed = pack_services(
        entries, request.buffer_size, with_process=False, ansi=work.ansi
    )
    if placed < len(entries):
        # Nothing resumes this enumeration: whoever asks again asks for all.
        _, _, needed = pack_services(entries, 0, with_process=False, ansi=work.ansi)
    return EnumDependentServicesResponse(
        buffer=buffer,
        bytes_needed=needed,
        returned=placed,
        error=Error.MORE_DATA if placed < len(entries) else Error.SUCCESS,
    )


def _entries(reply: Reply) -> tuple[ServiceEntry, ...]:
    assert isinstance(reply.result, tuple)
    return reply.result
