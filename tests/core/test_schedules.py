"""Scheduled services: started in time, once, and not while they run; clocks that are set."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scmd.core import schedules
from scmd.core.memory import latest
from scmd.core.messages import HandleId, Settings, StoredService
from scmd.core.messages.commands import ChangeConfig, ExplainService, SetParameters
from scmd.core.messages.effects import LaunchProcess, LogEvent, StatusChanged
from scmd.core.messages.events import (
    Adopted,
    AutoStart,
    ClockRead,
    HeldLaunch,
    ProcessExited,
    ProcessStarted,
    Shutdown,
)
from scmd.core.why import Explanation
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import StartType
from tests.core.bench import PID, Bench

LEFT_OUT = 8014
MINUTE, HOUR = 60_000, 3_600_000
ZONES = ("Europe/Berlin", "UTC")


def zone(name: str) -> tzinfo | None:
    return ZoneInfo(name or "UTC") if name in ("", *ZONES) else None


SETTINGS = Settings(zone=zone)


def wall(text: str, name: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name)).timestamp()) * 1_000


def bench_at(text: str) -> Bench:
    bench = Bench(settings=SETTINGS)
    bench.tell(ClockRead(wall(text)))
    bench.tell(AutoStart())
    return bench


def scheduled(bench: Bench, when: str, **values: Any) -> HandleId:
    return bench.create_hosted("Job", AppSchedule=when, **values)


def finish(bench: Bench, code: int = 0) -> None:
    """What was launched runs and ends at once."""
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, code, None))


def next_run(bench: Bench, service: HandleId) -> str | None:
    explanation: Explanation = bench.result(ExplainService(bench.call(), service))
    return explanation.next_run


def set_clock(bench: Bench, text: str) -> None:
    bench.tell(ClockRead(wall(text)))


def test_an_interval_counts_from_start_to_start() -> None:
    bench = bench_at("2026-01-01 00:00")
    service = scheduled(bench, "every 10s")
    assert next_run(bench, service) == "2026-01-01 00:00:10+00:00"
    explanation = bench.result(ExplainService(bench.call(), service))
    assert [finding.text for finding in explanation.findings] == [
        "has not been started since the SCM began",
        "is started by its schedule at 2026-01-01 00:00:10+00:00, in 10.0 s",
    ]
    bench.pass_time(9_999)
    assert not bench.found(LaunchProcess)
    for _ in range(3):
        bench.pass_time(1)
        assert bench.one(LaunchProcess).spec.name == "Job"
        finish(bench)
        assert bench.status(service).state == 1
        bench.pass_time(9_999)
        assert not bench.found(LaunchProcess)


def test_a_calendar_time_comes_in_its_own_zone() -> None:
    bench = bench_at("2026-03-28 12:00")
    service = scheduled(bench, "30 2 * * *", AppScheduleZone="Europe/Berlin")
    assert next_run(bench, service) == "2026-03-29 03:30:00+02:00"
    bench.pass_time(13 * HOUR + 30 * MINUTE - 1)
    assert not bench.found(LaunchProcess)
    bench.pass_time(1)
    [changed] = bench.found(StatusChanged)
    assert (changed.actor.name, changed.actor.origin) == ("SCM", "schedule")
    finish(bench)
    assert next_run(bench, service) == "2026-03-30 02:30:00+02:00"


def test_a_run_that_has_not_ended_leaves_the_next_one_out() -> None:
    bench = bench_at("2026-01-01 00:00")
    service = scheduled(bench, "* * * * *")
    bench.pass_time(MINUTE)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.pass_time(MINUTE)
    assert not bench.found(LaunchProcess)
    [event] = bench.found(LogEvent)
    assert (event.event_id, event.strings[1]) == (LEFT_OUT, "2026-01-01 00:02:00+00:00")
    assert bench.status(service).process_id == PID
    bench.tell(ProcessExited(launch, 0, None))
    bench.pass_time(MINUTE)
    assert bench.found(LaunchProcess)


def test_nothing_is_started_before_the_automatic_starts_or_in_a_shutdown() -> None:
    bench = Bench(settings=SETTINGS)
    bench.tell(ClockRead(wall("2026-01-01 00:00")))
    scheduled(bench, "every 1s")
    bench.pass_time(HOUR)
    assert not bench.found(LaunchProcess)
    bench.tell(AutoStart())
    bench.pass_time(1_000)
    finish(bench)
    bench.tell(Shutdown())
    bench.pass_time(HOUR)
    assert not bench.found(LaunchProcess)


def test_disabled_changed_and_deleted_schedules() -> None:
    bench = bench_at("2026-01-01 00:00")
    service = scheduled(bench, "every 10s")
    bench.tell(ChangeConfig(bench.call(), service, start_type=int(StartType.DISABLED)))
    assert next_run(bench, service) is None
    bench.tell(ChangeConfig(bench.call(), service, start_type=int(StartType.DEMAND_START)))
    bench.pass_time(5_000)
    bench.tell(SetParameters(bench.call(), service, {"AppStopTime": RegistryValue.of(1)}))
    assert next_run(bench, service) == "2026-01-01 00:00:10+00:00", "it is the same schedule"
    changed = {"appschedule": RegistryValue.of("every 1m")}
    bench.tell(SetParameters(bench.call(), service, changed))
    assert next_run(bench, service) == "2026-01-01 00:01:05+00:00"
    bench.tell(SetParameters(bench.call(), service, {"AppSchedule": None}))
    assert next_run(bench, service) is None
    assert bench.scm.next_deadline() is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AppSchedule", "whenever", "every SPAN"),
        ("AppScheduleZone", "Mars/Olympus", "Europe/Berlin"),
        ("AppScheduleZone", "../../etc/passwd", "Europe/Berlin"),
        ("AppScheduleMissed", "maybe", "skip or once"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_set(
    name: str, value: str, expected: str
) -> None:
    bench = bench_at("2026-01-01 00:00")
    service = bench.create("Plain")
    reply = bench.ask(SetParameters(bench.call(), service, {name: RegistryValue.of(value)}))
    assert (reply.error, expected in str(reply.result)) == (87, True)


# Clocks that are set --------------------------------------------------------------------------


def test_a_clock_put_forward_leaves_out_what_it_has_missed() -> None:
    bench = bench_at("2026-01-01 00:00")
    service = scheduled(bench, "0 3 * * *")
    set_clock(bench, "2026-01-01 05:00")
    bench.pass_time(0)
    assert bench.events() == [LEFT_OUT]
    assert next_run(bench, service) == "2026-01-02 03:00:00+00:00"


def test_a_clock_put_forward_by_little_makes_it_late_only() -> None:
    bench = bench_at("2026-01-01 02:59:30")
    scheduled(bench, "0 3 * * *")
    set_clock(bench, "2026-01-01 03:00:50")
    bench.pass_time(0)
    assert bench.found(LaunchProcess)


def test_once_makes_up_for_all_that_was_missed() -> None:
    bench = bench_at("2026-01-01 00:30")
    service = scheduled(bench, "0 * * * *", AppScheduleMissed="once")
    set_clock(bench, "2026-01-01 05:10")
    bench.pass_time(0)
    finish(bench)
    bench.pass_time(HOUR // 2)
    assert not bench.found(LaunchProcess)
    assert next_run(bench, service) == "2026-01-01 06:00:00+00:00"


def test_a_clock_put_back_brings_no_second_run() -> None:
    bench = bench_at("2026-01-01 02:59")
    service = scheduled(bench, "0 3 * * *")
    bench.pass_time(MINUTE)
    finish(bench)
    set_clock(bench, "2026-01-01 02:30")
    assert next_run(bench, service) == "2026-01-02 03:00:00+00:00"
    set_clock(bench, "2025-12-31 12:00")
    assert next_run(bench, service) == "2026-01-01 03:00:00+00:00", "it was quite wrong before"


def test_an_interval_does_not_care() -> None:
    bench = bench_at("2026-01-01 00:00")
    scheduled(bench, "every 1h")
    bench.pass_time(HOUR // 2)
    set_clock(bench, "2026-06-01 00:00")
    bench.pass_time(HOUR // 2 - 1)
    assert not bench.found(LaunchProcess)
    bench.pass_time(1)
    assert bench.found(LaunchProcess)


# Another manager, another boot ----------------------------------------------------------------


def stored(bench: Bench) -> list[StoredService]:
    return [
        StoredService(record.id, record.config, record.parameters)
        for record in bench.scm.state.records.values()
    ]


@pytest.mark.parametrize("when", ["every 1h", "0 * * * *"])
def test_a_new_manager_goes_on_with_what_was_planned(when: str) -> None:
    bench = bench_at("2026-01-01 00:00")
    scheduled(bench, when)
    bench.pass_time(HOUR - MINUTE)
    adopted = Adopted(latest(bench.journal), ())
    after = Bench(stored(bench), SETTINGS, first=adopted, now=bench.now)
    after.tell(ClockRead(wall("2026-01-01 00:59")))
    after.tell(AutoStart())
    after.pass_time(MINUTE - 1)
    assert not after.found(LaunchProcess)
    after.pass_time(1)
    assert after.found(LaunchProcess)


def test_a_time_that_comes_while_no_manager_lives_is_late_only() -> None:
    bench = bench_at("2026-01-01 00:59:59")
    scheduled(bench, "0 * * * *")
    adopted = Adopted(latest(bench.journal), ())
    after = Bench(stored(bench), SETTINGS, first=adopted, now=bench.now + 3_000)
    after.tell(ClockRead(wall("2026-01-01 01:00:02")))
    after.tell(AutoStart())
    after.pass_time(0)
    assert after.found(LaunchProcess)


def test_a_run_of_before_is_no_second_one() -> None:
    bench = bench_at("2026-01-01 00:59")
    service = scheduled(bench, "0 * * * *")
    bench.pass_time(MINUTE)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    held = HeldLaunch(launch, bench.id(service), PID, control_channel=False)
    adopted = Adopted(latest(bench.journal), (held,))
    after = Bench(stored(bench), SETTINGS, first=adopted, now=bench.now)
    after.tell(ClockRead(wall("2026-01-01 01:00")))
    after.tell(AutoStart())
    after.pass_time(HOUR - 1)
    assert not after.found(LaunchProcess)


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("once", 1)])
def test_what_was_missed_while_the_machine_was_off(missed: str, runs: int) -> None:
    bench = bench_at("2026-01-01 02:30")
    scheduled(bench, "0 3 * * *", AppScheduleMissed=missed)
    bench.pass_time(HOUR)
    after = Bench(stored(bench), SETTINGS)
    after.tell(ClockRead(wall("2026-01-04 12:00")))
    after.tell(AutoStart())
    after.pass_time(0)
    assert len(after.found(LaunchProcess)) == runs
    assert next_run(after, after.open("Job")) == "2026-01-05 03:00:00+00:00"


def test_a_calendar_that_names_the_past_is_asked_once_an_instant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = bench_at("2026-01-01 02:30")
    scheduled(bench, "0 3 * * *")
    monkeypatch.setattr(schedules, "next_after", lambda calendar, after, zone: after - 60)
    bench.scm.expire(HOUR)
    assert bench.scm.next_deadline() == HOUR + 1
