"""Changes by NotifyServiceStatusChange: of servers that have no feed, such as Windows.

One request on the SCM's handle tells who comes and goes, one on each service's the state that it
enters. A request tells once and is made again then; what happens in between is seen only as far
as it lasts. A service that is marked for deletion is let go of, since it cannot go before.
"""

from __future__ import annotations

from scmd.client.calls import named_state
from scmd.client.changes import Known
from scmd.client.connection import ConnectionFailed
from scmd.client.status_requests import STATES, StatusRequests, names, register, triggered
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import NotifyMask, ServiceAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.client.changes import Change, Scope
    from scmd.client.status_requests import Outcome
    from scmd.ndr.values import ContextHandle

_OF_SERVICE = STATES | NotifyMask.DELETE_PENDING
_OF_SCM = NotifyMask.CREATED | NotifyMask.DELETED
_NOT_THERE = (Error.SERVICE_DOES_NOT_EXIST, Error.ACCESS_DENIED)
"""Gone again, or none of the caller's business."""
_GONE = (Error.INVALID_HANDLE, Error.REQUEST_ABORTED)


class _Watched:
    """A service whose handle is open."""

    __slots__ = ("handle", "name", "was_told")

    def __init__(self, name: str, handle: ContextHandle) -> None:
        self.name = name
        self.handle = handle
        self.was_told = False
        """The first request tells the state that the service is in, which may be no news."""


class NotifiedChanges:
    def __init__(self, calls: Calls, scm: ContextHandle, scope: Scope) -> None:
        self._calls = calls
        self._scm = scm
        self._scope = scope
        self._watched: dict[str, _Watched] = {}
        self._known: Known
        self._has_shown = False
        """A picture, which does not say who is marked for deletion."""
        self._requests: StatusRequests | None = None

    def close(self) -> None:
        if self._requests is not None:
            self._requests.close()

    def next(self) -> list[Change]:
        """Wait for the next outcome, which may be no change; the first picture comes at once.

        WinError 1745: the server knows no such requests, and its connection is as it was.
        """
        if self._requests is None:
            return self._begin()
        told = self._requests.next()
        assert told is not None
        watched, outcome = told
        if isinstance(outcome, ConnectionFailed):
            raise outcome
        if isinstance(watched, _Watched):
            return self._service_told(self._requests, watched, outcome)
        return self._scm_told(self._requests, outcome)

    def _begin(self) -> list[Change]:
        # Whoever comes after the request is told by it, whoever came before is found.
        notify = register(self._calls, self._scm, _OF_SCM)
        self._known = Known(self._scope, self._calls, self._scm)
        picture = self._known.picture()
        self._has_shown = bool(picture)
        for known in self._known.services.values():
            self._open(self._calls, known.name)
        self._requests = StatusRequests(self._calls)
        self._requests.fetch(None, notify)
        for watched in self._watched.values():
            self._requests.ask(watched, watched.handle, _OF_SERVICE)
        return picture

    def _open(self, opener: Calls | StatusRequests, name: str) -> _Watched | None:
        try:
            handle = opener.open_service(self._scm, name, ServiceAccess.QUERY_STATUS)
        except WinError as error:
            if error.winerror not in _NOT_THERE:
                raise
            return None
        watched = self._watched[name_key(name)] = _Watched(name, handle)
        return watched

    def _scm_told(self, requests: StatusRequests, outcome: Outcome) -> list[Change]:
        if isinstance(outcome, WinError):
            if outcome.winerror != Error.SERVICE_NOTIFY_CLIENT_LAGGING:
                raise outcome
            # Another handle to the SCM helps, and what is there must be looked at anew.
            detail = "the server cannot keep all that happens until it is asked for"
            raise ConnectionFailed(Error.SERVICE_NOTIFY_CLIENT_LAGGING, outcome.funcname, detail)
        requests.ask(None, self._scm, _OF_SCM)
        changes: list[Change] = []
        for told in [name for params in outcome for name in names(params)]:
            name = told.removeprefix("/")
            if not self._scope.covers(name):
                continue
            if told == name:
                changes += self._went(requests, name)
            else:
                self._came(requests, name)
        return changes

    def _came(self, requests: StatusRequests, name: str) -> None:
        """It is told of with its status, which the first request brings."""
        if name_key(name) not in self._watched:
            watched = self._open(requests, name)
            if watched is not None:
                requests.ask(watched, watched.handle, _OF_SERVICE)

    def _went(self, requests: StatusRequests, name: str) -> list[Change]:
        key = name_key(name)
        watched = self._watched.pop(key, None)
        if watched is not None:
            requests.close_handle(watched.handle)
        return [self._known.gone(key)] if key in self._known.services else []

    def _service_told(
        self, requests: StatusRequests, watched: _Watched, outcome: Outcome
    ) -> list[Change]:
        key = name_key(watched.name)
        if self._watched.get(key) is not watched:
            return []
        if isinstance(outcome, WinError):
            if outcome.winerror == Error.SERVICE_MARKED_FOR_DELETE:
                return self._marked(requests, watched)
            if outcome.winerror not in _GONE:
                raise outcome
            del self._watched[key]
            return []
        changes: list[Change] = []
        for params in outcome:
            if triggered(params) & NotifyMask.DELETE_PENDING:
                return changes + self._marked(requests, watched)
            status = named_state(params.service_status)
            changes += self._known.seen(watched.name, status, is_news=watched.was_told)
            watched.was_told = True
        requests.ask(watched, watched.handle, _OF_SERVICE)
        return changes

    def _marked(self, requests: StatusRequests, watched: _Watched) -> list[Change]:
        """Its handle keeps it from going. One that was marked before the watch is no news."""
        key = name_key(watched.name)
        del self._watched[key]
        requests.close_handle(watched.handle)
        # One that was marked as soon as it had come was never told of.
        known = self._known.services.get(key)
        if known is None or not (watched.was_told or self._has_shown):
            return []
        return [known.replace(kind="delete_pending")]
