"""Schedules: what they are called, and the instants they mean, across DST and month ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.core.calendars import Calendar, Every, next_after, parse
from scmd.vocabulary.errors import Error, Refused

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def times(text: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    """The next so many local times after a local time, with their offsets."""
    calendar = parse("AppSchedule", text)
    assert isinstance(calendar, Calendar)
    tz = ZoneInfo(zone)
    moment = datetime.fromisoformat(after)
    at = int((moment if moment.tzinfo else moment.replace(tzinfo=tz)).timestamp())
    found = []
    for _ in range(count):
        upcoming = next_after(calendar, at, tz)
        assert upcoming is not None
        at = upcoming
        found.append(datetime.fromtimestamp(at, tz).isoformat(" ", "minutes"))
    return found


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("every 90s", 90_000),
        ("every 1h30m", 5_400_000),
        ("EVERY 1 d", 86_400_000),
        ("every 15min", 900_000),
        ("every 1500ms", 1_500),
    ],
)
def test_spans(text: str, span: int) -> None:
    assert parse("AppSchedule", text) == Every(span)


@pytest.mark.parametrize(
    "text",
    [
        *("every", "every 0s", "every 999ms", "every x", "every 5", "every 367d", "every -1s"),
        *("* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *"),
        *("* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *"),
        *("* * * foo *", "@never", "1- * * * *", "*/x * * * *", "0 0 30 feb *", "0 0 31 4,6 *"),
        *(
            "\u0663 * * * *",
            "00000000099 * * * *",
            f"{'9' * 5000} * * * *",
            f"{'0' * 5000} * * * *",
        ),
    ],
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse("AppSchedule", text)
    assert refused.value.error == Error.INVALID_PARAMETER
    assert "AppSchedule: expected" in refused.value.detail
    assert repr(text) in refused.value.detail


def test_nothing_is_no_schedule_at_all() -> None:
    assert parse("AppSchedule", "  ") is None


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00:59", ["2026-01-01 00:01", "2026-01-01 00:02"]),
        ("*/20 9-10 * * *", "2026-01-01 10:20", ["2026-01-01 10:40", "2026-01-02 09:00"]),
        ("5/25 * * * *", "2026-01-01 00:00", ["2026-01-01 00:05", "2026-01-01 00:30"]),
        ("0 3 * * mon-fri", "2026-01-02 04:00", ["2026-01-05 03:00", "2026-01-06 03:00"]),
        ("0 3 * * 7", "2026-01-01 00:00", ["2026-01-04 03:00", "2026-01-11 03:00"]),
        ("0 0 31 * *", "2026-01-31 00:00", ["2026-03-31 00:00", "2026-05-31 00:00"]),
        ("30 23 L * *", "2026-01-31 23:30", ["2026-02-28 23:30", "2026-03-31 23:30"]),
        ("0 0 15,L feb *", "2027-02-28 00:00", ["2028-02-15 00:00", "2028-02-29 00:00"]),
        ("0 0 29 2 *", "2096-03-01 00:00", ["2104-02-29 00:00", "2108-02-29 00:00"]),
        ("0 0 13 * fri", "2026-02-12 00:00", ["2026-02-13 00:00", "2026-02-20 00:00"]),
        ("0 0 */10 * mon", "2026-01-01 00:00", ["2026-05-11 00:00", "2026-06-01 00:00"]),
        ("@hourly", "2026-12-31 23:00", ["2027-01-01 00:00", "2027-01-01 01:00"]),
        ("@weekly", "2026-01-01 00:00", ["2026-01-04 00:00", "2026-01-11 00:00"]),
        ("@monthly", "2026-01-01 00:00", ["2026-02-01 00:00", "2026-03-01 00:00"]),
        ("@yearly", "2026-01-01 00:00", ["2027-01-01 00:00", "2028-01-01 00:00"]),
    ],
)
def test_calendar_times(text: str, after: str, expected: list[str]) -> None:
    found = times(text, after, 2)
    assert found == [f"{time}+00:00" for time in expected]


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # The clocks are put forward at 02:00: 02:30 is an hour later by the sun, 03:30 shown.
        ("30 2 * * *", BERLIN, "2026-03-28 12:00", ["2026-03-29 03:30+02:00"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07 12:00", ["2026-03-08 03:30-04:00"]),
        # What follows the clock has no 02:00 then.
        ("0 * * * *", BERLIN, "2026-03-29 01:00", ["2026-03-29 03:00+02:00"]),
        (
            *("*/30 * * * *", BERLIN, "2026-03-29 01:00"),
            ["2026-03-29 01:30+01:00", "2026-03-29 03:00+02:00", "2026-03-29 03:30+02:00"],
        ),
        # They are put back at 03:00: 02:30 comes twice and happens once.
        (
            *("30 2 * * *", BERLIN, "2026-10-24 12:00"),
            ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"],
        ),
        (
            *("30 1 * * *", NEW_YORK, "2026-10-31 12:00"),
            ["2026-11-01 01:30-04:00", "2026-11-02 01:30-05:00"],
        ),
        # What follows the clock happens both times.
        (
            *("30 * * * *", BERLIN, "2026-10-25 01:30+02:00"),
            ["2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00", "2026-10-25 03:30+01:00"],
        ),
        # Half an hour only.
        (
            *("45 * * * *", LORD_HOWE, "2026-04-05 00:45+11:00"),
            ["2026-04-05 01:45+11:00", "2026-04-05 01:45+10:30", "2026-04-05 02:45+10:30"],
        ),
        ("15 2 * * *", LORD_HOWE, "2026-10-03 12:00", ["2026-10-04 02:45+11:00"]),
        ("40 * * * *", LORD_HOWE, "2026-10-04 01:00", ["2026-10-04 01:40+10:30"]),
        ("5 * * * *", LORD_HOWE, "2026-10-04 01:30", ["2026-10-04 03:05+11:00"]),
        # A whole day was left out: 30 December 2011.
        ("0 12 30 * *", "Pacific/Apia", "2011-12-01 00:00", ["2011-12-31 12:00+14:00"]),
        # Midnight does not exist.
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00", ["2018-11-04 01:00-02:00"]),
    ],
)
def test_when_the_clocks_are_changed(text: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(text, after, len(expected), zone) == expected


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 L * *", "15 */5 * * 1,5", "59 23 * * *"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu"]),
)
def test_time_goes_forward_and_skips_nothing(text: str, after: datetime, zone: str) -> None:
    calendar = parse("AppSchedule", text)
    assert isinstance(calendar, Calendar)
    tz, at = ZoneInfo(zone), int(after.replace(tzinfo=UTC).timestamp())
    first = next_after(calendar, at, tz)
    assert first is not None
    assert first > at
    # Asked from just before it, it is still the next one.
    assert next_after(calendar, first - 1, tz) == first
    shown = datetime.fromtimestamp(first, tz)
    if calendar.follows_clock:
        assert (shown.minute, shown.hour) in {(m, h) for m in calendar.minutes for h in range(24)}


@given(
    st.sampled_from(["* * * * *", "*/7 */5 * * *", "30 2 * * 1", "0 23 L * *", "59 0 1,13 * fri"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from([(UTC, "UTC"), (timezone(timedelta(hours=5, minutes=45)), "Asia/Kathmandu")]),
)
def test_clocks_that_are_never_moved_show_the_same(
    text: str, after: datetime, zones: tuple[timezone, str]
) -> None:
    calendar, (unmoved, name) = parse("AppSchedule", text), zones
    assert isinstance(calendar, Calendar)
    at = int(after.replace(tzinfo=UTC).timestamp())
    for moment in (at, at - at % 60, at - at % 86_400 - 1):
        assert next_after(calendar, moment, unmoved) == next_after(calendar, moment, ZoneInfo(name))


def test_a_weekday_that_a_first_rarely_is_comes_in_the_end() -> None:
    assert times("0 0 */31 may mon", "2006-05-02", 1) == ["2017-05-01 00:00+00:00"]
    assert times("0 0 */31 jan wed", "2098-01-02", 1) == ["2110-01-01 00:00+00:00"]
