"""Limits by cgroup: what is written where, what it does to a program, and what cannot be had."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scmd.linux import cgroups, controllers
from scmd.linux.cgroups import Cgroups
from tests.linux.inside import inside

HOG = "held = []\nwhile True: held.append(b'x' * (1 << 20))"
FORKER = """if 1:
    import os, signal
    made = []
    try:
        while len(made) < 50:
            pid = os.fork()
            if not pid:
                signal.pause()
            made.append(pid)
    except BlockingIOError:
        print(len(made))
    for pid in made:
        os.kill(pid, signal.SIGKILL)
"""


@pytest.fixture
def made() -> Cgroups:
    return cgroups.find(f"limits-{os.getpid()}")


def run_inside(bounds: controllers.Bounds, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(inside(bounds.join, code), capture_output=True, text=True, check=False)


@pytest.mark.root
def test_a_program_that_wants_more_memory_than_its_limit_is_killed(made: Cgroups) -> None:
    bounds = made.limit(1, 7, [("MemoryMax", 48 << 20)])
    assert bounds.missing == {}
    assert not made.ran_out_of_memory(1)
    assert run_inside(bounds, HOG).returncode == -signal.SIGKILL
    assert made.ran_out_of_memory(1)
    assert made.end(1)
    made.close()


@pytest.mark.parametrize(
    ("name", "text", "kills"),
    [
        ("memory.events", "max 9\noom 1\noom_kill 2\n", 2),
        ("memory.events", "max 0\noom 0\noom_kill 2\n", 0),  # The machine had no memory left.
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),
    ],
)
def test_only_kills_at_the_limit_count(tmp_path: Path, name: str, text: str, kills: int) -> None:
    (tmp_path / name).write_text(text)
    assert controllers.memory_kills([str(tmp_path)]) == kills


@pytest.mark.root
def test_no_more_processes_than_the_limit_can_be_forked(made: Cgroups) -> None:
    bounds = made.limit(1, 7, [("TasksMax", 5)])
    assert bounds.missing == {}
    done = run_inside(bounds, FORKER)
    assert (done.returncode, done.stdout) == (0, "4\n"), done
    while not made.end(1):
        pass
    made.close()


@pytest.mark.root
def test_nothing_is_left_of_a_limited_launch(made: Cgroups) -> None:
    shares = [("CPUQuota", 50), ("CPUWeight", 25), ("MemoryMax", 1 << 30), ("TasksMax", 9)]
    bounds = made.limit(1, 7, shares)
    assert bounds.missing == {}
    assert run_inside(bounds, "pass").returncode == 0
    assert made.end(1)
    assert not any(Path(folder).exists() for folder in bounds.folders)
    made.close()
    assert not any(Path(folder).parent.exists() for folder in bounds.folders)


@pytest.mark.root
def test_the_processor_time_of_a_launch_is_held_to_its_quota_and_weight(made: Cgroups) -> None:
    bounds = made.limit(1, 7, [("CPUQuota", 150), ("CPUWeight", 200)])
    found = {
        name: (Path(folder) / name).read_text().strip()
        for folder in bounds.folders
        for name in ("cpu.max", "cpu.weight", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares")
        if (Path(folder) / name).exists()
    }
    version_1 = {
        "cpu.cfs_quota_us": "150000",
        "cpu.cfs_period_us": "100000",
        "cpu.shares": "2048",
    }
    assert found in (version_1, {"cpu.max": "150000 100000", "cpu.weight": "200"})
    assert made.end(1)
    made.close()


@pytest.mark.root
def test_a_program_that_wants_more_than_its_quota_is_held_back(made: Cgroups) -> None:
    bounds = made.limit(1, 7, [("CPUQuota", 2)])
    files = [Path(folder, "cpu.stat") for folder in bounds.folders]
    code = f"""if 1:
        throttled = 0
        while not throttled:
            for path in {list(map(str, files))}:
                for line in open(path):
                    name, number = line.split()
                    throttled += int(number) if name == "nr_throttled" else 0
    """
    assert run_inside(bounds, code).returncode == 0
    assert made.end(1)
    made.close()


def test_what_version_2_is_told() -> None:
    told = {name: files(300) for name, files in controllers.VERSION_2.items()}
    assert told == {
        "MemoryMax": (("memory.max", "300"), ("memory.oom.group", "1")),
        "CPUQuota": (("cpu.max", "300000 100000"),),
        "CPUWeight": (("cpu.weight", "300"),),
        "TasksMax": (("pids.max", "300"),),
    }
    assert set(told) == set(controllers.VERSION_1) == set(controllers.CONTROLLER)
    assert controllers.VERSION_1["CPUWeight"](1) == (("cpu.shares", "10"),)


def test_without_cgroups_every_limit_is_missing() -> None:
    bounds = Cgroups(None, "none").limit(1, 7, [("MemoryMax", 5), ("New", 1)])
    assert bounds.join == []
    assert bounds.missing == {
        "MemoryMax": "there is no cgroup with the controller memory for scmd",
        "New": "this version of scmd does not know it",
    }


def test_what_the_kernel_refuses_is_said(made: Cgroups, tmp_path: Path) -> None:
    assert controllers.set_limit(str(tmp_path), (("pids.max", "1"),)) == (
        "the kernel has no pids.max"
    )


# Version 2 --------------------------------------------------------------------------------------

# A keeper and a child of its in a cgroup of their own, which is to pass on a controller. The
# machines that run this have most controllers in version 1, so it is whichever is in version 2.
STEPPING = """if 1:
    import os, subprocess, sys
    from scmd.linux import controllers
    from scmd.linux.cgroups import Cgroups
    home, controller = sys.argv[1:]
    made = Cgroups(home, "x")
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    controllers.CONTROLLER = {"New": controller}
    import scmd.linux.cgroups
    scmd.linux.cgroups.CONTROLLER = {"New": controller}
    controllers.VERSION_2 = {"New": lambda n: (("cgroup.max.depth", str(n)),)}
    bounds = made.limit(1, 7, [("New", 5)])
    print(bounds.missing.get("New", ""))
    procs = lambda *parts: open(os.path.join(home, *parts, "cgroup.procs")).read().split()
    if not bounds.missing:
        assert sorted(procs("scmd-x", "keeper")) == sorted(map(str, (os.getpid(), child.pid)))
        launch = os.path.join(home, "scmd-x", "7-1")
        assert controller in open(os.path.join(launch, "cgroup.controllers")).read().split()
        assert open(os.path.join(launch, "cgroup.max.depth")).read() == "5\\n"
        # A launch without limits goes the usual way, and the keeper comes back to where it is.
        assert made.enter(2, 8)
        made.leave()
        assert str(os.getpid()) in procs("scmd-x", "keeper")
        assert made.end(2)
    child.stdin.close()
    child.wait()
    assert made.end(1)
    made.close()
    assert str(os.getpid()) in procs()
    assert not os.path.exists(os.path.join(home, "scmd-x"))
"""


def version_2_with_a_controller() -> tuple[str, str]:
    memberships = Path("/proc/self/cgroup").read_text()
    mounts = Path("/proc/self/mountinfo").read_text()
    home = cgroups.own_cgroups(memberships, mounts)[""]
    there = controllers.read(home, controllers.CONTROLLERS).split()
    return home, next((name for name in ("memory", "pids") if name in there), there[-1])


@contextmanager
def passing_on(home: str, controller: str) -> Iterator[None]:
    """Ours passes the controller on, for one test of this machine at a time."""
    lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = controllers.read(home, controllers.PASSED_ON).split()
        controllers.write(home, controllers.PASSED_ON, f"+{controller}")
        yield
        if controller not in before:
            controllers.write(home, controllers.PASSED_ON, f"-{controller}")
    finally:
        os.close(lock)


def step(stranger: bool) -> str:
    home, controller = version_2_with_a_controller()
    above = Path(home, f"test-{os.getpid()}")
    code = f"import sys; sys.argv = ['', {str(above)!r}, {controller!r}]\n{STEPPING}"
    other = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    with passing_on(home, controller):
        above.mkdir()
        try:
            if stranger:
                (above / "cgroup.procs").write_text(str(other.pid))
            done = subprocess.run(
                inside([str(above / "cgroup.procs")], code),
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            assert other.stdin is not None
            other.stdin.close()
            other.wait()
            above.rmdir()
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.root
def test_the_keeper_steps_aside_so_that_its_cgroup_can_pass_controllers_on() -> None:
    assert step(stranger=False) == ""


@pytest.mark.root
def test_who_shares_its_cgroup_with_others_is_told_that_this_is_in_the_way() -> None:
    assert step(stranger=True).endswith(" needs scmd's cgroup: others than scmd are in it")
