"""What services write, shown on the logger's own standard output too (`scmd init`).

A container's log is what its first process writes. A thread of its own writes, so that a
reader that is slow, or has gone, holds up neither a service nor its log file: what does not
fit into the backlog is dropped by whole lines, and said.
"""

from __future__ import annotations

import os
import threading

MAX_BACKLOG = 1 << 20
"""Bytes that wait for the reader."""
ENDING_LIMIT = 2.0
"""Seconds that the reader has for the last lines."""


class Echo:
    """Lines in, from one thread; written to the descriptor by another."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._backlog: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="echo", daemon=True)
        self._thread.start()

    def put(self, prefix: bytes, lines: bytes) -> None:
        """Whole lines, each to be shown after the prefix; never waits."""
        if not lines:
            return
        if prefix:
            lines = b"".join(prefix + line + b"\n" for line in lines[:-1].split(b"\n"))
        with self._changed:
            if self._size + len(lines) > MAX_BACKLOG:
                self._dropped += lines.count(b"\n")
            else:
                self._size += len(lines)
                self._backlog.append(lines)
            self._changed.notify()

    def end(self) -> None:
        """Return when all is written, or the reader has not taken it in time."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(ENDING_LIMIT)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not (self._backlog or self._dropped or self._ending):
                    self._changed.wait()
                backlog, self._backlog, self._size = self._backlog, [], 0
                dropped, self._dropped = self._dropped, 0
                ending = self._ending
            if dropped:
                backlog.append(b"scmd: %d lines were not shown here; see scmd logs\n" % dropped)
            try:
                self._write(b"".join(backlog))
            except OSError:  # Nobody reads any more: what follows is for the log alone.
                return
            if ending and not backlog:
                return

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
