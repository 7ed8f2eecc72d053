"""The checker of shutdowns: who is told what, when, and in which order.

PRESHUTDOWN goes to the services of the order one after the other, then to the others;
nobody gets it twice or gets SHUTDOWN after it; and as long as somebody who got it has
neither stopped nor missed its limit (event 7043), nobody else's turn comes. A shutdown that
nobody asked for is one for an essential service, whose end is never passed over.
"""

from __future__ import annotations

from scmd.core.event_ids import EventId
from scmd.core.messages import (
    Effect,
    LogEvent,
    SendControl,
    ServiceId,
    ShutdownCompleted,
    StatusChanged,
)
from scmd.core.shutdown import LONGEST_EXTENSION
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import Control, ServiceState

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

    def effect(self, effect: Effect) -> None:
        match effect:
            case SendControl(code=Control.PRESHUTDOWN):
                self._notice(effect.service)
            case SendControl(code=Control.SHUTDOWN):
                self._tell(effect.service)
            case StatusChanged(service=service, status=status):
                if status.state == ServiceState.STOPPED:
                    self._open.discard(service)
            case ShutdownCompleted(exit_status=exit_status):
                most = 255 if self._world.settings.ends_with_essential else 0
                assert 0 <= exit_status <= most, f"exit status {exit_status}"
            case LogEvent(event_id=EventId.SHUTDOWN_LATE, service=service):
                if service is not None and effect.strings[1] == "preshutdown":
                    self._late(service)

    def after_message(self, *, asked: bool) -> None:
        """Looks inside: for ends that are the SCM's own."""
        state, settings = self._world.scm.state, self._world.settings
        over = [
            record.config.name
            for record in state.records.values()
            if settings.ends_with_essential
            and record.essential
            and record.is_stopped
            and record.attempt is None
            and not record.is_recovering
            and record.status.win32_exit_code != Error.SERVICE_NEVER_STARTED
        ]
        if state.shutdown is None:
            assert not over, f"{over} ended, and the SCM goes on"
        else:
            assert asked or over, "it shuts down, and nobody knows why"

    def _notice(self, service: ServiceId) -> None:
        assert service not in self._noticed | dict.fromkeys(self._told), "told twice to shut down"
        if not self._told:
            place = self._place_of(service)
            assert place >= self._place, "PRESHUTDOWN out of order"
            if place < len(self._order()) or place > self._place:
                assert not self._open, "PRESHUTDOWN before the turn"
            self._place = place
            self._open.add(service)
        self._noticed[service] = self._world.now

    def _order(self) -> list[str]:
        return [name_key(name) for name in self._world.settings.preshutdown_order]

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
            waited = self._world.now - began
            assert waited <= limit + LONGEST_EXTENSION, "waited for too long"
        self._open.discard(service)
