"""Lines that are not in their place yet, where a manager that is killed leaves them behind.

Writing to a file in the runtime directory costs some microseconds and wakes nobody, and the page
cache outlives the process. Each line is added at once, in the file `NAME.<number>`; when a batch
is about to be put in its place the next file begins, and the files before it go when that is done.
What is found at the start is an earlier process's: perhaps in its place, perhaps not. A file that
cannot be read is left where it is.

The first line of a file has the format and whose lines they are; another owner's are dropped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from scmd.storage.documents import NOT_READABLE

FORMAT = 1


class _Header(msgspec.Struct, frozen=True):
    scmd_spool: int
    owner: str


_HEADERS = msgspec.json.Decoder(_Header)

log = logging.getLogger("scmd.manager")


class Spool:
    """One process's, at a time. Lines end with a line end; failures are nobody's problem."""

    def __init__(self, path: Path, owner: str) -> None:
        """`path` is the files' without the number; `owner` tells state directories apart."""
        self._path = path
        self._header = msgspec.json.encode(_Header(FORMAT, owner)) + b"\n"
        self._owner = owner
        self._kept: list[int] = []
        """The files there are."""
        self.found: list[bytes] = []
        """What an earlier process had added and not put in its place, oldest first."""
        self._number = 1
        for number in self._numbers():
            self._number = number + 1
            self._take_up(number)
        self.last_found = self._number - 1
        """For `done`, when what was found is in its place."""
        self._file = -1

    def add(self, line: bytes) -> None:
        """The kernel has it when this returns. Without room for it, it is in memory only."""
        try:
            if self._file < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                self._file = os.open(self._at(self._number), flags, 0o600)
                self._kept.append(self._number)
                os.write(self._file, self._header)
            os.write(self._file, line)
        except OSError:
            return

    def begin(self) -> int:
        """What was added up to now is about to be put in its place; for `done`."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._number += 1
        return self._number - 1

    def done(self, begun: int) -> None:
        """It is in its place, and so is all before it."""
        for number in [number for number in self._kept if number <= begun]:
            self._kept.remove(number)
            with suppress(OSError):
                self._at(number).unlink()

    def _at(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _numbers(self) -> list[int]:
        found = (path.name.rpartition(".") for path in self._path.parent.iterdir())
        return sorted(
            int(number)
            for name, _, number in found
            if name == self._path.name and number.isascii() and number.isdecimal()
        )

    def _take_up(self, number: int) -> None:
        try:
            data = self._at(number).read_bytes()
        except OSError as error:
            log.error("%s is left as it is: %s", self._at(number), error.strerror)
            return
        self._kept.append(number)
        self.found += self._lines(data)

    def _lines(self, data: bytes) -> list[bytes]:
        first, *lines = data.splitlines(keepends=True) or [b""]
        try:
            header = _HEADERS.decode(first)
        except NOT_READABLE:
            return []
        if header.scmd_spool > FORMAT or header.owner != self._owner:
            return []
        return [line for line in lines if line.endswith(b"\n")]


def overlap(there: Sequence[object], batch: Sequence[object]) -> int:
    """How many of the batch are in their place: the most that what is there ends with."""
    for count in range(min(len(there), len(batch)), 0, -1):
        if there[-count:] == batch[:count]:
            return count
    return 0
