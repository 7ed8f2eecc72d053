"""The checker of shutdowns: who is told what, when, and in which order.

PRESHUTDOWN goes to the services of the order one after the other, then to the others;
nobody gets it twice or gets SHUTDOWN after it; and as long as somebody who got it has
neither stopped nor missed its limit (event 7043), nobody else's turn comes. Nobody is killed
who would have stopped and was not told; the budget is kept. A shutdown that nobody asked for is
one for an essential service, whose end is never passed over.

It goes on when the manager dies: the journal says how far it was. Then alone somebody may be
told twice, who had not answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from scmd.core.event_ids import EventId
from scmd.core.memory import Memory, ServiceMemory
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import (
    LogEvent,
    RemoveRecord,
    SendControl,
    ShutdownCompleted,
    StatusChanged,
)
from scmd.core.records import ServiceRecord
from scmd.core.shutdown import LONGEST_EXTENSION, Phase
from scmd.core.state import State
from scmd.testing.runs import Hears
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import Control, ControlsAccepted, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World


class ShutdownChecker:
    """Its own books of one shutdown, from the effects."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._noticed: dict[ServiceId, int] = {}
        """Who was sent PRESHUTDOWN, and when."""
        self._open: set[ServiceId] = set()
        """Those of them that are still waited for."""
        self._told: set[ServiceId] = set()
        """Who was sent SHUTDOWN."""
        self._place = 0
        self._repeatable: set[ServiceId] = set()
        """Those who may not have heard it from a manager that has died since."""
        self._given_up: set[ServiceId] = set()
        """Whose turn has passed while their process was busy: they are told when it answers."""
        self._delivered: set[ServiceId] = set()
        """Whose process has really been told, by whatever manager."""
        self._ends_at: int | None = None
        """When the budget of SHUTDOWN is spent."""
        self._back_at = 0
        self._settings = world.settings
        """Those that counted when it began."""
        self._is_one_removed = False
        """An essential service was: it has ended when its restart would have been due."""

    def hears(self) -> Hears:
        return {
            SendControl: self._sent,
            StatusChanged: self._changed,
            ShutdownCompleted: self._completed,
            LogEvent: self._logged,
            RemoveRecord: self._removed,
        }

    def _sent(self, request: SendControl) -> None:
        service = request.service
        if request.code not in (Control.PRESHUTDOWN, Control.SHUTDOWN):
            return
        self._delivered.add(service)
        if service in self._repeatable:
            self._repeatable.discard(service)
        elif request.code == Control.PRESHUTDOWN:
            self._notice(service)
        else:
            self._tell(service)

    def _changed(self, change: StatusChanged) -> None:
        if change.status.state == ServiceState.STOPPED:
            self._open.discard(change.service)

    def _completed(self, effect: ShutdownCompleted) -> None:
        most = 255 if self._world.settings.ends_with_essential else 0
        assert 0 <= effect.exit_status <= most, f"exit status {effect.exit_status}"

    def _logged(self, event: LogEvent) -> None:
        if event.event_id != EventId.SHUTDOWN_LATE or event.service is None:
            return
        if event.strings[1] == "preshutdown":
            self._late(event.service)

    def _removed(self, effect: RemoveRecord) -> None:
        self._is_one_removed |= self._world.scm.state.records[effect.service].essential

    def after_message(self, state: State, *, asked: bool) -> None:
        """Looks inside: for ends that are the SCM's own."""
        over = self._ended(state) if self._world.settings.ends_with_essential else []
        if state.shutdown is None:
            self._settings = state.settings
            assert not over, f"{over} ended, and the SCM goes on"
        else:
            assert asked or over or self._is_one_removed, "it shuts down, and nobody knows why"
            self._keeps_its_budget(state.shutdown.phase)

    def _ended(self, state: State) -> list[str]:
        """Essential services that are over."""
        return [
            record.config.name
            for record in state.records.values()
            if record.essential
            and record.is_stopped
            and record.attempt is None
            and not record.is_recovering
            and record.status.win32_exit_code != Error.SERVICE_NEVER_STARTED
        ]

    def _keeps_its_budget(self, phase: Phase) -> None:
        if phase is not Phase.SHUTDOWN:
            return
        if self._ends_at is None:
            self._ends_at = self._world.now + self._world.scm.state.settings.kill_timeout
        latest = max(self._ends_at, self._back_at)
        assert self._world.now <= latest, "the budget is spent, and nobody is killed"

    def killed(self, services: set[ServiceId]) -> None:
        """A process that is not busy is killed, with these services in it."""
        state = self._world.scm.state
        if state.shutdown is None or state.shutdown.phase is Phase.PRESHUTDOWN:
            return
        for service in services:
            told = service in self._delivered
            assert told or not _takes(state.records[service]), f"{service} was not told"

    def manager_died(self, entries: Iterable[Memory]) -> None:
        """The journal is what the next one knows."""
        self._noticed.clear()
        self._open.clear()
        self._told.clear()
        self._repeatable.clear()
        for entry in entries:
            if not isinstance(entry, ServiceMemory) or entry.notice is None:
                continue
            service, notice = ServiceId(entry.service), entry.notice
            if notice.control == Control.PRESHUTDOWN:
                self._noticed[service] = notice.told_at
            else:
                self._told.add(service)
            if notice.due is not None:
                self._open.add(service)
            if not notice.answered:
                self._repeatable.add(service)

    def manager_is_back(self) -> None:
        self._back_at = self._world.now

    def _notice(self, service: ServiceId) -> None:
        assert service not in self._noticed | dict.fromkeys(self._told), "told twice to shut down"
        if not self._told and service not in self._given_up:
            place = self._place_of(service)
            assert place >= self._place, "PRESHUTDOWN out of order"
            if place < len(self._order()) or place > self._place:
                assert not self._open, "PRESHUTDOWN before the turn"
            self._place = place
            self._open.add(service)
        self._noticed[service] = self._world.now

    def _order(self) -> list[str]:
        return [name_key(name) for name in self._settings.preshutdown_order]

    def _place_of(self, service: ServiceId) -> int:
        """Among the ordered ones; all others share the place after them."""
        order = self._order()
        key = name_key(self._world.disk[service].config.name)
        return order.index(key) if key in order else len(order)

    def _tell(self, service: ServiceId) -> None:
        assert service not in self._noticed, "SHUTDOWN after PRESHUTDOWN"
        assert service not in self._told, "told twice to shut down"
        assert not self._open, "SHUTDOWN while PRESHUTDOWN is waited for"
        self._told.add(service)

    def _late(self, service: ServiceId) -> None:
        limit = self._world.disk[service].config.preshutdown_timeout
        began = self._noticed.get(service)
        if began is not None:
            latest = max(began + limit + LONGEST_EXTENSION, self._back_at)
            assert self._world.now <= latest, "waited for too long"
        self._open.discard(service)
        self._given_up.add(service)


def _takes(record: ServiceRecord) -> bool:
    """It runs, in a process that speaks the control protocol, and wants to be told."""
    wanted = ControlsAccepted.SHUTDOWN | ControlsAccepted.PRESHUTDOWN
    accepts = record.status.controls_accepted & wanted
    resting = record.status.state in (ServiceState.RUNNING, ServiceState.PAUSED)
    return bool(accepts) and resting and record.run is None and record.launch is not None
