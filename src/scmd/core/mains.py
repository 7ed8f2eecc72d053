"""The main process of a hosted program, when it is not the one that was launched.

A daemon that puts itself into the background leaves its first process behind: with AppPidFile
the service is START_PENDING until that file names a living process of the launch. Any
program that is heard may name another one by MAINPID. The keeper checks that the process is
one of the launch's and follows it; from then on its exit is the service's, signals go to it,
and its number is shown.

    launched -> FORKING: looks at the file now and then, and as soon as the first process has
                exited with 0 -> found: the start goes on -> ... | not in time: killed
    MAINPID     asked of the keeper; an exit that is reported meanwhile waits for the answer
"""

from __future__ import annotations

from scmd.core import hosting, status
from scmd.core.hosted_runs import HostedRun, Stage, arm, current, show
from scmd.core.messages.effects import FollowProcess, SignalProcess
from scmd.core.messages.events import ProcessExited, ProcessFollowed
from scmd.core.records import Launch, LaunchPhase
from scmd.core.state import State
from scmd.vocabulary.service import ServiceState


def await_pid_file(state: State, run: HostedRun, limit: int) -> None:
    """Look for the process that the file names until it is found, or time is up."""
    arm(state, run, limit, _not_found, "a daemon's pid file to name its process")
    look(state, run)


def look(state: State, run: HostedRun) -> None:
    """Ask now what the file says, unless that is being asked."""
    if run.look_again is not None:
        run.look_again.cancel()
        run.look_again = None
    if run.stage is Stage.FORKING and not run.questions:
        _ask(state, run, 0, run.plan.pid_file)


def name(state: State, run: HostedRun, process_id: int) -> None:
    """MAINPID: the program says which process it is."""
    assert run.launch is not None
    if process_id != run.launch.process_id or run.questions:
        run.named = process_id
        _ask(state, run, process_id, "")


def _ask(state: State, run: HostedRun, process_id: int, pid_file: str) -> None:
    assert run.launch is not None
    run.questions += 1
    state.emit(FollowProcess(run.launch.id, process_id, pid_file))


def goes_on(state: State, run: HostedRun, event: ProcessExited) -> bool:
    """The process that was followed has exited: whether the program may go on without it."""
    assert run.launch is not None
    if run.launch.phase is LaunchPhase.KILLED:
        return False
    if run.stage is Stage.FORKING and event.exit_code == 0:
        look(state, run)
    if run.stage is Stage.FORKING:
        return event.exit_code == 0
    # The answer about another process is on its way.
    return bool(run.questions)


def followed(state: State, event: ProcessFollowed) -> None:
    """The keeper's answer."""
    launch = state.launches.get(event.launch)
    run = None if launch is None else current(launch)
    if launch is None or run is None or not run.questions:
        return
    run.questions -= 1
    if not run.questions:
        run.named = 0
    if event.problem:
        _not_followed(state, run, launch, event)
    else:
        take(state, run, launch, event.process_id)


def take(state: State, run: HostedRun, launch: Launch, process_id: int) -> None:
    """This is the main process from now on."""
    state.touched_launches[launch.id] = None
    launch.process_id, launch.exit = process_id, None
    cause = f"its main process is {process_id}"
    now = ServiceState(run.record.status.state)
    point, hint = run.record.status.check_point, run.record.status.wait_hint
    show(state, run, now, hint, cause, check_point=point)
    if launch.phase is not LaunchPhase.READY:
        return
    if run.stage is Stage.FORKING:
        hosting.executed(state, run)
    elif run.stage is Stage.STOPPING:
        # The signal has gone to the one before.
        state.emit(SignalProcess(launch.id, run.plan.stop_signal))


def _not_followed(state: State, run: HostedRun, launch: Launch, event: ProcessFollowed) -> None:
    if run.stage is Stage.FORKING:
        run.watch.problem = event.problem
        if run.look_again is None:
            interval = run.watch.plan.ready_interval
            why = "another look at a file"
            run.look_again = state.after(interval, lambda: look(state, run), why)
        return
    text = f"it named {event.process_id} as its main process: {event.problem}"
    status.note(state, run.record, status.NOT_ITS_OWN, text)
    if launch.exit is not None and not run.questions:
        hosting.exited(state, launch, launch.exit)


def _not_found(state: State, run: HostedRun) -> None:
    problem = run.watch.problem
    text = f"{run.plan.pid_file} did not name its process in time"
    hosting.give_up(state, run, text + (f": {problem}" if problem else ""))


def resume(state: State, run: HostedRun, left: int) -> None:
    """A new manager: what was asked and not answered is asked again."""
    if run.stage is Stage.FORKING:
        await_pid_file(state, run, left)
    elif run.named:
        _ask(state, run, run.named, "")
