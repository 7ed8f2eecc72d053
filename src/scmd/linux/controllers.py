"""Shares of the machine for a launch: the cgroup controllers memory, cpu and pids.

In version 2 they work in the launch's own cgroup, once each cgroup above it passes them on;
there no process may be in a cgroup that passes on, other than the machine's root, so the
keeper steps aside first (see `Cgroups.step_aside`). In version 1 each controller has a
hierarchy of its own, and the launch a second, third and fourth cgroup there. A machine may
have some of them here and some there.

The launch's process joins them between fork and exec, when the limits are set already; the
keeper itself is never in one, so that it can neither use up what is the launch's nor be
killed for it. What cannot be had is said, with the reason.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Files = tuple[tuple[str, str], ...]

PROCESSES = "cgroup.procs"
CONTROLLERS = "cgroup.controllers"
PASSED_ON = "cgroup.subtree_control"

_PERIOD_US = 100_000


def _quota_us(percent: int) -> int:
    return percent * _PERIOD_US // 100


def _shares(weight: int) -> str:
    """Version 1 counts 1024 where version 2 counts 100, and takes no less than 2."""
    return str(max(2, weight * 1024 // 100))


CONTROLLER: Mapping[str, str] = {
    "MemoryMax": "memory",
    "CPUQuota": "cpu",
    "CPUWeight": "cpu",
    "TasksMax": "pids",
}
"""Whose each limit is."""

# What is written where, in order; the files are those of the kernel's cgroup-v2.rst and
# cgroup-v1/*.rst. With oom.group a service ends as a whole, not by losing one process.
VERSION_2: Mapping[str, Callable[[int], Files]] = {
    "MemoryMax": lambda n: (("memory.max", str(n)), ("memory.oom.group", "1")),
    "CPUQuota": lambda n: (("cpu.max", f"{_quota_us(n)} {_PERIOD_US}"),),
    "CPUWeight": lambda n: (("cpu.weight", str(n)),),
    "TasksMax": lambda n: (("pids.max", str(n)),),
}
VERSION_1: Mapping[str, Callable[[int], Files]] = {
    "MemoryMax": lambda n: (("memory.limit_in_bytes", str(n)),),
    "CPUQuota": lambda n: (
        ("cpu.cfs_period_us", str(_PERIOD_US)),
        ("cpu.cfs_quota_us", str(_quota_us(n))),
    ),
    "CPUWeight": lambda n: (("cpu.shares", _shares(n)),),
    "TasksMax": lambda n: (("pids.max", str(n)),),
}
_OOM_COUNTS = ("memory.events", "memory.oom_control")


class Bounds:
    """What has been arranged for one launch: cgroups to join, and what could not be had."""

    __slots__ = ("folders", "missing")

    def __init__(self) -> None:
        self.folders: list[str] = []
        """The launch's cgroup of version 2 or the freezer first, if it has one."""
        self.missing: dict[str, str] = {}
        """The reason, by limit."""

    @property
    def join(self) -> list[str]:
        """The files that a process writes 0 to, to be in it."""
        return [os.path.join(folder, PROCESSES) for folder in self.folders]


def pass_on(folders: Iterable[str], controller: str) -> str:
    """Have each cgroup pass the controller on to those below it; what was in the way, or ""."""
    for folder in folders:
        if controller not in read(folder, CONTROLLERS).split():
            return f"there is no controller {controller} in scmd's cgroup"
        if controller in read(folder, PASSED_ON).split():
            continue
        try:
            write(folder, PASSED_ON, f"+{controller}")
        except OSError as failed:
            return f"the controller {controller} cannot be used: {failed.strerror}"
    return ""


def set_limit(folder: str, files: Files) -> str:
    """Write a limit's files; what was in the way, or ""."""
    for name, text in files:
        try:
            write(folder, name, text)
        except FileNotFoundError:
            if name != "memory.oom.group":  # Since Linux 4.19.
                return f"the kernel has no {name}"
        except OSError as failed:
            return f"{name}: {failed.strerror}"
    return ""


def memory_kills(folders: Iterable[str]) -> int:
    """How many processes the kernel has killed in these cgroups, at a memory limit of theirs.

    Version 1 does not tell those from the processes that it killed as the machine ran out.
    """
    kills = 0
    for folder in folders:
        for name in _OOM_COUNTS:
            words = read(folder, name).split()
            counts = dict(zip(words[::2], words[1::2], strict=False))
            if counts.get("oom") != "0":
                kills += int(counts.get("oom_kill", 0))
    return kills


def read(folder: str, name: str) -> str:
    """A cgroup's file; nothing when it is not there."""
    try:
        with open(os.path.join(folder, name), encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def write(folder: str, name: str, text: str) -> None:
    """Into a cgroup's file, which has to exist."""
    descriptor = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
