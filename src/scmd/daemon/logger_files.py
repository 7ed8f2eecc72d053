"""A service's log on disk: whole lines, bounded by rotation, and what to do when it is full.

`Lines` makes lines of what arrives in pieces. `LogFile` puts them at the end of
`<name>.log` and renames it to `.log.1`, `.log.2`... before it would grow past its limit.
What cannot be written is counted, and announced in the log as soon as writing works. A file that
somebody has removed or moved is made anew, and its folder too.
"""

from __future__ import annotations

import errno
import os
import time

from scmd.linux.in_place import is_in_place

MAX_LINE = 16 << 10
"""Bytes; a longer line is cut, with `CUT` where it was."""
MOST_KEPT_FREE = 16 << 20
SHARE_KEPT_FREE = 16
"""One byte in so many, at most `MOST_KEPT_FREE`, is for the database, events and histories."""
CUT = b" [scmd: line cut]\n"


class Lines:
    """Splits one launch's output; `prefix` and a time stamp may stand before each line."""

    __slots__ = ("_prefix", "_rest", "_timestamps")

    def __init__(self, prefix: bytes = b"", timestamps: bool = False) -> None:
        self._prefix = prefix
        self._timestamps = timestamps
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What is complete now: any number of whole lines."""
        end = data.rfind(b"\n") + 1
        whole, rest = self._rest + data[:end] if end else b"", data[end:]
        self._rest = rest if end else self._rest + rest
        while len(self._rest) > MAX_LINE:
            whole += self._rest[:MAX_LINE] + CUT
            self._rest = self._rest[MAX_LINE:]
        return self._decorated(whole)

    def end(self) -> bytes:
        """The last line, if it was never ended."""
        rest, self._rest = self._rest, b""
        return self._decorated(rest + b"\n") if rest else b""

    def _decorated(self, whole: bytes) -> bytes:
        if not whole or not (self._prefix or self._timestamps):
            return whole
        lead = (timestamp() if self._timestamps else b"") + self._prefix
        return b"".join(lead + line + b"\n" for line in whole[:-1].split(b"\n"))


def timestamp() -> bytes:
    """Now, in UTC: `2026-01-31T23:59:59.123Z `."""
    now = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now * 1000) % 1000:03d}Z ".encode()


def _is_torn(path: str) -> bool:
    """Whether the last line was never ended: a logger was killed in the midst of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.lseek(descriptor, -1, os.SEEK_END)
        return os.read(descriptor, 1) != b"\n"
    finally:
        os.close(descriptor)


def _leave_room(descriptor: int, size: int) -> None:
    """OSError when so many bytes more would take what is left on the disk for others."""
    disk = os.fstatvfs(descriptor)
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    kept = min(MOST_KEPT_FREE, total // SHARE_KEPT_FREE)
    if kept and free - size < kept:
        raise OSError(errno.ENOSPC, f"the last {kept >> 10} KiB of the disk are not for logs")


class LogFile:
    """`path` and its rotated predecessors; opened when there is something to write."""

    def __init__(self, path: str, max_bytes: int, files: int) -> None:
        self.dropped = 0
        """Lines lost and not announced yet."""
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._descriptor: int | None = None
        self._size = 0

    def write(self, lines: bytes, dropped: int = 0) -> OSError | None:
        """Append whole lines, after saying how many were dropped before; why it failed."""
        self.dropped += dropped
        try:
            if self.dropped:
                self._append(b"scmd: %d lines dropped\n" % self.dropped)
                self.dropped = 0
            while lines:
                lines = lines[self._append_what_fits(lines) :]
        except OSError as failed:
            self.dropped += lines.count(b"\n")
            return failed
        return None

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append_what_fits(self, lines: bytes) -> int:
        self._open()
        room = self._max_bytes - self._size
        end = len(lines) if len(lines) <= room else lines.rfind(b"\n", 0, max(room, 0)) + 1
        if end == 0 and self._size:
            self._rotate()
            return 0
        if end == 0:  # One line that is longer than a file may be.
            end = lines.find(b"\n") + 1 or len(lines)
        self._append(lines[:end])
        return end

    def _append(self, data: bytes) -> None:
        """All of it or nothing, so that no line is ever half there."""
        descriptor = self._open()
        _leave_room(descriptor, len(data))
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            if written:
                os.ftruncate(descriptor, self._size)
            raise
        self._size += written

    def _open(self) -> int:
        if self._descriptor is not None and not is_in_place(self._path, self._descriptor):
            self.close()
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                self._descriptor = os.open(self._path, flags, 0o600)
            except FileNotFoundError:
                os.mkdir(os.path.dirname(self._path), 0o700)
                self._descriptor = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size
            if self._size and _is_torn(self._path):
                self._append(b"\n")
        return self._descriptor

    def _rotate(self) -> None:
        self.close()
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._files))]
        if len(names) == 1:
            os.truncate(self._path, 0)
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            try:
                os.rename(newer, older)
            except FileNotFoundError:
                continue
