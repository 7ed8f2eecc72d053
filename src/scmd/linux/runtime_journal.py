"""The runtime journal on disk: `RUNTIME/journal`, appended to at every change.

The page cache outlives the process that wrote to it, so nothing is synced. When the file
has grown to several times what it has to say it is written anew beside and moved into place.
A journal that cannot be written is removed, since an old one would be worse than none,
and written anew as soon as that works.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from scmd.core.memory import (
    AutoStartMemory,
    ChangeMemory,
    IntentMemory,
    LaunchMemory,
    LaunchOver,
    Memory,
    ServiceMemory,
)
from scmd.core.shutdown import ShutdownMemory, ShutdownOrder
from scmd.storage.journal import Lines, Owner, header

log = logging.getLogger(__name__)

NAME = "journal"
LEAST_SIZE = 1 << 20
"""Bytes; a smaller journal is not worth writing anew."""
GROWTH = 4
"""How many times larger than when it was written anew it may become."""

_TYPES = {
    "S": ServiceMemory,
    "L": LaunchMemory,
    "O": LaunchOver,
    "A": AutoStartMemory,
    "D": ShutdownMemory,
    "P": ShutdownOrder,
    "C": ChangeMemory,
    "I": IntentMemory,
}
_LINES = Lines(_TYPES)


def owner_of(boot_id: str, keeper_pid: int) -> Owner:
    """The owner that this keeper's journal names; raises OSError when it is gone."""
    stat = Path(f"/proc/{keeper_pid}/stat").read_bytes()
    started = stat.rpartition(b")")[2].split()[19].decode()
    return Owner(boot_id, os.readlink("/proc/self/ns/pid"), f"{keeper_pid} {started}")


def read(path: Path, owner: Owner) -> tuple[Memory, ...] | None:
    """What an earlier manager of this keeper has left; None: there was none, or nothing is."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    entries = _LINES.decode(data, owner)
    if entries is None:
        return None
    return tuple(entry for entry in entries if isinstance(entry, Memory))


class RuntimeJournal:
    """The journal of one manager; `snapshot` gives everything it has to say at the moment."""

    def __init__(self, path: Path, owner: Owner, snapshot: Callable[[], Iterable[Memory]]) -> None:
        self._path = path
        self._owner = owner
        self._snapshot = snapshot
        self._file = -1
        self._size = 0
        self._limit = 0
        self._failing = False

    def append(self, entries: Iterable[Memory]) -> None:
        """Add entries; the kernel has them when this returns, or the failure has been logged."""
        try:
            if self._size >= self._limit:
                self._write_anew()
                return
            data = b"".join(map(_LINES.encode, entries))
            _write(self._file, data)
            self._size += len(data)
        except OSError as failed:
            self._give_up(failed)

    def begin_anew(self) -> None:
        """Write all of it, since somebody has removed it; or the failure has been logged."""
        self._limit = 0
        self.append(())

    def set_aside(self) -> None:
        """Nobody can go on from what the file says: the next manager finds none."""
        kept = self._path.with_name(f"{NAME}.unusable")
        try:
            self._path.replace(kept)
        except OSError as failed:
            log.error("%s cannot be used, nor set aside: %s", self._path, failed.strerror)
        else:
            log.error("%s cannot be used: it is kept as %s", self._path, kept)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._size = self._limit = 0

    def _write_anew(self) -> None:
        data = header(self._owner) + b"".join(map(_LINES.encode, self._snapshot()))
        temporary = self._path.with_name(f"{NAME}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        file = os.open(temporary, flags, 0o600)
        try:
            _write(file, data)
            os.replace(temporary, self._path)
        except BaseException:
            os.close(file)
            raise
        self.close()
        self._file = file
        self._size = len(data)
        self._limit = max(LEAST_SIZE, GROWTH * len(data))
        self._failing = False

    def _give_up(self, failed: OSError) -> None:
        self.close()
        with suppress(OSError):
            self._path.unlink()
        if not self._failing:
            self._failing = True
            log.error(
                "%s cannot be written: %s; should the manager die now, it will not know "
                "what its services were doing",
                self._path,
                failed.strerror,
            )


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
