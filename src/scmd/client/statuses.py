"""The statuses of a service that is waited for: asked for at first, told by the server then.

A fast service is over before it is worth having told. From then on the wait is at the server and
ends with the change itself: by its feed (RWaitForChanges of the service's handle), else by
NotifyServiceStatusChange, which passes over check points. A server that lacks both is asked on and
on as `Progress` says.
"""

from __future__ import annotations

import time
from collections import deque

from scmd.client.calls import Calls, named_state
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.waiting import Progress
    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.status import ServiceStatus

TOLD_FROM_S = 0.03
"""Questions that would come at least so far apart are left to the server."""
LONGEST_WAIT_S = 1.0
"""One wait at the server: whoever shows the progress has something to say by then."""


class Statuses:
    """One wait's statuses, with `service` a handle that may query; a context manager.

    What the server tells comes by a connection of its own, so that calls on the other go on. One
    that `is_patient` is told from the start: no state is too brief for it.
    """

    def __init__(
        self, calls: Calls, service: ContextHandle, name: str, *, is_patient: bool = False
    ) -> None:
        self._calls = calls
        self._service = service
        self._name = name
        self._listener: _FeedListener | _RequestListener | None = None
        self._is_told = True
        self._told_from = 0.0 if is_patient else TOLD_FROM_S
        self._ready: deque[ServiceStatus] = deque()
        self.is_marked = False
        """The server has told that the service is marked for deletion."""

    def __enter__(self) -> Statuses:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def next(self, progress: Progress, most: float | None = None) -> ServiceStatus:
        """The next status, or after a while, at most `most` seconds, the one that still is."""
        if self._ready:
            return self._ready.popleft()
        delay = progress.delay()
        if delay >= self._told_from and self._is_told:
            try:
                self._listen(LONGEST_WAIT_S if most is None else min(most, LONGEST_WAIT_S))
            except WinError as error:
                self._drop()
                # When just the connection broke, the next one will do.
                self._is_told = error.winerror == Error.RPC_CALL_FAILED
            else:
                return self._ready.popleft() if self._ready else self._query()
        time.sleep(delay if most is None else min(delay, most))
        return self._query()

    def _query(self) -> ServiceStatus:
        return self._calls.query_status(self._service)

    def _listen(self, limit: float) -> None:
        if self._listener is None:
            self._listener = _FeedListener(*self._opened())
        try:
            statuses = self._listener.listen(limit)
        except WinError as error:
            if error.winerror == Error.SERVICE_MARKED_FOR_DELETE:
                self.is_marked = True
            lacking = (Error.CALL_NOT_IMPLEMENTED, Error.RPC_PROCNUM_OUT_OF_RANGE)
            if error.winerror not in lacking or isinstance(self._listener, _RequestListener):
                raise
            self._drop()
            self._listener = _RequestListener(*self._opened())
            statuses = self._listener.listen(limit)
        self._ready.extend(map(named_state, statuses))
        self.is_marked = self.is_marked or self._listener.is_marked

    def _opened(self) -> tuple[Calls, ContextHandle]:
        from scmd.vocabulary.service import ScmAccess, ServiceAccess

        calls = Calls(self._calls.another_connection())
        try:
            scm = calls.open_scm(ScmAccess.CONNECT)
            return calls, calls.open_service(scm, self._name, ServiceAccess.QUERY_STATUS)
        except BaseException:
            calls.close()
            raise

    def _drop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


class _FeedListener:
    """By scmd's feed: every status, check points too."""

    is_marked = False

    def __init__(self, calls: Calls, service: ContextHandle) -> None:
        from scmd.scmd_interface.feed import FEED_BEGINNING

        self._calls = calls
        self._service = service
        self._place = (0, FEED_BEGINNING)

    def listen(self, limit: float) -> list[ServiceStatus]:
        """Those that come within so many seconds; the present one at first."""
        from scmd.scmd_interface.feed import FeedKind, WaitForChangesRequest
        from scmd.scmd_interface.operations import WAIT_FOR_CHANGES

        epoch, after = self._place
        request = WaitForChangesRequest(
            handle=self._service, epoch=epoch, after=after, limit=int(limit * 1000) + 1
        )
        answer = self._calls.call(WAIT_FOR_CHANGES, request)
        self._place = answer.epoch, answer.number
        entries = answer.entries or ()
        self.is_marked = any(entry.marked or entry.kind == FeedKind.MARKED for entry in entries)
        said = (FeedKind.SERVICE, FeedKind.STATUS)
        return [entry.status for entry in entries if entry.kind in said]

    def close(self) -> None:
        self._calls.close()


class _RequestListener:
    """By one request after the other; error 1072 tells of the mark."""

    is_marked = False

    def __init__(self, calls: Calls, service: ContextHandle) -> None:
        from scmd.client.status_requests import STATES, StatusRequests, register

        self._calls = calls
        self._service = service
        self._mask = STATES
        try:
            notify = register(calls, service, STATES)
        except BaseException:
            calls.close()
            raise
        self._requests = StatusRequests(calls)
        self._requests.fetch(None, notify)

    def listen(self, limit: float) -> list[ServiceStatus]:
        told = self._requests.next(limit)
        if told is None:
            return []
        _, outcome = told
        if isinstance(outcome, WinError):
            raise outcome
        self._requests.ask(None, self._service, self._mask)
        return [params.service_status for params in outcome]

    def close(self) -> None:
        self._requests.close()
        self._calls.close()
