"""Shutdown: notice in two rounds, a budget, then the kill.

    PRESHUTDOWN -> SHUTDOWN -> killing -> completed

Services that accept PRESHUTDOWN come first: those that `PreshutdownOrder` names one after
the other in its order, then the others at once. Each has its own limit, the
configured one, which begins anew whenever it raises its check point in STOP_PENDING
(within an hour); who misses it is not waited for (event 7043). None of them gets SHUTDOWN.
Then SHUTDOWN goes to everyone else who accepts it, or does so later, hosted programs are stopped,
and one budget (WaitToKillServiceTimeout) runs for all. Dependents are not considered. Starts under
way are broken off at the beginning. When all who were told have stopped, or the budget is
spent, the rest is killed. It is completed when every launch is gone and every save is done;
should the kill fail, when the budget has passed a second time.

A new manager goes on where the one before has died: phase, limits and budget are instants that
the journal knows. Who was told and has not answered is told again, if it has not said that it
stops: a service that hears it twice loses nothing, one that never hears it is killed unwarned.

[MS-SCMR] 3.1.4.2; winsvc: SERVICE_PRESHUTDOWN_INFO, WaitToKillServiceTimeout.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from msgspec import Struct

from scmd.core import attempts, auto_start, essential, hosting, launches, requests, status
from scmd.core.control_table import refusal
from scmd.core.deadlines import Deadline
from scmd.core.event_ids import EventId
from scmd.core.messages import Actor, ServiceId
from scmd.core.messages.effects import ShutdownCompleted
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
from scmd.core.status import LONGEST_WAIT_HINT
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import Control, ServiceState

CAUSE = "the system shuts down"
ACTOR = Actor("SCM", "shutdown")
LONGEST_EXTENSION = 3_600_000
"""Milliseconds that rising check points can make of a shorter preshutdown limit."""


class Phase(Enum):
    PRESHUTDOWN = auto()
    SHUTDOWN = auto()
    KILLING = auto()
    """The budget is spent, or nobody uses it any more."""
    COMPLETED = auto()


class Notice:
    """What a service was told; one that was sent PRESHUTDOWN is waited for on its own."""

    __slots__ = ("answered", "check_point", "control", "deadline", "dropped", "record", "told_at")

    def __init__(self, record: ServiceRecord, control: Control, told_at: int) -> None:
        self.record = record
        self.control = control
        self.told_at = told_at
        self.answered = False
        """Its Handler has; a hosted program has none."""
        self.dropped = False
        """The service did not take it when its turn came: it was pausing."""
        self.check_point = 0
        self.deadline: Deadline | None = None
        """Until when it is waited for; None: not, or not any more."""


class ShutdownRun:
    """How far the shutdown is."""

    __slots__ = ("deadline", "ended", "has_killed", "notices", "order", "phase", "queue", "told")

    def __init__(self, ended: ServiceRecord | None) -> None:
        self.ended = ended
        """The essential service whose end is the reason, if one's is."""
        self.phase = Phase.PRESHUTDOWN
        self.queue: deque[list[ServiceRecord]] = deque()
        """Who gets PRESHUTDOWN next, list after list."""
        self.order = ShutdownOrder(())
        self.notices: dict[ServiceId, Notice] = {}
        """Of those whose PRESHUTDOWN is waited for."""
        self.told: deque[ServiceRecord] = deque()
        """Everyone who was sent anything, up to who is seen to have stopped."""
        self.has_killed = False
        """Those who were not told, when all who were had stopped."""
        self.deadline: Deadline | None = None
        """The end of the budget."""

    @property
    def killing(self) -> bool:
        return self.phase in (Phase.KILLING, Phase.COMPLETED)


class NoticeMemory(Struct, frozen=True):
    """A `Notice`, for a new manager."""

    control: int
    told_at: int
    answered: bool
    check_point: int
    due: int | None


class ShutdownOrder(Struct, frozen=True):
    """Who gets PRESHUTDOWN, list after list, by record numbers: written once by each manager."""

    lists: tuple[tuple[int, ...], ...]


class ShutdownMemory(Struct, frozen=True):
    """The shutdown has begun, and is so far; who was told what is the services' memory."""

    phase: str
    due: int | None
    """The end of the budget."""
    ended: int = 0
    """The essential service whose end is the reason."""
    left: int = 0
    """So many of the lists of the `ShutdownOrder`, the last ones, are still to come."""
    queue: tuple[tuple[int, ...], ...] = ()
    """Who gets PRESHUTDOWN next, in the journal of a manager that wrote no `ShutdownOrder`."""


def begin(state: State, ended: ServiceRecord | None = None) -> None:
    """Begin to shut down; a second time, nothing happens. `ended`: the service it is for."""
    if state.shutdown is not None:
        return
    run = state.shutdown = ShutdownRun(ended)
    auto_start.cancel(state)
    records = list(state.records.values())
    for record in records:
        if record.attempt is not None:
            _break_off(state, record.attempt)
    first = [r for r in records if _takes(state, r, Control.PRESHUTDOWN)]
    places = {name_key(name): i for i, name in enumerate(state.settings.preshutdown_order)}
    ordered = sorted((r for r in first if r.key in places), key=lambda r: places[r.key])
    run.queue.extend([record] for record in ordered)
    run.queue.append([record for record in first if record.key not in places])
    run.order = _order(run)


def _order(run: ShutdownRun) -> ShutdownOrder:
    return ShutdownOrder(tuple(tuple(record.id for record in records) for records in run.queue))


def _break_off(state: State, attempt: StartAttempt) -> None:
    """End an attempt, unless its ServiceMain may be running already: that is owed an answer."""
    record, error = attempt.record, Error.SHUTDOWN_IN_PROGRESS
    status.asked(state, record, ACTOR)
    if attempt.phase is AttemptPhase.WAITING:
        attempts.fail(state, attempt, error, CAUSE)
    elif record.run is not None:
        hosting.abort(state, record, error, CAUSE)
    elif record.launch is not None:
        launch = record.launch
        queued = any(isinstance(r, StartRequest) and r.attempt is attempt for r in launch.queue)
        if queued:
            requests.fail_queued(state, launch, attempt, error, CAUSE)


def _takes(state: State, record: ServiceRecord, control: int) -> bool:
    """Whether its process could be sent this control now; a hosted program takes none."""
    launch = record.launch
    if record.run is not None or launch is None or not launches.is_live(launch):
        return False
    return not refusal(state, record, control)


def look(state: State) -> None:
    """See whether the shutdown can take its next step; called after everything else."""
    run = state.shutdown
    if run is None or run.phase is Phase.COMPLETED:
        return
    if run.phase is Phase.PRESHUTDOWN:
        _look_at_notices(state, run)
    if not run.killing:
        _tell_late(state, run)
    if run.phase is Phase.SHUTDOWN and not run.has_killed and _all_told_have_stopped(run):
        run.has_killed = True
        _kill_untold(state)
    left = state.launches or state.strays or state.saves
    if run.phase is not Phase.PRESHUTDOWN and not left:
        _complete(state, run)


def _all_told_have_stopped(run: ShutdownRun) -> bool:
    # Nobody starts any more, so that each is seen to have stopped once.
    while run.told and run.told[0].is_stopped:
        run.told.popleft()
    return not run.told


# PRESHUTDOWN ----------------------------------------------------------------------------------


def _look_at_notices(state: State, run: ShutdownRun) -> None:
    for id in list(state.touched):
        notice = run.notices.get(id)
        if notice is None:
            continue
        if notice.record.is_stopped:
            _settle(state, run, notice)
        else:
            _look_for_progress(state, notice)
    while run.queue and not run.notices:
        for record in run.queue.popleft():
            # It may have stopped, or stopped to accept it, while others had their turn.
            if _takes(state, record, Control.PRESHUTDOWN):
                _give_notice(state, run, record)
    if not run.queue and not run.notices:
        _tell_everyone(state, run)


def _give_notice(state: State, run: ShutdownRun, record: ServiceRecord) -> None:
    notice = run.notices[record.id] = _note(state, run, record, Control.PRESHUTDOWN)
    notice.deadline = state.after(
        record.config.preshutdown_timeout, lambda: _missed(state, run, notice), "a preshutdown"
    )
    requests.send_control(state, record, Control.PRESHUTDOWN, None)


def _look_for_progress(state: State, notice: Notice) -> None:
    """A risen check point in STOP_PENDING: the limit begins anew, with the hint if longer."""
    current = notice.record.status
    if current.state != ServiceState.STOP_PENDING or current.check_point <= notice.check_point:
        return
    notice.check_point = current.check_point
    state.touched[notice.record.id] = notice.record
    assert notice.deadline is not None
    assert notice.deadline.at is not None
    limit = notice.record.config.preshutdown_timeout
    longer = state.now + max(limit, min(current.wait_hint, LONGEST_WAIT_HINT))
    latest = notice.told_at + max(limit, LONGEST_EXTENSION)
    state.deadlines.arm(notice.deadline, max(notice.deadline.at, min(longer, latest)))


def _missed(state: State, run: ShutdownRun, notice: Notice) -> None:
    _log_late(state, notice.record, "preshutdown")
    _settle(state, run, notice)


def _settle(state: State, run: ShutdownRun, notice: Notice) -> None:
    if notice.deadline is not None:
        notice.deadline.cancel()
        notice.deadline = None
    state.touched[notice.record.id] = notice.record
    del run.notices[notice.record.id]


def _log_late(state: State, record: ServiceRecord, control: str) -> None:
    state.log(EventId.SHUTDOWN_LATE, record, record.config.display_name, control)


# SHUTDOWN -------------------------------------------------------------------------------------


def _tell_everyone(state: State, run: ShutdownRun) -> None:
    run.phase = Phase.SHUTDOWN
    run.deadline = state.after(
        state.settings.kill_timeout, lambda: _spent(state, run), "the shutdown's budget"
    )
    for record in list(state.records.values()):
        if record.notice is None:
            _tell(state, run, record)


def _note(state: State, run: ShutdownRun, record: ServiceRecord, control: Control) -> Notice:
    record.notice = Notice(record, control, state.now)
    run.told.append(record)
    status.asked(state, record, ACTOR)
    return record.notice


def _tell(state: State, run: ShutdownRun, record: ServiceRecord) -> None:
    if record.run is not None:
        _note(state, run, record, Control.SHUTDOWN)
        hosting.stop(state, record)
        return
    # PRESHUTDOWN for one that came up too late for its turn and accepts nothing else.
    for control in (Control.SHUTDOWN, Control.PRESHUTDOWN):
        if _takes(state, record, control):
            _note(state, run, record, control)
            requests.send_control(state, record, control, None)
            return


def _tell_late(state: State, run: ShutdownRun) -> None:
    """Tell those that take it only now."""
    for record in list(state.touched.values()):
        notice = record.notice
        if notice is None:
            if run.phase is Phase.SHUTDOWN and record.run is None:
                _tell(state, run, record)
        elif notice.dropped and _takes(state, record, notice.control):
            notice.dropped = False
            requests.send_control(state, record, notice.control, None)


def _kill_untold(state: State) -> None:
    """Those who have stopped may still clean up, and hooks may end; the others are killed."""
    for launch in list(state.launches.values()):
        if launch.kind is LaunchKind.PROTOCOL and launches.is_live(launch):
            _kill(state, launch)


def _kill(state: State, launch: Launch) -> None:
    requests.fail_starts(state, launch, Error.SHUTDOWN_IN_PROGRESS, CAUSE)
    launches.kill(state, launch, CAUSE)


def _spent(state: State, run: ShutdownRun) -> None:
    run.deadline = None
    if run.killing:
        _complete(state, run)
        return
    run.phase = Phase.KILLING
    for record in run.told:
        if not record.is_stopped:
            _log_late(state, record, "shutdown")
    for launch in list(state.launches.values()):
        if launch.phase is not LaunchPhase.KILLED:
            _kill(state, launch)
    run.deadline = state.after(
        state.settings.kill_timeout, lambda: _spent(state, run), "the last processes to exit"
    )


def _complete(state: State, run: ShutdownRun) -> None:
    if run.phase is not Phase.COMPLETED:
        run.phase = Phase.COMPLETED
        if run.deadline is not None:
            run.deadline.cancel()
        state.emit(ShutdownCompleted(essential.exit_status(state, run.ended)))


# For a new manager ----------------------------------------------------------------------------


def memory(run: ShutdownRun) -> ShutdownMemory:
    return ShutdownMemory(
        run.phase.name,
        None if run.deadline is None else run.deadline.at,
        0 if run.ended is None else run.ended.id,
        len(run.queue),
    )


def memory_key(state: State) -> tuple[Phase, int, int | None] | None:
    """Another one whenever the memory is another one."""
    run = state.shutdown
    if run is None:
        return None
    return run.phase, len(run.queue), None if run.deadline is None else run.deadline.at


def notice_memory(record: ServiceRecord) -> NoticeMemory | None:
    notice = record.notice
    if notice is None:
        return None
    due = None if notice.deadline is None else notice.deadline.at
    control = int(notice.control)
    return NoticeMemory(control, notice.told_at, notice.answered, notice.check_point, due)


def restore(state: State, remembered: ShutdownMemory, order: ShutdownOrder) -> None:
    """It shuts down; this comes before anything else is gone on with, `resume` after it."""
    records = state.records
    to_come = remembered.queue or order.lists[len(order.lists) - remembered.left :]
    run = state.shutdown = ShutdownRun(records.get(ServiceId(remembered.ended)))
    run.phase = Phase[remembered.phase]
    for ids in to_come:
        known = [records[ServiceId(id)] for id in ids if ServiceId(id) in records]
        run.queue.append(known)
    run.order = _order(run)
    if run.phase is Phase.PRESHUTDOWN:
        return
    left = 0 if remembered.due is None else max(0, remembered.due - state.now)
    if run.phase is Phase.COMPLETED:
        # Whether the keeper has heard of it is not known.
        run.phase = Phase.KILLING
    run.deadline = state.after(left, lambda: _spent(state, run), "the shutdown's budget")


def restore_notice(
    state: State, run: ShutdownRun, record: ServiceRecord, remembered: NoticeMemory
) -> None:
    notice = record.notice = Notice(record, Control(remembered.control), remembered.told_at)
    notice.answered, notice.check_point = remembered.answered, remembered.check_point
    run.told.append(record)
    if remembered.due is not None:
        run.notices[record.id] = notice
        left = max(0, remembered.due - state.now)
        notice.deadline = state.after(left, lambda: _missed(state, run, notice), "a preshutdown")


def resume(state: State) -> None:
    """Tell those again who may not have heard it; processes and runs are known by now.

    Who does not take it, because it says that it stops, is not told.
    """
    run = state.shutdown
    if run is None or run.killing:
        return
    for record in run.told:
        notice = record.notice
        assert notice is not None
        notice.dropped = not notice.answered
    _tell_late(state, run)
