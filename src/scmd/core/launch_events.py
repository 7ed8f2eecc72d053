"""Launches by their kind: who is to know that one has started, could not, or has exited."""

from __future__ import annotations

from typing import assert_never

from scmd.core import hooks, hosting, processes, recovery
from scmd.core.messages.events import ProcessExited
from scmd.core.records import Launch, LaunchKind
from scmd.core.state import State
from scmd.vocabulary.errors import Error


def started(state: State, launch: Launch, process_id: int) -> None:
    match launch.kind:
        case LaunchKind.PROTOCOL:
            processes.started(state, launch, process_id)
        case LaunchKind.PROGRAM:
            hosting.started(state, launch, process_id)
        case LaunchKind.HOOK | LaunchKind.COMMAND:
            launch.process_id = process_id
        case _:
            assert_never(launch.kind)


def failed(state: State, launch: Launch, error: Error, detail: str) -> None:
    match launch.kind:
        case LaunchKind.PROTOCOL:
            processes.launch_failed(state, launch, error, detail)
        case LaunchKind.PROGRAM:
            hosting.launch_failed(state, launch, error, detail)
        case LaunchKind.HOOK:
            hooks.failed(state, launch, error)
        case LaunchKind.COMMAND:
            recovery.command_not_run(state, launch, error)
        case _:
            assert_never(launch.kind)


def exited(state: State, launch: Launch, event: ProcessExited) -> None:
    match launch.kind:
        case LaunchKind.PROTOCOL:
            processes.exited(state, launch, event)
        case LaunchKind.PROGRAM:
            hosting.exited(state, launch, event)
        case LaunchKind.HOOK:
            hooks.exited(state, launch, event)
        case LaunchKind.COMMAND:
            recovery.command_exited(state, launch, event)
        case _:
            assert_never(launch.kind)
