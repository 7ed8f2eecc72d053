"""Status: what a service is said to be, and what its own reports may say.

Two tables. LEGAL_TYPES and KNOWN_CONTROLS say which *values* a report may have ([MS-SCMR]
3.1.4.8); a report with others is logged and ignored. EXPECTED says which state should
follow which; nothing is refused for it, because the specification refuses nothing, but the
departure is noticed, logged once a run and given as the cause of the change. The article's
race (PAUSE_PENDING, STOP_PENDING, PAUSED, STOPPED) is such a departure.

Each pending state has a deadline: 80 s and the last wait hint without a report. Then the
service counts as hung, which is logged for a start, and is not killed for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.event_ids import EventId
from scmd.core.messages import StatusChanged
from scmd.core.records import Failure, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, error_text
from scmd.vocabulary.service import (
    PENDING_STATES,
    ControlsAccepted,
    ServiceState,
    ServiceType,
)
from scmd.vocabulary.status import ServiceStatus

_S = ServiceState

HANG_AFTER = 80_000
"""Milliseconds beyond the wait hint without a report in a pending state."""
LONGEST_WAIT_HINT = 3_600_000
"""A promise longer than an hour counts as an hour."""
START_WAIT_HINT = 2_000
"""What a service that has just been asked to start is said to need."""

LEGAL_TYPES = frozenset(
    {
        int(ServiceType.KERNEL_DRIVER),
        int(ServiceType.FILE_SYSTEM_DRIVER),
        int(ServiceType.ADAPTER),
        int(ServiceType.RECOGNIZER_DRIVER),
        *(
            win32 | interactive
            for win32 in (0x10, 0x20, 0x30)
            for interactive in (0, int(ServiceType.INTERACTIVE_PROCESS))
        ),
    }
)
KNOWN_CONTROLS = sum(int(bit) for bit in ControlsAccepted)

EXPECTED: Mapping[ServiceState, frozenset[ServiceState]] = {
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

_STATE_WORDS = {_S.RUNNING: "running", _S.STOPPED: "stopped"}


def invalid(status: ServiceStatus) -> str:
    """What is illegal about a report's values, or "" ([MS-SCMR] 3.1.4.8)."""
    if not _S.STOPPED <= status.state <= _S.PAUSED:
        return f"state {status.state} is not one of 1 to 7"
    if status.type not in LEGAL_TYPES:
        return f"type {status.type:#x} is not a legal service type"
    if status.controls_accepted & ~KNOWN_CONTROLS:
        return f"controls accepted {status.controls_accepted:#x} has unknown bits"
    return ""


def departure(before: int, after: int) -> str:
    """How a report departs from EXPECTED, or ""."""
    old, new = ServiceState(before), ServiceState(after)
    if new in EXPECTED[old]:
        return ""
    return f"{new.name} was reported after {old.name}"


def report(state: State, record: ServiceRecord, reported: ServiceStatus) -> None:
    """Take over what the service of a live run reports; a STOPPED is the caller's to see to."""
    problem = invalid(reported)
    if problem:
        _note(state, record, (0, 0), problem)
        return
    cause = departure(record.status.state, reported.state)
    if cause:
        _note(state, record, (record.status.state, reported.state), cause)
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
    set_status(state, record, status, cause or "reported by the service")
    if stopped:
        ended(state, record)


def _note(state: State, record: ServiceRecord, which: tuple[int, int], text: str) -> None:
    """Log an oddity, once for each kind in a run."""
    if record.noted is None:
        record.noted = set()
    if which not in record.noted:
        record.noted.add(which)
        state.log(EventId.INVALID_STATUS, record, record.config.display_name, text)


def set_status(
    state: State, record: ServiceRecord, status: ServiceStatus, cause: str, *, failed: bool = False
) -> None:
    """Make this the status; tell whoever watches, arm or cancel the deadline.

    RUNNING and STOPPED are logged (7036), unless `failed`: then another event says more.
    """
    old = record.status
    changed = status != old
    record.status = status
    if status.state in PENDING_STATES:
        _watch(state, record)
    elif record.hang is not None:
        record.hang.cancel()
        record.hang = None
    if not changed:
        return
    record.hung = False
    state.emit(StatusChanged(record.id, record.config.name, status, cause))
    if status.state != old.state:
        state.changed.append(record)
        word = _STATE_WORDS.get(ServiceState(status.state))
        if word is not None and not failed:
            state.log(EventId.ENTERED_STATE, record, record.config.display_name, word)


def restore(state: State, record: ServiceRecord, status: ServiceStatus, *, hung: bool) -> None:
    """The status that a manager has left; a pending state has its time from now on."""
    record.status = status
    record.hung = hung
    if status.state in PENDING_STATES and not hung:
        _watch(state, record)


def starting(state: State, record: ServiceRecord, wait_hint: int, cause: str) -> None:
    """START_PENDING, nothing accepted, no check point ([MS-SCMR] 3.1.4.19)."""
    launch = record.launch
    record.noted = record.process_exit = None
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
    """The process is gone without a STOPPED report: 1067, and a failure."""
    stopped(state, record, Error.PROCESS_ABORTED, cause, failed=True)
    state.failures.append((record, Failure.DIED))


def _watch(state: State, record: ServiceRecord) -> None:
    delay = HANG_AFTER + min(record.status.wait_hint, LONGEST_WAIT_HINT)
    if record.hang is None:
        record.hang = state.after(
            delay, lambda: _hung(state, record), "progress of a pending state"
        )
    else:
        state.deadlines.arm(record.hang, state.now + delay)


def _hung(state: State, record: ServiceRecord) -> None:
    if record.attempt is not None:
        # The attempt has deadlines of its own; the service has not been asked yet.
        _watch(state, record)
        return
    record.hang = None
    record.hung = True
    state.changed.append(record)
    if record.status.state == _S.START_PENDING:
        state.log(EventId.HUNG_ON_STARTING, record, record.config.display_name)
