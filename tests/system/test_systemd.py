"""The unit file under a real systemd, which boots a root of its own for the test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.system.booted import Booted, booted
from tests.system.machine import eventually

pytestmark = [pytest.mark.root, pytest.mark.peers("systemd", "nsenter", "unshare")]

# Tells when it is asked to stop and when it has stopped, and takes its time. A daemon of its
# leaves everything behind but the cgroup.
ORDERLY = """
trap 'echo asked; (env -i /bin/sleep 0.3); echo done; exit 0' TERM
(env -i setsid sleep 1000 &)
echo up
while :; do sleep 1000 & wait; done
"""


@pytest.fixture
def state(folder: Path) -> Path:
    made = folder / "state"
    made.mkdir(mode=0o700)
    return made


def install(machine: Booted) -> None:
    machine.run("scmd", "install", "Db", "--start", "auto", "--", "sleep", "1000")
    machine.run(
        *("scmd", "install", "Web", "--start", "auto", "--depend", "Db"),
        *("--", "/bin/sh", "-c", ORDERLY),
    )


def await_another(machine: Booted, restarts: str) -> None:
    eventually(lambda: machine.show("NRestarts") not in ("", restarts), "a restart")


def lines(machine: Booted, name: str) -> list[str]:
    return machine.run("scmd", "logs", name).splitlines()


def test_services_start_with_the_machine_and_end_with_it(folder: Path, state: Path) -> None:
    with booted(folder / "first", state) as machine:
        install(machine)
        machine.run("scmd", "net", "start", "Web")
        machine.power_off()
    with booted(folder / "second", state) as machine:
        # Nobody has logged on or asked for anything.
        pid = machine.await_state("Web", "RUNNING")["process_id"]
        machine.await_state("Db", "RUNNING")
        eventually(lambda: lines(machine, "Web")[3:] == ["up"], "the second start")
        # They had been given the time that they needed, once, when the machine went down.
        assert lines(machine, "Web")[:3] == ["up", "asked", "done"]
        membership = machine.run("cat", f"/proc/{pid}/cgroup").splitlines()[-1]
        assert re.fullmatch(r"0::/system.slice/scmd.service/scmd-[^/]+/\d+-\d+", membership)
        assert machine.show("NotifyAccess") == "main"
        keeper = machine.json("status")["keeper_pid"]
        assert machine.show("MainPID") == str(keeper)


def test_stop_and_restart_of_the_unit(folder: Path, state: Path) -> None:
    with booted(folder / "machine", state) as machine:
        install(machine)
        machine.run("scmd", "net", "start", "Web")
        machine.run("systemctl", "stop", "scmd")
        assert machine.show("Result") == "success"
        assert machine.show("ActiveState") == "inactive"
        # KillMode=mixed: the daemon that Web left behind is gone, too.
        assert machine.attempt("pgrep", "-x", "sleep").stdout == ""
        machine.run("systemctl", "start", "scmd")
        first = machine.json("status")["keeper_pid"]
        machine.await_state("Web", "RUNNING")
        assert lines(machine, "Web")[:3] == ["up", "asked", "done"]
        machine.run("systemctl", "restart", "scmd")
        assert machine.json("status")["keeper_pid"] != first
        machine.await_state("Web", "RUNNING")
        assert machine.show("NRestarts") == "0"


def test_a_keeper_that_dies_or_hangs_is_started_again(folder: Path, state: Path) -> None:
    with booted(folder / "machine", state) as machine:
        install(machine)
        machine.run("scmd", "net", "start", "Web")
        for asked_for, signal in (("", "KILL"), ("WatchdogSec=4", "STOP")):
            if asked_for:
                folder_inside = "/run/systemd/system/scmd.service.d"
                text = f"[Service]\n{asked_for}\n"
                machine.run("mkdir", "-p", folder_inside)
                machine.run("sh", "-c", f"printf '{text}' >{folder_inside}/watchdog.conf")
                machine.run("systemctl", "daemon-reload")
                machine.run("systemctl", "restart", "scmd")
            old = machine.await_state("Web", "RUNNING")["process_id"]
            restarts = machine.show("NRestarts")
            machine.run("kill", f"-{signal}", machine.show("MainPID"))
            await_another(machine, restarts)
            eventually(lambda: machine.show("ActiveState") == "active", "scmd.service")
            assert machine.await_state("Web", "RUNNING")["process_id"] != old
        assert machine.attempt("test", "-e", f"/proc/{old}").returncode == 1
