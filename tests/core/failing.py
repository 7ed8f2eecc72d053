"""Services that fail, for tests of what follows."""

from __future__ import annotations

from typing import Any

from scmd.core.messages import HandleId, LaunchId
from scmd.core.messages.commands import (
    ChangeConfig2,
    FailureActionsChange,
)
from scmd.core.messages.effects import LogEvent
from scmd.core.messages.events import (
    ProcessExited,
    ProcessStarted,
)
from scmd.core.records import ServiceRecord
from scmd.vocabulary.configuration import FailureAction
from scmd.vocabulary.service import (
    ActionType,
    ConfigLevel,
    ServiceState,
)
from tests.core.bench import PID, Bench

NONE, RESTART = ActionType.NONE, ActionType.RESTART
REBOOT, RUN = ActionType.REBOOT, ActionType.RUN_COMMAND
Actions = tuple[tuple[ActionType, int], ...]


def protect(
    bench: Bench, service: HandleId, actions: Actions, reset: int = 600, command: str = ""
) -> None:
    pairs = tuple(FailureAction(type=type, delay=delay) for type, delay in actions)
    change = FailureActionsChange(reset, "going down", command, pairs)
    bench.result(ChangeConfig2(bench.call(), service, ConfigLevel.FAILURE_ACTIONS, change))


def flagged(bench: Bench, service: HandleId) -> None:
    bench.result(ChangeConfig2(bench.call(), service, ConfigLevel.FAILURE_ACTIONS_FLAG, True))


def hosted(bench: Bench, actions: Actions, reset: int = 600, **values: Any) -> HandleId:
    """A running program with these failure actions."""
    service = bench.create_hosted(**values)
    protect(bench, service, actions, reset, "/bin/tell --count=%1%")
    bench.start(service)
    bench.tell(ProcessStarted(bench.launched(), PID))
    return service


def record(bench: Bench, service: HandleId) -> ServiceRecord:
    found = bench.scm.state.handles[service].record
    assert found is not None
    return found


def launch_of(bench: Bench, service: HandleId) -> LaunchId:
    launch = record(bench, service).launch
    assert launch is not None
    return launch.id


def crash(bench: Bench, service: HandleId) -> None:
    bench.tell(ProcessExited(launch_of(bench, service), None, 11))


def comes_back(bench: Bench, service: HandleId) -> None:
    bench.tell(ProcessStarted(launch_of(bench, service), PID))
    assert bench.status(service).state == ServiceState.RUNNING


def logged(bench: Bench, event: int) -> tuple[str, ...]:
    [entry] = [entry for entry in bench.found(LogEvent) if entry.event_id == event]
    return entry.strings
