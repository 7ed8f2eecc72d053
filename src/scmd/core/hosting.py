"""Hosted programs: any unmodified program as a service, with the SCM as its ServiceMain.

The program is RUNNING once it has been executed, has lived through its settle time, or is
ready: it said so, its log did, or a probe found it so. One that is not ready in time is
killed, and so is a running one that is not well or whose watchdog is silent: that is a
failure. It accepts STOP and SHUTDOWN: the stop hook runs, then the stop signal is sent, and at the
limit the whole tree is killed. It is STOPPED when the process has exited, never before.
An exit that was asked for is exit code 0. One that was not: code 0 is 0, code N is 1066
with N, a signal is 1067; any exit before RUNNING is a failure. The stages are `hosted_runs`',
what the program says of itself is `announcements`', a new manager's view `hosted_adoption`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from scmd.core import (
    attempts,
    crashes,
    hooks,
    instances,
    launches,
    mains,
    one_shots,
    srvany,
    status,
)
from scmd.core.health import Way
from scmd.core.hooks import HOOK_TIME
from scmd.core.hosted_runs import (
    BEFORE_RUNNING,
    HostedRun,
    Stage,
    arm,
    current,
    disarm,
    show,
)
from scmd.core.messages.effects import SignalProcess
from scmd.core.messages.events import LineSeen, ProbeAnswered, ProcessExited
from scmd.core.parameter_readers import SIGNALS
from scmd.core.records import (
    AttemptPhase,
    Launch,
    LaunchKind,
    LaunchPhase,
    ServiceRecord,
    StartAttempt,
)
from scmd.core.state import State
from scmd.core.watches import listening
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ServiceState

SIGKILL = SIGNALS["KILL"]
_STOPPABLE = (
    *(Stage.FORKING, Stage.WORKING, Stage.SETTLING, Stage.READYING),
    *(Stage.RUNNING, Stage.DONE),
)


def start(state: State, attempt: StartAttempt) -> None:
    """Begin a run; raises Refused when the Parameters do not make one."""
    record = attempt.record
    parameters = instances.parameters_of(state, record)
    plan = srvany.plan(record.id, record.config, parameters)
    is_template = instances.count_of(record.parameters) > 0
    if is_template and not any(instances.members(state, record)):
        raise Refused(Error.SERVICE_DEPENDENCY_DELETED, "none of its instances exists")
    if is_template and instances.needs_itself(state, record):
        raise Refused(Error.CIRCULAR_DEPENDENCY, "one of its instances depends on it")
    run = HostedRun(record, attempt, plan)
    attempt.phase = AttemptPhase.LAUNCHING
    record.run = run
    if is_template:
        instances.gather(state, run)
        run.attempt = None
        attempts.succeed(state, attempt)
        return
    if plan.start_pre is None:
        _launch(state, run)
        return
    run.stage = Stage.PRE_HOOK
    status.starting(state, record, HOOK_TIME, "its hook before the start runs")
    run.hook = hooks.run(state, record, plan.start_pre, outcome(state, run))


def _pre_hook_outcome(state: State, run: HostedRun) -> Callable[[int, int], None]:
    def done(error: int, specific: int) -> None:
        if run.attempt is None or not attempts.is_alive(run.attempt):
            return
        hook, run.hook = run.hook, None
        if error:
            cause = "its hook before the start failed"
            attempts.fail(state, run.attempt, error, cause, specific=specific, launch=hook)
        elif run.refused is not None:
            cause = run.refused.detail or run.refused.error.text
            attempts.fail(state, run.attempt, run.refused.error, cause)
        else:
            _launch(state, run)

    return done


def _launch(state: State, run: HostedRun) -> None:
    record = run.record
    run.stage = Stage.LAUNCHING
    spec = listening(run.watch.plan, run.plan.spec, state.settings.notify_socket)
    run.launch = launches.begin(state, LaunchKind.PROGRAM, spec, record)
    record.launch = run.launch
    record.log_of = None
    hint = state.settings.pipe_timeout
    status.starting(state, record, hint, "its program is being started")
    arm(state, run, hint, not_started, "a program to start")


def not_started(state: State, run: HostedRun) -> None:
    assert run.launch is not None
    cause = "its program was not started in time"
    launches.kill(state, run.launch, cause)
    _fail(state, run, Error.SERVICE_REQUEST_TIMEOUT, cause)


def _fail(state: State, run: HostedRun, error: int, cause: str) -> None:
    assert run.attempt is not None
    attempts.fail(state, run.attempt, error, cause)


def started(state: State, launch: Launch, process_id: int) -> None:
    """The program has been executed."""
    launch.process_id = process_id
    run = current(launch)
    if run is None or run.stage is not Stage.LAUNCHING:
        return
    launch.phase = LaunchPhase.READY
    disarm(state, run)
    if run.plan.pid_file:
        run.stage = Stage.FORKING
        limit = run.watch.plan.ready_time
        show(state, run, ServiceState.START_PENDING, limit, "goes into the background")
        mains.await_pid_file(state, run, limit)
    else:
        executed(state, run)
    attempt, run.attempt = run.attempt, None
    assert attempt is not None
    attempts.succeed(state, attempt)


def executed(state: State, run: HostedRun) -> None:
    """Its main process is there: wait until it is ready, or has settled."""
    disarm(state, run)
    if run.plan.one_shot:
        one_shots.begin(state, run, give_up)
        return
    settle = run.plan.settle_time
    if run.watch.plan.ready is not None:
        run.stage = Stage.READYING
        limit = run.watch.plan.ready_time
        show(state, run, ServiceState.START_PENDING, limit, "waits until it is ready")
        await_readiness(state, run, limit)
    elif settle:
        run.stage = Stage.SETTLING
        show(state, run, ServiceState.START_PENDING, settle, "its program settles")
        arm(state, run, settle, running, "a program to settle")
    else:
        running(state, run)


def running(state: State, run: HostedRun) -> None:
    run.stage = Stage.RUNNING
    show(state, run, ServiceState.RUNNING, 0, "its program runs")
    watch(state, run)
    if run.plan.start_post is not None:
        hooks.run(state, run.record, run.plan.start_post, hooks.nothing)


# Readiness and health -------------------------------------------------------------------------


def await_readiness(state: State, run: HostedRun, limit: int) -> None:
    assert run.launch is not None
    arm(state, run, limit, not_ready, "a program to be ready")
    run.watch.begin_readiness(
        state, run.launch, lambda problem: None if problem else becomes_ready(state, run)
    )


def becomes_ready(state: State, run: HostedRun) -> None:
    if run.stage is Stage.READYING:
        disarm(state, run)
        running(state, run)


def not_ready(state: State, run: HostedRun) -> None:
    problem = run.watch.problem
    give_up(state, run, "it was not ready in time" + (f": {problem}" if problem else ""))


def watch(state: State, run: HostedRun) -> None:
    assert run.launch is not None
    run.watch.begin_health(state, run.launch, lambda why: give_up(state, run, why))


def give_up(state: State, run: HostedRun, cause: str) -> None:
    """Kill the program; its exit is the failure."""
    assert run.launch is not None
    disarm(state, run)
    launches.kill(state, run.launch, cause)


def probed(state: State, event: ProbeAnswered) -> None:
    launch = state.launches.get(event.launch)
    run = None if launch is None else current(launch)
    if run is not None and run.watch.prober is not None:
        run.watch.prober.answer(state, event.number, event.problem)


def line_seen(state: State, event: LineSeen) -> None:
    launch = state.launches.get(event.launch)
    run = None if launch is None else current(launch)
    if launch is None or run is None or launch.phase is not LaunchPhase.READY:
        return
    ready = run.watch.plan.ready
    if ready is not None and ready.way is Way.LOG:
        becomes_ready(state, run)


# Stopping -------------------------------------------------------------------------------------


def stop(state: State, record: ServiceRecord) -> None:
    """Ask the program to stop: STOP_PENDING at once, STOPPED when it has exited."""
    run = record.run
    assert run is not None
    if run.stage in (Stage.GATHERING, Stage.GATHERED):
        instances.scatter(state, run)
        return
    if run.stage not in _STOPPABLE:
        return
    record.stop_asked = True
    disarm(state, run)
    hook = run.plan.stop_pre
    hint = run.plan.stop_time + (HOOK_TIME if hook is not None else 0)
    show(state, run, ServiceState.STOP_PENDING, hint, "asked to stop")
    if hook is None:
        _signal(state, run)
        return
    run.stage = Stage.STOP_HOOK
    run.hook = hooks.run(state, record, hook, outcome(state, run))


def outcome(state: State, run: HostedRun) -> Callable[[int, int], None]:
    """What to do when the hook that the run waits for has ended."""
    if run.stage is Stage.PRE_HOOK:
        return _pre_hook_outcome(state, run)
    return lambda *_: _stop_hook_done(state, run)


def _stop_hook_done(state: State, run: HostedRun) -> None:
    if run.stage is Stage.STOP_HOOK and run.record.run is run:
        run.hook = None
        _signal(state, run)


def _signal(state: State, run: HostedRun) -> None:
    run.stage = Stage.STOPPING
    if run.launch is None:
        one_shots.end(state, run, "asked to stop, after its work was done")
        return
    if run.launch.exit is not None:
        # The first process of a daemon has gone and the other is not known: nobody to ask.
        launches.kill(state, run.launch, "asked to stop before its process was known")
        return
    state.emit(SignalProcess(run.launch.id, run.plan.stop_signal))
    arm(state, run, run.plan.stop_time, stop_limit, "a program to stop")


def stop_limit(state: State, run: HostedRun) -> None:
    launch = run.launch
    assert launch is not None
    cause = f"it did not stop in {run.plan.stop_time} ms"
    if run.plan.kill_tree:
        launches.kill(state, launch, cause)
        return
    launch.cause = cause
    state.emit(SignalProcess(launch.id, SIGKILL))
    arm(state, run, state.settings.pipe_timeout, stop_limit, "a killed program to exit")


def abort(state: State, record: ServiceRecord, error: Error, cause: str) -> None:
    """Break off a run that is not up yet: its attempt fails, what runs of it is killed."""
    run = record.run
    assert run is not None
    for launch in (run.hook, run.launch):
        if launch is not None and launch.phase is not LaunchPhase.KILLED:
            launches.kill(state, launch, cause)
    disarm(state, run)
    if run.attempt is not None:
        _fail(state, run, error, cause)


def kill(state: State, record: ServiceRecord, cause: str) -> None:
    """Kill all that runs of it now; a start that was under way fails."""
    run = record.run
    assert run is not None
    if run.attempt is not None:
        abort(state, record, Error.REQUEST_ABORTED, cause)
        return
    if run.is_template:
        instances.scatter(state, run, cause)
        return
    disarm(state, run)
    if run.hook is not None and run.hook.phase is not LaunchPhase.KILLED:
        launches.kill(state, run.hook, cause)
    run.stage = Stage.STOPPING
    if run.launch is None:
        one_shots.end(state, run, cause)
        return
    launches.kill(state, run.launch, cause)


# Exits ----------------------------------------------------------------------------------------


def launch_failed(state: State, launch: Launch, error: Error, detail: str) -> None:
    run = current(launch)
    launches.drop(state, launch)
    if run is not None and run.attempt is not None:
        disarm(state, run)
        cause = "its program could not be run" + (f": {detail}" if detail else "")
        _fail(state, run, error, cause)


def exited(state: State, launch: Launch, event: ProcessExited) -> None:
    """The program is gone: the service is STOPPED, whatever is left of the tree may go."""
    run = current(launch)
    if run is not None and mains.goes_on(state, run, event):
        return
    launches.forget(state, launch, keep_tree=run is not None and not run.plan.kill_tree)
    if run is None:
        return
    disarm(state, run)
    if one_shots.is_done(run, event):
        one_shots.done(state, run)
        return
    record, settling = run.record, run.stage in BEFORE_RUNNING
    cause = f"its program {launches.describe_exit(event)}"
    if launch.cause:
        cause += f", after: {launch.cause}"
    if run.watch.errno:
        cause += f", errno {run.watch.errno}"
    if run.attempt is not None:
        _fail(state, run, Error.SERVICE_REQUEST_TIMEOUT, cause)
        return
    record.run = record.launch = None
    if run.stage in (Stage.STOP_HOOK, Stage.STOPPING):
        status.stopped(state, record, Error.SUCCESS, cause)
    else:
        _unasked(state, record, event, cause, settling=settling)
        crashes.failed(state, record, launch, cause)
    if run.plan.exit_post is not None and not launches.is_killing(state):
        hooks.run(state, record, run.plan.exit_post, hooks.nothing)


def _unasked(
    state: State, record: ServiceRecord, event: ProcessExited, cause: str, *, settling: bool
) -> None:
    """[scmd] exit 0 is 0, exit N is 1066 with N, a signal is 1067."""
    if event.exit_code:
        specific = event.exit_code
        status.stopped(state, record, Error.SERVICE_SPECIFIC_ERROR, cause, specific)
        status.ended(state, record)
    elif event.exit_code == 0 and not settling:
        status.stopped(state, record, Error.SUCCESS, cause)
    else:
        status.died(state, record, cause)
