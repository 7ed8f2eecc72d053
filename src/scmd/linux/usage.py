"""What a service's processes use: how many they are, their processor time, their memory.

Where the service has its cgroup, all that are in it count, and the processor time of those
that have ended, too. Else the first process and its descendants count, which misses daemons
that lost their parent.
"""

from __future__ import annotations

import os

from scmd.linux import process_tree
from scmd.linux.cgroups import homes_in, own_cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TICK_MS = 1000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def usage_of(process_id: int, instance: str) -> dict[str, int]:
    """Of the service with this first process: `processes`, `cpu_ms` and `memory_bytes`.

    Memory is the cgroup's where it is counted there, else what is resident, with pages that
    processes share counted for each. All are 0 for a process that has ended.
    """
    folder = cgroup_of(process_id, instance) if process_id else None
    pids = descendants(process_id) if folder is None else _processes(folder)
    cpu_ms, memory = _sums(pids)
    if folder is not None:
        cpu_ms = _cpu_ms(_read(os.path.join(folder, "cpu.stat")), cpu_ms)
        counted = _read(os.path.join(folder, "memory.current")) or _old_memory(process_id, instance)
        memory = int(counted or memory)
    return {"processes": len(pids), "cpu_ms": cpu_ms, "memory_bytes": memory}


def _old_memory(process_id: int, instance: str) -> str:
    """What version 1 counts, where the launch has a cgroup there because it has a limit."""
    found = own_cgroups(_read(f"/proc/{process_id}/cgroup"), _read("/proc/self/mountinfo"))
    folder = found.get("memory", "")
    if os.path.basename(os.path.dirname(folder)) != f"scmd-{instance}":
        return ""
    return _read(os.path.join(folder, "memory.usage_in_bytes"))


def cgroup_of(process_id: int, instance: str) -> str | None:
    """The cgroup the keeper made for this process's launch, if it did."""
    memberships = _read(f"/proc/{process_id}/cgroup")
    for folder in homes_in(memberships, _read("/proc/self/mountinfo")):
        while folder != "/":
            above = os.path.dirname(folder)
            if os.path.basename(above) == f"scmd-{instance}":
                return folder
            folder = above
    return None


def launch_of(process_id: int, instance: str) -> int | None:
    """The launch whose cgroup the process is in, if it has one."""
    folder = cgroup_of(process_id, instance)
    number = "" if folder is None else folder.rpartition("-")[2]
    return int(number) if number.isdecimal() else None


def descendants(process_id: int) -> list[int]:
    """A process and all below it; none when it has ended."""
    table = process_tree.read_table("", lambda _: False)
    below: dict[int, list[int]] = {}
    for process in table.values():
        below.setdefault(process.parent, []).append(process.pid)
    found = [process_id] if process_id in table else []
    for pid in found:
        found += below.get(pid, ())
    return found


def _processes(folder: str) -> list[int]:
    return [int(line) for line in _read(os.path.join(folder, "cgroup.procs")).split()]


def _sums(pids: Iterable[int]) -> tuple[int, int]:
    """Processor time in milliseconds, with that of children they waited for, and memory."""
    ticks = pages = 0
    for pid in pids:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        resident = _read(f"/proc/{pid}/statm").split()
        if fields and resident:
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
            pages += int(resident[1])
    return ticks * _TICK_MS, pages * _PAGE


def _cpu_ms(statistics: str, otherwise: int) -> int:
    for line in statistics.splitlines():
        if line.startswith("usage_usec "):
            return int(line.split()[1]) // 1000
    return otherwise


def _read(path: str) -> str:
    """Nothing when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
