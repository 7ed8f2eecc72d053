"""What must hold of readiness and health, judged from what was said and asked.

A service whose program is waited for is RUNNING only when the program has said that it is
ready, or an answer has. Nobody who keeps its watchdog quiet is killed for silence, and nobody
is waited for without a limit.
"""

from __future__ import annotations

from scmd.core import health
from scmd.core.hosted_runs import HostedRun, Stage
from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.effects import (
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    StatusChanged,
)
from scmd.core.messages.events import LineSeen, ProbeAnswered, ProcessExited
from scmd.core.notifications import ProcessNotified
from scmd.core.records import LaunchPhase, ServiceRecord
from scmd.testing.runs import Hears
from scmd.vocabulary.service import ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.launch_checker import LaunchChecker
    from scmd.testing.simulation import World

LIMITED = (Stage.FORKING, Stage.READYING, Stage.LEAVING, Stage.STOPPING)
"""The stages in which a program is waited for."""


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

    def hears(self) -> Hears:
        return {
            ProcessNotified: self._notified,
            ProbeAnswered: self._probed,
            LineSeen: lambda seen: self._found_ready(seen.launch),
            ProcessExited: self._exited,
            LaunchProcess: self._launched,
            ForgetLaunch: self._forgotten,
            StatusChanged: self._changed,
            KillProcess: self._killed,
        }

    def _notified(self, message: ProcessNotified) -> None:
        if message.ready:
            self._found_ready(message.launch)

    def _probed(self, answer: ProbeAnswered) -> None:
        if not answer.problem:
            self._found_ready(answer.launch)

    def _exited(self, exit: ProcessExited) -> None:
        if exit.exit_code == 0 and exit.launch in self._probes:
            for program, service in list(self.awaited.items()):
                if service == self._probes[exit.launch]:
                    self._found_ready(program)

    def _found_ready(self, launch: LaunchId) -> None:
        if self.awaited.pop(launch, None) is not None:
            self.seen += 1

    def _forgotten(self, effect: ForgetLaunch) -> None:
        self.awaited.pop(effect.launch, None)
        self._probes.pop(effect.launch, None)

    def _changed(self, change: StatusChanged) -> None:
        if change.status.state == ServiceState.RUNNING:
            awaited = [id for id, owner in self.awaited.items() if owner == change.service]
            late = [id for id in awaited if self._is_left_alone(id)]
            assert not late, f"{change.name} is RUNNING, {late} is not ready"

    def _killed(self, effect: KillProcess) -> None:
        known = self.world.scm.state.launches.get(effect.launch)
        silent = known is not None and "silent" in known.cause
        process = self.world.processes[effect.launch]
        if silent and not process.kill_asked:
            assert not process.beats, f"{effect.launch} was not silent"

    def _is_left_alone(self, launch: LaunchId) -> bool:
        process = self.world.processes.get(launch)
        return process is not None and process.alive and not process.kill_asked

    def _launched(self, effect: LaunchProcess) -> None:
        launch, spec = effect.launch, effect.spec
        if spec.control_channel:
            return
        if "hook-probe" in spec.argv[0]:
            self._probes[launch] = spec.service
        elif not spec.hook and self._launches.planned[launch].get(health.READY):
            self.awaited[launch] = spec.service


def check_run(record: ServiceRecord, run: HostedRun) -> None:
    """A stage of those has a limit, unless the program is killed already."""
    if run.launch is None:
        return
    limited = run.deadline is not None and run.deadline.at is not None
    killed = run.launch.phase is LaunchPhase.KILLED
    assert limited or killed, f"{record.config.name} is {run.stage.name} for ever"
