"""The named pipe through a real smbd, with Samba's own clients on top."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator

import pytest

from scmd.vocabulary.service import ServiceState
from tests.remote.samba import PASSWORD, Samba
from tests.system import programs
from tests.system.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.peers("smbd", "net", "smbpasswd", "testparm")]


@pytest.fixture
def prepared(machine: Machine) -> Samba:
    """The machine's smbd, which does not run yet; root and daemon may come."""
    samba = Samba(machine.folder)
    samba.prepare()
    for user in ("root", "daemon"):
        samba.add_user(user)
    return samba


@pytest.fixture
def samba(machine: Machine, prepared: Samba) -> Iterator[Samba]:
    """The machine is behind smbd."""
    enable(machine, prepared)
    with prepared.running():
        yield prepared


def enable(machine: Machine, samba: Samba) -> str:
    configuration = ("--smb-conf", str(samba.configuration))
    return machine.scmd("remote", "enable", "--smbd", str(samba.front), *configuration)


def net(samba: Samba, *arguments: str, user: str = "root") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *("net", "-s", samba.configuration, "-S", samba.address, "-p", str(samba.port)),
            *("-U", f"{user}%{PASSWORD}", "rpc", "service", *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_net_rpc_service_administers_the_machine(machine: Machine, samba: Samba) -> None:
    machine.install("Sleeper", "sleep", "1000")

    def done(*arguments: str) -> str:
        ended = net(samba, *arguments)
        assert ended.returncode == 0, (ended, samba.logs())
        return ended.stdout

    assert "Sleeper" in done("list")
    assert "started" in done("start", "Sleeper")
    assert machine.status("Sleeper").state == ServiceState.RUNNING
    assert "running" in done("status", "Sleeper")
    assert "stopped" in done("stop", "Sleeper")
    machine.await_state("Sleeper", "STOPPED")
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.run(programs.PYTHON, clock, "install")
    done("start", "Clock")
    machine.await_state("Clock", "RUNNING")
    for verb, state in (("pause", "PAUSED"), ("resume", "RUNNING")):
        done(verb, "Clock")
        machine.await_state("Clock", state)
    assert "Successfully created" in done("create", "Made", "Made by net", "/bin/true")
    assert machine.json("sc", "qc", "Made")["binary_path_name"] == "/bin/true"
    assert "Successfully deleted" in done("delete", "Made")
    assert net(samba, "status", "Made").returncode != 0
    transitions = machine.json("history", "Sleeper")
    assert "SMB" in transitions[-1]["origin"]
    assert transitions[-1]["actor"].lower().endswith("\\root")


def test_a_user_who_is_no_administrator_may_not(machine: Machine, samba: Samba) -> None:
    machine.install("Sleeper", "sleep", "1000")
    for arguments in (("list",), ("start", "Sleeper"), ("delete", "Sleeper")):
        ended = net(samba, *arguments, user="daemon")
        assert ended.returncode != 0, ended
        assert "ACCESS_DENIED" in ended.stdout + ended.stderr, ended
    machine.scmd("remote", "enable", "--administrators", "daemon")
    assert "Sleeper" in net(samba, "list", user="daemon").stdout


def test_enabling_says_what_it_opens_and_what_protects_it(
    machine: Machine, prepared: Samba
) -> None:
    samba = prepared
    said = enable(machine, samba)
    assert "Named pipe \\PIPE\\svcctl" in said
    assert "smb.conf has the line" in said
    samba.configuration.write_text("[global]\n")
    assert f"external_rpc_pipe:socket_dir = {samba.front}" in enable(machine, samba)
    assert "server smb encrypt = required" in said
    assert "server signing = mandatory" in said
    samba.configuration.write_text("[global]\nserver smb encrypt = mandatory\n")
    assert "To require" not in enable(machine, samba), "what is encrypted is signed as well"
    pipe = samba.front / "np" / "svcctl"
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o600
    assert stat.S_IMODE(pipe.parent.stat().st_mode) == 0o700
    assert os.readlink(samba.front / "np" / "samr").endswith("/np/samr")


def test_a_killed_manager_leaves_the_pipe_open(machine: Machine, samba: Samba) -> None:
    manager = machine.scm.status()["manager_pid"]
    machine.expected_complaints = "manager ended"
    os.kill(int(str(manager)), 9)
    assert net(samba, "list").returncode == 0
    machine.disconnect()


def test_disabling_closes_it(machine: Machine, samba: Samba) -> None:
    assert net(samba, "list").returncode == 0
    assert "closed" in machine.scmd("remote", "disable")
    assert not (samba.front / "np" / "svcctl").exists()
    assert net(samba, "list").returncode != 0
    assert machine.json("remote", "status")["listening"] == []


def test_lanman_server_runs_while_the_pipe_is_open(bare: Machine) -> None:
    machine = bare.start()
    assert machine.status("LanmanServer").state == ServiceState.STOPPED
    machine.scmd("remote", "enable", "--smbd", str(machine.folder / "front"))
    machine.await_state("LanmanServer", "RUNNING")
    machine.restart()
    machine.await_state("LanmanServer", "RUNNING")
    machine.scmd("remote", "disable")
    machine.await_state("LanmanServer", "STOPPED")


def test_a_folder_that_others_may_enter_or_a_missing_configuration_is_refused(
    machine: Machine,
) -> None:
    folder = machine.folder / "open"
    (folder / "np").mkdir(parents=True)
    done = machine.try_scmd("remote", "enable", "--smbd", str(folder))
    assert (done.returncode, "mode 0700" in done.stderr) == (1, True)
    wrong = ("--smbd", str(machine.folder / "front"), "--smb-conf", "/nowhere/smb.conf")
    done = machine.try_scmd("remote", "enable", *wrong)
    assert (done.returncode, "/nowhere/smb.conf cannot be read" in done.stderr) == (1, True)
    assert machine.json("remote", "status")["settings"]["smbd"] == ""
