"""Schedules as people write them, and the instants they mean.

    every SPAN                      every 90s, every 1h30m, every 1d
    MINUTE HOUR DAY MONTH WEEKDAY   as cron's: *, lists, ranges, steps, names; L is the last day
    @hourly @daily @weekly @monthly @yearly

When both DAY and WEEKDAY say something, either is enough, as in cron. Local time may be skipped
or come twice. A time that the clocks skip happens as much later as they are put forward; one
that comes twice happens the first time only, unless HOUR is `*` or `*/N`: then it follows the
clocks. Instants are whole seconds since 1970, UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import islice

from msgspec import Struct

from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.numbers import decimal

LONGEST_SPAN = 366 * 86_400_000
Zone = tzinfo
"""A time zone, given by who can look one up."""
_FARTHEST = 13 * 366
"""Days; no date keeps away longer: a first of May that is a Monday may need 12 years at 2100."""
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
EXPECTED = "`every SPAN`, five fields as cron's, @hourly, @daily, @weekly, @monthly or @yearly"


class Every(Struct, frozen=True):
    """So many milliseconds after the last time."""

    span: int


class Calendar(Struct, frozen=True):
    """Every minute that all of these name; days by number or by weekday."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    last_day: bool
    follows_clock: bool
    """It goes by what the clock shows, twice if that comes twice."""
    either: bool
    """One of day and weekday is enough, since both were given."""


def only_utc(name: str) -> Zone | None:
    """The time zones of a host that knows no other."""
    return UTC if name in ("", "UTC") else None


def shown(instant: int, zone: Zone) -> str:
    """`2026-03-29 03:30:00+02:00`."""
    return datetime.fromtimestamp(instant, zone).isoformat(" ")


@lru_cache(64)
def parse(name: str, text: str) -> Every | Calendar | None:
    """None for an empty text. Refused: 87, with what was wrong."""
    words = _SHORT.get(text.strip().lower(), text).lower().split()
    if not words:
        return None
    try:
        if words[0] == "every" and len(words) > 1:
            return Every(_span("".join(words[1:])))
        if len(words) != 5:
            raise ValueError(f"expected {EXPECTED}")
        return _calendar(words)
    except ValueError as wrong:
        raise Refused(Error.INVALID_PARAMETER, f"{name}: {wrong}, not {text!r}") from wrong


def _span(text: str) -> int:
    parts = re.findall(r"(\d{1,9})(ms|min|[smhd])", text)
    total = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a span such as 90s, 15m, 1h30m or 1d")
    if not 1_000 <= total <= LONGEST_SPAN:
        raise ValueError("expected a span from 1 second to 366 days")
    return total


def _calendar(words: list[str]) -> Calendar:
    minute, hour, day, month, weekday = words
    parts = day.split(",")
    numbers = [part for part in parts if part != "l"]
    days = _field("day", ",".join(numbers), 1, 31) if numbers else ()
    made = Calendar(
        minutes=_field("minute", minute, 0, 59),
        hours=_field("hour", hour, 0, 23),
        days=frozenset(days),
        months=frozenset(_field("month", month, 1, 12, _MONTHS, 1)),
        weekdays=frozenset(n % 7 for n in _field("weekday", weekday, 0, 7, _DAYS, 0)),
        last_day=len(numbers) < len(parts),
        follows_clock=hour.startswith("*"),
        either=not day.startswith("*") and not weekday.startswith("*"),
    )
    if not any(_matches(made, date(2000, 1, 1) + timedelta(n)) for n in range(_FARTHEST)):
        raise ValueError("expected a day that exists")
    return made


def _field(
    what: str, text: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0
) -> tuple[int, ...]:
    def read(word: str) -> int:
        if word in names:
            return names.index(word) + first
        number = decimal(word)
        if number is None or not low <= number <= high:
            raise ValueError(f"expected {what} {low} to {high}")
        return number

    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        start, dash, end = span.partition("-")
        if span == "*":
            begin, last = low, high
        else:
            begin = read(start)
            last = read(end) if dash else high if slash else begin
        every = decimal(step) or 0
        if begin > last or (slash and not every):
            raise ValueError(f"expected {what}s in ascending order, with a step from 1")
        found.update(range(begin, last + 1, every or 1))
    return tuple(sorted(found))


# Instants -------------------------------------------------------------------------------------


def next_after(calendar: Calendar, after: int, zone: tzinfo) -> int | None:
    """The first instant later than `after`; None: not in the years that dates can have."""
    start = datetime.fromtimestamp(after, zone)
    if isinstance(zone, timezone):
        return _next_unmoved(calendar, start)
    best: int | None = None
    for day in _days_from(calendar, start.date()):
        if best is not None and day > datetime.fromtimestamp(best, zone).date() + timedelta(1):
            break
        for instant in _instants(calendar, day, start):
            if instant > after and (best is None or instant < best):
                best = instant
    return best


def _next_unmoved(calendar: Calendar, start: datetime) -> int | None:
    """The same where clocks are never moved, so that one minute comes after the other."""
    for day in _days_from(calendar, start.date()):
        for hour in calendar.hours:
            if (day, hour) < (start.date(), start.hour):
                continue
            this_hour = (day, hour) == (start.date(), start.hour)
            for minute in calendar.minutes:
                if minute > start.minute or not this_hour:
                    found = datetime(day.year, day.month, day.day, hour, minute)
                    return int(found.replace(tzinfo=start.tzinfo).timestamp())
    return None


def _days_from(calendar: Calendar, first: date) -> Iterator[date]:
    """The days that match, beginning a day early: the clocks may be put back at midnight."""
    for offset in range(-1, _FARTHEST):
        try:
            day = first + timedelta(offset)
        except OverflowError:
            return
        if _matches(calendar, day):
            yield day


def _matches(calendar: Calendar, day: date) -> bool:
    if day.month not in calendar.months:
        return False
    is_last = calendar.last_day and (day + timedelta(1)).day == 1
    by_number = day.day in calendar.days or is_last
    by_weekday = day.isoweekday() % 7 in calendar.weekdays
    return (by_number or by_weekday) if calendar.either else (by_number and by_weekday)


def _instants(calendar: Calendar, day: date, start: datetime) -> Iterator[int]:
    """Those of a day that may come after `start`, not in order."""
    earliest = start.replace(tzinfo=None) - timedelta(hours=3)
    ahead: datetime | None = None
    for hour in calendar.hours:
        if datetime(day.year, day.month, day.day, hour, 59) < earliest:
            continue
        if ahead is not None and datetime(day.year, day.month, day.day, hour) > ahead:
            return
        for fold in (0, 1) if calendar.follows_clock else (0,):
            yield from _instants_of_hour(calendar, day, hour, start, fold)
        shown = datetime(day.year, day.month, day.day, hour, calendar.minutes[-1])
        if ahead is None and shown > start.replace(tzinfo=None):
            ahead = shown + timedelta(hours=3)


def _instants_of_hour(
    calendar: Calendar, day: date, hour: int, start: datetime, fold: int
) -> Iterator[int]:
    """The first one after `start`, and maybe others."""
    zone = start.tzinfo

    def look(minute: int) -> tuple[int, bool]:
        """When a clock shows this minute, and whether it is one that the clocks skip."""
        shown = datetime(day.year, day.month, day.day, hour, minute)
        instant = shown.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        skipped = instant.astimezone(zone).replace(tzinfo=None) != shown
        return int(instant.timestamp()), skipped

    first, skips_first = look(0)
    last, skips_last = look(59)
    if last - first == 59 * 60 and not (skips_first or skips_last):
        # Nothing is moved in this hour, so they come in their order.
        after = start.timestamp()
        instants = (first + minute * 60 for minute in calendar.minutes)
        yield from islice((instant for instant in instants if instant > after), 1)
        return
    for minute in calendar.minutes:
        instant, skipped = look(minute)
        if not (skipped and calendar.follows_clock):
            yield instant
