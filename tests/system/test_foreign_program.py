"""A service that is not Python: C, by nothing but docs/control-protocol.md."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from tests.system.machine import Machine

SOURCE = Path(__file__).with_name("service.c")


@pytest.fixture
def in_c(machine: Machine) -> Machine:
    program = str(machine.folder / "service")
    machine.run("gcc", "-Wall", "-o", program, str(SOURCE)).check_returncode()
    machine.create("InC", program)
    return machine


@pytest.mark.peers("gcc")
def test_a_program_in_c_is_a_service(in_c: Machine) -> None:
    in_c.scmd("net", "start", "InC")
    in_c.await_log("InC", "started\n")
    status = in_c.json("sc", "query", "InC")
    assert (status["state"], status["controls_accepted"]) == ("RUNNING", 3)
    assert in_c.await_event(77, "from a C")["source"] == "InC"
    in_c.scmd("net", "pause", "InC")
    assert in_c.status("InC").state == 7
    in_c.scmd("net", "continue", "InC")
    in_c.sc("control", "InC", "200")
    in_c.sc("control", "InC", "200")
    assert in_c.refused("control", "InC", "201") == Error.CALL_NOT_IMPLEMENTED
    in_c.scmd("net", "stop", "InC")
    stopped = in_c.status("InC")
    assert (stopped.win32_exit_code, stopped.service_specific_exit_code) == (1066, 2)


@pytest.mark.peers("gcc")
def test_a_program_in_c_outlives_the_manager(in_c: Machine) -> None:
    in_c.scmd("net", "start", "InC")
    in_c.scmd("net", "pause", "InC")
    before = in_c.status("InC")
    os.kill(in_c.json("status")["manager_pid"], signal.SIGKILL)
    in_c.disconnect()
    in_c.await_line("ready again")
    assert in_c.status("InC") == before
    in_c.scmd("net", "continue", "InC")
    in_c.scmd("net", "stop", "InC")
