"""Hosted programs that an earlier manager has left: each run goes on with its stage."""

from __future__ import annotations

from scmd.core import health, hooks, hosting, instances, mains, one_shots, srvany
from scmd.core.hosted_runs import HostedRun, Stage, arm, show
from scmd.core.messages.effects import SignalProcess
from scmd.core.records import Launch, LaunchPhase, ServiceRecord
from scmd.core.state import State
from scmd.core.watches import Watch
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState


def restore(record: ServiceRecord, plan: srvany.Plan, stage: Stage, hook: Launch | None) -> None:
    """The run that a manager has left, without its deadline; see `resume`.

    A program that may run is asked what its Parameters now say, unless the manager has said more.
    """
    run = record.run = HostedRun(record, record.attempt, plan)
    if stage is not Stage.PRE_HOOK:
        run.watch = Watch(health.without_watchdog(plan.health))
    run.stage = stage
    run.launch = record.launch
    run.hook = hook


def take_in(state: State, record: ServiceRecord, plan: srvany.Plan, launch: Launch) -> None:
    """A program that runs, and nothing else is known of it: RUNNING."""
    launch.phase = LaunchPhase.READY
    restore(record, plan, Stage.RUNNING, None)
    assert record.run is not None
    if plan.one_shot:
        one_shots.begin(state, record.run, hosting.give_up)
        return
    show(state, record.run, ServiceState.RUNNING, 0, "its program was found running")
    hosting.watch(state, record.run)


def resume(state: State, run: HostedRun, deadline: int | None) -> None:
    """Go on with the stage; what was asked of the program is asked again, its limit stands."""
    if run.deadline is not None:
        return
    left = 0 if deadline is None else max(0, deadline - state.now)
    launch = run.launch
    if launch is not None and launch.phase is LaunchPhase.KILLED:
        return
    mains.resume(state, run, left)
    match run.stage:
        case Stage.READYING if run.watch.plan.ready is None:
            # What the other version asked is nothing that this one knows.
            hosting.running(state, run)
        case Stage.READYING:
            hosting.await_readiness(state, run, left)
        case Stage.RUNNING:
            hosting.watch(state, run)
        case Stage.LEAVING:
            arm(state, run, left, hosting.stop_limit, "a program to stop")
        case Stage.LAUNCHING:
            arm(state, run, state.settings.pipe_timeout, hosting.not_started, "a program to start")
        case Stage.WORKING if deadline is not None:
            one_shots.watch(state, run, left, hosting.give_up)
        case Stage.SETTLING:
            arm(state, run, left, hosting.running, "a program to settle")
        case Stage.STOPPING:
            assert run.launch is not None
            state.emit(SignalProcess(run.launch.id, run.plan.stop_signal))
            arm(state, run, left, hosting.stop_limit, "a program to stop")
        case Stage.SCATTERING:
            instances.stop_members(state, run.record)
        case _:
            return


def resume_hook(state: State, launch: Launch) -> None:
    """A hook that runs: whoever waits for its outcome gets it, and its time begins anew."""
    run = launch.owner.run
    if run is not None and run.hook is launch:
        hooks.resume(state, launch, hosting.outcome(state, run))
    else:
        hooks.resume(state, launch, hooks.nothing)


def repeat_hook(state: State, record: ServiceRecord) -> None:
    """The hook that the run waits for was never begun: begin it, or go on without."""
    run = record.run
    assert run is not None
    spec = run.plan.start_pre if run.stage is Stage.PRE_HOOK else run.plan.stop_pre
    done = hosting.outcome(state, run)
    run.hook = None
    if spec is not None:
        run.hook = hooks.run(state, record, spec, done)
    else:
        done(Error.SUCCESS, 0)
