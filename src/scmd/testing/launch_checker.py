"""The checker of what programs are launched with: their limits, and an instance's number.

What counts is what the Parameters say when a start begins: for an instance its template's with
the number put in, after its own. While the hook before the program runs they may change; a new
manager reads them anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from scmd.core.hosted_runs import Stage
from scmd.core.memory import Memory, ServiceMemory
from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.effects import (
    ForgetLaunch,
    LaunchProcess,
    LaunchSpec,
    StatusChanged,
)
from scmd.testing.runs import Hears
from scmd.vocabulary.names import INSTANCE_MARK
from scmd.vocabulary.service import ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

Texts = dict[str, str]
"""Parameters by their names; the world spells a name in one way."""
LIMIT = "AppLimit\\"
SHARES = ("MemoryMax", "CPUQuota", "CPUWeight", "TasksMax")
_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "%": 1}


def instances_of(world: World, name: str) -> int:
    """How many instances the service of this name has, by the disk; 0: it is no template."""
    for stored in world.disk.values():
        if stored.config.name == name:
            count = stored.parameters.get("AppInstances")
            return int(str(count.data)) if count is not None else 0
    return 0


class LaunchChecker:
    """What programs were planned with, in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.planned: dict[LaunchId, Texts] = {}
        """The Parameters of each program that has been launched."""
        self._waiting: dict[ServiceId, Texts] = {}
        """Of programs whose hook before them has been launched."""

    def hears(self) -> Hears:
        return {
            LaunchProcess: self._launched,
            StatusChanged: self._changed,
            ForgetLaunch: lambda effect: self.planned.pop(effect.launch, None),
        }

    def _changed(self, change: StatusChanged) -> None:
        if change.status.state == ServiceState.STOPPED:
            self._waiting.pop(change.service, None)

    def manager_died(self, entries: Iterable[Memory]) -> None:
        """The next one reads anew what is not launched yet."""
        self._waiting.clear()
        for entry in entries:
            if not isinstance(entry, ServiceMemory) or entry.service not in self.world.disk:
                continue
            if entry.stage == Stage.PRE_HOOK.name:
                service = ServiceId(entry.service)
                self._waiting[service] = self.present(service)

    def present(self, service: ServiceId) -> Texts:
        """What counts now, by the disk."""
        stored = self.world.disk[service]
        own = {name: str(value.data) for name, value in stored.parameters.items()}
        template, mark, number = stored.config.name.rpartition(INSTANCE_MARK)
        if not mark or not instances_of(self.world, template):
            return own
        model = next(s for s in self.world.disk.values() if s.config.name == template)
        values = {name: str(value.data) for name, value in model.parameters.items()}
        del values["AppInstances"]
        return {name: text.replace("%i", number) for name, text in (values | own).items()}

    def _launched(self, effect: LaunchProcess) -> None:
        launch, spec = effect.launch, effect.spec
        if spec.control_channel:
            own = self.world.disk[spec.service].parameters
            self._check_limits(spec, {name: str(value.data) for name, value in own.items()})
        elif "hook-pre" in spec.argv[0]:
            self._waiting[spec.service] = self.present(spec.service)
        elif not spec.hook:
            values = self._waiting.pop(spec.service, None) or self.present(spec.service)
            self.planned[launch] = values
            self._check_limits(spec, values)
            words = (values.get("Application", ""), *values.get("AppParameters", "").split())
            assert spec.argv == words, f"{spec.name} is launched as {spec.argv}, not {words}"

    def _check_limits(self, spec: LaunchSpec, values: Texts) -> None:
        wanted = {
            name.removeprefix(LIMIT): _number(text)
            for name, text in values.items()
            if name.startswith(LIMIT)
        }
        found = dict(spec.limits) | dict(spec.shares)
        assert found == wanted, f"{spec.name} is launched with limits {found}, not {wanted}"
        misplaced = [name for name, _ in spec.limits if name in SHARES]
        assert not misplaced, f"{misplaced} are no limits of one process"


def _number(text: str) -> int:
    factor = _SUFFIXES.get(text[-1])
    return int(text) if factor is None else int(text[:-1]) * factor
