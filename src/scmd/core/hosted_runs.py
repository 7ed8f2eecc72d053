"""One run of a hosted program: its stages, and what every part that moves it on needs.

    PRE_HOOK -> LAUNCHING -> [FORKING] -> SETTLING -> RUNNING -> STOP_HOOK -> STOPPING -> (exit)
                                          READYING            -> LEAVING               -> (exit)
                             WORKING -> (exit) -> DONE -> STOP_HOOK -> (end)

How it gets from one to the next is `hosting`'s, and `announcements`' for what the program
says of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from scmd.core import reloads, srvany, status
from scmd.core.deadlines import Deadline
from scmd.core.records import Launch, ServiceRecord, StartAttempt
from scmd.core.reloads import Reload
from scmd.core.state import State
from scmd.core.watches import Watch
from scmd.vocabulary.errors import Refused
from scmd.vocabulary.service import ControlsAccepted, ServiceState
from scmd.vocabulary.status import ServiceStatus

ACCEPTED = int(ControlsAccepted.STOP | ControlsAccepted.SHUTDOWN)
RELOADS = int(ControlsAccepted.PARAMCHANGE)


class Stage(Enum):
    PRE_HOOK = auto()
    LAUNCHING = auto()
    FORKING = auto()
    """It puts itself into the background; see `mains`."""
    WORKING = auto()
    """A one-shot program; see `one_shots`."""
    SETTLING = auto()
    READYING = auto()
    RUNNING = auto()
    DONE = auto()
    """A one-shot program has ended, and its service stays RUNNING."""
    LEAVING = auto()
    GATHERING = auto()
    """A template starts its instances; see `instances`."""
    GATHERED = auto()
    SCATTERING = auto()
    STOP_HOOK = auto()
    STOPPING = auto()


BEFORE_RUNNING = (Stage.LAUNCHING, Stage.FORKING, Stage.WORKING, Stage.SETTLING, Stage.READYING)


class HostedRun:
    """One run of a hosted program, its hooks included."""

    __slots__ = (
        "attempt",
        "deadline",
        "hook",
        "launch",
        "look_again",
        "named",
        "plan",
        "questions",
        "record",
        "refused",
        "reload",
        "stage",
        "watch",
    )

    def __init__(
        self, record: ServiceRecord, attempt: StartAttempt | None, plan: srvany.Plan
    ) -> None:
        self.record = record
        self.attempt = attempt
        self.plan = plan
        self.stage = Stage.LAUNCHING
        self.launch: Launch | None = None
        """The program's own launch; None while the hook before it runs."""
        self.hook: Launch | None = None
        """The hook that is being waited for."""
        self.deadline: Deadline | None = None
        self.questions = 0
        """How often the keeper was asked to follow another process, and has not answered."""
        self.named = 0
        """The process that the program named last and that is asked about."""
        self.look_again: Deadline | None = None
        """When its pid file is looked at the next time."""
        self.reload: Reload | None = None
        self.refused: Refused | None = None
        """Why it cannot be launched: its Parameters have changed while no manager was there."""
        self.watch = Watch(plan.health)

    @property
    def takes_its_time(self) -> bool:
        """It is pending for as long as its program works, which is no sign of a hang."""
        return self.stage in (Stage.WORKING, Stage.GATHERING, Stage.SCATTERING)

    @property
    def is_template(self) -> bool:
        """It has instances instead of a process."""
        return self.stage in (Stage.GATHERING, Stage.GATHERED, Stage.SCATTERING)


def current(launch: Launch) -> HostedRun | None:
    """The run whose program this launch is, unless the record has let go of it."""
    run = launch.owner.run
    return run if run is not None and run.launch is launch else None


def show(
    state: State,
    run: HostedRun,
    to: ServiceState,
    wait_hint: int,
    cause: str,
    *,
    check_point: int = 0,
) -> None:
    record, launch = run.record, run.launch
    accepted = 0 if to == ServiceState.STOP_PENDING else ACCEPTED
    if to == ServiceState.RUNNING and reloads.is_possible(run):
        accepted |= RELOADS
    report = ServiceStatus(
        type=record.status.type,
        state=int(to),
        controls_accepted=accepted,
        check_point=check_point,
        wait_hint=wait_hint,
        process_id=launch.process_id if launch is not None else 0,
    )
    status.set_status(state, record, report, cause)


def arm(
    state: State, run: HostedRun, delay: int, action: Callable[[State, HostedRun], None], why: str
) -> None:
    run.deadline = state.after(delay, lambda: action(state, run), why)


def disarm(state: State, run: HostedRun) -> None:
    """Nothing is awaited of the program, and nothing of it watched."""
    reload, run.reload = run.reload, None
    if reload is not None:
        reload.abandon(state)
    if run.look_again is not None:
        run.look_again.cancel()
        run.look_again = None
    run.watch.end(state)
    cancel(run)


def cancel(run: HostedRun) -> None:
    if run.deadline is not None:
        run.deadline.cancel()
        run.deadline = None
