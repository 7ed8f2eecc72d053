"""Which processes belong to a launch, and signals that reach all of them.

The keeper is a subreaper, so everything a service ever started is a descendant of the
keeper, and what lost its parent is the keeper's own child: an orphan. A process belongs to
the launch whose first process is above it. An orphan belongs to the launch whose session
it is in (a session's number is not given again while anybody is in it), or to the one
named by the variable it was started with. Only an orphan that left its session *and* threw
its environment away is nobody's; a cgroup would hold that one too.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_ENVIRONMENT_READ = 1 << 17
_MAX_STOP_ROUNDS = 16


class Process:
    """One line of the process table; pid and start together are never used again."""

    __slots__ = ("parent", "pid", "session", "start")

    def __init__(self, pid: int, parent: int, session: int, start: int) -> None:
        self.pid = pid
        self.parent = parent
        self.session = session
        self.start = start


def read_table() -> dict[int, Process]:
    """Every live process of this pid namespace; what has ended and waits to be reaped is not."""
    table: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            process = read_process(int(name))
            if process is not None:
                table[process.pid] = process
    return table


def read_process(pid: int) -> Process | None:
    """None when it has ended."""
    text = _read(f"/proc/{pid}/stat", 4096)
    # The name in parentheses may hold anything, `)` included; see proc(5).
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    # A leader that ended while its other threads run on looks like a zombie.
    if fields[0] in b"ZX" and int(fields[17]) <= 1:
        return None
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def orphans(keeper: int, known: Iterable[int]) -> bool:
    """Whether the keeper has children besides the known ones, as far as that is cheap to say."""
    text = _read(f"/proc/{keeper}/task/{keeper}/children", 1 << 22)
    children = set(map(int, text.split()))
    return not children or not children.issubset(known)


def launch_tag(pid: int, variable: str) -> str:
    """The value of a variable in the environment the process was executed with, or ""."""
    prefix = variable.encode() + b"="
    for entry in _read(f"/proc/{pid}/environ", _ENVIRONMENT_READ).split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode(errors="replace")
    return ""


def members(
    table: Mapping[int, Process],
    keeper: int,
    running: Mapping[int, int],
    sessions: Mapping[int, int],
    tagged: Callable[[int], int | None],
) -> dict[int, list[Process]]:
    """Launch number to its live processes.

    `running` has the first process of every launch that is not reaped, `sessions` of every
    launch that is not forgotten; `tagged` reads an orphan's launch number from its environment.
    """
    owner: dict[int, int | None] = {}

    def owner_of(pid: int) -> int | None:
        path = []
        while pid not in owner:
            path.append(pid)
            process = table.get(pid)
            if process is None or process.pid == keeper or process.parent == 0:
                owner[pid] = None
            elif process.parent == keeper:
                owner[pid] = _owner_of_child(process)
            else:
                pid = process.parent
        found = owner[pid]
        for passed in path:
            owner[passed] = found
        return found

    def _owner_of_child(process: Process) -> int | None:
        if process.pid in running:
            return running[process.pid]
        if process.session in sessions:
            return sessions[process.session]
        return tagged(process.pid)

    found: dict[int, list[Process]] = {}
    for pid, process in table.items():
        launch = owner_of(pid)
        if launch is not None:
            found.setdefault(launch, []).append(process)
    return found


def send(process: Process, number: int) -> bool:
    """Signal this very process, never one that has its pid by now; whether it was reached."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except OSError:  # Not permitted in some containers.
        return _send_plainly(process, number)
    try:
        now = read_process(process.pid)
        if now is None or now.start != process.start:
            return False
        signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)
    return True


def _send_plainly(process: Process, number: int) -> bool:
    now = read_process(process.pid)
    if now is None or now.start != process.start:
        return False
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def kill_all(find: Callable[[], list[Process]]) -> int:
    """SIGKILL to all that `find` finds; how many were reached.

    More than one process is stopped first, until no new one turns up, so that a process
    that forks faster than we kill gets nowhere. What is left after the last round, or
    was born while we looked, is for the caller's next look.
    """
    found = find()
    if len(found) > 1:
        stopped: set[tuple[int, int]] = set()
        for _ in range(_MAX_STOP_ROUNDS):
            fresh = [process for process in found if (process.pid, process.start) not in stopped]
            if not fresh:
                break
            for process in fresh:
                send(process, signal.SIGSTOP)
                stopped.add((process.pid, process.start))
            found = find()
    return sum(send(process, signal.SIGKILL) for process in found)


def _read(path: str, limit: int) -> bytes:
    """The file's beginning; nothing when the process is gone or hides it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while limit > 0:
            data = os.read(descriptor, limit)
            if not data:
                break
            parts.append(data)
            limit -= len(data)
    except OSError:
        parts = []
    finally:
        os.close(descriptor)
    return b"".join(parts)
