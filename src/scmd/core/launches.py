"""Launches of every kind: begun, ended, killed and taken off the books.

What a launch is for is `processes`' (the control protocol) and `hosting`'s (programs and
hooks). Each has a deadline while something is awaited of it; a kill is repeated until
the exit is reported.
"""

from __future__ import annotations

from scmd.core import limits
from scmd.core.event_ids import EventId
from scmd.core.messages.effects import ForgetLaunch, KillProcess, LaunchProcess, LaunchSpec
from scmd.core.messages.events import ProcessExited, ProcessStarted
from scmd.core.records import Launch, LaunchKind, LaunchPhase, ServiceRecord
from scmd.core.state import State

_LIVE = (LaunchPhase.LAUNCHING, LaunchPhase.CONNECTING, LaunchPhase.READY)


def begin(state: State, kind: LaunchKind, spec: LaunchSpec, record: ServiceRecord) -> Launch:
    """A new launch of any kind, on its way."""
    launch = Launch(state.new_launch_id(), kind, spec, record)
    state.launches[launch.id] = launch
    state.emit(LaunchProcess(launch.id, spec))
    return launch


def is_live(launch: Launch) -> bool:
    """Whether the process takes, or will take, requests."""
    return launch.phase in _LIVE and not launch.gone


def end(state: State, launch: Launch, grace: int, cause: str) -> None:
    """Nothing more is asked of the process; it is killed unless it exits within the grace."""
    if not is_live(launch):
        return
    close(state, launch)
    disarm(launch)
    state.touched_launches[launch.id] = None
    launch.phase = LaunchPhase.ENDING
    launch.cause = cause
    launch.deadline = state.after(grace, lambda: kill(state, launch, cause), "a process to exit")


def kill(state: State, launch: Launch, cause: str) -> None:
    """Kill the whole tree, and again should no exit follow."""
    close(state, launch)
    disarm(launch)
    launch.phase = LaunchPhase.KILLED
    launch.cause = cause
    state.emit(KillProcess(launch.id))
    launch.deadline = state.after(
        state.settings.pipe_timeout, lambda: kill(state, launch, cause), "a killed process to exit"
    )


def resume_end(state: State, launch: Launch, *, ended: bool) -> None:
    """A new manager goes on with ending or killing it; `ended`: its exit is on the way."""
    if launch.phase is LaunchPhase.KILLED and not ended:
        kill(state, launch, launch.cause)
        return
    launch.deadline = state.after(
        state.settings.pipe_timeout,
        lambda: kill(state, launch, launch.cause),
        "a process to exit",
    )


def drop(state: State, launch: Launch) -> None:
    """Take a launch off the books that never became a process."""
    close(state, launch)
    disarm(launch)
    del state.launches[launch.id]


def forget(state: State, launch: Launch, keep_tree: bool = False) -> None:
    """Take a launch that has exited off the books."""
    drop(state, launch)
    state.emit(ForgetLaunch(launch.id, keep_tree))


def close(state: State, launch: Launch) -> None:
    """No further service joins this process."""
    if launch.share_key is not None and state.shared.get(launch.share_key) is launch:
        del state.shared[launch.share_key]


def disarm(launch: Launch) -> None:
    """Nothing is awaited of the launch any more."""
    if launch.deadline is not None:
        launch.deadline.cancel()
        launch.deadline = None


def note_missing_limits(state: State, launch: Launch, event: ProcessStarted) -> None:
    """The process runs with less around it than its Parameters say: not to be overlooked."""
    launch.without = event.without
    if event.without:
        name = launch.owner.config.display_name
        state.log(EventId.LIMITS_MISSING, launch.owner, name, "; ".join(event.without))


def note_out_of_memory(state: State, launch: Launch, event: ProcessExited) -> None:
    """The kernel has killed of it; that the service has failed, if it has, is told besides."""
    if event.out_of_memory:
        limit = dict(launch.spec.shares).get(limits.MEMORY)
        size = "" if limit is None else f" of {limit} bytes"
        name = launch.owner.config.display_name
        state.log(EventId.OUT_OF_MEMORY, launch.owner, name, f"{limits.MEMORY}{size}")


def is_killing(state: State) -> bool:
    """Whether the machine goes down and nothing is to be begun any more."""
    return state.shutdown is not None and state.shutdown.killing


def describe_exit(event: ProcessExited) -> str:
    """How a process ended, as the rest of a sentence about it."""
    how = f"exited with code {event.exit_code}"
    if event.signal is not None:
        how = f"was killed by signal {event.signal}"
    elif event.exit_code is None:
        how = "has ended; another process was told how"
    return how + (f" out of memory, at its limit {limits.MEMORY}" if event.out_of_memory else "")
