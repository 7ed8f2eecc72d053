"""Noticing that the sockets in RUNTIME are gone: those who tidy up /run and /tmp remove them.

The kernel's dnotify sends SIGIO whenever a name goes from the folder, and only then is it looked
whether the sockets are still there. Nobody wakes up for it otherwise.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

SETTLE_S = 0.5
"""From the first that is gone until it is told: who removes it may go on with the others."""


class SocketWatch:
    """Tells once; OSError: this kernel cannot say. For the loop of the main thread."""

    def __init__(self, folder: Path, names: Iterable[str], on_gone: Callable[[], None]) -> None:
        self._paths = [folder / name for name in names]
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._loop.add_signal_handler(signal.SIGIO, self._look)
        try:
            going = fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
            fcntl.fcntl(self._folder, fcntl.F_NOTIFY, going)
        except OSError:
            self.close()
            raise
        self._look()

    def close(self) -> None:
        """Nothing is told any more."""
        os.close(self._folder)
        self._loop.remove_signal_handler(signal.SIGIO)
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._timer is None and not all(map(os.path.lexists, self._paths)):
            self._timer = self._loop.call_later(SETTLE_S, self._on_gone)
