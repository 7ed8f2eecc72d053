"""The checker of automatic starts: in which order, when, and that none is left out.

Load-order groups come one after the other in the order of the settings, then the other
groups, then services without one; the next one's turn comes when everything that was
begun is up, has failed or hangs. Delayed ones wait for the others and for their delay. A start that
somebody else has asked for, a dependent among them, is nobody's turn.
"""

from __future__ import annotations

from scmd.core import auto_start
from scmd.core.event_ids import EventId
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import LogEvent, SaveRecord, ServiceDeleted, StatusChanged
from scmd.core.messages.events import AutoStart
from scmd.testing.runs import Hears
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, StartType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

_DELAYED = 1_000_000
"""The place of delayed services: after all others."""
_NOT_STARTED = (
    EventId.START_FAILED,
    EventId.DEPENDENCY_FAILED,
    EventId.DEPENDENCY_GROUP_FAILED,
    EventId.DEPENDENCY_MISSING,
)
_HANGS = (EventId.HUNG_ON_STARTING, EventId.TRANSACTION_TIMEOUT)


class BootChecker:
    """Its own books of one world's automatic starts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._places: dict[ServiceId, int] | None = None
        """Whose turn comes when; None before the automatic starts."""
        self._began = 0
        self._place = 0
        self._outstanding: set[ServiceId] = set()
        """Begun, and neither up nor failed."""
        self._missing: set[ServiceId] = set()
        """Who has still to be begun."""
        self.seen = 0

    def hears(self) -> Hears:
        return {
            AutoStart: self._begins,
            StatusChanged: self._changed,
            LogEvent: self._logged,
            SaveRecord: self._saved,
            ServiceDeleted: self._deleted,
        }

    def _begins(self, _: AutoStart) -> None:
        state = self._world.scm.state
        if self._places is not None or state.shutdown:
            return
        order = {name_key(group): i for i, group in enumerate(self._world.settings.group_order)}
        self._places = {}
        for id, stored in self._world.disk.items():
            config = stored.config
            if config.start_type != StartType.AUTO_START or stored.deleted:
                continue
            group = name_key(config.load_order_group)
            place = order.get(group, len(order)) if group else len(order) + 1
            self._places[id] = _DELAYED if config.delayed_auto_start else place
        self._began = self._world.now
        records = state.records
        self._missing = {
            id
            for id in self._places
            if id in records and records[id].is_stopped and records[id].attempt is None
        }

    def _changed(self, change: StatusChanged) -> None:
        service, state = change.service, change.status.state
        if state != ServiceState.STOPPED:
            self._missing.discard(service)
        if state != ServiceState.START_PENDING:
            self._outstanding.discard(service)
        elif change.before == ServiceState.STOPPED and change.actor == auto_start.ACTOR:
            self._begun(service)

    def _logged(self, event: LogEvent) -> None:
        if event.service is None:
            return
        if event.event_id in _HANGS:
            self._outstanding.discard(event.service)
        if event.event_id in _NOT_STARTED:
            self._missing.discard(event.service)

    def _saved(self, effect: SaveRecord) -> None:
        if effect.config.start_type != StartType.AUTO_START:
            self._missing.discard(effect.service)

    def _deleted(self, effect: ServiceDeleted) -> None:
        self._missing.discard(effect.service)
        self._outstanding.discard(effect.service)

    def _begun(self, service: ServiceId) -> None:
        assert self._places is not None, "an automatic start before its time"
        place = self._places.get(service)
        if place is None:
            return
        self.seen += 1
        name = self._world.disk[service].config.name
        if place == _DELAYED:
            waited = self._world.now - self._began
            assert waited >= self._world.settings.auto_start_delay, f"{name} was not delayed"
        assert place >= self._place, f"{name} is started after its turn"
        if place > self._place:
            assert not self._outstanding, f"{name} is started before its turn"
        self._place = place
        self._outstanding.add(service)

    def manager_died(self, known: bool, statuses: dict[ServiceId, int]) -> None:
        """`known`: the journal says that the automatic starts have begun."""
        if not known:
            self._places = None
            self._place = 0
            self._outstanding.clear()
        self._outstanding = {
            id for id in self._outstanding if statuses.get(id) == ServiceState.START_PENDING
        }
        self._missing.clear()  # What was said of them may have been lost.

    def at_rest(self) -> None:
        """Calm has lasted: everybody's turn has come."""
        run = self._world.scm.state.auto_start
        if self._places is None or run is None or run.batches or run.outstanding:
            return
        late = set() if not run.delayed and run.deadline is None else set(self._delayed())
        assert not self._missing - late, f"never begun: {self._missing - late}"

    def _delayed(self) -> list[ServiceId]:
        assert self._places is not None
        return [id for id, place in self._places.items() if place == _DELAYED]
