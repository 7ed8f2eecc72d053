"""Scheduled services: started by the SCM when their time comes, whatever their start type is.

`AppSchedule` says when (see `calendars`), in the time zone of `AppScheduleZone`. Between its runs
the service is STOPPED; a disabled one is not started. A run that has not ended when the next
one is due goes on, and that one is left out. So is a time that has passed unseen, because the
SCM was not there, the machine slept or the clock was put forward: more than GRACE ago, it has been
missed. `AppScheduleMissed once` starts the service once for all that it has missed, at once; for
that the instant of its last time is kept among its Parameters.

`every` counts on the machine's clock that nobody sets. Calendar times need the time of day,
which comes in as `ClockRead`: when the SCM begins and whenever somebody sets the clock. A time
that has had its run has no second one when the clock is put back by less than CORRECTION.
"""

from __future__ import annotations

from scmd.core import saves, starting
from scmd.core.calendars import Every, Zone, next_after, parse
from scmd.core.calendars import shown as local_time
from scmd.core.deadlines import Deadline
from scmd.core.event_ids import EventId
from scmd.core.messages import Actor, Parameters
from scmd.core.messages.events import ClockRead
from scmd.core.parameter_readers import read_text, wrong
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Refused, error_text
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import StartType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.calendars import Calendar

WHEN, ZONE, MISSED = "AppSchedule", "AppScheduleZone", "AppScheduleMissed"
LAST = "AppScheduleLast"
"""Written by the SCM: seconds since 1970 of the last time that has come."""
GRACE = 60_000
"""Milliseconds by which a run may be late and still count as one in time."""
CORRECTION = 3 * 3_600_000
ACTOR = Actor("SCM", "schedule")


class Schedule:
    """When one service is started next."""

    __slots__ = ("deadline", "due", "last", "missed", "text", "when", "zone", "zone_name")

    def __init__(
        self, when: Every | Calendar, text: str, zone_name: str, zone: Zone, missed: bool
    ) -> None:
        self.when = when
        self.text = text
        self.zone_name = zone_name
        self.zone = zone
        self.missed = missed
        """One run makes up for those that were missed."""
        self.due: int | None = None
        """Milliseconds: since 1970 for a calendar, on the clock of `now` for a span."""
        self.last: int | None = None
        """The calendar time that came last, milliseconds since 1970."""
        self.deadline: Deadline | None = None

    @property
    def key(self) -> tuple[str, str, bool]:
        return self.text, self.zone_name, self.missed


# What the Parameters say ----------------------------------------------------------------------


def read_when(name: str, value: RegistryValue) -> object:
    return parse(name, read_text(name, value))


def read_missed(name: str, value: RegistryValue) -> bool:
    word = read_text(name, value).strip().lower()
    if word not in ("", "skip", "once"):
        raise wrong(name, f"skip or once, not {word!r}")
    return word == "once"


def check(state: State, values: Parameters) -> None:
    """Refuse with 87 what makes no sense; a time zone is one that the host knows."""
    for name, value in values.items():
        upper = name.upper()
        if upper == WHEN.upper():
            read_when(name, value)
        elif upper == MISSED.upper():
            read_missed(name, value)
        elif upper == ZONE.upper():
            zone = read_text(name, value).strip()
            if zone and state.settings.zone(zone) is None:
                raise wrong(name, f"a time zone such as Europe/Berlin, not {zone!r}")


def of(state: State, record: ServiceRecord) -> Schedule | None:
    """The schedule that its Parameters ask for; None without one, or when it makes no sense."""
    values = {name.upper(): (name, value) for name, value in record.parameters.items()}
    if WHEN.upper() not in values:
        return None

    def text(name: str) -> str:
        return read_text(*values[name.upper()]).strip() if name.upper() in values else ""

    try:
        when = parse(WHEN, text(WHEN))
        zone = state.settings.zone(text(ZONE))
        missed = MISSED.upper() in values and read_missed(*values[MISSED.upper()])
    except Refused:
        return None
    if when is None or zone is None:
        return None
    return Schedule(when, text(WHEN), text(ZONE), zone, missed)


def _kept(record: ServiceRecord) -> int | None:
    for name, value in record.parameters.items():
        if name.upper() == LAST.upper() and str(value.data).isdecimal():
            return int(str(value.data)[:12]) * 1_000
    return None


# When -----------------------------------------------------------------------------------------


def begin(state: State) -> None:
    """The SCM is up: from now on schedules count."""
    state.schedules_count = True
    for record in list(state.records.values()):
        look(state, record)


def clock_read(state: State, event: ClockRead) -> None:
    """The time of day, at this `now`; those that go by it are looked at again."""
    state.wall_offset = event.wall - state.now
    for record in list(state.records.values()):
        known = record.schedule
        if known is not None and not isinstance(known.when, Every):
            _clock_set(state, record, known)


def look(state: State, record: ServiceRecord) -> None:
    """Its Parameters or its start type may have changed."""
    known = record.schedule
    if not state.schedules_count or state.shutdown is not None:
        return
    gone = record.deleted or state.records.get(record.id) is not record
    disabled = record.config.start_type == StartType.DISABLED or record.is_driver
    wanted = None if gone or disabled else of(state, record)
    if wanted is not None and known is not None and wanted.key == known.key:
        return
    if known is not None:
        _disarm(known)
    if known is not None or wanted is not None:
        state.touched[record.id] = record
    record.schedule = wanted
    if wanted is not None:
        if wanted.missed:
            wanted.last = _kept(record)
        _plan(state, record, wanted)


def cancel(state: State) -> None:
    """Nobody is started any more."""
    for record in state.records.values():
        if record.schedule is not None:
            _disarm(record.schedule)


def restore(state: State, record: ServiceRecord, due: int | None, last: int | None) -> None:
    """What an earlier manager had planned."""
    known = record.schedule = of(state, record)
    if known is not None:
        known.due, known.last = due, last
        _arm(state, record, known)


def _plan(state: State, record: ServiceRecord, known: Schedule, soonest: int = 0) -> None:
    """Find the next time, after those that have come; `soonest`: milliseconds from now."""
    if isinstance(known.when, Every):
        known.due = state.now + known.when.span
    else:
        wall = _wall(state)
        if wall is None:
            return
        after = wall
        if known.last is not None and known.last - wall < CORRECTION:
            after = known.last if known.missed else max(wall, known.last)
        upcoming = next_after(known.when, after // 1_000, known.zone)
        known.due = None if upcoming is None else upcoming * 1_000
    _arm(state, record, known, soonest)


def _clock_set(state: State, record: ServiceRecord, known: Schedule) -> None:
    """Put forward, its time may have come or be long past; put back, an earlier one may come."""
    wall = _wall(state)
    if known.due is None or wall is None or known.due > wall:
        _plan(state, record, known)
    else:
        _arm(state, record, known)
    state.touched[record.id] = record


def _wall(state: State) -> int | None:
    return None if state.wall_offset is None else state.now + state.wall_offset


def _arm(state: State, record: ServiceRecord, known: Schedule, soonest: int = 0) -> None:
    _disarm(known)
    state.touched[record.id] = record
    at = due_at(state, known)
    if at is not None:
        delay = max(soonest, at - state.now)
        known.deadline = state.after(delay, lambda: _due(state, record, known), "a schedule")


def due_at(state: State, known: Schedule) -> int | None:
    """When it is due, on the clock of `now`; None while the time of day is not known."""
    if known.due is None or isinstance(known.when, Every):
        return known.due
    return None if state.wall_offset is None else known.due - state.wall_offset


def _disarm(known: Schedule) -> None:
    if known.deadline is not None:
        known.deadline.cancel()
        known.deadline = None


# Its time has come ----------------------------------------------------------------------------


def _due(state: State, record: ServiceRecord, known: Schedule) -> None:
    known.deadline = None
    if state.shutdown is not None or record.schedule is not known:
        return
    at = due_at(state, known)
    assert at is not None
    assert known.due is not None
    late = state.now - at
    if late > GRACE and not known.missed:
        _left_out(state, record, known, "nobody saw it come")
    else:
        _start(state, record, known)
    if not isinstance(known.when, Every):
        wall = _wall(state)
        known.last = known.due if wall is None or late <= GRACE else wall
        if known.missed:
            _keep(state, record, known.last)
    # Whatever the calendar says, one `expire` comes to each schedule once.
    _plan(state, record, known, soonest=1)


def _start(state: State, record: ServiceRecord, known: Schedule) -> None:
    if record.attempt is not None or not record.is_stopped or record.is_recovering:
        _left_out(state, record, known, "the run before has not ended")
        return
    try:
        starting.begin(state, record, None, actor=ACTOR)
    except Refused as refused:
        _left_out(state, record, known, error_text(refused.error).rstrip("."))


def _left_out(state: State, record: ServiceRecord, known: Schedule, why: str) -> None:
    name = record.config.display_name
    state.log(EventId.RUN_LEFT_OUT, record, name, shown(state, known) or "", why)


def _keep(state: State, record: ServiceRecord, last: int) -> None:
    """For the next boot; when a change of the record is on its way, the next time will do."""
    if record.save is not None or record.deleted:
        return
    value = RegistryValue.of(str(last // 1_000))
    kept = {name: old for name, old in record.parameters.items() if name.upper() != LAST.upper()}
    merged = {**kept, LAST: value}

    def saved() -> None:
        record.parameters = merged

    saves.save_record(
        state,
        record,
        record.id,
        record.config,
        parameters=merged,
        saved=saved,
        failed=lambda _: None,
    )


# For people -----------------------------------------------------------------------------------


def shown(state: State, known: Schedule) -> str | None:
    """When it is due, in its own time zone: `2026-03-29 03:30:00+02:00`; None: not known."""
    due = known.due
    if due is not None and isinstance(known.when, Every):
        due = None if state.wall_offset is None else due + state.wall_offset
    if due is None:
        return None
    return local_time(due // 1_000, known.zone)


def next_run(state: State, record: ServiceRecord) -> tuple[str, int] | None:
    """When it is started next, and in how many milliseconds."""
    known = record.schedule
    at = None if known is None else due_at(state, known)
    if known is None or at is None:
        return None
    return shown(state, known) or "", max(0, at - state.now)


def memory(record: ServiceRecord) -> tuple[int | None, int | None] | None:
    """What a new manager has to know; None without a schedule."""
    known = record.schedule
    return None if known is None else (known.due, known.last)
