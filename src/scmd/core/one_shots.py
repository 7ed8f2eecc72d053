"""One-shot services: a program that is run to its end, and counts as started when it is done.

It is START_PENDING while it works, so who depends on it waits. Done means that it has exited
with 0. `AppOneShot stop`: the service is STOPPED then, and those that waited go on; whoever
starts later has it run again. `AppOneShot stay`: the service is RUNNING, without a process,
until it is stopped. Any other exit is a failure, as of every program before RUNNING. There is
no limit unless AppRunTime sets one.
"""

from __future__ import annotations

from scmd.core import hooks, launches, status
from scmd.core.hosted_runs import HostedRun, Stage, arm, show
from scmd.core.messages.events import ProcessExited
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    GiveUp = Callable[[State, HostedRun, str], None]

DONE = "its work is done"


def begin(state: State, run: HostedRun, give_up: GiveUp) -> None:
    """The program has been executed and works."""
    run.stage = Stage.WORKING
    limit = run.plan.run_time
    hint = limit or status.LONGEST_WAIT_HINT
    show(state, run, ServiceState.START_PENDING, hint, "its program works")
    if limit:
        watch(state, run, limit, give_up)


def watch(state: State, run: HostedRun, left: int, give_up: GiveUp) -> None:
    """Its time is limited."""

    def late(state: State, run: HostedRun) -> None:
        give_up(state, run, f"it was not done in {run.plan.run_time} ms")

    arm(state, run, left, late, "a program to be done")


def is_done(run: HostedRun, event: ProcessExited) -> bool:
    """Whether this exit is the end of the work, as it should be."""
    return run.stage is Stage.WORKING and event.exit_code == 0


def done(state: State, run: HostedRun) -> None:
    """The process is gone and off the books."""
    record = run.record
    record.launch = run.launch = None
    if run.plan.one_shot == "stay":
        run.stage = Stage.DONE
        show(state, run, ServiceState.RUNNING, 0, DONE)
        if run.plan.start_post is not None:
            hooks.run(state, record, run.plan.start_post, hooks.nothing)
    else:
        record.completed = True
        end(state, run, DONE)


def end(state: State, run: HostedRun, cause: str) -> None:
    """STOPPED, without an error."""
    record = run.record
    record.run = None
    status.stopped(state, record, Error.SUCCESS, cause)
    after = run.plan.exit_post
    if after is not None and not launches.is_killing(state):
        hooks.run(state, record, after, hooks.nothing)


def has_done(record: ServiceRecord) -> bool:
    """A one-shot service that has stopped because its work was done."""
    return record.completed and record.is_stopped
