"""Status: what a service is said to be, and what its own reports may say.

A report with values that it may not have ([MS-SCMR] 3.1.4.8) is logged and ignored. EXPECTED
says which state should follow which; nothing is refused for it, because the specification
refuses nothing, but the departure is noticed, logged once a run and given as the cause of the
change. The article's race (PAUSE_PENDING, STOP_PENDING, PAUSED, STOPPED) is such a departure.

Each pending state has a deadline: 80 s and the last wait hint without progress, which is a
report that says something new. Then the service counts as hung, which is logged, and is not
killed for it. It is overdue, for `why`, as soon as its wait hint has passed.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core import crashes, feed, notify_requests
from scmd.core.changes import ChangeKind
from scmd.core.event_ids import EventId
from scmd.core.messages import SCM_ITSELF, SERVICE_ITSELF, Actor
from scmd.core.messages.effects import StatusChanged
from scmd.core.records import Failure, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, error_text
from scmd.vocabulary.service import (
    PENDING_STATES,
    ServiceState,
)
from scmd.vocabulary.status import ServiceStatus, illegal

_S = ServiceState

HANG_AFTER = 80_000
"""Milliseconds beyond the wait hint without progress in a pending state."""
PATIENCE = 2_000
"""Milliseconds without progress that are never called overdue."""
LONGEST_WAIT_HINT = 3_600_000
"""A promise longer than an hour counts as an hour."""
MOST_CHANGES = 100
CHANGES_WITHIN = 60_000
"""A service that says oftener that it is in another state does not fill the event log with it."""
START_WAIT_HINT = 2_000
"""What a service that has just been asked to start is said to need."""

EXPECTED: Mapping[int, frozenset[ServiceState]] = {
    _S.START_PENDING: frozenset({_S.START_PENDING, _S.RUNNING, _S.STOP_PENDING, _S.STOPPED}),
    _S.RUNNING: frozenset({_S.RUNNING, _S.PAUSE_PENDING, _S.PAUSED, _S.STOP_PENDING, _S.STOPPED}),
    _S.PAUSE_PENDING: frozenset(
        {_S.PAUSE_PENDING, _S.PAUSED, _S.RUNNING, _S.STOP_PENDING, _S.STOPPED}
    ),
    _S.PAUSED: frozenset({_S.PAUSED, _S.CONTINUE_PENDING, _S.RUNNING, _S.STOP_PENDING, _S.STOPPED}),
    _S.CONTINUE_PENDING: frozenset(
        {_S.CONTINUE_PENDING, _S.RUNNING, _S.PAUSED, _S.STOP_PENDING, _S.STOPPED}
    ),
    _S.STOP_PENDING: frozenset({_S.STOP_PENDING, _S.STOPPED}),
    _S.STOPPED: frozenset(),
}
"""Which state should be reported after which; after STOPPED no report counts at all."""

INVALID, FLOOD, NOT_ITS_OWN = (0, 0), (0, 1), (0, 2)
"""What is noted beside departures, which are noted by the states before and after."""

_STATE_WORDS: Mapping[int, str] = {_S.RUNNING: "running", _S.STOPPED: "stopped"}
_RESTING = (_S.STOPPED, _S.RUNNING, _S.PAUSED)
REPORTED = "reported by the service"


def departure(before: int, after: int) -> str:
    """How a report departs from EXPECTED, or ""."""
    if after in EXPECTED[before]:
        return ""
    return f"{ServiceState(after).name} was reported after {ServiceState(before).name}"


def report(state: State, record: ServiceRecord, reported: ServiceStatus) -> None:
    """Take over what the service of a live run reports; a STOPPED is the caller's to see to."""
    problem = illegal(reported)
    if problem:
        note(state, record, INVALID, problem)
        return
    cause = departure(record.status.state, reported.state)
    if cause:
        note(state, record, (record.status.state, reported.state), cause)
    stopped = reported.state == _S.STOPPED
    status = ServiceStatus(
        type=record.status.type,
        state=reported.state,
        controls_accepted=reported.controls_accepted,
        win32_exit_code=reported.win32_exit_code,
        service_specific_exit_code=reported.service_specific_exit_code,
        check_point=reported.check_point,
        wait_hint=reported.wait_hint,
        process_id=0 if stopped else record.status.process_id,
    )
    set_status(state, record, status, cause or REPORTED, own=True)
    if stopped:
        ended(state, record)
        if status.win32_exit_code:
            crashes.failed(state, record, record.launch, record.cause)


def note(state: State, record: ServiceRecord, which: tuple[int, int], text: str) -> None:
    """Log an oddity, once for each kind in a run."""
    if record.noted is None:
        record.noted = {}
    if which not in record.noted:
        record.noted[which] = text
        state.log(EventId.INVALID_STATUS, record, record.config.display_name, text)


def _floods(state: State, record: ServiceRecord) -> bool:
    """Count a change of state that a service has reported; whether it was one too many."""
    since, count = record.changes or (state.now, 0)
    if state.now - since >= CHANGES_WITHIN:
        since, count = state.now, 0
    record.changes = since, count + 1
    if count < MOST_CHANGES:
        return False
    text = f"it has changed its state more than {MOST_CHANGES} times within a minute"
    note(state, record, FLOOD, text)
    return True


def set_status(
    state: State,
    record: ServiceRecord,
    status: ServiceStatus,
    cause: str,
    *,
    failed: bool = False,
    own: bool = False,
) -> None:
    """Make this the status; tell whoever watches, arm or cancel the deadline.

    RUNNING and STOPPED are logged (7036), unless `failed`: then another event says more.
    `own`: the service has said so itself, which is logged MOST_CHANGES times a minute.
    """
    old = record.status
    if status == old:
        return
    record.status = status
    if record.hung:
        record.hung = False
        state.changed.append(record)
    record.progress = state.now
    if status.state in PENDING_STATES:
        _watch(state, record)
    elif record.hang is not None:
        record.hang.cancel()
        record.hang = None
    _announce(state, record, old, cause, own)
    if (status.state, status.controls_accepted) != (old.state, old.controls_accepted):
        state.changed.append(record)
    if status.state != old.state:
        word = _STATE_WORDS.get(status.state)
        flood = own and status.state != _S.STOPPED and _floods(state, record)
        if word is not None and not failed and not flood:
            state.log(EventId.ENTERED_STATE, record, record.config.display_name, word)


def restore(state: State, record: ServiceRecord, status: ServiceStatus, *, hung: bool) -> None:
    """The status that a manager has left; a pending state has its time from now on."""
    record.status = status
    record.hung = hung
    record.progress = state.now
    if status.state in PENDING_STATES and not hung:
        _watch(state, record)


def _announce(
    state: State, record: ServiceRecord, old: ServiceStatus, cause: str, own: bool
) -> None:
    """Say what has become of the old status, why, and on whose account."""
    status = record.status
    moved = status.state != old.state
    actor = record.actor or (SERVICE_ITSELF if own else SCM_ITSELF)
    lasted = state.now - record.since if moved and record.since is not None else None
    if moved or not own:
        # What a service repeats while it is pending says less than why it is pending.
        record.cause, record.changed_by = cause, actor
    if moved:
        record.since = state.now
    if status.state in _RESTING:
        record.actor = None
    state.touched[record.id] = record
    state.emit(
        StatusChanged(record.id, record.config.name, status, cause, actor, old.state, lasted)
    )
    feed.add(state, record, ChangeKind.STATUS, int(old.state), lasted, cause, actor)
    if moved:
        notify_requests.state_entered(state, record)


def overdue(record: ServiceRecord, now: int) -> int:
    """Milliseconds by which progress of a pending state is late; 0: it is not."""
    if record.status.state not in PENDING_STATES or record.progress is None:
        return 0
    if record.attempt is not None or _takes_its_time(record):
        # The SCM itself has not come so far; it has deadlines of its own.
        return 0
    hint = min(record.status.wait_hint, LONGEST_WAIT_HINT)
    return max(0, now - record.progress - max(hint, PATIENCE))


def asked(state: State, record: ServiceRecord, actor: Actor) -> None:
    """From now until its next resting state, what happens to it is on this account."""
    record.actor = actor
    state.touched[record.id] = record


def starting(state: State, record: ServiceRecord, wait_hint: int, cause: str) -> None:
    """START_PENDING, nothing accepted, no check point ([MS-SCMR] 3.1.4.19)."""
    launch = record.launch
    record.noted = record.process_exit = None
    record.killed = False
    status = ServiceStatus(
        type=record.config.type,
        state=int(_S.START_PENDING),
        wait_hint=wait_hint,
        process_id=launch.process_id if launch is not None else 0,
    )
    set_status(state, record, status, cause)


def stopped(
    state: State,
    record: ServiceRecord,
    error: int,
    cause: str,
    specific: int = 0,
    *,
    failed: bool = False,
) -> None:
    """STOPPED, decided by the SCM, with these exit codes."""
    status = ServiceStatus(
        type=record.config.type,
        win32_exit_code=int(error),
        service_specific_exit_code=specific,
    )
    set_status(state, record, status, cause, failed=failed)


def ended(state: State, record: ServiceRecord) -> None:
    """A service has STOPPED by itself: with a nonzero exit code 7023 or 7024, maybe a failure."""
    status = record.status
    name = record.config.display_name
    if status.win32_exit_code == Error.SERVICE_SPECIFIC_ERROR:
        code = str(status.service_specific_exit_code)
        state.log(EventId.EXITED_WITH_SPECIFIC_ERROR, record, name, code)
    elif status.win32_exit_code:
        text = error_text(status.win32_exit_code)
        state.log(EventId.EXITED_WITH_ERROR, record, name, text)
    if status.win32_exit_code and record.config.failure_actions_flag and not record.stop_asked:
        state.failures.append((record, Failure.STOPPED_WITH_ERROR))


def died(state: State, record: ServiceRecord, cause: str) -> None:
    """The process is gone without a STOPPED report: 1067, and a failure.

    When somebody had it killed, that is no failure.
    """
    if record.killed:
        stopped(state, record, Error.PROCESS_ABORTED, cause)
        return
    stopped(state, record, Error.PROCESS_ABORTED, cause, failed=True)
    state.failures.append((record, Failure.DIED))


def _takes_its_time(record: ServiceRecord) -> bool:
    return record.run is not None and record.run.takes_its_time


def _watch(state: State, record: ServiceRecord) -> None:
    delay = HANG_AFTER + min(record.status.wait_hint, LONGEST_WAIT_HINT)
    if record.hang is None:
        record.hang = state.after(
            delay, lambda: _hung(state, record), "progress of a pending state"
        )
    else:
        state.deadlines.arm(record.hang, state.now + delay)


def _hung(state: State, record: ServiceRecord) -> None:
    if record.attempt is not None or _takes_its_time(record):
        # The attempt has deadlines of its own; the service has not been asked yet.
        _watch(state, record)
        return
    record.hang = None
    hangs(state, record)


def hangs(state: State, record: ServiceRecord) -> None:
    """It makes no progress: who waits for it waits no longer."""
    record.hung = True
    state.changed.append(record)
    name, pending = record.config.display_name, _S(record.status.state)
    if pending == _S.START_PENDING:
        state.log(EventId.HUNG_ON_STARTING, record, name)
    else:
        state.log(EventId.NO_PROGRESS, record, name, pending.name)


def goes_on(state: State, record: ServiceRecord) -> None:
    """It hangs no more, and has its time from now on: a new manager gave a hung one none."""
    record.hung = False
    state.changed.append(record)
    _watch(state, record)
