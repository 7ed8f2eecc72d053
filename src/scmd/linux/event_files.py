"""The event log's files: numbering, rotation, repair, and lines from a number on.

One thread appends, others may read meanwhile. `event_log.py` has the queue and the clock.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from scmd.linux.in_place import is_in_place
from scmd.storage.event_record import (
    EventError,
    EventRecord,
    first_number,
    header_line,
    number_of_line,
    record_to_line,
)

NAME = "events.jsonl"
Write = Callable[[int, bytes], int]
_HEADER_START = b'{"scmd_events":'


class EventFiles:
    """`events.jsonl`, which is appended to, and the older `events.jsonl.1`..."""

    def __init__(self, folder: Path, file_bytes: int, files: int, write: Write = os.write) -> None:
        """Open the newest file, made when missing, and cut off an unfinished last line.

        EventError: it is no event log, or one of a newer format; it was left as it is.
        """
        self._path = folder / NAME
        self._file_bytes = file_bytes
        self._count = files
        self._write_some = write
        self._rotation = threading.Lock()
        self.last = self._last_of(self._aged(1))
        """The highest number in the files."""
        self._descriptor, self._size = self._open()

    def append(self, record: EventRecord) -> bool:
        """Write a record under the next number; False, and no trace, when it cannot be."""
        line = record_to_line(msgspec.structs.replace(record, number=self.last + 1))
        try:
            if not is_in_place(self._path, self._descriptor):
                self._begin_anew()
            if self._size + len(line) > self._file_bytes and not self._is_fresh():
                self._rotate()
            self._write(line)
        except (OSError, EventError):
            return False
        self.last += 1
        return True

    def close(self) -> None:
        os.close(self._descriptor)

    def lines_after(self, after: int) -> Iterator[bytes]:
        """The lines of the records numbered above `after`, oldest first."""
        for data, first in self._snapshot(after):
            body = data.find(b"\n") + 1
            start = body if first > after else _line_after(data, body, after)
            end = data.rfind(b"\n") + 1
            for line in data[start:end].splitlines():
                if _is_above(line, after):
                    yield line

    def _snapshot(self, after: int) -> Iterator[tuple[bytes, int]]:
        """Contents and first number of the files that may hold numbers above `after`."""
        with self._rotation:
            handles = [self._reader(age) for age in range(self._count - 1, -1, -1)]
        opened = [handle for handle in handles if handle is not None]
        try:
            for index, (handle, first) in enumerate(opened):
                following = opened[index + 1][1] if index + 1 < len(opened) else None
                if following is None or following > after + 1:
                    os.lseek(handle, 0, os.SEEK_SET)
                    yield _read_all(handle), first
        finally:
            for handle, _ in opened:
                os.close(handle)

    def _reader(self, age: int) -> tuple[int, int] | None:
        """A descriptor and the first number; None for a file that is not there or not ours."""
        try:
            handle = os.open(self._aged(age), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return handle, first_number(os.pread(handle, 256, 0).partition(b"\n")[0])
        except (EventError, OSError):
            os.close(handle)
            return None

    def _aged(self, age: int) -> Path:
        return self._path.with_name(f"{NAME}.{age}") if age else self._path

    def _last_of(self, path: Path) -> int:
        """The last number in a file, or the one before its first; 0 without the file."""
        try:
            return _last_number(path.read_bytes())
        except (FileNotFoundError, EventError):
            return 0

    def _open(self) -> tuple[int, int]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            data = _read_all(descriptor)
            whole = data.rfind(b"\n") + 1
            if whole:
                self.last = max(self.last, _last_number(data))
            elif data.strip(b"\0") and not data.startswith(_HEADER_START[: len(data)]):
                raise EventError("not an event log")
            os.ftruncate(descriptor, whole)
            if not whole:
                self._write_some(descriptor, header_line(self.last + 1))
            return descriptor, os.fstat(descriptor).st_size
        except EventError as error:
            os.close(descriptor)
            advice = "It was left as it is: move it aside to begin with an empty one"
            raise EventError(f"{self._path} cannot be used: {error}. {advice}") from error
        except BaseException:
            os.close(descriptor)
            raise

    def _begin_anew(self) -> None:
        """Somebody has removed or moved the file, or the folder."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        removed = self._descriptor
        self._descriptor, self._size = self._open()
        os.close(removed)

    def _is_fresh(self) -> bool:
        return self._size <= len(header_line(self.last + 1))

    def _write(self, line: bytes) -> None:
        """All of the line or, with OSError, nothing of it."""
        written = 0
        try:
            while written < len(line):
                written += self._write_some(self._descriptor, line[written:])
        except OSError:
            if written:
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def _rotate(self) -> None:
        """Begin a new file; the oldest one goes. With OSError, the files are as they were."""
        fresh = self._path.with_name(f"{NAME}.new")
        header = header_line(self.last + 1)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        try:
            if self._write_some(descriptor, header) < len(header):
                raise OSError(errno.ENOSPC, "no room for a header")
            with self._rotation:
                for age in range(self._count - 1, 0, -1):
                    if self._aged(age - 1).exists():
                        os.replace(self._aged(age - 1), self._aged(age))
                os.replace(fresh, self._path)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(self._descriptor)
        self._descriptor, self._size = descriptor, len(header)


def _read_all(handle: int) -> bytes:
    parts = []
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _last_number(data: bytes) -> int:
    """The last number in whole lines; EventError when the file is not an event log."""
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    first = first_number(lines[0] if lines else b"")
    for line in reversed(lines[1:]):
        try:
            return number_of_line(line)
        except EventError:
            continue
    return first - 1


def _is_above(line: bytes, after: int) -> bool:
    try:
        return number_of_line(line) > after
    except EventError:
        return False


def _line_after(data: bytes, low: int, after: int) -> int:
    """Where to look for numbers above `after`: ascending numbers, perhaps a damaged line."""
    high = len(data)
    while low < high:
        middle = (low + high) // 2
        start = data.rfind(b"\n", 0, middle) + 1
        start = max(start, low)
        end = data.find(b"\n", start)
        if end < 0:
            high = start
            continue
        try:
            number = number_of_line(data[start:end])
        except EventError:
            return low
        if number > after:
            high = start
        else:
            low = end + 1
    return low
