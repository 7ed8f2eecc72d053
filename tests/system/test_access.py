"""Access checks as another user sees them, and an SCM of such a user's own."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from tests.system.installation import NOBODY, public_command
from tests.system.machine import Machine, finished

pytestmark = pytest.mark.root


def test_another_user_may_look_and_nothing_else(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.install("Other", "sleep", "1000")
    machine.sc("start", "Sleeper")
    machine.await_state("Sleeper", "RUNNING")
    looking = ("query", "qc", "queryex", "interrogate", "qdescription", "enumdepend")
    for verb in looking:
        machine.sc(verb, "Sleeper", user=NOBODY)
    assert len(machine.json("sc", "query", "state=", "all", user=NOBODY)) == 2
    machine.scmd("status", user=NOBODY)
    before = machine.json("sc", "qc", "Sleeper"), machine.status("Sleeper")
    for refused in (
        ("create", "Mine", "binPath=", "/bin/sh"),
        ("start", "Other"),
        ("stop", "Sleeper"),
        ("pause", "Sleeper"),
        ("control", "Sleeper", "paramchange"),
        ("config", "Sleeper", "start=", "disabled"),
        ("config", "Sleeper", "binPath=", "/bin/sh"),
        ("description", "Sleeper", "mine now"),
        ("failure", "Sleeper", "reset=", "0", "actions=", "restart/0"),
        ("delete", "Sleeper"),
    ):
        assert machine.refused(*refused, user=NOBODY) == Error.ACCESS_DENIED, refused
    assert (machine.json("sc", "qc", "Sleeper"), machine.status("Sleeper")) == before
    assert machine.refused("query", "Mine") == Error.SERVICE_DOES_NOT_EXIST
    nobody = pwd.getpwuid(NOBODY).pw_name
    trail = machine.new(machine.json("events", "--source", "scmd audit"))
    told = {(entry["user"], entry["strings"][2], entry["strings"][3]) for entry in trail}
    assert {
        ("root", "start", "Sleeper"),
        (nobody, "control INTERROGATE", "Sleeper"),
        (nobody, "open", "Sleeper"),
        (nobody, "open", "the SCM"),
    } <= told
    refusals = [entry for entry in trail if entry["type"] == "audit failure"]
    assert {entry["strings"][4] for entry in refusals} == {"error 5"}
    assert all(entry["strings"][1].startswith("local pid ") for entry in trail)


def test_another_user_reads_no_log_and_sets_no_parameter(machine: Machine) -> None:
    machine.install("Talker", "sh", "-c", "echo secret; exec sleep 1000")
    machine.sc("start", "Talker")
    machine.await_log("Talker", "secret")
    parameters = machine.json("get", "Talker")
    for command in (
        ("logs", "Talker"),
        ("set", "Talker", "Application", "/bin/sh"),
        ("remove", "Talker"),
        ("install", "Mine", "--", "sleep", "1"),
    ):
        done = machine.try_scmd(*command, user=NOBODY)
        assert done.returncode == 1, done
        assert "secret" not in done.stdout
        assert "denied" in done.stderr.lower(), done
    done = machine.try_scmd("net", "stop", "Talker", user=NOBODY)
    assert (done.returncode, "System error 5" in done.stderr) == (2, True)
    assert machine.json("get", "Talker") == parameters
    for path in (machine.state / "registry.db", machine.state / "logs"):
        assert machine.run("cat", str(path), user=NOBODY).returncode == 1


def test_a_service_needs_an_account_that_exists(machine: Machine) -> None:
    create = ("create", "Low", "binPath=", "/bin/true", "obj=")
    assert machine.refused(*create, "nobody-has-this-name") == Error.INVALID_SERVICE_ACCOUNT
    assert machine.refused("query", "Low") == Error.SERVICE_DOES_NOT_EXIST
    machine.sc(*create, ".\\nobody")
    change = ("config", "Low", "obj=", "FAR\\nobody")
    assert machine.refused(*change) == Error.INVALID_SERVICE_ACCOUNT
    assert machine.json("sc", "qc", "Low")["service_start_name"] == ".\\nobody"
    machine.sc("config", "Low", "obj=", "LocalService")


def test_a_group_may_be_let_start_and_stop_one_service(machine: Machine) -> None:
    for name in ("Sleeper", "Other"):
        machine.install(name, "sleep", "1000")
    group = grp.getgrgid(NOBODY).gr_name
    refused = machine.try_scmd("grant", group, "start", "Sleeper", user=NOBODY)
    assert refused.returncode == 1
    machine.scmd("grant", f"group:{group}", "start,stop,query", "Sleeper")
    machine.sc("start", "Sleeper", user=NOBODY)
    machine.await_state("Sleeper", "RUNNING")
    assert machine.refused("pause", "Sleeper", user=NOBODY) == Error.ACCESS_DENIED
    assert machine.refused("start", "Other", user=NOBODY) == Error.ACCESS_DENIED
    machine.sc("stop", "Sleeper", user=NOBODY)
    machine.await_state("Sleeper", "STOPPED")
    machine.scmd("revoke", group, "Sleeper")
    assert machine.refused("start", "Sleeper", user=NOBODY) == Error.ACCESS_DENIED


def test_the_group_of_the_caller_gives_nothing(machine: Machine) -> None:
    """Root's group is not root."""
    done = subprocess.run(
        [*public_command(), "sc", "create", "Mine", "binPath=", "/bin/sh"],
        env=machine.environment,
        user=NOBODY,
        group=0,
        extra_groups=[0],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FAILED 5:" in done.stdout


def test_a_user_has_an_scm_of_his_own(folder: Path) -> None:
    """The same without root: for its owner everything, services run as the owner."""
    os.chown(folder, NOBODY, NOBODY)
    own = Machine(folder, user=NOBODY)
    with finished(own):
        own.start()
        own.scmd("install", "Sleeper", "--", "sh", "-c", "id -u; exec sleep 1000")
        own.sc("start", "Sleeper")
        status = own.await_state("Sleeper", "RUNNING")
        assert Path(f"/proc/{status.process_id}").stat().st_uid == NOBODY
        own.await_log("Sleeper", rf"{NOBODY}\n")
        assert own.log("Sleeper") == f"{NOBODY}\n"
        own.sc("stop", "Sleeper")
        own.await_state("Sleeper", "STOPPED")
        own.sc("config", "Sleeper", "start=", "disabled")
        own.restart()
        assert own.json("sc", "qc", "Sleeper")["start_type"] == "DISABLED"
        own.sc("delete", "Sleeper")
        assert stat.S_IMODE(own.runtime.stat().st_mode) == 0o700
        assert own.events(7045)[0]["strings"][0] == "Sleeper"
