"""Why a service is in its state, and what keeps it from leaving it: for people.

An explanation is a chain of findings. A service that waits for another, or failed because
another did, is followed by the findings about that one, one step deeper, until somebody is
found who does not blame anybody else. Nothing changes; all of it is read from the state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from scmd.core import schedules, status
from scmd.core.findings import Code, Finding, examine
from scmd.core.messages import HandleId
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState

FORMAT = 1
"""The version of an explanation as a document; fields are only ever added."""
MAX_SERVICES = 32
"""Services that one explanation looks at."""
MAX_HOLDERS = 100
"""Holders of handles that are named; the last one stands for the others."""


class Holder(Struct, frozen=True):
    """Somebody with open handles to the service."""

    name: str
    origin: str
    handles: int


class Explanation(Struct, frozen=True):
    """What RExplain sends, as JSON."""

    service: str
    display_name: str
    state: str
    lasted: int | None
    """Milliseconds in this state; None: since before this SCM knew of it."""
    cause: str
    actor: str
    origin: str
    process_id: int
    overdue: int
    """Milliseconds by which a pending state's next report is late."""
    marked_for_delete: bool
    holders: tuple[Holder, ...]
    """Without the handle that was used for asking."""
    findings: tuple[Finding, ...]
    next_run: str | None = None
    """When its schedule starts it next: local time of the schedule's zone, with the offset."""
    scmd_explanation: int = FORMAT
    log_of: str = ""
    """The service whose log has the output, when that is another: they share a process."""


def explain(state: State, record: ServiceRecord, asking: HandleId | None = None) -> Explanation:
    """Everything that speaks for the service's present state, in order of importance."""
    upcoming = schedules.next_run(state, record)
    since, current = record.since, record.status
    holders = _holders(state, record, asking)
    return Explanation(
        record.config.name,
        record.config.display_name,
        ServiceState(current.state).name,
        None if since is None else state.now - since,
        record.cause,
        record.changed_by.name if record.cause else "",
        record.changed_by.origin if record.cause else "",
        current.process_id,
        status.overdue(record, state.now),
        record.deleted,
        holders,
        tuple(_chain(state, record, holders)),
        log_of=_log_of(state, record),
        next_run=None if upcoming is None else upcoming[0],
    )


def _log_of(state: State, record: ServiceRecord) -> str:
    owner = None if record.log_of is None else state.records.get(record.log_of)
    return "" if owner is None or owner is record else owner.config.name


def _holders(state: State, record: ServiceRecord, asking: HandleId | None) -> tuple[Holder, ...]:
    if not record.handles:
        return ()
    counts: dict[tuple[str, str], int] = {}
    for handle in state.handles.values():
        if handle.record is record and handle.id != asking:
            who = handle.caller.name, handle.caller.origin
            counts[who] = counts.get(who, 0) + 1
    holders = [Holder(name, origin, count) for (name, origin), count in counts.items()]
    rest = sum(holder.handles for holder in holders[MAX_HOLDERS:])
    return (*holders[:MAX_HOLDERS], *([Holder("others", "", rest)] if rest else []))


def _chain(state: State, record: ServiceRecord, holders: tuple[Holder, ...]) -> Iterator[Finding]:
    """The service's own findings, and under each that blames another those about that one."""
    if record.deleted:
        yield _marked(record, holders)
    seen = {record.id}
    todo = deque([(record, 0)])
    while todo:
        current, depth = todo.popleft()
        following: list[tuple[ServiceRecord, int]] = []
        for finding in examine(state, current):
            yield replace(finding, depth=depth)
            other = state.by_key.get(name_key(finding.other)) if finding.other else None
            if finding.code not in _BLAMING or other is None or other.id in seen:
                continue
            if len(seen) < MAX_SERVICES:
                seen.add(other.id)
                following.append((other, depth + 1))
        todo.extendleft(reversed(following))


_BLAMING = frozenset({Code.WAITS_FOR_SERVICE, Code.DEPENDENCY_DOWN})


def _marked(record: ServiceRecord, holders: tuple[Holder, ...]) -> Finding:
    reasons = []
    if not record.is_stopped:
        reasons.append(f"until it has stopped (it is {ServiceState(record.status.state).name})")
    count = sum(holder.handles for holder in holders)
    if count:
        handles = "an open handle is" if count == 1 else f"{count} open handles are"
        reasons.append(f"until {handles} closed")
    if not reasons:
        reasons.append("until this question's own handle is closed")
    text = f"is marked for deletion and stays {' and '.join(reasons)}"
    return Finding(
        Code.MARKED_FOR_DELETE,
        record.config.name,
        text,
        error=int(Error.SERVICE_MARKED_FOR_DELETE),
    )
