"""A child is born in a cgroup, does its work there, and what it started is ours."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd.daemon.keeper_messages import Launch
from scmd.linux.birth import CannotBeBorn, child_in
from scmd.linux.cgroups import Cgroups, homes_in
from scmd.linux.spawn import Spawner
from scmd.vocabulary.errors import Error, Refused


def version_2() -> list[str]:
    memberships = Path("/proc/self/cgroup").read_text()
    homes = homes_in(memberships, Path("/proc/self/mountinfo").read_text())
    return [home for home in homes if os.access(home, os.W_OK) and not Path(home, "tasks").exists()]


pytestmark = pytest.mark.skipif(not version_2(), reason="no cgroup of version 2 can be made here")


@pytest.fixture
def folder() -> Iterator[str]:
    """A cgroup whose name is not of scmd's, so that no SCM that ends removes it."""
    made = Path(version_2()[0], f"birth-{os.getpid()}")
    made.mkdir()
    yield str(made)
    made.rmdir()


def launch(*argv: str) -> Launch:
    return Launch(
        number=1, service=7, name="", argv=argv, account="LocalSystem", control_channel=False
    )


def own_cgroup() -> bytes:
    lines = Path("/proc/self/cgroup").read_bytes().splitlines()
    return next(line for line in lines if line.startswith(b"0:"))


def test_work_is_done_there_and_we_stay(folder: str) -> None:
    before = own_cgroup()
    assert child_in(folder, own_cgroup).endswith(f"/birth-{os.getpid()}".encode())
    assert own_cgroup() == before


def test_a_long_answer_arrives_and_that_of_a_dead_child_is_empty(folder: str) -> None:
    assert child_in(folder, lambda: b"x" * 300_000) == b"x" * 300_000

    def die() -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b"never"

    assert child_in(folder, die) == b""


def test_nobody_is_born_where_there_is_no_cgroup(tmp_path: Path) -> None:
    with pytest.raises(CannotBeBorn) as failed:
        child_in(str(tmp_path), lambda: b"")
    assert not failed.value.gone
    with pytest.raises(CannotBeBorn) as failed:
        child_in(str(tmp_path / "missing"), lambda: b"")
    assert failed.value.gone


def test_soon_after_a_move_or_a_birth_moving_is_better() -> None:
    made = Cgroups(version_2()[0], f"birth-{os.getpid()}")
    assert made.enter(1, 7)
    made.leave()
    made._came_at += 3_600_000_000_000
    assert made.birthplace(2, 7) is None
    made._came_at = 0
    assert made.birthplace(2, 7) is not None
    made._came_at += 3_600_000_000_000
    assert made.birthplace(3, 7) is None
    made._came_at = 0
    made.cannot_bear()
    assert made.birthplace(3, 7) is None
    assert made.end(1)
    assert made.end(2)
    made.close()


def test_a_program_is_born_there_and_becomes_our_child(folder: str, tmp_path: Path) -> None:
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
    spawner = Spawner("i", str(tmp_path), (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    shell = ("/bin/sh", "-c", "cat /proc/self/cgroup; ulimit -Sn; exit 7")
    spawned = spawner.spawn(launch(*shell), born_in=folder)
    assert os.waitstatus_to_exitcode(os.waitpid(spawned.pid, 0)[1]) == 7
    output = os.read(spawned.output, 65536)
    assert f"/birth-{os.getpid()}\n".encode() in output
    assert output.endswith(b"\n1024\n")
    os.close(spawned.output)
    for program, error in (("/no/such/program", Error.PATH_NOT_FOUND), ("/usr", 5)):
        with pytest.raises(Refused) as refused:
            spawner.spawn(launch(program), born_in=folder)
        assert refused.value.error == error
        assert program in str(refused.value.detail)
    spawner.close()
    assert ctypes.CDLL(None).prctl(36, 0, 0, 0, 0) == 0
