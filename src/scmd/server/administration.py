"""Serving what administers the SCM itself: the lock, security descriptors, the boot's verdict."""

from __future__ import annotations

from scmd.core.boot_verdict import NotifyBoot
from scmd.core.locks import LockDatabase, LockStatus, QueryLock, UnlockDatabase
from scmd.core.object_security import QuerySecurity, SetSecurity
from scmd.ndr.values import NULL_HANDLE
from scmd.server.opening import handle_response
from scmd.server.steps import Steps, Work
from scmd.svcctl.administration import (
    LockRequest,
    NotifyBootConfigStatusRequest,
    QueryServiceLockStatus,
    QueryServiceLockStatusRequest,
    QueryServiceLockStatusResponse,
    QueryServiceObjectSecurityRequest,
    QueryServiceObjectSecurityResponse,
    SetServiceObjectSecurityRequest,
)
from scmd.svcctl.buffers import fill, lock_status_bytes
from scmd.svcctl.interface import ErrorResponse, HandleResponse, ScmRequest
from scmd.vocabulary.errors import Error


def lock(work: Work, request: ScmRequest) -> Steps[HandleResponse]:
    reply = yield LockDatabase(work.call, work.handle(request.scm))
    return handle_response(work, reply)


def unlock(work: Work, request: LockRequest) -> Steps[HandleResponse]:
    """The handle comes back as zeros; on error as it was."""
    reply = yield UnlockDatabase(work.call, work.handle(request.lock))
    return HandleResponse(handle=request.lock if reply.error else NULL_HANDLE, error=reply.error)


def query_lock(
    work: Work, request: QueryServiceLockStatusRequest
) -> Steps[QueryServiceLockStatusResponse]:
    """Unlocked: an empty owner. On error the structure is zeroed."""
    reply = yield QueryLock(work.call, work.handle(request.scm))
    nothing = QueryServiceLockStatus()
    if reply.error:
        return QueryServiceLockStatusResponse(status=nothing, bytes_needed=0, error=reply.error)
    found = reply.result
    assert isinstance(found, LockStatus)
    needed = lock_status_bytes(found.owner, ansi=work.ansi)
    if needed > request.buffer_size:
        return QueryServiceLockStatusResponse(
            status=nothing, bytes_needed=needed, error=Error.INSUFFICIENT_BUFFER
        )
    status = QueryServiceLockStatus(
        is_locked=bool(found.owner), lock_owner=found.owner, lock_duration=found.duration_s
    )
    return QueryServiceLockStatusResponse(status=status, bytes_needed=needed, error=0)


def query_security(
    work: Work, request: QueryServiceObjectSecurityRequest
) -> Steps[QueryServiceObjectSecurityResponse]:
    reply = yield QuerySecurity(
        work.call, work.handle(request.handle), request.security_information
    )
    if reply.error:
        return QueryServiceObjectSecurityResponse(
            security_descriptor=bytes(request.buffer_size), bytes_needed=0, error=reply.error
        )
    data = reply.result
    assert isinstance(data, bytes)
    return QueryServiceObjectSecurityResponse(
        security_descriptor=fill(data, request.buffer_size),
        bytes_needed=len(data),
        error=Error.INSUFFICIENT_BUFFER if len(data) > request.buffer_size else Error.SUCCESS,
    )


def set_security(work: Work, request: SetServiceObjectSecurityRequest) -> Steps[ErrorResponse]:
    reply = yield SetSecurity(
        work.call,
        work.handle(request.handle),
        request.security_information,
        request.security_descriptor,
    )
    return ErrorResponse(error=reply.error)


def notify_boot(work: Work, request: NotifyBootConfigStatusRequest) -> Steps[ErrorResponse]:
    """There is no handle: the caller's right is looked up in the SCM's descriptor."""
    reply = yield NotifyBoot(work.call, request.boot_acceptable != 0)
    return ErrorResponse(error=reply.error)
