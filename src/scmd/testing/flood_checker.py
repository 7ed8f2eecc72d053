"""The checker of floods: a service that changes its state all the time does not fill the log."""

from __future__ import annotations

from collections import deque

from scmd.core.event_ids import EventId
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import LogEvent
from scmd.core.status import CHANGES_WITHIN, MOST_CHANGES
from scmd.testing.runs import Hears

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

MOST_LINES = MOST_CHANGES + 20
"""RUNNING is at most every second of its own changes; two counts may meet; a few are restarts."""


class FloodChecker:
    """Counts what is logged of each service within a minute."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[ServiceId, deque[int]] = {}

    def hears(self) -> Hears:
        return {LogEvent: self._logged}

    def _logged(self, event: LogEvent) -> None:
        if event.service is None:
            return
        if event.event_id != EventId.ENTERED_STATE or event.strings[1] != "running":
            return
        lines = self._lines.setdefault(event.service, deque())
        lines.append(self._world.now)
        while lines[0] <= self._world.now - CHANGES_WITHIN:
            lines.popleft()
        assert len(lines) <= MOST_LINES, f"{event.strings[0]} fills the event log"
