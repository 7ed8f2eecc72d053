"""Changes from scmd's feed: nothing is lost, nothing comes twice.

Who falls too far behind gets each service once as it is, with `gap` set, and goes on from there.
"""

from __future__ import annotations

from scmd.client.changes import Change, place_of
from scmd.scmd_interface.feed import (
    MAX_WATCHED_NAMES,
    FeedEntry,
    WaitForChangesRequest,
    WatchedName,
)
from scmd.scmd_interface.operations import WAIT_FOR_CHANGES
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.client.changes import Scope
    from scmd.ndr.values import ContextHandle
    from scmd.scmd_interface.feed import WaitForChangesResponse

KINDS = ("service", "status", "created", "delete_pending", "deleted", "config", "parameters")
"""By FeedKind."""
_UNKNOWN = _UNLIMITED = 0xFFFF_FFFF


class FeedChanges:
    """On one connection; the place in the feed is the scope's, and goes on with the next one."""

    def __init__(self, calls: Calls, scm: ContextHandle, scope: Scope) -> None:
        self._calls = calls
        self._scm = scm
        self._scope = scope
        names = tuple(scope.names.values())
        # So many that they cannot be said: the server tells of all then.
        self._names = names if len(names) <= MAX_WATCHED_NAMES else ()

    def close(self) -> None:
        """The connection is the watch's."""

    def next(self) -> list[Change]:
        """Wait for what comes next; the first answer of all comes at once."""
        answer = self._ask(0)
        if answer.behind:
            changes = self._picture(answer)
        else:
            covered = self._scope.covered
            all_covered = max(covered.values(), default=0)
            changes = [
                _change(entry, place=_place(answer, entry.number, all_covered))
                for entry in answer.entries or ()
                if self._is_wanted(entry) and entry.number > covered.get(entry.name or "", 0)
            ]
            if answer.number >= all_covered:
                covered.clear()
        self._scope.place = answer.epoch, answer.number
        return changes

    def _is_wanted(self, entry: FeedEntry) -> bool:
        return bool(self._names) or self._scope.covers(entry.name or "")

    def _ask(self, resume: int) -> WaitForChangesResponse:
        epoch, after = self._scope.place
        request = WaitForChangesRequest(
            handle=self._scm,
            epoch=epoch,
            after=after,
            limit=_UNLIMITED if self._scope.has_begun else 0,
            resume=resume,
            names=tuple(WatchedName(text=name) for name in self._names) or None,
        )
        try:
            return self._calls.call(WAIT_FOR_CHANGES, request)
        except WinError as error:
            if error.winerror != Error.RPC_PROCNUM_OUT_OF_RANGE:
                raise
            # An older scmd; it is all the same to who asks.
            raise WinError(Error.CALL_NOT_IMPLEMENTED, error.funcname) from error

    def _picture(self, answer: WaitForChangesResponse) -> list[Change]:
        """All its parts; what has changed since the first one comes as changes then."""
        self._scope.covered.clear()
        parts = [answer]
        while parts[-1].resume:
            parts.append(self._ask(parts[-1].resume))
        gap = self._scope.may_miss
        found: list[Change] = []
        for part in parts:
            for entry in part.entries or ():
                if part.number > answer.number:
                    self._scope.covered[entry.name or ""] = part.number
                if self._is_wanted(entry):
                    found.append(_change(entry, gap=gap))
        if gap:
            found = self._scope.after_gap(found)
        else:
            self._scope.note(found)
        if found:
            all_covered = max(self._scope.covered.values(), default=0)
            place = _place(answer, answer.number, all_covered)
            found[-1] = found[-1].replace(place=place)
        return found if gap or self._scope.initial else []


def _place(answer: WaitForChangesResponse, number: int, all_covered: int) -> str:
    """None as long as whoever went on from there would be told again what a picture has shown."""
    return place_of(answer.epoch, number) if number >= all_covered else ""


def _change(entry: FeedEntry, *, gap: bool = False, place: str = "") -> Change:
    kind = KINDS[entry.kind] if entry.kind < len(KINDS) else "service"
    return Change(
        kind=kind,
        name=entry.name or "",
        status=entry.status,
        before=entry.before,
        lasted_ms=None if entry.lasted == _UNKNOWN else entry.lasted,
        cause=entry.cause or "",
        actor=entry.actor or "",
        origin=entry.origin or "",
        sequence=entry.number,
        marked=bool(entry.marked),
        gap=gap,
        place=place,
    )
