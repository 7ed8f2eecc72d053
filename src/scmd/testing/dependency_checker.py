"""The checker of dependencies: what may be started, and what may be stopped."""

from __future__ import annotations

from scmd.core.messages import ServiceId
from scmd.core.messages.effects import LaunchSpec
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, StartType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.checkers import Checkers

_UP = (4, 5, 6, 7)


class DependencyChecker:
    """Judges by the disk, and by the statuses that the checkers have seen."""

    def __init__(self, checkers: Checkers) -> None:
        self._checkers = checkers
        self._world = checkers.world
        self._hooked: set[ServiceId] = set()
        """Those whose hook before the program has been launched since they stopped."""

    def launched(self, spec: LaunchSpec) -> None:
        """A program follows the hook before it without being judged anew."""
        if "hook-pre" in spec.argv[0]:
            self._hooked.add(spec.service)
        elif "hook" not in spec.argv[0] and spec.service not in self._hooked:
            self.may_start(spec.service)

    def stopped(self, service: ServiceId) -> None:
        self._hooked.discard(service)

    def may_start(self, service: ServiceId) -> None:
        """Its process is being started."""
        stored = self._world.disk[service]
        assert not stored.deleted, f"started {stored.config.name}, which is marked for delete"
        assert stored.config.start_type != StartType.DISABLED, "started a disabled service"
        for dependency in stored.config.dependencies:
            assert self._is_met(service, dependency), (
                f"{stored.config.name} is started while {dependency} is not up"
            )

    def _is_met(self, service: ServiceId, dependency: str) -> bool:
        if not dependency.startswith("+"):
            return any(self._is_up(id) for id in self._named(dependency))
        group = name_key(dependency[1:])
        return any(
            self._is_up(id)
            for id, stored in self._world.disk.items()
            if name_key(stored.config.load_order_group) == group and id != service
        )

    def _named(self, name: str) -> list[ServiceId]:
        key = name_key(name)
        return [id for id, s in self._world.disk.items() if name_key(s.config.name) == key]

    def _is_up(self, service: ServiceId) -> bool:
        status = self._checkers.statuses.get(service)
        return status is not None and (status.state in _UP or service in self._checkers.done)

    def may_stop(self, service: ServiceId) -> None:
        """It is asked to stop."""
        stored = self._world.disk[service]
        targets = {name_key(stored.config.name)}
        if stored.config.load_order_group:
            targets.add("+" + name_key(stored.config.load_order_group))
        for id, other in self._world.disk.items():
            status = self._checkers.statuses.get(id)
            if id == service or status is None or status.state == ServiceState.STOPPED:
                continue
            needed = {name_key(name) for name in other.config.dependencies}
            assert not needed & targets, f"stopped under {other.config.name}, which runs"
