"""NotifyServiceStatusChange for `scmd.winsvc`, as winsvc.h has it.

The callback runs as an APC of the thread that asked, while that thread waits alertably (`apc`),
and never after CloseServiceHandle has succeeded. It may call every function here. The buffer
belongs to the request until the callback has been called; asking with it again before is refused.

All requests of one connection to the SCM share a second one (a third, when they are many), where
each handle that asks has a handle of its own with the right to be told.
"""

from __future__ import annotations

from scmd.client.apc import ApcQueue, current_queue
from scmd.client.multiplexing import Multiplexed
from scmd.client.sc_handle import ScHandle, use
from scmd.client.status_requests import FUNCTION, names, params_of, registration, triggered
from scmd.client.waits import changing
from scmd.svcctl import administration, opening
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ScmAccess, ServiceAccess, ServiceType, StateMask
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scmd.ndr.values import ContextHandle


class ServiceNotify:
    """SERVICE_NOTIFY_2: what is to be called, and what it is told."""

    def __init__(
        self,
        callback: Callable[[ServiceNotify], object],
        context: object = None,
        version: int = 2,
    ) -> None:
        self.version = version
        """dwVersion: 2, or 1, which has no `service_names` and no `notification_triggered`."""
        self.callback = callback
        """pfnNotifyCallback; gets this object."""
        self.context = context
        """pContext: yours."""
        self.notification_status = 0
        """dwNotificationStatus: 0, or why there was no notification: 1072 when the service was
        marked for deletion, 1235 when the request was aborted."""
        self.service_status = ServiceStatus()
        self.notification_triggered = 0
        """dwNotificationTriggered: the bits of the mask that it is about."""
        self.service_names: tuple[str, ...] = ()
        """pszServiceNames: of services that were created (with a `/` before) or deleted."""
        self.outstanding: object = None
        """The request that has this buffer."""


class Watching:
    """What an `ScHandle` has when it was used for a request."""

    def __init__(
        self, link: Multiplexed, handle: ContextHandle, buffers: set[ServiceNotify]
    ) -> None:
        self.link = link
        self.handle = handle
        """On the link's connection."""
        self.buffers = buffers
        """Those outstanding, on earlier connections too; with `changing` held."""

    def close(self) -> None:
        """From now on no callback is called; what the server had to tell is not told."""
        with changing:
            self.link.handles -= 1
            while self.buffers:
                self.buffers.pop().outstanding = None
        _close_handle(self.link, self.handle)


def NotifyServiceStatusChange(handle: ScHandle, notify_mask: int, buffer: ServiceNotify) -> None:
    """Ask to be told once; the callback runs while this thread waits alertably.

    [MS-SCMR] 3.1.4.43 to 45. Needs SERVICE_QUERY_STATUS, of the SCM SC_MANAGER_ENUMERATE_SERVICE.
    Errors: 5, 6, 87 (a mask that mixes kinds of bits; no buffer, or none with a callback), 1072
    (close the handle), 1242 (one request a handle, and one a buffer), 1294 (close the handle to the
    SCM and open another one); 50 and 124: the buffer's version; 50: a driver.
    """
    calls, raw = use(handle, FUNCTION)
    expect(ServiceNotify, buffer, FUNCTION, Error.INVALID_PARAMETER)
    if not callable(buffer.callback):
        raise WinError(Error.INVALID_PARAMETER, FUNCTION)
    version = buffer.version & 0xFFFF_FFFF
    if version not in (1, 2):
        raise WinError(Error.NOT_SUPPORTED if version > 2 else Error.INVALID_LEVEL, FUNCTION)
    if buffer.outstanding is not None:
        raise WinError(Error.ALREADY_REGISTERED, FUNCTION)
    watching = handle.watching
    if watching is None or watching.link.has_ended() or calls.is_closed:
        # Whether the handle itself has the right; it will not change.
        if handle.name:
            calls.query_basic_status(raw)
        else:
            calls.enum_services_part(raw, ServiceType.WIN32, StateMask.ALL, None, 0, 0)
        watching = _begin(handle)
    link, queue = watching.link, current_queue()
    asking = registration(watching.handle, notify_mask, version)
    notify = link.call(administration.NOTIFY_SERVICE_STATUS_CHANGE, asking).notify_handle
    request = _Request(link, notify, watching.buffers, buffer, queue)
    with changing:
        if not handle:
            raise WinError(Error.INVALID_HANDLE, FUNCTION)
        watching.buffers.add(buffer)
        buffer.outstanding = request
    fetching = administration.NotifyHandleRequest(notify_handle=notify)
    queue.sources = {known for known in queue.sources if not known.is_over} | {link}
    try:
        link.begin(administration.GET_NOTIFY_RESULTS, fetching, request.told)
    except WinError:
        request.end()
        raise


class _Request:
    """One that the server has."""

    def __init__(
        self,
        link: Multiplexed,
        notify: ContextHandle,
        buffers: set[ServiceNotify],
        buffer: ServiceNotify,
        queue: ApcQueue,
    ) -> None:
        self._link = link
        self._notify = notify
        self._buffers = buffers
        self._buffer = buffer
        self._queue = queue

    def end(self) -> bool:
        """The buffer is free; whether the request had it still."""
        with changing:
            if self._buffer.outstanding is not self:
                return False
            self._buffers.discard(self._buffer)
            self._buffer.outstanding = None
        return True

    def told(self, answer: administration.GetNotifyResultsResponse | WinError) -> None:
        """In the thread that reads: queue the callback, which tidies up at the server."""

        def call_back() -> bool:
            if not self.end():
                return False
            fill(self._buffer, answer)
            try:
                self._buffer.callback(self._buffer)
            finally:
                if not isinstance(answer, WinError):
                    _close(self._link, self._notify)
            return True

        self._queue.calls.append(call_back)


def _begin(handle: ScHandle) -> Watching:
    """A handle of its own on the connection that notifications come by."""
    link, raw = _opened(handle)
    with changing:
        known = handle.watching
        if handle and (known is None or known.link.is_over):
            link.handles += 1
            buffers = set() if known is None else known.buffers
            handle.watching = Watching(link, raw, buffers)
            return handle.watching
    # Another thread was sooner: it has asked, or closed the handle.
    _close_handle(link, raw)
    if not handle or known is None:
        raise WinError(Error.INVALID_HANDLE, FUNCTION)
    return known


def _opened(handle: ScHandle) -> tuple[Multiplexed, ContextHandle]:
    link = handle.link()
    access = ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE
    opened = opening.OpenScManagerRequest(
        database=None, desired_access=ScmAccess.CONNECT if handle.name else access
    )
    scm = link.call(opening.OPEN_SC_MANAGER_W, opened).handle
    if not handle.name:
        return link, scm
    wanted = opening.OpenServiceRequest(
        scm=scm, name=handle.name, desired_access=ServiceAccess.QUERY_STATUS
    )
    try:
        return link, link.call(opening.OPEN_SERVICE_W, wanted).handle
    finally:
        _close_handle(link, scm)


def _close_handle(link: Multiplexed, handle: ContextHandle) -> None:
    request = opening.CloseServiceHandleRequest(handle=handle)
    try:
        link.begin(opening.CLOSE_SERVICE_HANDLE, request, lambda _: None)
    except WinError:
        return  # It ended with its connection.


def _close(link: Multiplexed, notify: ContextHandle) -> None:
    request = administration.NotifyHandleRequest(notify_handle=notify)
    try:
        link.begin(administration.CLOSE_NOTIFY_HANDLE, request, lambda _: None, is_urgent=False)
    except WinError:
        return  # It ended with its connection.


def fill(buffer: ServiceNotify, answer: administration.GetNotifyResultsResponse | WinError) -> None:
    """What the answer tells, as one notification: all bits and names, the latest status."""
    told = () if isinstance(answer, WinError) else params_of(answer)
    buffer.notification_triggered, buffer.service_names = 0, ()
    if not told:
        buffer.notification_status = int(Error.REQUEST_ABORTED)
        return
    buffer.notification_status = told[-1].notification_status
    buffer.service_status = told[-1].service_status
    for params in told:
        buffer.notification_triggered |= triggered(params)
        buffer.service_names += names(params)
