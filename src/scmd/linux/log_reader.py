"""Reading captured output: `<record number>.log`, and `.log.1`, `.log.2`... before it.

A position is opaque to clients: which file (the low 24 bits of its inode, which rotation
does not change) and the offset in it. A reader whose file has been rotated away goes on
with the oldest one there is. 0 is the beginning of what is kept. Writing is the logger's.
"""

from __future__ import annotations

import os
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
    path: Path
    tag: int
    size: int

    def position(self, offset: int) -> int:
        return self.tag << _OFFSET_BITS | offset


def read_log(directory: Path, service: int, position: int, count: int) -> LogPart:
    """At most `count` bytes from `position`; empty where there is no log or nothing new.

    OSError: a file is there and cannot be read.
    """
    files = _files(directory, service)
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
    for file in reversed(_files(directory, service)):
        wanted = count - len(data)
        if wanted > 0:
            data = _bytes(file.path, file.tag, max(0, file.size - wanted), wanted) + data
    return data


def _files(directory: Path, service: int) -> list[_File]:
    """Oldest first."""
    found: list[_File] = []
    names = [f"{service}.log"]
    while names:
        path = directory / names.pop()
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append(_File(path, status.st_ino & _FILE_MASK, status.st_size))
        names.append(f"{service}.log.{len(found)}")
    return found[::-1]


def _read(files: list[_File], offset: int, count: int) -> LogPart:
    """From `offset` of the first file; on into the next one when that is exhausted."""
    for index, file in enumerate(files):
        data = _bytes(file.path, file.tag, offset, count)
        last = index + 1 == len(files)
        if data or last:
            return LogPart(file.position(offset), data, file.position(offset + len(data)))
        offset = 0
    raise AssertionError("no file")


def _bytes(path: Path, tag: int, offset: int, count: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_ino & _FILE_MASK != tag:
                return b""  # Rotated since we looked; the next read finds it.
            return os.pread(file.fileno(), count, offset)
    except FileNotFoundError:
        return b""
