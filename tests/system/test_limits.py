"""Limits of services, in force: what a program meets at them, and what the SCM says of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import programs
from tests.system.installation import NOBODY
from tests.system.machine import Machine, eventually, finished
from tests.system.programs import PYTHON

HOG = "held = []\nwhile True: held.append(b'x' * (1 << 20))"
BOMB = """if 1:
    import os, time
    refused = 0
    while not refused:
        try:
            if not os.fork():
                time.sleep(1000)
        except BlockingIOError:
            refused = 1
    print("held", flush=True)
    time.sleep(1000)
"""
MEMORY, TASKS = "AppLimit\\MemoryMax", "AppLimit\\TasksMax"


@pytest.mark.root
def test_a_program_that_reaches_its_memory_limit_is_killed_and_restarted(machine: Machine) -> None:
    machine.install("Hog", PYTHON, "-I", "-c", HOG)
    machine.scmd("set", "Hog", MEMORY, "48M")
    machine.sc("failure", "Hog", "reset=", "60", "actions=", "restart/1/restart/1//0")
    machine.sc("start", "Hog")
    event = machine.await_event(8020, "Hog")
    assert event["strings"] == ["Hog", f"MemoryMax of {48 << 20} bytes"]
    eventually(lambda: machine.scmd("why", "Hog").count("has failed 3 times"), "the third failure")
    status = machine.await_state("Hog", "STOPPED")
    assert status.win32_exit_code == 1067
    assert "out of memory, at its limit MemoryMax" in machine.scmd("why", "Hog")
    crash = machine.json("crash", "Hog")
    assert crash["signal"] == 9
    assert "out of memory, at its limit MemoryMax" in crash["cause"]
    assert crash["parameters"][MEMORY] == "48M"


@pytest.mark.root
def test_a_fork_bomb_stays_within_its_limit_and_ends_as_a_whole(machine: Machine) -> None:
    machine.install("Bomb", PYTHON, "-I", "-c", BOMB, AppStopTime=1)
    machine.scmd("set", "Bomb", TASKS, "20")
    machine.sc("start", "Bomb")
    machine.await_log("Bomb", "held")
    assert machine.json("sc", "queryex", "Bomb")["usage"]["processes"] == 20
    machine.scmd("kill", "Bomb")
    machine.await_state("Bomb", "STOPPED")
    eventually(lambda: not any("fork" in left for left in machine.left_over()), "its end")


@pytest.mark.root
def test_a_service_of_the_sdk_is_limited_too(machine: Machine) -> None:
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.run(PYTHON, clock, "install").check_returncode()
    machine.scmd("set", "Clock", TASKS, "30")
    machine.scmd("set", "Clock", "AppLimit\\NOFILE", "77")
    done = machine.try_scmd("set", "Clock", MEMORY, "much")
    assert (done.returncode, "expected a size such as 512M" in done.stderr) == (1, True)
    machine.scmd("net", "start", "Clock")
    pid = machine.status("Clock").process_id
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max open files +77 +77 ", limits)
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if "pids" in line or line.startswith("0::"):
            assert "/scmd-" in line


@pytest.fixture
def mine(folder: Path) -> Iterator[Machine]:
    """An SCM without root, that cannot make cgroups."""
    home = folder / "mine"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    with finished(Machine(home, NOBODY)) as machine:
        yield machine.start()


@pytest.mark.root
def test_where_there_are_no_cgroups_it_is_said_and_made_up_for(mine: Machine) -> None:
    mine.install("Hog", "/usr/bin/python3", "-I", "-c", HOG)
    for name, value in ((MEMORY, "64M"), (TASKS, "4000"), ("AppLimit\\CPUQuota", "50%")):
        mine.scmd("set", "Hog", name, value)
    mine.sc("start", "Hog")
    said = mine.await_event(8021, "Hog")["strings"][1].split("; ")
    assert said == [
        "CPUQuota: there is no cgroup with the controller cpu for scmd",
        "MemoryMax: there is no cgroup with the controller memory for scmd",
        "each process by itself is held to it (RLIMIT_DATA)",
        "TasksMax: there is no cgroup with the controller pids for scmd",
        "user nobody is held to it (RLIMIT_NPROC)",
    ]
    mine.await_log("Hog", "MemoryError")
