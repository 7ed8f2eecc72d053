"""Shutdown: notice to everyone at once, a budget, then the kill.

Services that accept SHUTDOWN (else PRESHUTDOWN) are told, hosted programs are stopped;
dependents are not considered ([MS-SCMR] 3.1.4.2, winsvc). Starts under way are broken off.
When all who were told have stopped, or the budget is spent, the rest is killed. It is
completed when every launch is gone and every save is done; should the kill fail, when the
budget has passed a second time.
"""

from __future__ import annotations

from scmd.core import attempts, auto_start, hosting, launches, processes
from scmd.core.control_table import refusal
from scmd.core.deadlines import Deadline
from scmd.core.messages import ServiceId, ShutdownCompleted
from scmd.core.records import (
    AttemptPhase,
    Launch,
    LaunchKind,
    LaunchPhase,
    ServiceRecord,
    StartAttempt,
    StartRequest,
)
from scmd.core.state import State
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control

CAUSE = "the system shuts down"


class ShutdownRun:
    """How far the shutdown is."""

    __slots__ = ("completed", "deadline", "killing", "told")

    def __init__(self) -> None:
        self.told: dict[ServiceId, ServiceRecord] = {}
        self.killing = False
        """The budget is spent, or nobody uses it any more."""
        self.completed = False
        self.deadline: Deadline | None = None


def begin(state: State) -> None:
    """Begin to shut down; a second time, nothing happens."""
    if state.shutdown is not None:
        return
    run = state.shutdown = ShutdownRun()
    auto_start.cancel(state)
    run.deadline = state.after(
        state.settings.kill_timeout, lambda: _spent(state, run), "the shutdown's budget"
    )
    records = list(state.records.values())
    for record in records:
        if record.attempt is not None:
            _break_off(state, record.attempt)
    for record in records:
        if _tell(state, record):
            run.told[record.id] = record


def _break_off(state: State, attempt: StartAttempt) -> None:
    """End an attempt, unless its ServiceMain may be running already: that is owed an answer."""
    record, error = attempt.record, Error.SHUTDOWN_IN_PROGRESS
    if attempt.phase is AttemptPhase.WAITING:
        attempts.fail(state, attempt, error, CAUSE)
    elif record.run is not None:
        hosting.abort(state, record, error, CAUSE)
    elif record.launch is not None:
        launch = record.launch
        queued = any(isinstance(r, StartRequest) and r.attempt is attempt for r in launch.queue)
        if queued:
            processes.fail_queued(state, launch, attempt, error, CAUSE)


def _tell(state: State, record: ServiceRecord) -> bool:
    if record.run is not None:
        hosting.stop(state, record)
        return True
    launch = record.launch
    if launch is None or not launches.is_live(launch):
        return False
    for control in (Control.SHUTDOWN, Control.PRESHUTDOWN):
        if not refusal(state, record, control):
            processes.send_control(state, record, control, None)
            return True
    return False


def look(state: State) -> None:
    """See whether the shutdown can take its next step; called after everything else."""
    run = state.shutdown
    if run is None or run.completed:
        return
    if not run.killing and all(record.is_stopped for record in run.told.values()):
        _kill_untold(state)
    if not state.launches and not state.saves:
        _complete(state, run)


def _kill_untold(state: State) -> None:
    """Those who have stopped may still clean up, and hooks may end; the others are killed."""
    for launch in list(state.launches.values()):
        if launch.kind is LaunchKind.PROTOCOL and launches.is_live(launch):
            _kill(state, launch)


def _kill(state: State, launch: Launch) -> None:
    processes.fail_starts(state, launch, Error.SHUTDOWN_IN_PROGRESS, CAUSE)
    launches.kill(state, launch, CAUSE)


def _spent(state: State, run: ShutdownRun) -> None:
    run.deadline = None
    if run.killing:
        _complete(state, run)
        return
    run.killing = True
    for launch in list(state.launches.values()):
        if launch.phase is not LaunchPhase.KILLED:
            _kill(state, launch)
    run.deadline = state.after(
        state.settings.kill_timeout, lambda: _spent(state, run), "the last processes to exit"
    )


def _complete(state: State, run: ShutdownRun) -> None:
    if not run.completed:
        run.completed = True
        if run.deadline is not None:
            run.deadline.cancel()
        state.emit(ShutdownCompleted())
