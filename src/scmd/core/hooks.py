"""Hooks: commands run before and after a hosted program, each a launch of its own.

Each has a deadline. Only the one before the start can fail anything; who waits for one
gives `run` what to do with its outcome.
"""

from __future__ import annotations

from collections.abc import Callable

from scmd.core import launches
from scmd.core.messages.effects import LaunchSpec
from scmd.core.messages.events import ProcessExited
from scmd.core.records import Launch, LaunchKind, LaunchPhase, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error

HOOK_TIME = 30_000
"""Milliseconds a hook may take before it is killed."""


def run(
    state: State, record: ServiceRecord, spec: LaunchSpec, done: Callable[[int, int], None]
) -> Launch:
    """Launch a hook; `done` gets 0, the error it could not be run with, 1053 or 1066."""
    launch = launches.begin(state, LaunchKind.HOOK, spec, record)
    launch.done = done
    launch.deadline = state.after(HOOK_TIME, lambda: _late(state, launch), "a hook to end")
    return launch


def _late(state: State, launch: Launch) -> None:
    launches.kill(state, launch, f"the hook took more than {HOOK_TIME} ms")
    _done(launch, Error.SERVICE_REQUEST_TIMEOUT)


def failed(state: State, launch: Launch, error: Error) -> None:
    launches.drop(state, launch)
    _done(launch, error)


def exited(state: State, launch: Launch, event: ProcessExited) -> None:
    launches.forget(state, launch)
    if event.exit_code:
        _done(launch, Error.SERVICE_SPECIFIC_ERROR, event.exit_code)
    else:
        _done(launch, Error.PROCESS_ABORTED if event.signal is not None else Error.SUCCESS)


def _done(launch: Launch, error: int, specific: int = 0) -> None:
    done, launch.done = launch.done, None
    if done is not None:
        done(error, specific)


def nothing(error: int, specific: int) -> None:
    """What follows a hook that nothing waits for."""


def resume(state: State, launch: Launch, done: Callable[[int, int], None]) -> None:
    """A hook that an earlier manager has begun: its time begins anew, unless it is being killed."""
    launch.done = done
    if launch.phase is LaunchPhase.KILLED:
        return
    launch.deadline = state.after(HOOK_TIME, lambda: _late(state, launch), "a hook to end")
