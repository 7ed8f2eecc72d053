"""Scheduled services on a real machine."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.system.machine import Machine, eventually
from tests.system.test_manager_death import kill_manager

SHELL = "/bin/sh"


def test_a_service_is_started_again_and_again(machine: Machine) -> None:
    runs = machine.folder / "runs"
    script = f"echo run >>{runs}"
    machine.scmd(
        "install", "Job", "--one-shot", "stop", "--schedule", "every 1s", "--", SHELL, "-c", script
    )

    def at_least(count: int) -> bool:
        return runs.exists() and runs.read_text().count("run") >= count

    eventually(lambda: at_least(2), "two runs")
    assert "is started by its schedule at" in machine.scmd("why", "Job")
    kill_manager(machine)
    machine.disconnect()
    before = runs.read_text().count("run")
    eventually(lambda: at_least(before + 2), "two more runs")
    history = machine.json("history", "Job")
    assert {"SCM"} == {line["actor"] for line in history if line["actor"]}
    machine.sc("config", "Job", "start=", "disabled")
    assert machine.json("status", "Job")["next_run"] is None


def test_when_it_is_started_next_is_shown(machine: Machine) -> None:
    machine.install("Job", SHELL, "-c", "exit 0", AppOneShot="stop")
    assert machine.json("status", "Job")["next_run"] is None
    machine.scmd("set", "Job", "AppSchedule", "30 3 L * *")
    machine.scmd("set", "Job", "AppScheduleZone", "Asia/Kathmandu")
    upcoming = machine.json("status", "Job")["next_run"]
    shown = datetime.fromisoformat(upcoming)
    assert upcoming.endswith(" 03:30:00+05:45")
    assert shown > datetime.now(UTC)
    assert machine.json("why", "Job")["next_run"] == upcoming
    assert f"at {upcoming}" in machine.scmd("why", "Job")
    assert upcoming in machine.scmd("status", "Job")
    refused = machine.try_scmd("set", "Job", "AppSchedule", "30 25 * * *")
    assert (refused.returncode, "expected hour 0 to 23" in refused.stderr) == (1, True)
