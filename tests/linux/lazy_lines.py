"""A process that writes events and histories, and is killed: `python -m tests.linux.lazy_lines`.

Arguments: folder, first number, count, and by which write to the event log it is killed (0: when
everything was given and nothing was written). Writes count when everything was given; with
nothing to give, those of what an earlier process has left count.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from scmd.linux.event_log import EventLog
from scmd.linux.history_files import HistoryFiles
from scmd.linux.spool import Spool
from scmd.storage.history import Transition, to_line


class Disk:
    """Stands in for os.write, and kills in the middle of one."""

    def __init__(self, writes_left: int = -1) -> None:
        self.writes_left = writes_left

    def write(self, descriptor: int, data: bytes) -> int:
        self.writes_left -= 1
        if self.writes_left == 0:
            os.write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return os.write(descriptor, data)


def opened(folder: Path, disk: Disk) -> tuple[EventLog, HistoryFiles]:
    """Both stores of a folder; they wait for an hour unless somebody reads."""

    spool = Spool(folder / "e.waiting", "x")
    events = EventLog(folder / "events", spool=spool, linger_s=3600, write=disk.write)
    spool = Spool(folder / "h.waiting", "x")
    return events, HistoryFiles(folder / "history", print, spool=spool, linger_s=3600)


def main() -> None:
    folder, first, count, kill_after = Path(sys.argv[1]), *map(int, sys.argv[2:])
    disk = Disk(-1 if count else kill_after)
    events, histories = opened(folder, disk)
    for number in range(first, first + count):
        events.append("Web", 1, 4, [str(number)])
        line = to_line(Transition(time=f"{number}", state="RUNNING", cause="x", actor="SCM"))
        histories.append(number % 3, line)
    if kill_after:
        histories.flush()
        disk.writes_left = kill_after if count else disk.writes_left
        events.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
