"""Which processes belong to a launch, and signals that reach all of them.

The keeper is a subreaper, so everything a service ever started is a descendant of the
keeper, and what lost its parent is the keeper's own child: an orphan. A process belongs to
the launch whose first process is above it. An orphan belongs to the launch whose session
it is in (a session's number is not given again while anybody is in it), or to the one
named in its tag, a variable it was started with; and whoever is in one session with it
belongs there too. Only an orphan that left its session *and* threw its environment away
is nobody's here; `cgroups` holds that one too, on hosts that permit it.
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

    __slots__ = ("group", "parent", "pid", "session", "start", "tag")

    def __init__(self, pid: int, parent: int, group: int, session: int, start: int) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.start = start
        self.tag = ""
        """Read at once where it is wanted: who forks and exits is gone a moment later."""


def read_table(variable: str, tagged: Callable[[Process], bool]) -> dict[int, Process]:
    """Every live process of this pid namespace; what has ended and waits to be reaped is not.

    Those that `tagged` chooses have the variable's value as `tag`. The newest are read
    first: among them are those that live for a moment only.
    """
    table: dict[int, Process] = {}
    for pid in sorted(map(int, filter(str.isdecimal, os.listdir("/proc"))), reverse=True):
        process = read_process(pid)
        if process is not None:
            table[pid] = process
            if tagged(process):
                process.tag = read_tag(pid, variable)
    return table


def read_process(pid: int) -> Process | None:
    """None when it has ended."""
    fields = _stat(pid)
    if len(fields) < 20:
        return None
    # A leader that ended while its other threads run on looks like a zombie.
    if fields[0] in b"ZX" and int(fields[17]) <= 1:
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def is_child(pid: int, parent: int) -> bool:
    """Whether it is this one's child, ended and not waited for included."""
    fields = _stat(pid)
    return len(fields) > 1 and int(fields[1]) == parent


def exit_status(pid: int) -> int:
    """As waitpid's, of a process that has ended and whose parent has not waited; else -1."""
    fields = _stat(pid)
    # proc(5): field 52, after two that are not among these; 0 for those who may not know.
    return int(fields[49]) if len(fields) > 49 and fields[0] in b"ZX" else -1


def _stat(pid: int) -> list[bytes]:
    """The fields of proc(5)'s stat from the state on; the name before may hold anything."""
    text = _read(f"/proc/{pid}/stat", 4096)
    return text[text.rfind(b")") + 2 :].split()


def orphans(keeper: int, known: Iterable[int]) -> bool:
    """Whether the keeper has children besides the known ones, as far as that is cheap to say."""
    text = _read(f"/proc/{keeper}/task/{keeper}/children", 1 << 22)
    children = set(map(int, text.split()))
    return not children or not children.issubset(known)


def read_tag(pid: int, variable: str) -> str:
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
    sessions: dict[int, int],
    launch_of_tag: Callable[[str], int | None],
) -> dict[int, list[Process]]:
    """Launch number to its live processes.

    `running` has the first process of every launch that is not reaped, `sessions` of every
    launch that is not forgotten; sessions that turn out to be a launch's are added to it.
    """
    owner: dict[int, int | None] = {keeper: None}

    def owner_of(process: Process) -> int | None:
        path = []
        while process.pid not in owner:
            path.append(process.pid)
            if process.parent == keeper or process.parent not in table:
                # Without its parent it is about to be the keeper's child, or nobody's we know.
                owner[process.pid] = owner_of_child(process)
            else:
                process = table[process.parent]
        found = owner[process.pid]
        owner.update(dict.fromkeys(path, found))
        return found

    def owner_of_child(process: Process) -> int | None:
        if process.pid in running:
            return running[process.pid]
        launch = launch_of_tag(process.tag) if process.tag else None
        return sessions.get(process.session) if launch is None else launch

    for process in table.values():
        launch = owner_of(process)
        if launch is not None:
            sessions.setdefault(process.session, launch)
    found: dict[int, list[Process]] = {}
    for process in table.values():
        launch = owner_of(process)
        if launch is None and (process.parent == keeper or process.parent not in table):
            launch = sessions.get(process.session)
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
    """SIGKILL to all that `find` finds; how many that were.

    By process group, since a signal to a group misses nobody who is forking, and a group
    never has members from outside its session, which is the service's own. Several
    groups are stopped first, until no new one turns up. What then is left, or made itself
    a group while we looked, is for the caller's next look; one that does so with every
    fork may escape for ever, and only a cgroup would hold it.
    """
    found = find()
    stopped: set[int] = set()
    for _ in range(_MAX_STOP_ROUNDS):
        fresh = {process.group for process in found} - stopped
        if not fresh or len(found) == 1:
            break
        for group in fresh:
            _send_to_group(group, signal.SIGSTOP)
        stopped |= fresh
        found = find()
    for group in stopped | {process.group for process in found}:
        _send_to_group(group, signal.SIGKILL)
    return len(found) + len(stopped)


def _send_to_group(group: int, number: int) -> None:
    if group <= 1 or group == os.getpgrp():
        return
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


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
