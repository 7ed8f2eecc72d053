"""Standard error that nobody waits for: what its reader does not take is dropped, and counted.

`scmd run 2>&1 | less` must not hold up a service because nobody turns the page. `keep_going`
makes `sys.stderr` of the whole process such a one; messages, logging and tracebacks go there.
"""

from __future__ import annotations

import _socket
import io
import os
import select
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PIECE = 4096
"""A pipe that is ready takes so many bytes whole (PIPE_BUF)."""


def keep_going() -> None:
    """From now on writing to `sys.stderr` neither waits nor fails."""
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Unawaited(2), 1 << 16), errors="backslashreplace", line_buffering=True
    )


class _Unawaited(io.RawIOBase):
    """Takes everything; what could not be written at once is missing, and is told of later."""

    def __init__(self, descriptor: int) -> None:
        self._write_some = _writer(descriptor)
        self._lost = 0
        """Lines that nobody took."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Of `data` all, as far as the caller can tell."""
        note = b""
        if self._lost:
            note = b"scmd: lines that nobody read, missing here: %d\n" % self._lost
        text = note + bytes(data)
        written = 0
        try:
            while written < len(text):
                written += self._write_some(text[written : written + _PIECE])
        except OSError:
            pass
        if written >= len(note):
            self._lost = 0
        self._lost += text.count(b"\n", max(written, len(note)))
        return len(data)


def _writer(descriptor: int) -> Callable[[bytes], int]:
    """Writes at once, or raises OSError.

    The open file is shared with others, for whom its mode must stay. So a pipe or terminal is
    opened once more. One that we may not open, another user's, is asked whether it is ready, which
    it is unless somebody else writes to it at the same instant.
    """
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(mode):
            connection = _socket.socket(fileno=os.dup(descriptor))
            return lambda data: connection.send(data, _socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            own = os.open(f"/proc/self/fd/{descriptor}", flags)
            return lambda data: os.write(own, data)
    except OSError:
        pass
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def write_when_ready(data: bytes) -> int:
        if not poll.poll(0):
            raise BlockingIOError
        return os.write(descriptor, data)

    return write_when_ready
