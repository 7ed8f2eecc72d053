"""Writing lines later and many at a time, on a thread, so that nobody waits for a disk.

A thread that is woken for each line fights with the event loop for the interpreter. This one
is woken by the first line and then lets some time pass, unless somebody wants to read; what
waits meanwhile is in a `Spool`, where the process that comes after a kill finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from scmd.linux.spool import Spool

LINGER_S = 2.0
MAX_WAITING = 10_000
"""Lines that may wait for a slow disk."""


class Write(Protocol):
    """Put lines in their place; on the thread. `again`: those may be there, in part or all."""

    def __call__(self, lines: list[bytes], *, again: bool) -> None: ...


class LazyWriter:
    """`add` and `call` may be called from any thread and never block."""

    def __init__(
        self,
        name: str,
        write: Write,
        spool: Spool | None = None,
        *,
        linger_s: float = LINGER_S,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """What the spool has found is written first."""
        self._write = write
        self._spool = spool
        self._linger_s = linger_s
        self._max_waiting = max_waiting
        self._waiting: list[bytes | Callable[[], None]] = []
        self._in_hand = 0
        self._changing = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def add(self, line: bytes) -> bool:
        """False when too many wait already, and this one does not."""
        with self._changing:
            if len(self._waiting) + self._in_hand >= self._max_waiting:
                return False
            if self._spool is not None:
                self._spool.add(line)
            self._waiting.append(line)
            if len(self._waiting) > self._max_waiting // 2:
                self._hurry.set()
        if not self._wake.is_set():
            self._wake.set()
        return True

    def call(self, work: Callable[[], None]) -> None:
        """Do this soon on the thread, after what was given before. A kill forgets it."""
        with self._changing:
            self._waiting.append(work)
        self._hurry.set()
        self._wake.set()

    def flush(self, limit_s: float) -> None:
        """Wait until what was given before is written, but not longer than that."""
        if not self._closing:
            done = threading.Event()
            self.call(done.set)
            done.wait(limit_s)

    def close(self) -> None:
        """Write what is waiting; nothing is to be given any more."""
        if not self._closing:
            self._closing = True
            self._hurry.set()
            self._wake.set()
            self._thread.join()

    # On the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        if self._spool is not None and self._spool.found:
            self._write(self._spool.found, again=True)
            self._spool.found.clear()
            with self._changing:
                self._spool.done(self._spool.last_found)
        while not self._closing:
            self._wake.wait()
            self._hurry.wait(self._linger_s)
            self._turn()
        self._turn()

    def _turn(self) -> None:
        """Whoever gives something from here on wakes us again."""
        self._hurry.clear()
        self._wake.clear()
        with self._changing:
            given, self._waiting = self._waiting, []
            self._in_hand = len(given)
            begun = 0 if self._spool is None else self._spool.begin()
        lines: list[bytes] = []
        for item in given:
            if isinstance(item, bytes):
                lines.append(item)
                continue
            self._put(lines)
            lines = []
            item()
        self._put(lines)
        with self._changing:
            self._in_hand = 0
            if self._spool is not None:
                self._spool.done(begun)

    def _put(self, lines: list[bytes]) -> None:
        if lines:
            self._write(lines, again=False)
