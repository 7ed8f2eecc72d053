"""Several services of one definition, on a real machine."""

from __future__ import annotations

from tests.system.machine import Machine
from tests.system.test_manager_death import kill_manager


def test_instances_come_and_go_without_touching_the_others(machine: Machine) -> None:
    script = "echo I am %i; exec sleep 1000"
    machine.scmd("install", "Web", "--instances", "2", "--", "/bin/sh", "-c", script)
    machine.scmd("net", "start", "Web")
    machine.await_log("Web@2", "I am 2")
    pids = [machine.status(f"Web@{n}").process_id for n in (1, 2)]
    assert all(pids)
    machine.scmd("set", "Web", "AppInstances", "4")
    machine.await_log("Web@4", "I am 4")
    kill_manager(machine)
    machine.disconnect()
    assert machine.await_state("Web", "RUNNING").process_id == 0
    machine.scmd("set", "Web", "AppInstances", "1")
    assert [s.name for s in machine.scm.services("all") if "@" in s.name] == ["Web@1"]
    assert machine.status("Web@1").process_id == pids[0]
    machine.scmd("remove", "Web")
    assert [s.name for s in machine.scm.services("all")] == []


def test_instances_are_added_while_the_template_starts(machine: Machine) -> None:
    script = 'test -e "$0" && echo ready; exec sleep 1000'
    options = ("--instances", "1", "--set", "AppReady=log:ready")
    go = str(machine.folder / "go")
    machine.scmd("install", "Web", *options, "--", "/bin/sh", "-c", script, go)
    machine.scmd("sc", "start", "Web")
    machine.scmd("set", "Web", "AppInstances", "3")
    for name in ("Web", "Web@1", "Web@2", "Web@3"):
        machine.await_state(name, "START_PENDING")
    machine.scmd("net", "stop", "Web")
    assert not machine.status("Web@3").process_id


def test_a_virtual_account_is_each_instances_own(machine: Machine) -> None:
    account = ("--account", "NT SERVICE\\Own")
    machine.scmd("install", "Own", "--instances", "1", *account, "--", "/bin/true")
    machine.scmd("set", "Own", "AppInstances", "2")
    accounts = [machine.scm[f"Own@{n}"].config.account for n in (1, 2)]
    assert accounts == ["NT SERVICE\\Own@1", "NT SERVICE\\Own@2"]
