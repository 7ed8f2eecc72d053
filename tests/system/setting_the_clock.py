"""Tests that set the machine's clock: only `test_clock_set.py` runs them, under another kernel."""

from __future__ import annotations

import contextlib
import select
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import scmd
from scmd.linux.clock import ClockWatch
from scmd.vocabulary.service import ServiceState
from tests.system.machine import Machine, eventually

DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def not_on_this_machine() -> None:
    assert "User Mode Linux" in Path("/proc/cpuinfo").read_text()


def put(change: timedelta) -> None:
    now = datetime.now(UTC) + change
    time.clock_settime(time.CLOCK_REALTIME, now.timestamp())


def test_each_setting_is_noticed() -> None:
    with contextlib.closing(ClockWatch()) as watch:
        for change in (DAY, -2 * DAY, DAY):
            put(change)
            assert select.select([watch], [], [], 10)[0] == [watch]
            watch.again()
            assert select.select([watch], [], [], 0)[0] == []


@pytest.fixture
def nightly(machine: Machine) -> Machine:
    """Starts at half past three and makes up for what it has missed."""
    machine.install("Job", "/bin/sh", "-c", "exit 0", AppOneShot="stop", AppScheduleMissed="once")
    machine.scmd("set", "Job", "AppSchedule", "30 3 * * *")
    machine.scmd("set", "Job", "AppScheduleZone", "UTC")
    return machine


def next_run(machine: Machine) -> datetime:
    return datetime.fromisoformat(machine.json("status", "Job")["next_run"])


def test_schedules_follow_the_clock_that_is_set(nightly: Machine) -> None:
    planned = next_run(nightly)
    put(DAY)
    eventually(lambda: nightly.json("history", "Job"), "the run that was missed")
    assert next_run(nightly) == planned + DAY
    put(-3 * DAY)
    eventually(lambda: next_run(nightly) == planned - 2 * DAY, "the time that comes next")


def test_a_watch_and_a_wait_heed_no_clock(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    sleeper = machine.scm["Sleeper"]
    with machine.as_environment(), scmd.watch("Sleeper") as changes:
        put(1000 * DAY)
        sleeper.start(wait=False)
        sleeper.wait("running", timeout=60)
        put(-2000 * DAY)
        sleeper.stop(wait=60)
        told = [next(changes)]
        while told[-1].state != ServiceState.STOPPED:
            told.append(next(changes))
    numbers = [change.sequence for change in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert not any(change.gap for change in told)
    lasted = [change.lasted_ms for change in told if change.before != change.state]
    # How long it was STOPPED before nobody knows.
    assert lasted[0] is None
    assert all(span is not None and 0 <= span < DAY // MILLISECOND for span in lasted[1:]), lasted
