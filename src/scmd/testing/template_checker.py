"""The checker of templates: what one says of its instances is so, by the disk and the statuses.

It has no process of its own. It is RUNNING when all its instances are up or have done their
work, it is STOPPED when none of them runs, and once it was asked to stop none of them stays
RUNNING. Neither is it pending for longer than there is something to wait for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from scmd.core import instances
from scmd.core.memory import Memory, ServiceMemory
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import LaunchProcess, SendControl, StatusChanged
from scmd.testing.launch_checker import instances_of
from scmd.testing.runs import Hears
from scmd.vocabulary.names import INSTANCE_MARK
from scmd.vocabulary.service import Control, ControlsAccepted, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.checkers import Checkers

_S = ServiceState
_UP = (_S.RUNNING, _S.CONTINUE_PENDING, _S.PAUSE_PENDING, _S.PAUSED)
_STARTS, _STOPS = "starts its instances", "stops its instances"


class Member(Struct, frozen=True):
    """An instance, as the checkers know it."""

    name: str
    state: ServiceState
    is_up: bool
    is_done: bool
    is_busy: bool
    """It is not at rest, or a start of it is waited for."""
    is_let_go: bool
    """It speaks the control protocol, and was asked to stop or accepts that not yet; or it is
    being killed; or its process has ended, which the SCM is to hear."""


class TemplateChecker:
    """Which services are templates now, and how far each is."""

    def __init__(self, checkers: Checkers) -> None:
        self.checkers = checkers
        self.world = checkers.world
        self.gathered: set[ServiceId] = set()
        """Templates that are starting, or have started, their instances."""
        self._asked: set[ServiceId] = set()
        """Who has been sent a STOP since it was started."""
        self.seen: set[str] = set()
        """Of what causes there were changes."""

    def manager_died(self, entries: Iterable[Memory]) -> None:
        stages = [stage.name for stage in instances.STAGES]
        services = [entry for entry in entries if isinstance(entry, ServiceMemory)]
        self.gathered = {ServiceId(one.service) for one in services if one.stage in stages}

    def hears(self) -> Hears:
        return {
            LaunchProcess: self._launched,
            SendControl: self._sent,
            StatusChanged: self._changed,
        }

    def _launched(self, effect: LaunchProcess) -> None:
        gathered = not effect.spec.hook and effect.spec.service in self.gathered
        assert not gathered, f"the template {effect.spec.name} has a process"

    def is_stopped_with_all(self, service: ServiceId) -> bool:
        """Whether its template stops, and so all its instances, whatever depends on them."""
        template = self.world.disk[service].config.name.rpartition(INSTANCE_MARK)[0]
        known = self.checkers.statuses
        return any(
            id in known
            and known[id].state == _S.STOP_PENDING
            and self.world.disk[id].config.name == template
            for id in self.gathered
        )

    def _sent(self, request: SendControl) -> None:
        if request.code == Control.STOP:
            self._asked.add(request.service)

    def _changed(self, change: StatusChanged) -> None:
        service = change.service
        if change.status.state == _S.START_PENDING:
            self._asked.discard(service)
        if change.cause == _STARTS:
            self.gathered.add(service)
        if service not in self.gathered:
            return
        self.seen.add(change.cause)
        members = list(self._members(service))
        if change.status.state == _S.RUNNING:
            idle = [m.name for m in members if not m.is_up and not m.is_done]
            assert not idle, f"{change.name} is RUNNING, {idle} is not"
        elif change.status.state == _S.STOPPED:
            self.gathered.discard(service)
            busy = [m.name for m in members if m.state != _S.STOPPED]
            undone = [m.name for m in members if not m.is_done]
            if change.cause == instances.ALL_DONE:
                assert not undone, f"{change.name} has done its work, {undone} has not"
            elif change.status.win32_exit_code:
                failed = not members or len(busy) < len(members)
                assert failed, f"{change.name} has failed, and all its instances run"
            else:
                assert not busy, f"{change.name} is STOPPED, {busy} is not"

    def after_message(self) -> None:
        """Looks inside: for starts and restarts of instances that are still to come."""
        for service in self.gathered:
            if service not in self.checkers.statuses:
                continue
            name = self.world.disk[service].config.name
            members = list(self._members(service))
            state = self.checkers.statuses[service].state
            if state == _S.START_PENDING:
                late = members and all(member.is_up for member in members)
                assert not late, f"all instances of {name} run, and it does not say so"
            else:
                assert any(member.is_busy for member in members), f"{name} waits for nobody"
            if state == _S.STOP_PENDING:
                left = [m.name for m in members if m.state == _S.RUNNING and not m.is_let_go]
                assert not left, f"{name} is to stop, and {left} was not asked to"

    def _members(self, service: ServiceId) -> Iterator[Member]:
        """Its instances that are there."""
        name, records = self.world.disk[service].config.name, self.world.scm.state.records
        names = {
            f"{name}{INSTANCE_MARK}{number + 1}" for number in range(instances_of(self.world, name))
        }
        for id, stored in self.world.disk.items():
            if stored.config.name not in names or stored.deleted:
                continue
            status = self.checkers.statuses.get(id)
            state = ServiceState.STOPPED if status is None else ServiceState(status.state)
            awaited = records[id].attempt is not None or records[id].is_recovering
            accepts = status is not None and status.controls_accepted & ControlsAccepted.STOP
            is_asked = not accepts or records[id].stop_asked or id in self._asked
            yield Member(
                stored.config.name,
                state,
                is_up=state in _UP,
                is_done=id in self.checkers.done,
                is_busy=state != _S.STOPPED or awaited,
                is_let_go=any(
                    (id in run.services and is_asked)
                    or (run.spec_service == id and (run.killed or run.exited))
                    for run in self.checkers.runs.values()
                ),
            )
