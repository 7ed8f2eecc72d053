"""The event log's files: appended by a thread of its own, bounded, rotated, readable.

`events.jsonl` is written to; `events.jsonl.1` and so on are older. Nobody waits for the
disk; what waits itself is left to the next process when this one is killed. An entry that
cannot be written, or finds too many waiting before it, is dropped and counted, and the count
is an entry itself as soon as writing works again. Record numbers go on over restarts; a line
that a crash left unfinished is cut off at the next start.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from scmd.linux.clock import timestamp, utc_now
from scmd.linux.event_files import EventFiles, Write
from scmd.linux.lazy_writer import LINGER_S, MAX_WAITING, LazyWriter
from scmd.linux.spool import Spool, overlap
from scmd.storage import event_messages
from scmd.storage.event_record import (
    EventError,
    EventRecord,
    record_from_line,
    record_to_line,
    record_to_public_line,
    sound_strings,
)

FILE_BYTES = 8 * 1024 * 1024
FILES = 4
MAX_READ_BYTES = 1024 * 1024
LATEST = 0xFFFF_FFFF_FFFF_FFFF
"""For `read`: the last `count` entries."""

_READ_DEADLINE_S = 10.0

log = logging.getLogger("scmd.manager")
Now = Callable[[], datetime]


class EventLog:
    """An open event log. `append` may be called from any thread and never blocks."""

    def __init__(
        self,
        folder: Path,
        *,
        file_bytes: int = FILE_BYTES,
        files: int = FILES,
        spool: Spool | None = None,
        linger_s: float = LINGER_S,
        max_waiting: int = MAX_WAITING,
        now: Now = utc_now,
        write: Write = os.write,
    ) -> None:
        """Open the log in `folder`, made when missing, and repair its last line.

        `spool` keeps for the next process what waits. `write` is the system call, for tests to
        fail or hang.

        EventError: the newest file is not an event log, or one of a newer format; it was left
        as it is. OSError: it cannot be opened.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = EventFiles(folder, file_bytes, files, write)
        self._now = now
        self._computer = socket.gethostname()
        self._lost = 0
        self._failing = False
        self._counting = threading.Lock()
        self._closed = False
        self._writer = LazyWriter(
            "event log", self._write, spool, linger_s=linger_s, max_waiting=max_waiting
        )

    def append(
        self,
        source: str,
        event_id: int,
        type: int,
        strings: Iterable[str],
        *,
        category: int = 0,
        user: str = "",
    ) -> None:
        """Queue an entry of now. `type` is EVENTLOG_*_TYPE: 1 error, 2 warning, 4 information."""
        record = EventRecord(
            number=0,
            time=self._time(),
            source=source,
            id=event_id,
            type=event_messages.type_word(type),
            category=category,
            computer=self._computer,
            user=user,
            strings=sound_strings(strings),
        )
        if not self._writer.add(record_to_line(record)):
            self._count_lost(1)

    def append_scm(self, event_id: int, strings: Iterable[str]) -> None:
        """Queue an entry of the source "Service Control Manager"."""
        type = event_messages.scm_event_type(event_id)
        self.append(event_messages.SCM_SOURCE, event_id, type, strings)

    def append_audit(self, user: str, origin: str, action: str, target: str, error: int) -> None:
        """Queue an entry of the audit trail: `user`, calling from `origin`, asked for `action`."""
        event_id, type = event_messages.audit_event(error)
        result = f"error {error}" if error else "done"
        strings = (user, origin, action, target, result)
        self.append(event_messages.AUDIT_SOURCE, event_id, type, strings, user=user)

    def read(
        self,
        after: int = 0,
        count: int = 1000,
        source: str | None = None,
        *,
        max_bytes: int = MAX_READ_BYTES,
    ) -> tuple[bytes, int]:
        """JSON lines of at most `count` entries numbered above `after`, and the next `after`.

        `after` LATEST means the last `count` entries. Entries appended before the call are
        seen. Blocks for the disk: not for the event loop's thread. `source` in any case.
        """
        self.flush()
        if after == LATEST:
            return self._read_latest(count, source, max_bytes)
        lines: list[bytes] = []
        size, last = 0, after
        for record in self._records(after, source):
            line = record_to_public_line(record, event_messages.message(record))
            if len(lines) == count or (lines and size + len(line) > max_bytes):
                return b"".join(lines), last
            lines.append(line)
            size += len(line)
            last = record.number
        return b"".join(lines), max(last, after)

    def flush(self) -> None:
        """Wait until what was appended so far is in the file, or a slow disk took too long."""
        self._writer.flush(_READ_DEADLINE_S)

    def close(self) -> None:
        """Write what is waiting and let go of the files."""
        if not self._closed:
            self._closed = True
            self._writer.close()
            self._files.close()

    def _read_latest(self, count: int, source: str | None, max_bytes: int) -> tuple[bytes, int]:
        after = max(self._files.last - count, 0) if source is None else 0
        records = deque(self._records(after, source), maxlen=count)
        last = records[-1].number if records else after
        lines = [record_to_public_line(each, event_messages.message(each)) for each in records]
        while len(lines) > 1 and sum(map(len, lines)) > max_bytes:
            del lines[0]
        return b"".join(lines), last

    def _records(self, after: int, source: str | None) -> Iterator[EventRecord]:
        wanted = source.casefold() if source else None
        for record in _records_in(self._files.lines_after(after)):
            if wanted is None or record.source.casefold() == wanted:
                yield record

    def _time(self) -> str:
        return timestamp(self._now())

    # On the writer's thread -----------------------------------------------------------------

    def _write(self, lines: list[bytes], *, again: bool) -> None:
        records = list(_records_in(lines))
        if again:
            there = _records_in(self._files.lines_after(self._files.last - len(records)))
            unnumbered = [msgspec.structs.replace(record, number=0) for record in there]
            records = records[overlap(unnumbered, records) :]
        for record in records:
            self._announce()
            written = self._files.append(record)
            if not written:
                self._count_lost(1)
                if not self._failing:
                    log.error("events cannot be written: they are lost, and counted")
            self._failing = not written
        self._announce()

    def _count_lost(self, count: int) -> None:
        with self._counting:
            self._lost += count

    def _announce(self) -> None:
        """An entry that says how many were lost, if any were and it can be written."""
        count = self._lost
        if not count:
            return
        lost = EventRecord(
            number=0,
            time=self._time(),
            source=event_messages.LOG_SOURCE,
            id=event_messages.EVENTS_LOST,
            type=event_messages.type_word(2),
            computer=self._computer,
            strings=(str(count),),
        )
        if self._files.append(lost):
            self._count_lost(-count)


def _records_in(lines: Iterable[bytes]) -> Iterator[EventRecord]:
    """Those that are records."""
    for line in lines:
        try:
            yield record_from_line(line)
        except EventError:
            continue
