"""Cgroups: where ours is, and that nobody who was born in one gets away."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scmd.linux import cgroups
from scmd.linux.cgroups import Cgroups, homes_in

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
HYBRID = (
    "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 23 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
)


@pytest.mark.parametrize(
    ("memberships", "mounts", "homes"),
    [
        ("0::/\n", V2, ["/sys/fs/cgroup"]),
        ("0::/user.slice/a:b\n", V2, ["/sys/fs/cgroup/user.slice/a:b"]),
        (
            "9:freezer:/x\n8:cpu,cpuacct:/y\n0::/z\n",
            HYBRID,
            ["/sys/fs/cgroup/unified/z", "/sys/fs/cgroup/freezer/x"],
        ),
        ("8:cpu,cpuacct:/y\n9:freezer:/\n", HYBRID, ["/sys/fs/cgroup/freezer"]),
        # A container that sees the machine's paths but only its own part of the tree.
        ("0::/docker/1/in\n", "1 2 0:3 /docker/1 /cg rw - cgroup2 none rw\n", ["/cg/in"]),
        ("0::/docker/10\n", "1 2 0:3 /docker/1 /cg rw - cgroup2 none rw\n", []),
        # We were put somewhere outside of our cgroup namespace.
        ("0::/../other\n", V2, []),
        ("0::/\n", "1 2 0:3 / /with\\040space rw - cgroup2 none rw\n", ["/with space"]),
        ("0::/\n", "1 2 0:3 / /sys rw - sysfs sysfs rw\n", []),
        ("", V2, []),
    ],
)
def test_homes(memberships: str, mounts: str, homes: list[str]) -> None:
    assert list(homes_in(memberships, mounts)) == homes


def test_without_cgroups_nothing_is_done() -> None:
    none = Cgroups(None, "test")
    assert not none.enter(1, 1)
    assert none.processes(1) == []
    assert none.end(1)
    none.release(1)
    assert none.kill_leftovers() == 0
    none.close()


def test_where_no_cgroup_can_be_made_the_caller_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = Cgroups(str(tmp_path / "file"), "test")
    assert not nowhere.enter(1, 1)
    assert nowhere.end(1)
    nowhere.close()


def usable_homes() -> list[str]:
    memberships = Path("/proc/self/cgroup").read_text()
    mounts = Path("/proc/self/mountinfo").read_text()
    return [home for home in homes_in(memberships, mounts) if os.access(home, os.W_OK)]


needs_cgroups = pytest.mark.skipif(not usable_homes(), reason="no cgroup can be made here")
each_home = pytest.mark.parametrize("home", usable_homes())

# One that nothing but a cgroup can tell: forked twice, its own session, no environment. Its
# children each leave their session, too; they are few, and all end with our pipe.
ESCAPING = """if 1:
    import os
    for _ in range(2):
        if os.fork():
            os._exit(0)
        os.setsid()
    code = "import os; [os.fork() or os.setsid() for _ in range(4)]"
    code += "; os.write(1, b'+'); os.read(0, 1)"
    os.execve({python!r}, ["python", "-I", "-S", "-c", code], {{}})
"""
PROCESSES = 16


@contextmanager
def escaped(made: Cgroups, launch: int) -> Iterator[int]:
    """A tree whose first process has ended; the read end of what all others have open."""
    assert made.enter(launch, 7)
    standing, held = os.pipe()
    output, written = os.pipe()
    first = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", ESCAPING.format(python=sys.executable)],
        stdin=standing,
        stdout=written,
    )
    made.leave()
    os.close(standing)
    os.close(written)
    try:
        assert first.wait() == 0
        came = b""
        while len(came) < PROCESSES:
            came += os.read(output, PROCESSES)
        yield output
    finally:
        os.close(held)
        while os.read(output, 1):
            pass
        os.close(output)


def wait_until_gone(made: Cgroups, launch: int, output: int) -> None:
    """None of them has the pipe open, and none of them is left in the cgroup."""
    assert os.read(output, 1) == b""
    while not made.end(launch):  # The last of them is about to be gone.
        pass


@needs_cgroups
@each_home
@pytest.mark.parametrize("by_hand", [False, True])
def test_nobody_escapes(home: str, by_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_hand:  # As on a kernel before 5.14.
        monkeypatch.setattr(cgroups, "_KILL", "cgroup.not_there")
    made = Cgroups(home, f"test-{os.getpid()}")
    with escaped(made, 1) as output:
        assert len(made.processes(1)) == PROCESSES
        assert not made.end(1)
        wait_until_gone(made, 1, output)
    assert made.processes(1) == []
    made.close()
    assert not Path(home, f"scmd-test-{os.getpid()}").exists()


@needs_cgroups
@each_home
def test_released_ones_live_on_until_a_later_keeper_kills_them(home: str) -> None:
    name = f"test-{os.getpid()}"
    made = Cgroups(home, name)
    with escaped(made, 1) as output:
        made.release(1)
        made.close()
        folder = Path(home, f"scmd-{name}", "7-1")
        assert folder.exists()
        assert not select.select([output], [], [], 0)[0]
        later = Cgroups(home, name)
        assert later.kill_leftovers() == 1
        assert os.read(output, 1) == b""
    while folder.exists():  # The last of them is about to be gone.
        later.close()


@needs_cgroups
@each_home
def test_cgroups_that_a_service_made_go_with_its_own(home: str) -> None:
    made = Cgroups(home, f"test-{os.getpid()}")
    assert made.enter(1, 7)
    made.leave()
    Path(home, f"scmd-test-{os.getpid()}", "7-1", "a", "b").mkdir(parents=True)
    assert made.end(1)
    made.close()
    assert not Path(home, f"scmd-test-{os.getpid()}").exists()
