"""Reading captured output: `<record number>.log`, and `.log.1`, `.log.2`... before it.

A position is opaque to clients: which file (the low 24 bits of its inode, which rotation
does not change) and the offset in it. A reader whose file has been rotated away goes on
with the oldest one there is. 0 is the beginning of what is kept. Writing is the logger's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOG_END = 0xFFFF_FFFF_FFFF_FFFF
"""The position that asks for the last bytes of the newest file."""

_OFFSET_BITS = 40
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_FILE_MASK = (1 << (64 - _OFFSET_BITS)) - 1


@dataclass(frozen=True, slots=True)
class LogPart:
    start: int
    data: bytes
    next: int
    """Where to go on; the same as `start` when there is nothing new."""


@dataclass(frozen=True, slots=True)
class _File:
    descriptor: int
    tag: int
    size: int

    def position(self, offset: int) -> int:
        return self.tag << _OFFSET_BITS | offset

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self.descriptor, count, offset)


def read_log(directory: Path, service: int, position: int, count: int) -> LogPart:
    """At most `count` bytes from `position`; empty where there is no log or nothing new.

    OSError: a file is there and cannot be read.
    """
    with _files(directory, service) as files:
        if not files:
            return LogPart(0, b"", 0)
        if position == LOG_END:
            newest = files[-1]
            return _read([newest], newest.size - min(count, newest.size), count)
        tag, offset = position >> _OFFSET_BITS & _FILE_MASK, position & _OFFSET_MASK
        for index, file in enumerate(files):
            if position and file.tag == tag and offset <= file.size:
                return _read(files[index:], offset, count)
        return _read(files, 0, count)


def read_tail(directory: Path, service: int, count: int) -> bytes:
    """The last `count` bytes of all that is kept, or all of it; OSError as above."""
    data = b""
    with _files(directory, service) as files:
        for file in reversed(files):
            wanted = count - len(data)
            if wanted > 0:
                data = file.read(max(0, file.size - wanted), wanted) + data
    return data


@contextmanager
def _files(directory: Path, service: int) -> Iterator[list[_File]]:
    """All that are kept, open, oldest first.

    They may be renamed meanwhile: a name in the row may be free, and a file be met twice.
    """
    opened: dict[int, _File] = {}
    number = free = 0
    try:
        while free < 2:
            name = f"{service}.log.{number}" if number else f"{service}.log"
            number += 1
            try:
                descriptor = os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                free += 1
                continue
            status = os.fstat(descriptor)
            tag = status.st_ino & _FILE_MASK
            before = opened.pop(tag, None)
            opened[tag] = _File(descriptor, tag, status.st_size)
            if before is not None:
                os.close(before.descriptor)
        yield list(opened.values())[::-1]
    finally:
        for file in opened.values():
            os.close(file.descriptor)


def _read(files: list[_File], offset: int, count: int) -> LogPart:
    """From `offset` of the first file; on into the next one when that is exhausted."""
    for index, file in enumerate(files):
        data = file.read(offset, count)
        last = index + 1 == len(files)
        if data or last:
            return LogPart(file.position(offset), data, file.position(offset + len(data)))
        offset = 0
    raise AssertionError("no file")
