"""Requests to be told of status changes ([MS-SCMR] 3.1.4.43 to 45), many on one connection.

For those who wait for one of many outcomes; what a program asks for by
NotifyServiceStatusChange is in `notifications`, which shares the form of the calls.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue

from scmd.client.multiplexing import Multiplexed
from scmd.ndr.values import Guid
from scmd.svcctl import administration, opening
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import STATE_BITS, NotifyMask
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.svcctl.administration import GetNotifyResultsResponse, NotifyParams1

    Outcome = tuple[NotifyParams1, ...] | WinError

FUNCTION = "NotifyServiceStatusChange"
STATES = NotifyMask(sum(STATE_BITS.values()))
CLIENT_PROCESS = Guid(bytes(16))
"""Servers ignore it ([MS-SCMR] 3.1.4.43)."""


def registration(
    handle: ContextHandle, mask: int, version: int = 2
) -> administration.NotifyServiceStatusChangeRequest:
    kind = administration.NotifyParams1 if version == 1 else administration.NotifyParams2
    params = kind(notify_mask=mask & 0xFFFF_FFFF, service_status=ServiceStatus())
    return administration.NotifyServiceStatusChangeRequest(
        handle=handle,
        notify_params=administration.NotifyParams(level=version, params=params),
        client_process=CLIENT_PROCESS,
    )


def params_of(answer: GetNotifyResultsResponse) -> tuple[NotifyParams1, ...]:
    """What it tells, oldest first; as a rule one thing."""
    told = answer.notify_params
    return tuple(each.params for each in told.elements if each.params) if told else ()


def triggered(params: NotifyParams1) -> int:
    """dwNotificationTriggered: the bits of the mask that it is about; level 1 does not say."""
    return params.notification_triggered if isinstance(params, administration.NotifyParams2) else 0


def names(params: NotifyParams1) -> tuple[str, ...]:
    """pszServiceNames: of services that were created (with a `/` before) or deleted."""
    text = params.service_names if isinstance(params, administration.NotifyParams2) else None
    return tuple(name for name in text.split("\0") if name) if text else ()


def register(calls: Calls, handle: ContextHandle, mask: int) -> ContextHandle:
    """Make a request; its notify handle. WinError 1745: the server knows no such requests."""
    request = registration(handle, mask)
    return calls.call(administration.NOTIFY_SERVICE_STATUS_CHANGE, request).notify_handle


class StatusRequests:
    """Takes the connection of `calls` over, with the handles that are open on it."""

    def __init__(self, calls: Calls) -> None:
        self._told: SimpleQueue[tuple[object, Outcome]] = SimpleQueue()
        self._link = Multiplexed(calls.connection, in_background=True)

    def ask(self, key: object, handle: ContextHandle, mask: int) -> None:
        """A request for this handle; its outcome, or why it was refused, comes with the key."""

        def registered(
            answer: administration.NotifyServiceStatusChangeResponse | WinError,
        ) -> None:
            if isinstance(answer, WinError):
                self._told.put((key, answer))
            elif answer.error:
                self._told.put((key, WinError(answer.error, FUNCTION)))
            else:
                self.fetch(key, answer.notify_handle)

        request = registration(handle, mask)
        self._link.begin(administration.NOTIFY_SERVICE_STATUS_CHANGE, request, registered)

    def fetch(self, key: object, notify: ContextHandle) -> None:
        """Have the outcome of a request that was registered come with the key."""
        request = administration.NotifyHandleRequest(notify_handle=notify)

        def told(answer: GetNotifyResultsResponse | WinError) -> None:
            if not isinstance(answer, WinError):
                with suppress(WinError):
                    self._link.begin(administration.CLOSE_NOTIFY_HANDLE, request, lambda _: None)
            self._told.put((key, _outcome(answer)))

        try:
            self._link.begin(administration.GET_NOTIFY_RESULTS, request, told)
        except WinError as error:
            self._told.put((key, error))

    def next(self, limit: float | None = None) -> tuple[object, Outcome] | None:
        """The next outcome; None after `limit` seconds. ConnectionFailed is an outcome too."""
        try:
            return self._told.get(timeout=limit)
        except Empty:
            return None

    def open_service(self, scm: ContextHandle, name: str, access: int) -> ContextHandle:
        request = opening.OpenServiceRequest(scm=scm, name=name, desired_access=access)
        return self._link.call(opening.OPEN_SERVICE_W, request).handle

    def close_handle(self, handle: ContextHandle) -> None:
        """A request on it ends with error 1235 or 6."""
        request = opening.CloseServiceHandleRequest(handle=handle)
        self._link.begin(opening.CLOSE_SERVICE_HANDLE, request, lambda _: None)

    def close(self) -> None:
        """End the connection, and with it all requests; from any thread."""
        self._link.close()


def _outcome(answer: GetNotifyResultsResponse | WinError) -> Outcome:
    if isinstance(answer, WinError):
        return answer
    told = params_of(answer)
    good = tuple(params for params in told if not params.notification_status)
    if good:
        return good
    error = told[0].notification_status if told else answer.error
    return WinError(error or Error.REQUEST_ABORTED, FUNCTION)
