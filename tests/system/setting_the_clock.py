"""Tests that set the machine's clock: only `test_clock_set.py` runs them, under another kernel."""

from __future__ import annotations

import contextlib
import select
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scmd.linux.clock import ClockWatch
from tests.system.machine import Machine, eventually

DAY = timedelta(days=1)


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
