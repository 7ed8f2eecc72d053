"""Automatic starts: group after group, dependencies within `starting`'s care.

The load-order groups come in the order of the list, then the other groups, then services
without one; within a group the tags decide who is begun first. A batch is over when each of
its services is up, has failed or hangs. Delayed ones follow after a delay. A failure is logged and
holds nothing up. [MS-SCMR] 3.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from scmd.core import boot, starting
from scmd.core.deadlines import Deadline
from scmd.core.event_ids import EventId
from scmd.core.messages import Actor, ServiceId
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Refused, error_text
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, StartType

ACTOR = Actor("SCM", "automatic start")


class AutoStartRun:
    """What is still to be started, and what of the present batch is on its way."""

    __slots__ = ("batches", "deadline", "delayed", "is_late", "outstanding")

    def __init__(self, batches: list[list[ServiceRecord]], delayed: list[ServiceRecord]) -> None:
        self.batches = batches
        """The next one last."""
        self.delayed = delayed
        self.outstanding: dict[ServiceId, ServiceRecord] = {}
        self.deadline: Deadline | None = None
        self.is_late = False
        """The delayed ones have been begun."""


def begin(state: State) -> None:
    """Start what is AUTO_START; a second time, and during a shutdown, nothing happens."""
    if state.auto_start is not None or state.shutdown is not None:
        return
    chosen = [
        record
        for record in state.records.values()
        if record.config.start_type == StartType.AUTO_START and not record.deleted
    ]
    prompt = [record for record in chosen if not record.config.delayed_auto_start]
    delayed = [record for record in chosen if record.config.delayed_auto_start]
    state.auto_start = AutoStartRun(_batches(state, prompt)[::-1], delayed)
    boot.begin(state)
    _next_batch(state, state.auto_start)


def resume(
    state: State,
    batches: Sequence[Sequence[int]],
    delayed: Sequence[int],
    deadline: int | None,
) -> None:
    """Go on after an earlier manager; the batches by record numbers, the next one last."""

    def known(ids: Sequence[int]) -> list[ServiceRecord]:
        return [state.records[ServiceId(id)] for id in ids if ServiceId(id) in state.records]

    run = state.auto_start = AutoStartRun([known(batch) for batch in batches], known(delayed))
    if deadline is not None:
        left = max(0, deadline - state.now)
        run.deadline = state.after(left, lambda: _start_delayed(state, run), "delayed starts")
    elif run.batches or run.delayed:
        waiting = {record.id for batch in (*run.batches, run.delayed) for record in batch}
        # Those begun and disabled since too; `look` lets go of who has come up.
        run.outstanding = {
            record.id: record
            for record in state.records.values()
            if record.id not in waiting
            and (record.config.start_type == StartType.AUTO_START or record.actor == ACTOR)
        }
        state.changed.extend(run.outstanding.values())
        if not run.outstanding:
            _next_batch(state, run)


def _batches(state: State, records: list[ServiceRecord]) -> list[list[ServiceRecord]]:
    order = {name_key(group): place for place, group in enumerate(state.settings.group_order)}
    others, ungrouped = len(order), len(order) + 1
    batches: dict[int, list[ServiceRecord]] = {}
    for record in sorted(records, key=lambda record: _place_in_group(state, record)):
        group = record.config.load_order_group
        place = order.get(name_key(group), others) if group else ungrouped
        batches.setdefault(place, []).append(record)
    return [batches[place] for place in sorted(batches)]


def _place_in_group(state: State, record: ServiceRecord) -> tuple[int, int, int]:
    """By the group's tag order, then the other tags ascending, then those without a tag."""
    tag = record.config.tag
    order = state.settings.tag_order.get(name_key(record.config.load_order_group), ())
    if tag in order:
        return 0, order.index(tag), record.id
    return (1, tag, record.id) if tag else (2, 0, record.id)


def _next_batch(state: State, run: AutoStartRun) -> None:
    while run.batches and not run.outstanding:
        _start_all(state, run, run.batches.pop())
    if not run.outstanding and run.delayed:
        run.deadline = state.after(
            state.settings.auto_start_delay, lambda: _start_delayed(state, run), "delayed starts"
        )
    _end_if_over(state, run)


def _end_if_over(state: State, run: AutoStartRun) -> None:
    if not (run.batches or run.outstanding or run.delayed):
        boot.end(state)


def _start_delayed(state: State, run: AutoStartRun) -> None:
    run.deadline = None
    run.is_late = True
    delayed, run.delayed = run.delayed, []
    _start_all(state, run, delayed)
    _end_if_over(state, run)


def _start_all(state: State, run: AutoStartRun, batch: list[ServiceRecord]) -> None:
    for record in batch:
        if record.attempt is None:
            if not record.is_stopped or state.records.get(record.id) is not record:
                continue
            if record.deleted or record.config.start_type != StartType.AUTO_START:
                continue
            try:
                starting.begin(state, record, None, actor=ACTOR)
            except Refused as refused:
                name, text = record.config.display_name, error_text(refused.error)
                if not boot.is_silent(state, record):
                    state.log(EventId.START_FAILED, record, name, text)
                continue
        run.outstanding[record.id] = record


def look(state: State, record: ServiceRecord) -> None:
    """A service has changed: it may have been the last one of its batch."""
    run = state.auto_start
    if run is None or record.id not in run.outstanding:
        return
    if record.attempt is not None:
        return
    if record.status.state == ServiceState.START_PENDING and not record.hung:
        return
    del run.outstanding[record.id]
    if not run.outstanding:
        _next_batch(state, run)


def under_way_since(state: State) -> int | None:
    """When the automatic starts began, the delayed ones left out; None: they are over."""
    run, log = state.auto_start, state.boot
    if run is None or log is None or not (run.batches or run.outstanding):
        return None
    return log.began_at if run.deadline is None and not run.is_late else None


def cancel(state: State) -> None:
    """Start nothing more."""
    run = state.auto_start
    if run is not None:
        run.batches.clear()
        run.delayed.clear()
        run.outstanding.clear()
        if run.deadline is not None:
            run.deadline.cancel()
