"""`sc lock`, `sc querylock`, and what the lock does to others: nothing, or what it did in NT 4."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scmd.vocabulary.errors import Error
from tests.started import started
from tests.system.machine import SCMD, Machine, eventually

pytestmark = pytest.mark.root

CHANGES: tuple[tuple[str, ...], ...] = (
    ("create", "New", "binPath=", "/bin/true"),
    ("config", "Down", "start=", "auto"),
    ("description", "Down", "text"),
    ("failure", "Down", "reset=", "0", "actions=", "restart/1000"),
    ("sdset", "Down", "D:(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"),
    ("delete", "Down"),
)


@contextmanager
def holding(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """Somebody runs `sc lock` in another terminal."""
    with started([*SCMD, "sc", "lock"], machine.environment) as holder:
        assert holder.stdout is not None
        said = ""
        while not said.endswith("press u: "):
            said += (more := holder.stdout.read(1))
            assert more, said
        yield holder


def owner(machine: Machine) -> str:
    """Whom querylock names; "" when it is not locked."""
    status = machine.json("sc", "querylock")
    assert status["is_locked"] == bool(status["owner"])
    return str(status["owner"])


@pytest.fixture
def both(machine: Machine) -> Machine:
    """A service that runs and one that does not."""
    for name in ("Up", "Down"):
        machine.install(name, "sleep", "1000")
    machine.scm["Up"].start(wait=True)
    return machine


def test_the_lock_is_reported_and_keeps_nobody_from_anything(both: Machine) -> None:
    machine = both
    assert owner(machine) == ""
    with holding(machine) as holder:
        assert owner(machine) == "root"
        assert "IsLocked      : TRUE" in machine.sc("querylock")
        assert machine.refused("lock") == Error.SERVICE_DATABASE_LOCKED
        machine.sc("start", "Down")
        machine.sc("stop", "Down")
        machine.await_state("Down", "STOPPED")
        for change in CHANGES:
            machine.sc(*change)
        said, _ = holder.communicate("what?\nu\n")
        assert "UnlockServiceDatabase SUCCESS" in said
        assert holder.returncode == 0
    assert owner(machine) == ""


def test_with_effect_nobody_starts_and_nobody_else_changes(both: Machine) -> None:
    machine = both
    machine.scmd("settings", "LockHasEffect", "1")
    with holding(machine) as holder:
        assert machine.refused("start", "Down") == Error.SERVICE_DATABASE_LOCKED
        for change in CHANGES:
            assert machine.refused(*change) == Error.SERVICE_DATABASE_LOCKED, change
        done = machine.try_scmd("net", "start", "Down")
        assert (done.returncode, "1055" in done.stderr) == (2, True), done
        # What is asked and what stops is no change of the database.
        assert "DEMAND_START" in machine.sc("qc", "Down")
        machine.sc("stop", "Up")
        machine.await_state("Up", "STOPPED")
        holder.kill()
        holder.wait()
        eventually(lambda: owner(machine) == "", "the end of the dead holder's lock")
    for change in CHANGES[:-1]:
        machine.sc(*change)
    machine.sc("start", "Down")
    machine.await_state("Down", "RUNNING")
