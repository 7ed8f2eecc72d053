"""Hosted programs: any unmodified program as a service, with the SCM as its ServiceMain.

    PRE_HOOK -> LAUNCHING -> SETTLING  -> RUNNING -> STOP_HOOK -> STOPPING -> (exit)
                             READYING            -> LEAVING                -> (exit)

The program is RUNNING once it has been executed, has lived through its settle time, or is
ready: it said so, its log did, or a probe found it so. One that is not ready in time is
killed, and so is a running one that is not well or whose watchdog is silent: that is a
failure. It accepts STOP and SHUTDOWN: the stop hook runs, then the stop signal is sent, and at the
limit the whole tree is killed. It is STOPPED when the process has exited, never before.
An exit that was asked for is exit code 0. One that was not: code 0 is 0, code N is 1066
with N, a signal is 1067; any exit before RUNNING is a failure. LEAVING is a program that
says it stops by itself. Hooks are launches of
their own with a deadline; only the one before the start can fail anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

from scmd.core import attempts, crashes, launches, srvany, status
from scmd.core.deadlines import Deadline
from scmd.core.health import Way
from scmd.core.messages import LaunchSpec, LineSeen, ProbeAnswered, ProcessExited, SignalProcess
from scmd.core.notifications import ProcessNotified
from scmd.core.records import (
    AttemptPhase,
    Launch,
    LaunchKind,
    LaunchPhase,
    ServiceRecord,
    StartAttempt,
)
from scmd.core.state import State
from scmd.core.watches import Watch, listening
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ControlsAccepted, ServiceState
from scmd.vocabulary.status import ServiceStatus

HOOK_TIME = 30_000
"""Milliseconds a hook may take before it is killed."""

SIGKILL = srvany.SIGNALS["KILL"]
ACCEPTED = int(ControlsAccepted.STOP | ControlsAccepted.SHUTDOWN)


class Stage(Enum):
    PRE_HOOK = auto()
    LAUNCHING = auto()
    SETTLING = auto()
    READYING = auto()
    RUNNING = auto()
    LEAVING = auto()
    STOP_HOOK = auto()
    STOPPING = auto()


_BEFORE_RUNNING = (Stage.LAUNCHING, Stage.SETTLING, Stage.READYING)


class HostedRun:
    """One run of a hosted program, its hooks included."""

    __slots__ = ("attempt", "deadline", "hook", "launch", "plan", "record", "stage", "watch")

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
        self.watch = Watch(plan.health)


def start(state: State, attempt: StartAttempt) -> None:
    """Begin a run; raises Refused when the Parameters do not make one."""
    record = attempt.record
    plan = srvany.plan(record.id, record.config, record.parameters)
    run = HostedRun(record, attempt, plan)
    attempt.phase = AttemptPhase.LAUNCHING
    record.run = run
    if plan.start_pre is None:
        _launch(state, run)
        return
    run.stage = Stage.PRE_HOOK
    status.starting(state, record, HOOK_TIME, "its hook before the start runs")
    run.hook = _run_hook(state, record, plan.start_pre, _outcome(state, run))


def _pre_hook_outcome(state: State, run: HostedRun) -> Callable[[int, int], None]:
    def done(error: int, specific: int) -> None:
        if run.attempt is None or not attempts.is_alive(run.attempt):
            return
        hook, run.hook = run.hook, None
        if error:
            cause = "its hook before the start failed"
            attempts.fail(state, run.attempt, error, cause, specific=specific, launch=hook)
        else:
            _launch(state, run)

    return done


def _launch(state: State, run: HostedRun) -> None:
    record = run.record
    run.stage = Stage.LAUNCHING
    spec = listening(run.watch.plan, run.plan.spec, state.settings.notify_socket)
    run.launch = launches.begin(state, LaunchKind.PROGRAM, spec, record)
    record.launch = run.launch
    hint = state.settings.pipe_timeout
    status.starting(state, record, hint, "its program is being started")
    _arm(state, run, hint, _not_started, "a program to start")


def _not_started(state: State, run: HostedRun) -> None:
    assert run.launch is not None
    cause = "its program was not started in time"
    launches.kill(state, run.launch, cause)
    _fail(state, run, Error.SERVICE_REQUEST_TIMEOUT, cause)


def _fail(state: State, run: HostedRun, error: int, cause: str) -> None:
    assert run.attempt is not None
    attempts.fail(state, run.attempt, error, cause)


def _current(launch: Launch) -> HostedRun | None:
    """The run whose program this launch is, unless the record has let go of it."""
    run = launch.owner.run
    return run if run is not None and run.launch is launch else None


def started(state: State, launch: Launch, process_id: int) -> None:
    """The program has been executed."""
    launch.process_id = process_id
    run = _current(launch)
    if run is None or run.stage is not Stage.LAUNCHING:
        return
    launch.phase = LaunchPhase.READY
    _disarm(state, run)
    settle = run.plan.settle_time
    if run.watch.plan.ready is not None:
        run.stage = Stage.READYING
        limit = run.watch.plan.ready_time
        _set(state, run, ServiceState.START_PENDING, limit, "waits until it is ready")
        _await_readiness(state, run, limit)
    elif settle:
        run.stage = Stage.SETTLING
        _set(state, run, ServiceState.START_PENDING, settle, "its program settles")
        _arm(state, run, settle, _running, "a program to settle")
    else:
        _running(state, run)
    attempt, run.attempt = run.attempt, None
    assert attempt is not None
    attempts.succeed(state, attempt)


def _running(state: State, run: HostedRun) -> None:
    run.stage = Stage.RUNNING
    _set(state, run, ServiceState.RUNNING, 0, "its program runs")
    _watch(state, run)
    if run.plan.start_post is not None:
        _run_hook(state, run.record, run.plan.start_post, _nothing)


def _set(
    state: State,
    run: HostedRun,
    to: ServiceState,
    wait_hint: int,
    cause: str,
    *,
    check_point: int = 0,
) -> None:
    record, launch = run.record, run.launch
    assert launch is not None
    report = ServiceStatus(
        type=record.status.type,
        state=int(to),
        controls_accepted=0 if to == ServiceState.STOP_PENDING else ACCEPTED,
        check_point=check_point,
        wait_hint=wait_hint,
        process_id=launch.process_id,
    )
    status.set_status(state, record, report, cause)


# Readiness and health -------------------------------------------------------------------------


def _await_readiness(state: State, run: HostedRun, limit: int) -> None:
    assert run.launch is not None
    _arm(state, run, limit, _not_ready, "a program to be ready")
    run.watch.begin_readiness(
        state, run.launch, lambda problem: None if problem else _ready(state, run)
    )


def _ready(state: State, run: HostedRun) -> None:
    if run.stage is Stage.READYING:
        _disarm(state, run)
        _running(state, run)


def _not_ready(state: State, run: HostedRun) -> None:
    problem = run.watch.problem
    _give_up(state, run, "it was not ready in time" + (f": {problem}" if problem else ""))


def _watch(state: State, run: HostedRun) -> None:
    assert run.launch is not None
    run.watch.begin_health(state, run.launch, lambda why: _give_up(state, run, why))


def _give_up(state: State, run: HostedRun, cause: str) -> None:
    """Kill the program; its exit is the failure."""
    assert run.launch is not None
    _disarm(state, run)
    launches.kill(state, run.launch, cause)


def probed(state: State, event: ProbeAnswered) -> None:
    launch = state.launches.get(event.launch)
    run = None if launch is None else _current(launch)
    if run is not None and run.watch.prober is not None:
        run.watch.prober.answer(state, event.number, event.problem)


def line_seen(state: State, event: LineSeen) -> None:
    launch = state.launches.get(event.launch)
    run = None if launch is None else _current(launch)
    if launch is None or run is None or launch.phase is not LaunchPhase.READY:
        return
    ready = run.watch.plan.ready
    if ready is not None and ready.way is Way.LOG:
        _ready(state, run)


def notified(state: State, event: ProcessNotified) -> None:
    """What the program says of itself, if it is to be heard; [sd_notify(3)]."""
    launch = state.launches.get(event.launch)
    run = None if launch is None else _current(launch)
    if launch is None or run is None or launch.phase is not LaunchPhase.READY:
        return
    if not run.watch.plan.listens:
        return
    if event.text is not None:
        run.watch.text = event.text
    if event.errno is not None:
        run.watch.errno = event.errno
    match run.stage:
        case Stage.READYING | Stage.RUNNING if event.stopping:
            _leave(state, run)
        case Stage.READYING:
            _notified_before_ready(state, run, event)
        case Stage.RUNNING if event.in_trouble:
            _give_up(state, run, "it asked its watchdog to end it")
        case Stage.RUNNING if event.alive or event.watchdog is not None:
            run.watch.beat(state, lambda why: _give_up(state, run, why), event.watchdog)
        case Stage.STOPPING | Stage.LEAVING if event.extend is not None:
            _extend(state, run, event.extend, _stop_limit)


def _notified_before_ready(state: State, run: HostedRun, event: ProcessNotified) -> None:
    ready = run.watch.plan.ready
    if event.watchdog is not None:
        run.watch.period = event.watchdog
    if event.ready and ready is not None and ready.way is Way.NOTIFY:
        _ready(state, run)
    elif event.extend is not None:
        _extend(state, run, event.extend, _not_ready)
    elif event.text is not None:
        _progress(state, run, run.record.status.wait_hint)


def _extend(
    state: State, run: HostedRun, span: int, action: Callable[[State, HostedRun], None]
) -> None:
    """It needs so much time from now; its limit never comes sooner for that."""
    deadline = run.deadline
    left = 0 if deadline is None or deadline.at is None else deadline.at - state.now
    if span > left:
        _cancel(run)
        _arm(state, run, span, action, "a program that asked for more time")
    _progress(state, run, max(span, left))


def _progress(state: State, run: HostedRun, wait_hint: int) -> None:
    """A new check point, for those who wait and watch it."""
    status = run.record.status
    cause = f"it says: {run.watch.text}" if run.watch.text else "it asked for more time"
    point = status.check_point + 1
    _set(state, run, ServiceState(status.state), wait_hint, cause, check_point=point)


def _leave(state: State, run: HostedRun) -> None:
    """It stops by itself; its exit is judged as one that nobody asked for."""
    _disarm(state, run)
    run.stage = Stage.LEAVING
    limit = run.plan.stop_time
    _set(state, run, ServiceState.STOP_PENDING, limit, "it says that it stops")
    _arm(state, run, limit, _stop_limit, "a program to stop")


# Adoption -------------------------------------------------------------------------------------


def restore(record: ServiceRecord, plan: srvany.Plan, stage: Stage, hook: Launch | None) -> None:
    """The run that a manager has left, without its deadline; see `resume`."""
    run = record.run = HostedRun(record, record.attempt, plan)
    run.stage = stage
    run.launch = record.launch
    run.hook = hook


def take_in(state: State, record: ServiceRecord, plan: srvany.Plan, launch: Launch) -> None:
    """A program that runs, and nothing else is known of it: RUNNING."""
    launch.phase = LaunchPhase.READY
    restore(record, plan, Stage.RUNNING, None)
    assert record.run is not None
    # Whether it was told to keep a watchdog quiet is not known either.
    record.run.watch = Watch(replace(plan.health, watchdog=0))
    _set(state, record.run, ServiceState.RUNNING, 0, "its program was found running")
    _watch(state, record.run)


def resume(state: State, run: HostedRun, deadline: int | None) -> None:
    """Go on with the stage; what was asked of the program is asked again, its limit stands."""
    if run.deadline is not None:
        return
    left = 0 if deadline is None else max(0, deadline - state.now)
    launch = run.launch
    if launch is not None and launch.phase is LaunchPhase.KILLED:
        return
    match run.stage:
        case Stage.READYING:
            _await_readiness(state, run, left)
        case Stage.RUNNING:
            _watch(state, run)
        case Stage.LEAVING:
            _arm(state, run, left, _stop_limit, "a program to stop")
        case Stage.LAUNCHING:
            _arm(state, run, state.settings.pipe_timeout, _not_started, "a program to start")
        case Stage.SETTLING:
            _arm(state, run, left, _running, "a program to settle")
        case Stage.STOPPING:
            assert run.launch is not None
            state.emit(SignalProcess(run.launch.id, run.plan.stop_signal))
            _arm(state, run, left, _stop_limit, "a program to stop")
        case _:
            return


def resume_hook(state: State, launch: Launch) -> None:
    """A hook that runs: whoever waits for its outcome gets it, and its time begins anew."""
    run = launch.owner.run
    launch.hook = _nothing
    if run is not None and run.hook is launch:
        launch.hook = _outcome(state, run)
    launch.deadline = state.after(HOOK_TIME, lambda: _hook_late(state, launch), "a hook to end")


def repeat_hook(state: State, record: ServiceRecord) -> None:
    """The hook that the run waits for was never begun: begin it, or go on without."""
    run = record.run
    assert run is not None
    spec = run.plan.start_pre if run.stage is Stage.PRE_HOOK else run.plan.stop_pre
    done = _outcome(state, run)
    run.hook = None
    if spec is not None:
        run.hook = _run_hook(state, record, spec, done)
    else:
        done(Error.SUCCESS, 0)


def _outcome(state: State, run: HostedRun) -> Callable[[int, int], None]:
    """What to do when the hook that the run waits for has ended."""
    if run.stage is Stage.PRE_HOOK:
        return _pre_hook_outcome(state, run)
    return lambda *_: _stop_hook_done(state, run)


# Stopping -------------------------------------------------------------------------------------


def stop(state: State, record: ServiceRecord) -> None:
    """Ask the program to stop: STOP_PENDING at once, STOPPED when it has exited."""
    run = record.run
    assert run is not None
    if run.stage not in (Stage.SETTLING, Stage.READYING, Stage.RUNNING):
        return
    record.stop_asked = True
    _disarm(state, run)
    hook = run.plan.stop_pre
    hint = run.plan.stop_time + (HOOK_TIME if hook is not None else 0)
    _set(state, run, ServiceState.STOP_PENDING, hint, "asked to stop")
    if hook is None:
        _signal(state, run)
        return
    run.stage = Stage.STOP_HOOK
    run.hook = _run_hook(state, record, hook, _outcome(state, run))


def _stop_hook_done(state: State, run: HostedRun) -> None:
    if run.stage is Stage.STOP_HOOK and run.record.run is run:
        run.hook = None
        _signal(state, run)


def _signal(state: State, run: HostedRun) -> None:
    assert run.launch is not None
    run.stage = Stage.STOPPING
    state.emit(SignalProcess(run.launch.id, run.plan.stop_signal))
    _arm(state, run, run.plan.stop_time, _stop_limit, "a program to stop")


def _stop_limit(state: State, run: HostedRun) -> None:
    launch = run.launch
    assert launch is not None
    cause = f"it did not stop in {run.plan.stop_time} ms"
    if run.plan.kill_tree:
        launches.kill(state, launch, cause)
        return
    launch.cause = cause
    state.emit(SignalProcess(launch.id, SIGKILL))
    _arm(state, run, state.settings.pipe_timeout, _stop_limit, "a killed program to exit")


def abort(state: State, record: ServiceRecord, error: Error, cause: str) -> None:
    """Break off a run that is not up yet: its attempt fails, what runs of it is killed."""
    run = record.run
    assert run is not None
    for launch in (run.hook, run.launch):
        if launch is not None and launch.phase is not LaunchPhase.KILLED:
            launches.kill(state, launch, cause)
    _disarm(state, run)
    if run.attempt is not None:
        _fail(state, run, error, cause)


def kill(state: State, record: ServiceRecord, cause: str) -> None:
    """Kill all that runs of it now; a start that was under way fails."""
    run = record.run
    assert run is not None
    if run.attempt is not None:
        abort(state, record, Error.REQUEST_ABORTED, cause)
        return
    assert run.launch is not None
    _disarm(state, run)
    if run.hook is not None and run.hook.phase is not LaunchPhase.KILLED:
        launches.kill(state, run.hook, cause)
    run.stage = Stage.STOPPING
    launches.kill(state, run.launch, cause)


# Exits ----------------------------------------------------------------------------------------


def launch_failed(state: State, launch: Launch, error: Error, detail: str) -> None:
    run = _current(launch)
    launches.drop(state, launch)
    if run is not None and run.attempt is not None:
        _disarm(state, run)
        cause = "its program could not be run" + (f": {detail}" if detail else "")
        _fail(state, run, error, cause)


def exited(state: State, launch: Launch, event: ProcessExited) -> None:
    """The program is gone: the service is STOPPED, whatever is left of the tree may go."""
    run = _current(launch)
    launches.forget(state, launch, keep_tree=run is not None and not run.plan.kill_tree)
    if run is None:
        return
    _disarm(state, run)
    record, settling = run.record, run.stage in _BEFORE_RUNNING
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
    if run.plan.exit_post is not None and not _is_killing(state):
        _run_hook(state, record, run.plan.exit_post, _nothing)


def _unasked(
    state: State, record: ServiceRecord, event: ProcessExited, cause: str, *, settling: bool
) -> None:
    """[scmd] exit 0 is 0, exit N is 1066 with N, a signal is 1067."""
    if event.exit_code:
        specific = event.exit_code
        status.stopped(state, record, Error.SERVICE_SPECIFIC_ERROR, cause, specific)
        status.ended(state, record)
    elif event.signal is None and not settling:
        status.stopped(state, record, Error.SUCCESS, cause)
    else:
        status.died(state, record, cause)


def _is_killing(state: State) -> bool:
    return state.shutdown is not None and state.shutdown.killing


# Hooks ----------------------------------------------------------------------------------------


def _run_hook(
    state: State, record: ServiceRecord, spec: LaunchSpec, done: Callable[[int, int], None]
) -> Launch:
    """Launch a hook; `done` gets 0, the error it could not be run with, 1053 or 1066."""
    launch = launches.begin(state, LaunchKind.HOOK, spec, record)
    launch.hook = done
    launch.deadline = state.after(HOOK_TIME, lambda: _hook_late(state, launch), "a hook to end")
    return launch


def _hook_late(state: State, launch: Launch) -> None:
    launches.kill(state, launch, f"the hook took more than {HOOK_TIME} ms")
    _hook_done(launch, Error.SERVICE_REQUEST_TIMEOUT)


def hook_failed(state: State, launch: Launch, error: Error) -> None:
    launches.drop(state, launch)
    _hook_done(launch, error)


def hook_exited(state: State, launch: Launch, event: ProcessExited) -> None:
    launches.forget(state, launch)
    if event.exit_code:
        _hook_done(launch, Error.SERVICE_SPECIFIC_ERROR, event.exit_code)
    else:
        _hook_done(launch, Error.PROCESS_ABORTED if event.signal is not None else Error.SUCCESS)


def _hook_done(launch: Launch, error: int, specific: int = 0) -> None:
    done, launch.hook = launch.hook, None
    if done is not None:
        done(error, specific)


def _nothing(error: int, specific: int) -> None:
    """What follows a hook that nothing waits for."""


def _arm(
    state: State, run: HostedRun, delay: int, action: Callable[[State, HostedRun], None], why: str
) -> None:
    run.deadline = state.after(delay, lambda: action(state, run), why)


def _disarm(state: State, run: HostedRun) -> None:
    """Nothing is awaited of the program, and nothing of it watched."""
    run.watch.end(state)
    _cancel(run)


def _cancel(run: HostedRun) -> None:
    if run.deadline is not None:
        run.deadline.cancel()
        run.deadline = None
