"""One-shot services on a real machine: net start waits for the work, dependents too."""

from __future__ import annotations

import os
import threading

from tests.system.machine import Machine, eventually
from tests.system.test_manager_death import kill_manager

SHELL = "/bin/sh"


def test_net_start_waits_until_the_work_is_done(machine: Machine) -> None:
    machine.install("Job", SHELL, "-c", "echo worked", AppOneShot="stop")
    assert "was started successfully" in machine.scmd("net", "start", "Job")
    assert machine.await_state("Job", "STOPPED").win32_exit_code == 0
    assert "worked" in machine.log("Job")
    assert machine.scm["Job"].start().win32_exit_code == 0
    machine.install("Bad", SHELL, "-c", "exit 3", AppOneShot="stop")
    assert "could not be started" in machine.try_scmd("net", "start", "Bad").stderr
    machine.install("Brief", SHELL, "-c", "exit 0")
    assert machine.try_scmd("net", "start", "Brief").returncode in (0, 2)


def test_a_dependent_starts_after_the_work_even_when_the_manager_dies(machine: Machine) -> None:
    fifo = machine.folder / "go"
    os.mkfifo(fifo)
    machine.install("Job", SHELL, "-c", f"read x <{fifo}; echo worked", AppOneShot="stay")
    machine.install("Web", SHELL, "-c", "echo served; exec sleep 1000")
    machine.sc("config", "Web", "depend=", "Job")
    # The start of a dependent is answered when it is its turn; here the manager dies before.
    starter = threading.Thread(target=machine.try_scmd, args=("sc", "start", "Web"))
    starter.start()
    machine.await_state("Job", "START_PENDING")
    eventually(lambda: machine.status("Job").process_id, "its process")
    assert "works, and counts as started" in machine.scmd("why", "Web")
    kill_manager(machine)
    machine.disconnect()
    assert machine.await_state("Web", "START_PENDING").process_id == 0
    starter.join()
    fifo.write_text("go\n")
    machine.await_state("Web", "RUNNING")
    assert machine.await_state("Job", "RUNNING").process_id == 0
    kill_manager(machine, 2)
    machine.disconnect()
    assert machine.await_state("Job", "RUNNING").process_id == 0
    machine.scmd("net", "stop", "Job", "/y")
    assert machine.await_state("Job", "STOPPED").win32_exit_code == 0
