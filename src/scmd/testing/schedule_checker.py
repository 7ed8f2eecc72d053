"""What must hold of scheduled services, judged by the calendar and the world's own clocks.

Nobody is started by a calendar at a time that the calendar does not name, but for a run that
makes up for missed ones; nobody twice for one time, unless the clock was put back by hours or
the schedule was set anew; and whoever has a schedule is waited for.
"""

from __future__ import annotations

from datetime import UTC

from scmd.core import schedules
from scmd.core.calendars import Every, next_after, parse
from scmd.core.messages import Parameters, ServiceId
from scmd.core.messages.effects import SaveRecord, StatusChanged
from scmd.core.messages.events import ClockRead
from scmd.core.records import ServiceRecord
from scmd.core.schedules import Schedule
from scmd.core.state import State
from scmd.testing.runs import Hears
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.service import ServiceState, StartType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

_TRIES = 4
_SAID_BY = (schedules.WHEN, schedules.ZONE, schedules.MISSED)


def _schedule(config: ServiceConfig, parameters: Parameters) -> object:
    """What makes two schedules two; None: it has none that counts."""
    if config.start_type == StartType.DISABLED:
        return None
    return [parameters.get(name) for name in _SAID_BY]


class ScheduleChecker:
    """The checker of schedules in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.starts = 0
        """How many starts by a calendar were judged."""
        self._last: dict[ServiceId, tuple[str, int]] = {}
        """The calendar and the nominal time of the last start by it."""
        self.latest = 0
        """The latest time of day so far."""

    def hears(self) -> Hears:
        return {
            ClockRead: self._clock_read,
            SaveRecord: self._saved,
            StatusChanged: self._changed,
        }

    def _clock_read(self, event: ClockRead) -> None:
        if event.wall < self.latest - schedules.CORRECTION:
            self._last.clear()
            self.latest = event.wall

    def _changed(self, change: StatusChanged) -> None:
        starts = change.before == ServiceState.STOPPED != change.status.state
        if starts and change.actor == schedules.ACTOR:
            self._started(change)

    def _saved(self, effect: SaveRecord) -> None:
        """A schedule that is another one, or none for a while, counts from now on."""
        stored = self.world.disk.get(effect.service)
        if stored is None or effect.service not in self._last:
            return
        new = stored.parameters if effect.parameters is None else effect.parameters
        before = _schedule(stored.config, stored.parameters)
        if _schedule(effect.config, new) != before:
            del self._last[effect.service]

    def _started(self, change: StatusChanged) -> None:
        assert not self.world.checkers.shutting_down, "nobody is started in a shutdown"
        stored = self.world.disk[change.service]
        values = {name: str(value.data) for name, value in stored.parameters.items()}
        text = values.get(schedules.WHEN, "")
        when = parse(schedules.WHEN, text)
        assert when is not None, f"{change.name} has no schedule"
        assert stored.config.start_type != StartType.DISABLED, f"{change.name} is disabled"
        if isinstance(when, Every) or values.get(schedules.MISSED) == "once":
            return
        self.starts += 1
        # The last time that the calendar has named by now, and how long ago that was.
        earliest = self.world.wall - schedules.GRACE
        nominal = next_after(when, earliest // 1_000 - 1, UTC)
        for _ in range(_TRIES):
            later = next_after(when, nominal, UTC) if nominal is not None else None
            if later is None or later * 1_000 > self.world.wall:
                break
            nominal = later
        assert nominal is not None
        assert nominal * 1_000 <= self.world.wall, f"{change.name} is started at no time of its own"
        known = self._last.get(change.service)
        assert known is None or known[0] != text or known[1] < nominal, (
            f"{change.name} is started twice for one time"
        )
        self._last[change.service] = text, nominal


def check_schedule(state: State, record: ServiceRecord, known: Schedule) -> None:
    """There is a next time, and it is waited for."""
    if not state.schedules_count or state.shutdown is not None or state.wall_offset is None:
        return
    waited = known.deadline is not None and known.deadline.at is not None
    assert waited or known.due is None, f"{record.config.name} is waited for no more"
    assert known.due is not None, f"{record.config.name} has no next time"
