"""The statuses of a service that is waited for: asked for at first, told by the feed then.

A fast service is over before a place in the feed is worth having. From then on the wait is at the
server (RWaitForChanges of the service's handle) and ends with the change itself. Where there is no
feed, or it breaks, the service is asked on and on as `Progress` says.
"""

from __future__ import annotations

import time
from collections import deque

from scmd.client.calls import Calls, named_state
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.waiting import Progress
    from scmd.ndr.values import ContextHandle
    from scmd.scmd_interface.feed import WaitForChangesResponse
    from scmd.vocabulary.status import ServiceStatus

FEED_FROM_S = 0.03
"""Questions that would come at least so far apart are left to the feed."""
LONGEST_WAIT_S = 1.0
"""One wait at the server: whoever shows the progress has something to say by then."""
_STATUS_KINDS = (0, 1)


class Statuses:
    """One wait's statuses, with `service` a handle that may query; a context manager.

    With `name` the feed is waited for on a connection of its own, so that other threads' calls on
    this one do not wait as well; without, on this one.
    """

    def __init__(self, calls: Calls, service: ContextHandle, name: str = "") -> None:
        self._calls = calls
        self._service = service
        self._name = name
        self._feed: tuple[Calls, ContextHandle] | None = None
        self._has_feed = True
        self._place = (0, 0)
        self._ready: deque[ServiceStatus] = deque()

    def __enter__(self) -> Statuses:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def next(self, progress: Progress, most: float | None = None) -> ServiceStatus:
        """The next status, or after a while, at most `most` seconds, the one that still is."""
        if self._ready:
            return self._ready.popleft()
        delay = progress.delay()
        if delay >= FEED_FROM_S and self._has_feed:
            try:
                self._listen(LONGEST_WAIT_S if most is None else min(most, LONGEST_WAIT_S))
            except WinError:
                self._drop()
                self._has_feed = False
            else:
                return self._ready.popleft() if self._ready else self._query()
        time.sleep(delay if most is None else min(delay, most))
        return self._query()

    def _query(self) -> ServiceStatus:
        return self._calls.query_status(self._service)

    def _listen(self, limit: float) -> None:
        if self._feed is None:
            from scmd.scmd_interface.feed import FEED_BEGINNING

            self._feed = self._opened()
            self._place = (0, FEED_BEGINNING)
        answer = self._ask(*self._feed, limit)
        self._place = answer.epoch, answer.number
        self._ready.extend(
            named_state(entry.status)
            for entry in answer.entries or ()
            if entry.kind in _STATUS_KINDS
        )

    def _opened(self) -> tuple[Calls, ContextHandle]:
        if not self._name:
            return self._calls, self._service
        from scmd.vocabulary.service import ScmAccess, ServiceAccess

        calls = Calls(self._calls.another_connection())
        try:
            scm = calls.open_scm(ScmAccess.CONNECT)
            return calls, calls.open_service(scm, self._name, ServiceAccess.QUERY_STATUS)
        except BaseException:
            calls.close()
            raise

    def _ask(self, calls: Calls, service: ContextHandle, limit: float) -> WaitForChangesResponse:
        from scmd.scmd_interface.feed import WaitForChangesRequest
        from scmd.scmd_interface.operations import WAIT_FOR_CHANGES

        epoch, after = self._place
        request = WaitForChangesRequest(
            handle=service, epoch=epoch, after=after, limit=int(limit * 1000) + 1
        )
        return calls.call(WAIT_FOR_CHANGES, request)

    def _drop(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None and feed[0] is not self._calls:
            feed[0].close()
