"""The keeper's launches: each from spawn until it is forgotten, and the end of its tree.

A launch is running, then ended with an exit that is kept until the manager forgets it.
`kill` and `forget` doom its tree: `sweep` finds and kills what is left, in one look at the
process table for all that are newly doomed, and again after a while until nothing is found.
Where launches have cgroups these end first, which reaches even those the table does not show
as the launch's.
"""

from __future__ import annotations

import os
import signal

from scmd.daemon.keeper_messages import Launch
from scmd.linux import process_tree
from scmd.linux.birth import CannotBeBorn
from scmd.linux.cgroups import Cgroups
from scmd.linux.spawn import LAUNCH_VARIABLE, Spawned, Spawner, launch_of_tag
from scmd.vocabulary.errors import Error, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

_SWEEP_DELAYS = (0.01, 0.25)
"""Seconds to the second look for what is doomed, and the longest between two."""


class Record:
    """One launch. `status` is waitpid's, None while the process runs, -1 when nobody told us."""

    __slots__ = (
        "channel",
        "essential",
        "forgotten",
        "handle",
        "hook",
        "line_seen",
        "name",
        "number",
        "out_of_memory",
        "pid",
        "service",
        "status",
        "without",
    )

    def __init__(self, launch: Launch, pid: int, channel: int | None) -> None:
        self.number = launch.number
        self.service = launch.service
        self.hook = launch.hook
        self.essential = launch.essential
        self.name = launch.name
        self.pid = pid
        self.handle: int | None = None
        """The pidfd of a process that is followed instead of the first one."""
        self.channel = channel
        self.status: int | None = None
        self.forgotten = False
        self.line_seen = False
        """The line that was awaited has been written."""
        self.out_of_memory = False
        """The kernel has killed of it at its limit; known once it has ended."""
        self.without: tuple[str, ...] = ()
        """Limits that are not in force, and why."""

    @property
    def exit_code(self) -> int | None:
        """None unless it exited by itself."""
        if self.status is None or self.status < 0 or os.WIFSIGNALED(self.status):
            return None
        return os.WEXITSTATUS(self.status)

    @property
    def signal(self) -> int | None:
        """None unless a signal ended it."""
        if self.status is None or self.status < 0 or not os.WIFSIGNALED(self.status):
            return None
        return os.WTERMSIG(self.status)


class Launches:
    """All launches of one keeper; `instance` is the mark in their environment."""

    def __init__(self, instance: str, spawner: Spawner, cgroups: Cgroups) -> None:
        self._instance = instance
        self._spawner = spawner
        self._cgroups = cgroups
        self.sweep_at: float | None = None
        """When `sweep` has something to do; on the clock that it is told."""
        self._sweep_delay = _SWEEP_DELAYS[0]
        self._records: dict[int, Record] = {}
        self._running: dict[int, int] = {}
        self._sessions: dict[int, int] = {}
        self._followed: dict[int, Record] = {}
        """By pidfd, those whose process is not the first one any more."""
        self._doomed: set[int] = set()
        self._fresh: set[int] = set()
        """Doomed and not looked for yet."""

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Record]:
        """Those a new manager has to know."""
        return (record for record in self._records.values() if not record.forgotten)

    @property
    def doomed(self) -> bool:
        """Whether a tree is not known to be gone yet."""
        return bool(self._doomed)

    def spawn(self, launch: Launch) -> tuple[Record, int]:
        """The new launch and the read end of its output, the caller's; raises `Refused`."""
        if launch.number in self._records:
            raise Refused(Error.INVALID_PARAMETER, f"launch {launch.number} exists")
        spawned, without = self._spawn(launch)
        record = Record(launch, spawned.pid, spawned.channel)
        record.without = without
        self._records[record.number] = record
        self._running[record.pid] = record.number
        self._sessions[record.pid] = record.number
        return record, spawned.output

    def follow(self, number: int, pid: int) -> str:
        """Have a launch go on with another process of its own; what speaks against it, or ""."""
        record = self._records.get(number)
        if record is None or record.forgotten:
            return "the launch is over"
        if pid == record.pid and record.status is None:
            return ""
        process = next((found for found in self._tree(number) if found.pid == pid), None)
        if process is None:
            return f"process {pid} is not one of its own"
        try:
            handle = os.pidfd_open(pid)
        except OSError as failed:
            return f"process {pid}: {failed.strerror}"
        now = process_tree.read_process(pid)
        if now is None or now.start != process.start:
            os.close(handle)
            return f"process {pid} has ended"
        self._running.pop(record.pid, None)
        self._let_go(record)
        record.pid, record.handle, record.status = pid, handle, None
        self._followed[handle] = record
        self._running[pid] = number
        self._sessions.setdefault(process.session, number)
        return ""

    @property
    def handles(self) -> list[int]:
        """Readable when a process has ended that may not be a child of ours."""
        return list(self._followed)

    def ended_elsewhere(self, readable: Container[int]) -> list[Record]:
        """Followed processes that have ended and whose parent is somebody else."""
        ended = []
        for handle, record in list(self._followed.items()):
            if handle not in readable or process_tree.is_child(record.pid, os.getpid()):
                continue  # It has not ended, or waitpid tells us.
            found = self.reaped(record.pid, process_tree.exit_status(record.pid))
            if found is not None:
                ended.append(found)
        return ended

    def reaped(self, pid: int, status: int) -> Record | None:
        """A process has ended: the launch it was the process of, if somebody asks for it."""
        number = self._running.pop(pid, None)
        if number is None:
            return None
        self._let_go(self._records[number])
        record = self._records[number]
        record.status = status
        record.out_of_memory = self._cgroups.ran_out_of_memory(number)
        if record.forgotten:
            self._drop(record)
            return None
        return record

    def signal(self, number: int, signum: int, tree: bool) -> None:
        """To a running first process, or to all; nothing for one that has ended."""
        record = self._records.get(number)
        if record is None or not 0 < signum < signal.NSIG:
            return
        if tree:
            for process in self._tree(number):
                process_tree.send(process, signum)
        elif record.status is None:
            try:
                if record.handle is not None:
                    signal.pidfd_send_signal(record.handle, signum)
                else:
                    os.kill(record.pid, signum)
            except ProcessLookupError:  # It is not ours to reap.
                return
            except PermissionError:  # It changed its user, and we are not root.
                return

    def note_line(self, number: int) -> bool:
        """The awaited line was written; False when nobody asks any more."""
        record = self._records.get(number)
        if record is None or record.forgotten:
            return False
        record.line_seen = True
        return True

    def pass_on(self, signum: int) -> None:
        """To the first process of every essential launch."""
        for record in self._records.values():
            if record.essential:
                self.signal(record.number, signum, tree=False)

    def kill(self, number: int) -> Record | None:
        """Doom the tree; the launch, if the process that it was about has ended before."""
        record = self._records.get(number)
        if record is None:
            return None
        self._doom(record)
        return record if record.status is not None and not record.forgotten else None

    def kill_everything(self) -> None:
        for record in self._records.values():
            self._doom(record)

    def forget(self, number: int, keep_tree: bool = False) -> None:
        """Drop a launch, and doom what is left of its tree if it is not to be kept."""
        record = self._records.get(number)
        if record is None:
            return
        record.forgotten = True
        if not keep_tree:
            self._doom(record)
        if record.status is not None:
            self._drop(record)
            if keep_tree:
                self._cgroups.release(number)
                self._settle({number})

    def sweep(self, now: float, others: Iterable[int]) -> None:
        """Kill what is doomed, if it is time; `others` are the keeper's own children.

        At once what was doomed since the last look; at `sweep_at` all that should be dead by
        now, and what it started meanwhile.
        """
        if self._fresh:
            fresh, self._fresh = self._fresh, set()
            self._sweep(fresh, others)
            self._sweep_delay = _SWEEP_DELAYS[0]
            self.sweep_at = now + self._sweep_delay
        elif self.sweep_at is not None and now >= self.sweep_at:
            self._sweep(set(self._doomed), others)
            self._sweep_delay = min(self._sweep_delay * 1.5, _SWEEP_DELAYS[1])
            self.sweep_at = now + self._sweep_delay
        if not self._doomed:
            self.sweep_at = None

    def kill_leftovers(self) -> int:
        """Kill what an earlier keeper of this state directory left; how many, roughly."""
        table = process_tree.read_table(LAUNCH_VARIABLE, lambda _: False)
        spared = _ancestry(table, os.getpid())

        def find() -> list[process_tree.Process]:
            table = process_tree.read_table(LAUNCH_VARIABLE, lambda found: found.pid not in spared)
            return [found for found in table.values() if self._launch_of(found.tag) is not None]

        return self._cgroups.kill_leftovers() + process_tree.kill_all(find)

    def close(self) -> None:
        """No launch will follow."""
        self._cgroups.close()

    def _spawn(self, launch: Launch) -> tuple[Spawned, tuple[str, ...]]:
        """The new process, and the limits it has to do without."""
        if not launch.shares:
            return self._spawn_inside(launch), ()
        last = 2
        for attempt in range(last + 1):
            bounds = self._cgroups.limit(launch.number, launch.service, launch.shares)
            try:
                spawned = self._spawner.spawn(launch, bounds)
            except Refused as refused:
                self._cgroups.release(launch.number)
                # Another SCM that ends just now removes empty cgroups, these perhaps.
                if attempt == last or not refused.detail.startswith("cgroup"):
                    raise
            else:
                break
        return spawned, tuple(f"{name}: {why}" for name, why in bounds.missing.items())

    def _spawn_inside(self, launch: Launch) -> Spawned:
        """The program is born in its cgroup."""
        try:
            folder = self._cgroups.birthplace(launch.number, launch.service)
            if folder is not None:
                return self._spawner.spawn(launch, born_in=folder)
        except CannotBeBorn as failed:
            if not failed.gone:  # Another SCM that ends just now removes empty cgroups.
                self._cgroups.cannot_bear()
        except BaseException:
            # Should the one in between have died, the program may be there.
            self._cgroups.end(launch.number)
            self._cgroups.release(launch.number)
            raise
        if not self._cgroups.enter(launch.number, launch.service):
            return self._spawner.spawn(launch)
        try:
            spawned = self._spawner.spawn(launch)
        except BaseException:
            self._cgroups.leave()
            self._cgroups.release(launch.number)
            raise
        self._cgroups.leave()
        return spawned

    def _tree(self, number: int) -> list[process_tree.Process]:
        found = self._members(dict(self._sessions)).get(number, [])
        known = {process.pid for process in found}
        others = [pid for pid in self._cgroups.processes(number) if pid not in known]
        return found + list(filter(None, map(process_tree.read_process, others)))

    def _doom(self, record: Record) -> None:
        self._doomed.add(record.number)
        self._fresh.add(record.number)

    def _let_go(self, record: Record) -> None:
        """The process that was followed is no more, or another one is."""
        if record.handle is not None:
            del self._followed[record.handle]
            os.close(record.handle)
            record.handle = None

    def _drop(self, record: Record) -> None:
        del self._records[record.number]
        self._let_go(record)
        if record.channel is not None:
            os.close(record.channel)
            record.channel = None

    def _sweep(self, numbers: set[int], others: Iterable[int]) -> None:
        in_cgroups = {number for number in numbers if not self._cgroups.end(number)}
        running = numbers.intersection(self._running.values())
        if not running and not process_tree.orphans(os.getpid(), {*self._running, *others}):
            self._settle(numbers - in_cgroups)
            return

        def find() -> list[process_tree.Process]:
            members = self._members(self._sessions)
            return [process for number in numbers for process in members.get(number, [])]

        if process_tree.kill_all(find) == 0:
            self._settle(numbers - running - in_cgroups)

    def _settle(self, numbers: set[int]) -> None:
        """Nothing is left of these: their sessions may become somebody else's."""
        self._doomed -= numbers
        self._fresh -= numbers
        self._sessions = {
            pid: number for pid, number in self._sessions.items() if number not in numbers
        }

    def _members(self, sessions: dict[int, int]) -> dict[int, list[process_tree.Process]]:
        keeper = os.getpid()
        table = process_tree.read_table(
            LAUNCH_VARIABLE, lambda found: found.pid not in self._running
        )
        return process_tree.members(table, keeper, self._running, sessions, self._launch_of)

    def _launch_of(self, tag: str) -> int | None:
        return launch_of_tag(tag, self._instance)


def _ancestry(table: Mapping[int, process_tree.Process], pid: int) -> set[int]:
    """A process and all above it."""
    above = set()
    while pid not in above and pid in table:
        above.add(pid)
        pid = table[pid].parent
    return above
