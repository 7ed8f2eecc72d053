"""What must hold of readiness and health, judged from what was said and asked.

A service whose program is waited for is RUNNING only when the program has said that it is
ready, or an answer has. Nobody who keeps its watchdog quiet is killed for silence, and nobody
is waited for without a limit.
"""

from __future__ import annotations

from scmd.core import health
from scmd.core.hosted_runs import HostedRun, Stage
from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import (
    Effect,
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    LaunchSpec,
    StatusChanged,
)
from scmd.core.messages.events import Event, LineSeen, ProbeAnswered, ProcessExited
from scmd.core.notifications import ProcessNotified
from scmd.core.records import LaunchPhase
from scmd.vocabulary.service import ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.launch_checker import LaunchChecker
    from scmd.testing.simulation import World

_LIMITED = (Stage.FORKING, Stage.READYING, Stage.LEAVING, Stage.STOPPING)


class ReadinessChecker:
    """The checker of readiness in one world."""

    def __init__(self, world: World, launches: LaunchChecker) -> None:
        self.world = world
        self._launches = launches
        self.awaited: dict[LaunchId, ServiceId] = {}
        """Programs that have not been found ready."""
        self.seen = 0
        """How many were found so."""
        self._probes: dict[LaunchId, ServiceId] = {}

    def before_message(self, message: Command | Event) -> None:
        match message:
            case ProcessNotified(launch=launch, ready=True):
                self._found_ready(launch)
            case ProbeAnswered(launch=launch, problem="") | LineSeen(launch=launch):
                self._found_ready(launch)
            case ProcessExited(launch=launch, exit_code=0) if launch in self._probes:
                for program, service in list(self.awaited.items()):
                    if service == self._probes[launch]:
                        self._found_ready(program)

    def _found_ready(self, launch: LaunchId) -> None:
        if self.awaited.pop(launch, None) is not None:
            self.seen += 1

    def effect(self, effect: Effect) -> None:
        match effect:
            case LaunchProcess(launch=launch, spec=spec) if not spec.control_channel:
                self._launched(launch, spec)
            case ForgetLaunch(launch=launch):
                self.awaited.pop(launch, None)
                self._probes.pop(launch, None)
            case StatusChanged(service=service, status=status):
                if status.state == ServiceState.RUNNING:
                    awaited = [id for id, owner in self.awaited.items() if owner == service]
                    late = [id for id in awaited if self._is_left_alone(id)]
                    assert not late, f"{effect.name} is RUNNING, {late} is not ready"
            case KillProcess(launch=launch):
                known = self.world.scm.state.launches.get(launch)
                silent = known is not None and "silent" in known.cause
                process = self.world.processes[launch]
                if silent and not process.kill_asked:
                    assert not process.beats, f"{launch} was not silent"

    def _is_left_alone(self, launch: LaunchId) -> bool:
        process = self.world.processes.get(launch)
        return process is not None and process.alive and not process.kill_asked

    def _launched(self, launch: LaunchId, spec: LaunchSpec) -> None:
        if "hook-probe" in spec.argv[0]:
            self._probes[launch] = spec.service
        elif not spec.hook and self._launches.planned[launch].get(health.READY):
            self.awaited[launch] = spec.service

    def after_message(self) -> None:
        for record in self.world.scm.state.records.values():
            run: HostedRun | None = record.run
            if run is None or run.stage not in _LIMITED or run.launch is None:
                continue
            limited = run.deadline is not None and run.deadline.at is not None
            killed = run.launch.phase is LaunchPhase.KILLED
            assert limited or killed, f"{record.config.name} is {run.stage.name} for ever"
