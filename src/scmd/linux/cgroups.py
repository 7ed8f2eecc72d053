"""A cgroup for every launch, where the host lets us make one.

A process stays in the cgroup it was born in, and so does what it starts: whoever left its
session and threw its environment away is found there, and one write ends them all, however
fast they fork. The cgroups are `scmd-INSTANCE/SERVICE-LAUNCH` below the one we are in
ourselves, in the version 2 hierarchy or else in version 1's freezer, the one where a tree can
be held still while it is killed. No controller is needed but for a launch with limits, whose
cgroups are made by `limit` and joined by the program itself (see `controllers`).

To have a program born in its cgroup the caller goes there, spawns, and comes back. That
leaves no moment at which it could have forked elsewhere, as moving it afterwards would.
In version 2 the first move after a while costs 7 to 15 ms (the kernel waits for all
processors), each further one some 40 us: instead of a first one the caller has a child born
there that spawns (see `birth`). In version 1 a process with one thread moves as a task, which
is never slow.

Where there is no cgroup to be had (most containers, most users that are not root) every
method does nothing, and `process_tree` alone finds who belongs to a launch. It is used in
either case: a cgroup can be left by those who may write to it.
"""

from __future__ import annotations

import errno
import os
import signal
import time

from scmd.linux import controllers
from scmd.linux.controllers import CONTROLLER, CONTROLLERS, PROCESSES, Bounds, read, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PREFIX = "scmd-"
_KEEPER = "keeper"
"""Where the keeper goes when its own cgroup may not have processes any more."""
_TYPE = "cgroup.type"
"""Each cgroup of version 2 has it but the root."""
_KILL = "cgroup.kill"
_KILL_ROUNDS = 16
_VERSION_2 = ""
"""In the place of a controller's name."""
_TASKS = "tasks"
_WARM_NS = 15_000_000
"""So long after a move the next one is quick (measured: 20 ms at least). Who comes so soon after
another moves even if that one was born: in a storm only the first move is slow."""
_STILL_USED = (errno.EBUSY, errno.ENOTEMPTY)
# The file that holds a cgroup still, and what is written to it.
_FREEZERS = (("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED"))


class Cgroups:
    """Those of one SCM's launches, below the directory `home`: the caller's own cgroup.

    None: there are none. `instance` tells the SCMs of a machine apart. `old` are our own
    cgroups in version 1, by controller.
    """

    def __init__(
        self, home: str | None, instance: str, old: Mapping[str, str] | None = None
    ) -> None:
        self._home = home
        self._own = home
        """Where the caller is itself."""
        self._base = "" if home is None else os.path.join(home, _PREFIX + instance)
        self._old = {
            controller: os.path.join(folder, _PREFIX + instance)
            for controller, folder in (old or {}).items()
        }
        self._folders: dict[int, str] = {}
        self._bounds: dict[int, Bounds] = {}
        self._kept: list[str] = []
        self._inside = ""
        self._moves_as = _TASKS if home and _exists(home, _TASKS) else PROCESSES
        self._can_bear = self._moves_as == PROCESSES
        self._came_at = 0

    @property
    def available(self) -> bool:
        return self._home is not None

    def birthplace(self, launch: int, service: int) -> str | None:
        """Make the launch's cgroup for somebody to be born there; None: `enter` is better."""
        now = time.monotonic_ns()
        is_alone = now - self._came_at >= _WARM_NS
        self._came_at = now
        if self._home is None or not self._can_bear or not is_alone:
            return None
        folder = os.path.join(self._base, f"{service}-{launch}")
        if not _make(folder):
            return None
        self._folders[launch] = folder
        return folder

    def cannot_bear(self) -> None:
        """Nobody can be born in a cgroup here; not to be tried again."""
        self._can_bear = False

    def enter(self, launch: int, service: int) -> bool:
        """Make the launch's cgroup and move the calling process there; False: it stays."""
        if self._home is None:
            return False
        folder = os.path.join(self._base, f"{service}-{launch}")
        # Twice: another SCM that ends just now removes empty cgroups, this one perhaps.
        if not (_move_to(folder, self._moves_as) or _move_to(folder, self._moves_as)):
            return False
        self._inside = folder
        self._folders[launch] = folder
        return True

    def limit(self, launch: int, service: int, shares: Iterable[tuple[str, int]]) -> Bounds:
        """Make the cgroups of a launch with limits, the limits set; the launch is to join them."""
        bounds = self._bounds[launch] = Bounds()
        folder = None if self._home is None else os.path.join(self._base, f"{service}-{launch}")
        if folder is not None and _make(folder):
            self._folders[launch] = folder
            bounds.folders.append(folder)
        for name, number in shares:
            problem = self._set(name, number, f"{service}-{launch}", bounds)
            if problem:
                bounds.missing[name] = problem
        return bounds

    def ran_out_of_memory(self, launch: int) -> bool:
        """Whether the kernel has killed of it, at its limit."""
        bounds = self._bounds.get(launch)
        return bounds is not None and controllers.memory_kills(bounds.folders) > 0

    def step_aside(self) -> bool:
        """Into a cgroup below our own, with our children; False: others are in ours, too."""
        assert self._home is not None
        folder = os.path.join(self._base, _KEEPER)
        try:
            os.makedirs(folder, exist_ok=True)
            for pid in read(self._home, PROCESSES).split():
                if int(pid) == os.getpid() or _parent(pid) == os.getpid():
                    write(folder, PROCESSES, pid)
        except (OSError, ValueError):
            return False
        self._own = folder
        return not read(self._home, PROCESSES).split()

    def leave(self) -> None:
        """Back to our own. Where that fails, which it should not, the launch has no cgroup."""
        assert self._own is not None
        try:
            write(self._own, self._moves_as, "0")
        except OSError:
            self._folders = {
                launch: folder for launch, folder in self._folders.items() if folder != self._inside
            }
        self._inside = ""
        self._came_at = time.monotonic_ns()

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
        self._forget_bounds(launch)
        return True

    def release(self, launch: int) -> None:
        """Whoever is in it lives on; the cgroup goes when it is empty and we look again."""
        folder = self._folders.pop(launch, None)
        if folder is not None:
            self._kept.append(folder)
        self._forget_bounds(launch)

    def kill_leftovers(self) -> int:
        """Kill what an earlier keeper of this instance left; how many cgroups were in use."""
        for base in self._old.values():
            self._kept += [folder for folder in _below(base) if not _remove(folder)]
        left = [folder for folder in _below(self._base) if not _remove(folder)]
        for folder in left:
            _kill(folder)
        self._kept += left
        return len(left)

    def close(self) -> None:
        """Leave no empty cgroup behind, of ours or of an SCM that was killed."""
        if self._home is not None and self._own != self._home:
            self._step_back()
        for base in self._old.values():
            _remove(base)
        for folder in [] if self._home is None else _below(self._home):
            if os.path.basename(folder).startswith(_PREFIX):
                _remove(folder)

    def _set(self, name: str, number: int, launch: str, bounds: Bounds) -> str:
        """Put one limit in force; what was in the way, or ""."""
        controller = CONTROLLER.get(name)
        if controller is None:
            return "this version of scmd does not know it"
        base = self._old.get(controller)
        if base is not None:
            folder = os.path.join(base, launch)
            if folder not in bounds.folders:
                if not _make(folder):
                    return f"no cgroup can be made for the controller {controller}"
                bounds.folders.append(folder)
            return controllers.set_limit(folder, controllers.VERSION_1[name](number))
        if not bounds.folders or not _is_version_2(bounds.folders[0]):
            return f"there is no cgroup with the controller {controller} for scmd"
        problem = self._pass_on(controller)
        return problem or controllers.set_limit(
            bounds.folders[0], controllers.VERSION_2[name](number)
        )

    def _pass_on(self, controller: str) -> str:
        """Have it passed on to the launches' cgroups; what was in the way, or ""."""
        assert self._home is not None
        there = controller in read(self._home, CONTROLLERS).split()
        if there and not self._is_free_to_pass_on():
            return f"the controller {controller} needs scmd's cgroup: others than scmd are in it"
        return controllers.pass_on((self._home, self._base), controller)

    def _is_free_to_pass_on(self) -> bool:
        """Nobody is in our own cgroup, or it is the machine's root, where that does not matter.

        Elsewhere memory would be refused, and cpu and pids would make a threaded tree, in which
        no launch could join its cgroup (cgroup-v2.rst, "Threads").
        """
        assert self._home is not None
        if not _exists(self._home, _TYPE) or not read(self._home, PROCESSES).split():
            return True
        return self.step_aside()

    def _step_back(self) -> None:
        """As before `step_aside`, so that nothing of ours is left when we are gone."""
        assert self._home is not None
        for folder in (self._base, self._home):
            for controller in read(folder, controllers.PASSED_ON).split():
                _try_write(folder, controllers.PASSED_ON, f"-{controller}")
        if _try_write(self._home, PROCESSES, "0"):
            self._own = self._home

    def _forget_bounds(self, launch: int) -> None:
        bounds = self._bounds.pop(launch, None)
        if bounds is not None:
            self._kept += bounds.folders
        self._kept = [folder for folder in self._kept if not _remove(folder)]


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
    old = {
        controller: folder
        for controller, folder in own_cgroups(memberships, mounts).items()
        if controller in CONTROLLER.values() and _usable(folder)
    }
    return Cgroups(next(homes, None), instance, old)


def homes_in(memberships: str, mounts: str) -> Iterator[str]:
    """Directories of our own cgroups, the better one first.

    `memberships` is /proc/self/cgroup, `mounts` /proc/self/mountinfo; see cgroups(7), proc(5).
    """
    found = own_cgroups(memberships, mounts)
    return (found[controller] for controller in (_VERSION_2, "freezer") if controller in found)


def own_cgroups(memberships: str, mounts: str) -> dict[str, str]:
    """Directories of our own cgroups: of version 1 by controller, and "" for version 2."""
    paths = {}
    for line in memberships.splitlines():
        _, names, path = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), path))
    found = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        root, mount = map(_unescaped, before.split()[3:5])
        names_there = [_VERSION_2] if kind == "cgroup2" else options.split(",")
        for name in filter(paths.__contains__, names_there):
            below = _relative(paths[name], root)
            if below is not None:
                found[name] = os.path.join(mount, below).rstrip("/")
    return found


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


def _is_version_2(folder: str) -> bool:
    return _exists(folder, CONTROLLERS)


def _exists(folder: str, name: str) -> bool:
    return os.path.exists(os.path.join(folder, name))


def _parent(pid: str) -> int:
    fields = read(f"/proc/{pid}", "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _usable(home: str) -> bool:
    processes = os.path.join(home, PROCESSES)
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
            with open(os.path.join(path, PROCESSES), encoding="ascii") as file:
                pids = [int(line) for line in file]
        except OSError:
            continue
        yield from (pid for pid in pids if pid > 1 and pid != os.getpid())


def _move_to(folder: str, moves_as: str) -> bool:
    """Make the cgroup and put the calling process there."""
    try:
        _make_folder(folder)
        write(folder, moves_as, "0")
    except OSError:
        _remove(folder)
        return False
    return True


def _make(folder: str) -> bool:
    try:
        _make_folder(folder)
    except OSError:
        return False
    return True


def _make_folder(folder: str) -> None:
    """With those above it, which as a rule are there."""
    try:
        os.mkdir(folder)
    except OSError:
        os.makedirs(folder, exist_ok=True)


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
        write(folder, name, text)
    except OSError:
        return False
    return True
