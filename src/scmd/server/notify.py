"""Serving notification requests, operations 47 to 49."""

from __future__ import annotations

from scmd.core.messages import HandleId
from scmd.core.notify_requests import (
    CloseNotifyHandle,
    GetNotifyResults,
    Notification,
    NotifyStatusChange,
)
from scmd.ndr.values import NULL_HANDLE, Guid
from scmd.server.running import NO_STATUS
from scmd.server.steps import Steps, Work
from scmd.svcctl.administration import (
    CloseNotifyHandleResponse,
    GetNotifyResultsResponse,
    NotifyHandleRequest,
    NotifyParams,
    NotifyParams1,
    NotifyParams2,
    NotifyParamsList,
    NotifyServiceStatusChangeRequest,
    NotifyServiceStatusChangeResponse,
)
from scmd.vocabulary.errors import Error

NO_GUID = Guid(bytes(16))
"""Of the SCM's process: clients ignore it ([MS-SCMR] 3.1.4.43)."""


def notify_status_change(
    work: Work, request: NotifyServiceStatusChangeRequest
) -> Steps[NotifyServiceStatusChangeResponse]:
    """Without parameters there is no mask. Another level than 1 and 2 has been a fault."""
    given = request.notify_params
    mask = given.params.notify_mask if given.params is not None else 0
    reply = yield NotifyStatusChange(work.call, work.handle(request.handle), mask, given.level)
    handle = NULL_HANDLE
    if not reply.error:
        assert isinstance(reply.result, int)
        handle = work.wire(HandleId(reply.result))
    return NotifyServiceStatusChangeResponse(
        scm_process=NO_GUID, create_remote_queue=0, notify_handle=handle, error=reply.error
    )


def get_notify_results(work: Work, request: NotifyHandleRequest) -> Steps[GetNotifyResultsResponse]:
    """Answered when there is something to tell, or the request is over."""
    reply = yield GetNotifyResults(work.call, work.handle(request.notify_handle))
    if reply.error:
        return GetNotifyResultsResponse(error=reply.error)
    assert isinstance(reply.result, Notification)
    return _answer(reply.result)


_last: list[tuple[Notification, GetNotifyResultsResponse]] = []


def _answer(told: Notification) -> GetNotifyResultsResponse:
    """One object for a crowd that is told the same, one after another."""
    if _last and _last[0][0] is told:
        return _last[0][1]
    params = NotifyParamsList(elements=(_params(told),))
    answer = GetNotifyResultsResponse(notify_params=params, error=Error.SUCCESS)
    _last[:] = [(told, answer)]
    return answer


def _params(told: Notification) -> NotifyParams:
    status = told.status or NO_STATUS
    if told.level == 1:
        old = NotifyParams1(
            notify_mask=told.mask, service_status=status, notification_status=told.error
        )
        return NotifyParams(level=1, params=old)
    names = "".join(f"{name}\0" for name in told.names) or None
    params = NotifyParams2(
        notify_mask=told.mask,
        service_status=status,
        notification_status=told.error,
        notification_triggered=told.triggered,
        service_names=names,
    )
    return NotifyParams(level=2, params=params)


def close_notify_handle(
    work: Work, request: NotifyHandleRequest
) -> Steps[CloseNotifyHandleResponse]:
    reply = yield CloseNotifyHandle(work.call, work.handle(request.notify_handle))
    return CloseNotifyHandleResponse(
        notify_handle=NULL_HANDLE, apc_fired=int(reply.result is True), error=reply.error
    )
