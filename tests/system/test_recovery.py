"""Services that fail: what the SCM does about it, with real processes."""

from __future__ import annotations

import json
import os
import re
import signal

from tests.system import programs
from tests.system.machine import Machine, eventually, is_gone
from tests.system.programs import PYTHON

RAISES = """\
import scmd

@scmd.service("Raises")
def raises(svc):
    svc.ready()
    print("up", flush=True)
    raise LookupError("lost")

if __name__ == "__main__":
    raises.main()
"""


def counts(machine: Machine) -> dict[str, int]:
    found: dict[str, int] = machine.json("status")["counts"]
    return found


def restarted(machine: Machine, name: str, before: int) -> int:
    """The process of the service's next run."""

    def look() -> int:
        status = machine.status(name)
        return status.process_id if status.process_id != before else 0

    return eventually(look, f"another process of {name}")


def test_a_killed_program_is_restarted_and_the_next_failures_take_the_next_actions(
    machine: Machine,
) -> None:
    told = machine.folder / "told"
    machine.install("Web", "/bin/sleep", "1000")
    command = f"/bin/sh -c \"echo failure %1% >> '{told}'\""
    actions = "restart/0/restart/50/run/0"
    machine.sc("failure", "Web", "reset=", "600", "command=", command, "actions=", actions)
    machine.sc("start", "Web")
    process = machine.await_state("Web", "RUNNING").process_id
    for number, (delay, words) in enumerate(
        [("0", "restart the service"), ("50", "restart the service")], 1
    ):
        os.kill(process, signal.SIGKILL)
        process = restarted(machine, "Web", process)
        machine.await_event(7031, "Web", str(number), delay, words)
    os.kill(process, signal.SIGKILL)
    eventually(lambda: told.exists() and told.read_text() == "failure 3\n", "the command")
    assert machine.status("Web").win32_exit_code == 1067
    eventually(lambda: counts(machine)["failed"] == 1, "the failed mark")
    assert machine.json("status", "Web") == {
        "service_name": "Web",
        "state": "STOPPED",
        "overdue_ms": 0,
        "next_run": None,
        "win32_exit_code": 1067,
        "service_specific_exit_code": 0,
        "failures": 3,
        "failed": True,
        "pending_action": "NONE",
        "due_in_ms": 0,
        "schedule": [{"failure": 4, "action": "RUN_COMMAND", "delay_ms": 0}],
    }
    text = machine.scmd("status", "Web")
    assert re.search(r"^failed +: yes$", text, re.MULTILINE)
    assert re.search(r"^schedule +: 4: RUN_COMMAND \(0 ms\)$", text, re.MULTILINE)


def test_reboot_runs_the_command_that_an_administrator_has_set(machine: Machine) -> None:
    rebooted = machine.folder / "rebooted"
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("failure", "Web", "reset=", "INFINITE", "actions=", "reboot/0")
    machine.sc("start", "Web")
    os.kill(machine.await_state("Web", "RUNNING").process_id, signal.SIGKILL)
    failed = machine.await_event(7032, "Web")
    assert failed["strings"][1] == "restart the machine"
    machine.scmd("settings", "RebootCommand", f"/bin/touch {rebooted}")
    machine.sc("start", "Web")
    os.kill(machine.await_state("Web", "RUNNING").process_id, signal.SIGKILL)
    eventually(rebooted.exists, "the command that reboots")


def test_the_configuration_reads_as_it_was_written(machine: Machine) -> None:
    machine.install("Web", "/bin/sleep", "1000")
    assert "NONCRASH_FAILURES: TRUE" in machine.sc("qfailureflag", "Web")
    machine.sc("failure", "Web", "reset=", "INFINITE", "actions=", "restart/5000/reboot/60000")
    assert machine.sc("qfailure", "Web") == (
        "[SC] QueryServiceConfig2 SUCCESS\n"
        "\n"
        "SERVICE_NAME: Web\n"
        "        RESET_PERIOD (in seconds)    : INFINITE\n"
        "        REBOOT_MESSAGE               : \n"
        "        COMMAND_LINE                 : \n"
        "        FAILURE_ACTIONS              : RESTART -- Delay = 5000 milliseconds.\n"
        "                                       REBOOT -- Delay = 60000 milliseconds.\n"
    )
    machine.sc("failure", "Web", "reset=", "0", "actions=", "")
    assert "FAILURE_ACTIONS" not in machine.sc("qfailure", "Web")


def test_a_stop_is_a_stop(machine: Machine) -> None:
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("failure", "Web", "reset=", "0", "actions=", "restart/0")
    machine.sc("start", "Web")
    machine.await_state("Web", "RUNNING")
    machine.sc("stop", "Web")
    machine.await_state("Web", "STOPPED")
    assert machine.events(7031) == machine.events(7034) == []
    assert counts(machine)["recovering"] == counts(machine)["failed"] == 0


def test_a_stop_ends_the_wait_for_a_restart(machine: Machine) -> None:
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("failure", "Web", "reset=", "0", "actions=", "restart/1000000")
    machine.sc("start", "Web")
    os.kill(machine.await_state("Web", "RUNNING").process_id, signal.SIGKILL)
    machine.await_event(7031, "Web")
    eventually(lambda: counts(machine)["recovering"] == 1, "the wait for the restart")
    assert machine.refused("stop", "Web") == 1062
    assert counts(machine)["recovering"] == counts(machine)["failed"] == 0


def test_an_unhandled_exception_is_a_failure_by_default(machine: Machine) -> None:
    program = programs.write(machine.folder, "raises.py", RAISES)
    machine.run(PYTHON, program, "install")
    machine.scmd("set", "Raises", "AppRestartLimit", "2")
    machine.sc("failure", "Raises", "reset=", "INFINITE", "actions=", "restart/0")
    machine.sc("start", "Raises")
    event = machine.await_event(8002, "Raises")
    assert event["strings"][1] == "3"
    status = machine.await_state("Raises", "STOPPED")
    assert status.win32_exit_code == 1064
    assert machine.log("Raises").count("LookupError: lost") == 3
    assert counts(machine)["failed"] == 1
    machine.sc("failureflag", "Raises", "0")
    machine.sc("start", "Raises")
    machine.await_state("Raises", "STOPPED")
    eventually(lambda: len(machine.events(7023)) == 4, "the last stop with an error")
    assert len(machine.events(8002)) == 1


def test_what_is_waited_for_survives_the_manager(machine: Machine) -> None:
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("failure", "Web", "reset=", "INFINITE", "actions=", "restart/0/restart/1500")
    machine.sc("start", "Web")
    first = machine.await_state("Web", "RUNNING").process_id
    os.kill(first, signal.SIGKILL)
    second = restarted(machine, "Web", first)
    machine.await_state("Web", "RUNNING")
    os.kill(second, signal.SIGKILL)
    machine.await_event(7031, "Web", "2", "1500")
    manager = int(json.loads(machine.scmd("status", "--json"))["manager_pid"])
    os.kill(manager, signal.SIGKILL)
    eventually(lambda: is_gone(manager), "the end of the manager")
    machine.disconnect()
    machine.await_state("Web", "RUNNING")
    os.kill(machine.status("Web").process_id, signal.SIGKILL)
    machine.await_event(7031, "Web", "3", "1500")


def test_install_with_restart(machine: Machine) -> None:
    machine.scmd("install", "Web", "--restart", "0", "--", "/bin/sleep", "1000")
    assert "RESTART -- Delay = 0 milliseconds." in machine.sc("qfailure", "Web")
    assert "NONCRASH_FAILURES: TRUE" in machine.sc("qfailureflag", "Web")
    assert machine.scmd("get", "Web", "AppThrottle") == "10000\n"
    machine.sc("start", "Web")
    process = machine.await_state("Web", "RUNNING").process_id
    os.kill(process, signal.SIGKILL)
    machine.await_event(7031, "Web", "1", "1000")
    restarted(machine, "Web", 0)
    machine.scmd("install", "No", "--restart", "soon", "--", "/bin/sleep", "1", status=2)
    assert machine.refused("query", "No") == 1060
