"""Which process is a daemon's: reading its pid file, and having the keeper follow it.

The file is the service's own and may be anything by now: a FIFO, a link, a gigabyte. It is
read on a thread, a little of it, and only if it is a file. Whether the process belongs to
the launch is the keeper's to say.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable

from scmd.core.messages import LaunchId
from scmd.core.messages.effects import FollowProcess
from scmd.core.messages.events import ProcessFollowed
from scmd.core.notifications import LARGEST_PROCESS_ID
from scmd.daemon.background import Background

_MOST = 64
"""Bytes of a pid file that are looked at."""


class MainProcesses:
    """Answers each `FollowProcess`, by way of the keeper or, when a file says nothing, itself."""

    def __init__(
        self,
        follow: Callable[[LaunchId, int], None],
        on_answer: Callable[[ProcessFollowed], None],
    ) -> None:
        self._follow = follow
        self._on_answer = on_answer
        self._background = Background()

    def find(self, wanted: FollowProcess) -> None:
        if not wanted.pid_file:
            self._follow(wanted.launch, wanted.process_id)
        else:
            self._background.begin(self._look(wanted))

    async def _look(self, wanted: FollowProcess) -> None:
        try:
            process_id = await asyncio.to_thread(read_pid_file, wanted.pid_file)
        except (OSError, ValueError) as failed:
            reason = failed.strerror if isinstance(failed, OSError) else None
            self._on_answer(ProcessFollowed(wanted.launch, 0, reason or str(failed)))
        else:
            self._follow(wanted.launch, process_id)


def read_pid_file(path: str) -> int:
    """The number in the file's first line; OSError, or ValueError for what is no process id."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a file")
        data = os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)
    text = data.partition(b"\n")[0].strip()
    if not text.isdigit() or not 1 < int(text) <= LARGEST_PROCESS_ID:
        raise ValueError("it holds no process id")
    return int(text)
