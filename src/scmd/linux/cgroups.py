"""A cgroup for every launch, where the host lets us make one.

A process stays in the cgroup it was born in, and so does what it starts: whoever left its
session and threw its environment away is found there, and one write ends them all, however
fast they fork. The cgroups are `scmd-INSTANCE/SERVICE-LAUNCH` below the one we are in
ourselves, in the version 2 hierarchy or else in version 1's freezer, the one where a tree can
be held still while it is killed. No controller is needed.

To have a program born in its cgroup the caller goes there, spawns, and comes back. That
leaves no moment at which it could have forked elsewhere, as moving it afterwards would.
The first move after a while costs 8 to 16 ms (the kernel waits for all processors), each
further one some 40 us.

Where there is no cgroup to be had (most containers, most users that are not root) every
method does nothing, and `process_tree` alone finds who belongs to a launch. It is used in
either case: a cgroup can be left by those who may write to it.
"""

from __future__ import annotations

import errno
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "scmd-"
_PROCESSES = "cgroup.procs"
_KILL = "cgroup.kill"
_KILL_ROUNDS = 16
_STILL_USED = (errno.EBUSY, errno.ENOTEMPTY)
# The file that holds a cgroup still, and what is written to it.
_FREEZERS = (("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED"))


class Cgroups:
    """Those of one SCM's launches, below the directory `home`: the caller's own cgroup.

    None: there are none. `instance` tells the SCMs of a machine apart.
    """

    def __init__(self, home: str | None, instance: str) -> None:
        self._home = home
        self._base = "" if home is None else os.path.join(home, _PREFIX + instance)
        self._folders: dict[int, str] = {}
        self._kept: list[str] = []
        self._inside = ""

    @property
    def available(self) -> bool:
        return self._home is not None

    def enter(self, launch: int, service: int) -> bool:
        """Make the launch's cgroup and move the calling process there; False: it stays."""
        if self._home is None:
            return False
        folder = os.path.join(self._base, f"{service}-{launch}")
        # Twice: another SCM that ends just now removes empty cgroups, this one perhaps.
        if not (_move_to(folder) or _move_to(folder)):
            return False
        self._inside = folder
        self._folders[launch] = folder
        return True

    def leave(self) -> None:
        """Back to our own. Where that fails, which it should not, the launch has no cgroup."""
        assert self._home is not None
        try:
            _write(self._home, _PROCESSES, "0")
        except OSError:
            self._folders = {
                launch: folder for launch, folder in self._folders.items() if folder != self._inside
            }
        self._inside = ""

    def processes(self, launch: int) -> list[int]:
        """The processes in the launch's cgroup at this moment; none when it has no cgroup."""
        folder = self._folders.get(launch)
        return [] if folder is None else list(_processes(folder))

    def end(self, launch: int) -> bool:
        """SIGKILL to all in it; True when nobody was left, and then the cgroup is gone.

        The killed need a moment to be gone, so the answer after the first call is often False.
        """
        folder = self._folders.get(launch)
        if folder is not None:
            if not _remove(folder):
                _kill(folder)
                return False
            del self._folders[launch]
        return True

    def release(self, launch: int) -> None:
        """Whoever is in it lives on; the cgroup goes when it is empty and we look again."""
        folder = self._folders.pop(launch, None)
        if folder is not None:
            self._kept.append(folder)
        self._kept = [folder for folder in self._kept if not _remove(folder)]

    def kill_leftovers(self) -> int:
        """Kill what an earlier keeper of this instance left; how many cgroups were in use."""
        left = [folder for folder in _below(self._base) if not _remove(folder)]
        for folder in left:
            _kill(folder)
        self._kept += left
        return len(left)

    def close(self) -> None:
        """Leave no empty cgroup behind, of ours or of an SCM that was killed."""
        for folder in [] if self._home is None else _below(self._home):
            if os.path.basename(folder).startswith(_PREFIX):
                _remove(folder)


def find(instance: str) -> Cgroups:
    """The cgroups this process may make, perhaps none. Nothing is made yet."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            memberships = file.read()
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = file.read()
    except OSError:
        return Cgroups(None, instance)
    homes = filter(_usable, homes_in(memberships, mounts))
    return Cgroups(next(homes, None), instance)


def homes_in(memberships: str, mounts: str) -> Iterator[str]:
    """Directories of our own cgroups, the better one first.

    `memberships` is /proc/self/cgroup, `mounts` /proc/self/mountinfo; see cgroups(7), proc(5).
    """
    wanted = {"cgroup2": "", "cgroup": "freezer"}
    paths = {}
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        for kind, controller in wanted.items():
            if controller in controllers.split(","):
                paths[kind] = path
    found = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        root, mount = map(_unescaped, before.split()[3:5])
        kind, _, options = after.split(" ", 2)
        if kind in paths and (kind == "cgroup2" or "freezer" in options.split(",")):
            below = _relative(paths[kind], root)
            if below is not None:
                found[kind] = os.path.join(mount, below).rstrip("/")
    return (found[kind] for kind in wanted if kind in found)


def _relative(path: str, root: str) -> str | None:
    """A cgroup's path below the one that is mounted; None when it is not below it."""
    if ".." in path.split("/"):  # Outside of our cgroup namespace.
        return None
    if root == "/":
        return path.lstrip("/")
    if path == root or path.startswith(root + "/"):
        return path[len(root) :].lstrip("/")
    return None


def _unescaped(field: str) -> str:
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, character)
    return field


def _usable(home: str) -> bool:
    processes = os.path.join(home, _PROCESSES)
    return os.access(home, os.W_OK | os.X_OK) and os.access(processes, os.W_OK)


def _kill(folder: str) -> None:
    """SIGKILL to all in a cgroup and below it; without cgroup.kill it is held still meanwhile."""
    if _try_write(folder, _KILL, "1"):
        return
    freezers = [freezer for freezer in _FREEZERS if _try_write(folder, *freezer[:2])]
    killed: set[int] = set()
    for _ in range(_KILL_ROUNDS):
        fresh = set(_processes(folder)) - killed
        if not fresh:
            break
        for pid in fresh:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        killed |= fresh
    for name, _, thawed in freezers:
        _try_write(folder, name, thawed)


def _processes(folder: str) -> Iterator[int]:
    """Those in a cgroup and below it, as far as they are of our pid namespace."""
    for path in _tree(folder):
        try:
            with open(os.path.join(path, _PROCESSES), encoding="ascii") as file:
                pids = [int(line) for line in file]
        except OSError:
            continue
        yield from (pid for pid in pids if pid > 1 and pid != os.getpid())


def _move_to(folder: str) -> bool:
    """Make the cgroup and put the calling process there."""
    try:
        os.makedirs(folder, exist_ok=True)
        _write(folder, _PROCESSES, "0")
    except OSError:
        _remove(folder)
        return False
    return True


def _remove(folder: str) -> bool:
    """Remove a cgroup and those below it; False while somebody is in one of them."""
    return _rmdir(folder) or all(list(map(_rmdir, reversed(_tree(folder)))))


def _rmdir(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except OSError as failed:
        # What we may not remove, or what is no more, is nothing to wait for.
        return failed.errno not in _STILL_USED
    return True


def _tree(folder: str) -> list[str]:
    """It and all below it, each before its own."""
    found = [folder]
    for path in found:
        found += _below(path)
    return found


def _below(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _try_write(folder: str, name: str, text: str) -> bool:
    try:
        _write(folder, name, text)
    except OSError:
        return False
    return True


def _write(folder: str, name: str, text: str) -> None:
    """Into a cgroup's file, which has to exist."""
    descriptor = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
