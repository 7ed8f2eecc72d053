"""Services written on the SDK, used as their authors use them."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

import scmd.examples.tutorial_winsvc
from scmd.vocabulary.errors import Error
from tests.system import programs
from tests.system.machine import Machine
from tests.system.programs import PYTHON


def test_the_eight_line_service_by_its_own_command_line(machine: Machine) -> None:
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)

    def say(*arguments: str, status: int = 0) -> str:
        done = machine.run(PYTHON, clock, *arguments)
        assert done.returncode == status, done
        return done.stdout + done.stderr

    say("install")
    config = machine.json("sc", "qc", "Clock")
    assert config["display_name"] == "The clock"
    assert config["start_type"] == "DEMAND_START"
    assert "Says the time." in machine.sc("qdescription", "Clock")
    say("start")
    assert "RUNNING" in say("status")
    machine.await_log("Clock", "tick(.|\n)*tick")
    say("pause")
    assert machine.json("sc", "query", "Clock")["state"] == "PAUSED"
    written = machine.log("Clock")
    say("continue")
    machine.await_log("Clock", re.escape(written) + ".*tick")
    say("restart")
    assert machine.status("Clock").state == 4
    say("stop")
    stopped = machine.status("Clock")
    assert (stopped.state, stopped.win32_exit_code) == (1, 0)
    say("remove")
    assert machine.refused("query", "Clock") == Error.SERVICE_DOES_NOT_EXIST
    assert "1060" in say("start", status=1) or "not exist" in say("start", status=1)
    assert "usage" in say(status=2)
    assert "install" in say("run", status=1)


def test_pause_and_continue_by_sc_show_every_state(machine: Machine) -> None:
    machine.run(PYTHON, programs.write(machine.folder, "clock.py", programs.CLOCK), "install")
    machine.sc("start", "Clock")
    machine.await_state("Clock", "RUNNING")
    shown = machine.sc("queryex", "Clock")
    assert "(STOPPABLE, PAUSABLE, ACCEPTS_SHUTDOWN)" in shown
    machine.sc("pause", "Clock")
    machine.await_state("Clock", "PAUSED")
    machine.sc("interrogate", "Clock")
    assert machine.status("Clock").state == 7
    machine.sc("continue", "Clock")
    machine.await_state("Clock", "RUNNING")
    assert machine.refused("control", "Clock", "paramchange") == Error.INVALID_SERVICE_CONTROL
    machine.sc("pause", "Clock")
    machine.await_state("Clock", "PAUSED")
    machine.sc("stop", "Clock")
    machine.await_state("Clock", "STOPPED")
    assert machine.refused("pause", "Clock") == Error.SERVICE_NOT_ACTIVE


@pytest.fixture
def jobs(machine: Machine) -> Machine:
    program = programs.write(machine.folder, "jobs.py", programs.ODD_JOBS)
    machine.run(PYTHON, program, "install").check_returncode()
    return machine


def test_arguments_controls_and_parameters_reach_the_service(jobs: Machine) -> None:
    jobs.sc("start", "OddJobs", "one", "two words")
    jobs.await_log("OddJobs", "arguments one two words\n")
    jobs.await_state("OddJobs", "RUNNING")
    jobs.sc("control", "OddJobs", "200")
    jobs.await_log("OddJobs", "two hundred\n")
    assert jobs.refused("control", "OddJobs", "201") == Error.CALL_NOT_IMPLEMENTED
    jobs.scmd("set", "OddJobs", "Port", "8080")
    jobs.await_log("OddJobs", "port 8080\n")
    jobs.sc("stop", "OddJobs")
    assert jobs.await_state("OddJobs", "STOPPED").win32_exit_code == 0


def test_an_exit_code_of_the_service_is_shown_and_logged(jobs: Machine) -> None:
    jobs.scmd("set", "OddJobs", "Code", "42")
    jobs.scmd("net", "start", "OddJobs")
    jobs.sc("stop", "OddJobs")
    status = jobs.await_state("OddJobs", "STOPPED")
    assert (status.win32_exit_code, status.service_specific_exit_code) == (1066, 42)
    assert jobs.await_event(7024, "OddJobs")["type"] == "error"


def test_an_exception_is_1064_with_its_traceback_in_the_log(jobs: Machine) -> None:
    jobs.scmd("set", "OddJobs", "Code", "1064")
    jobs.scmd("net", "start", "OddJobs")
    jobs.sc("stop", "OddJobs")
    assert jobs.await_state("OddJobs", "STOPPED").win32_exit_code == 1064
    jobs.await_log("OddJobs", "Traceback(.|\n)*LookupError: lost")
    jobs.await_event(7023, "OddJobs")


def test_a_killed_service_is_1067_and_an_event(jobs: Machine) -> None:
    jobs.scmd("net", "start", "OddJobs")
    os.kill(jobs.status("OddJobs").process_id, signal.SIGKILL)
    assert jobs.await_state("OddJobs", "STOPPED").win32_exit_code == Error.PROCESS_ABORTED
    jobs.await_event(7034, "OddJobs")
    jobs.scmd("net", "start", "OddJobs")


def test_two_services_share_a_process(machine: Machine) -> None:
    pair = programs.write(machine.folder, "pair.py", programs.PAIR)
    machine.run(PYTHON, pair, "install").check_returncode()
    assert machine.json("sc", "qc", "First")["service_type"] == "WIN32_SHARE_PROCESS"
    machine.scmd("net", "start", "First")
    machine.scmd("net", "start", "Second")
    process_id = machine.status("First").process_id
    assert machine.status("Second").process_id == process_id
    machine.await_log("First", f"first in {process_id}\n")
    shown = machine.try_scmd("logs", "Second")
    assert f"first in {process_id}\n" in shown.stdout
    assert (
        shown.stderr == "scmd: Second shares its process with First: this is the output of both\n"
    )
    assert not machine.try_scmd("logs", "First").stderr
    machine.scmd("net", "stop", "First")
    assert machine.status("Second").state == 4
    machine.scmd("net", "start", "First")
    assert machine.status("First").process_id == process_id
    os.kill(process_id, signal.SIGKILL)
    assert machine.await_state("First", "STOPPED").win32_exit_code == Error.PROCESS_ABORTED
    assert machine.await_state("Second", "STOPPED").win32_exit_code == Error.PROCESS_ABORTED
    assert f"first in {process_id}" in machine.scmd("crash", "Second")
    machine.scmd("net", "start", "Second")
    assert machine.status("First").state == 1
    assert not machine.try_scmd("logs", "Second").stderr


def test_names_in_the_table_count_in_a_shared_process_only(machine: Machine) -> None:
    pair = programs.write(machine.folder, "pair.py", programs.PAIR)
    for name in ("Third", "Second"):
        machine.create(name, PYTHON, pair)
        machine.scmd("net", "start", name)
        machine.await_log(name, f"first in {machine.status(name).process_id}\n")
        machine.scmd("net", "stop", name)
    machine.create("Fourth", PYTHON, pair, kind="share")
    assert "FAILED 1083" in machine.try_scmd("sc", "start", "Fourth").stdout


def test_the_tutorial_runs(machine: Machine) -> None:
    machine.create("MyAwesomeService", PYTHON, scmd.examples.tutorial_winsvc.__file__)
    machine.sc("start", "MyAwesomeService", "hello")
    machine.await_state("MyAwesomeService", "RUNNING")
    machine.await_log("MyAwesomeService", r"starting with \['hello'\]")
    machine.sc("stop", "MyAwesomeService")
    assert machine.await_state("MyAwesomeService", "STOPPED").win32_exit_code == 0


def test_automatic_services_start_with_the_scm_and_stop_with_it(machine: Machine) -> None:
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.scmd("install", "Base", "--start", "auto", "--", "sleep", "1000")
    machine.run(PYTHON, clock, "install", "--start", "auto", "--depend", "Base")
    machine.install("Manual", "sleep", "1000")
    machine.restart()
    base, process_id = (
        machine.await_state("Base", "RUNNING").process_id,
        machine.await_state("Clock", "RUNNING").process_id,
    )
    assert machine.status("Manual").state == 1
    assert machine.stop() == 0
    for gone in (base, process_id):
        assert not Path(f"/proc/{gone}").exists()
