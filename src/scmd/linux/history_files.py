"""Histories on disk: `<record number>.jsonl`, each bounded, written by a thread of its own.

Nobody waits for the disk to write. A line is in the file, though not synced, some seconds after
it was given, and until then where the next process finds it; what cannot be written is lost and
said once. When a file has twice as many lines as are kept, it is written anew with the newest.
A file that is no history, or one of a newer scmd, is left as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from scmd.linux.lazy_writer import LINGER_S, LazyWriter
from scmd.linux.spool import Spool, overlap
from scmd.storage.history import HEADER, HistoryError, check_header, sound_lines

KEEP = 200
"""Transitions of a service that can be read; the file may hold twice as many."""
_READ_LIMIT_S = 10.0
_MAX_WAITING = 50_000


class HistoryFiles:
    """`append`, `remove` and `retain` may be called from any thread and never block."""

    def __init__(
        self,
        folder: Path,
        problem: Callable[[str], None],
        *,
        spool: Spool | None = None,
        keep: int = KEEP,
        linger_s: float = LINGER_S,
    ) -> None:
        """`problem` is told, from any thread, once for each row of failures."""
        self._folder = folder
        self._keep = keep
        self._problem = problem
        self._failing = False
        self._counts: dict[int, int] = {}
        """Lines in each file that was looked at; -1: one that is not to be touched."""
        self._writer = LazyWriter(
            "history", self._write, spool, linger_s=linger_s, max_waiting=_MAX_WAITING
        )

    def append(self, service: int, line: bytes) -> None:
        if not self._writer.add(b"%d %s" % (service, line)):
            self._fail("too much waits for a slow disk")

    def remove(self, service: int) -> None:
        """The record is gone, and its number is never given out again."""
        self._writer.call(partial(self._try, partial(self._forget, service)))

    def retain(self, services: Collection[int]) -> None:
        """Remove the histories of all other records."""
        kept = frozenset(services)
        self._writer.call(partial(self._try, partial(self._remove_strays, kept)))

    def read(self, service: int) -> list[bytes]:
        """The newest lines, oldest first, those appended before the call among them.

        Blocks for the disk. HistoryError: the file is of a newer scmd. OSError: unreadable.
        """
        self.flush()
        try:
            return self._entries(self._path(service))[-self._keep :]
        except FileNotFoundError:
            return []

    def flush(self) -> None:
        """Wait until what was given before is written, or a slow disk took too long."""
        self._writer.flush(_READ_LIMIT_S)

    def close(self) -> None:
        """Write what is waiting; nothing is to be given any more."""
        self._writer.close()

    def _path(self, service: int) -> Path:
        return self._folder / f"{service}.jsonl"

    @staticmethod
    def _entries(path: Path) -> list[bytes]:
        header, ended, rest = path.read_bytes().partition(b"\n")
        if not ended:
            return []  # There was no room for a first line.
        check_header(header)
        return sound_lines(rest.splitlines())

    # On the thread --------------------------------------------------------------------------

    def _write(self, lines: list[bytes], *, again: bool) -> None:
        services: dict[int, list[bytes]] = {}
        for line in lines:
            number, _, entry = line.partition(b" ")
            if number.isdigit():
                services.setdefault(int(number), []).append(entry)
        for service, given in services.items():
            self._try(partial(self._add, service, given, again))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self._fail(str(error))
        else:
            self._failing = False

    def _fail(self, why: str) -> None:
        if not self._failing:
            self._problem(f"history cannot be written: {why}")
        self._failing = True

    def _add(self, service: int, lines: list[bytes], again: bool) -> None:
        path = self._path(service)
        count = self._counts.get(service)
        if count is None or not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            count = self._counts[service] = self._repair(path)
        if count < 0:
            return
        old = []
        if count and (again or count + len(lines) > 2 * self._keep):
            old = [line + b"\n" for line in self._entries(path)]
        if again:
            lines = lines[overlap(old, lines) :]
        if count + len(lines) > 2 * self._keep:
            kept = [*old, *lines][-self._keep :]
            _replace(path, kept)
            self._counts[service] = len(kept)
        elif lines:
            _append(path, b"".join(lines if count else [HEADER, *lines]))
            self._counts[service] = count + len(lines)

    def _forget(self, service: int) -> None:
        self._counts.pop(service, None)
        self._path(service).unlink(missing_ok=True)

    def _repair(self, path: Path) -> int:
        """Cut an unfinished last line off; the number of lines, or -1 for somebody else's file."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return 0
        whole = data.rfind(b"\n") + 1
        try:
            if whole:
                check_header(data.partition(b"\n")[0])
        except HistoryError as error:
            self._problem(f"{path} is left as it is: {error}")
            return -1
        if whole < len(data):
            os.truncate(path, whole)
        entries = data.count(b"\n") - 1
        if entries <= 0:
            # It begins again, header and all.
            path.unlink()
        return max(0, entries)

    def _remove_strays(self, kept: frozenset[int]) -> None:
        for path in list(self._folder.iterdir()) if self._folder.is_dir() else ():
            number = path.name.partition(".")[0]
            if number.isdecimal() and int(number) not in kept:
                path.unlink(missing_ok=True)


def _append(path: Path, data: bytes) -> None:
    """All of it or, with OSError, nothing of it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _replace(path: Path, lines: list[bytes]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(b"".join([HEADER, *lines]))
    fresh.chmod(0o600)
    os.replace(fresh, path)
