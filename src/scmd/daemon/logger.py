"""The logger: reads every service's output and writes it to STATE/logs/<record number>.log.

One thread reads and never touches the disk, so that a service is never blocked by it; one
thread writes. Between them each service has a small bounded backlog. While it is full the
pipe is left alone, for a moment: when the disk has not kept up by then, because it is slow or
full, what does not fit is dropped by whole lines, counted, and announced in the log. Both
threads sleep when nothing is written.

The keeper has a second descriptor of every pipe and passes all of them again to a new
logger, so nobody gets SIGPIPE when this one dies. What it had read and not yet written, at
most 64 KiB a service, is lost then, and the new one says so in the log. The logger ends when
the keeper closes the connection, after writing what it has.
"""

from __future__ import annotations

import math
import os
import select
import sys
import threading
import time
from collections import OrderedDict

from scmd.daemon.keeper_messages import Capture, Hello, LineSeen, OutputEnded, Ready
from scmd.daemon.keeper_socket import Disconnected, FrameSocket, inherited
from scmd.daemon.logger_echo import Echo
from scmd.daemon.logger_files import MAX_LINE, Lines, LogFile
from scmd.linux.descriptors import for_log_files
from scmd.linux.standard_error import keep_going
from scmd.linux.threads import with_threads

MAX_BYTES = 10 << 20
FILES = 3
MAX_BACKLOG = 48 << 10
"""Bytes of one service that wait for the disk; with the line that is not whole yet, 64 KiB."""
PATIENCE = 1.0
"""Seconds that a service's pipe is left alone while its backlog is full."""
_READ_SIZE = 16 << 10
_ROOM = _READ_SIZE + MAX_LINE
"""Bytes that one read may add to a backlog."""
_LAST_READS = 64
LOST = b"scmd: the logger was killed; up to 64 KiB of output may be missing here\n"


class Writer:
    """Writes in a thread of its own; `put` never waits for the disk."""

    def __init__(self, logs: str, max_bytes: int = MAX_BYTES, files: int = FILES) -> None:
        self._logs = logs
        self._limits = max_bytes, files
        self._files: dict[int, LogFile] = {}
        self._open: OrderedDict[int, LogFile] = OrderedDict()
        """Those of them that may be open, the one that was written to last at the end."""
        self._most_open = for_log_files()
        self._backlog: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}
        self._dropped: dict[int, int] = {}
        self._idle: set[int] = set()
        self._failing = False
        self._ending = False
        self._changed = threading.Condition()
        self._awaited: set[int] = set()
        """Services whose backlog somebody wants to see shrink."""
        self.shrunk = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Readable when the backlog of one of those has shrunk."""
        self._thread = threading.Thread(target=self._write_all, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, service: int, lines: bytes) -> None:
        """Whole lines of a service, to be written or dropped."""
        if not lines:
            return
        with self._changed:
            size = self._sizes.get(service, 0) + len(lines)
            # Once something is dropped, so is what follows, until that has been announced.
            if size > MAX_BACKLOG or service in self._dropped:
                self._dropped[service] = self._dropped.get(service, 0) + lines.count(b"\n")
            else:
                self._sizes[service] = size
                self._backlog.setdefault(service, []).append(lines)
            self._changed.notify()

    def is_full(self, service: int) -> bool:
        """Whether one more read might not fit; if so, `shrunk` says when to ask again."""
        with self._changed:
            full = self._sizes.get(service, 0) + _ROOM > MAX_BACKLOG
            if full:
                self._awaited.add(service)
            return full

    def has_written(self, service: int) -> bool:
        """Whether its backlog is empty; if not, `shrunk` says when to ask again."""
        with self._changed:
            busy = service in self._sizes or service in self._dropped
            if busy:
                self._awaited.add(service)
            return not busy

    def release(self, service: int) -> None:
        """Nobody writes for this service any more: its file need not be held open."""
        with self._changed:
            self._idle.add(service)
            self._changed.notify()

    def end(self) -> None:
        """Return when all is written."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not (self._backlog or self._dropped or self._idle or self._ending):
                    self._changed.wait()
                backlog, self._backlog = self._backlog, {}
                dropped, self._dropped = self._dropped, {}
                idle, self._idle = self._idle, set()
                ending = self._ending
            for service, chunks in backlog.items():
                lines = b"".join(chunks)
                self._write(service, lines, 0)
                self._written(service, len(lines))
            for service, count in dropped.items():
                self._write(service, b"", count)
                self._announced(service)
            for service in idle.intersection(self._files):
                self._open.pop(service, None)
                self._files[service].close()
                if not self._files[service].dropped:
                    del self._files[service]
            if ending and not backlog and not dropped:
                return

    def _written(self, service: int, size: int) -> None:
        with self._changed:
            left = self._sizes.pop(service) - size
            if left:
                self._sizes[service] = left
            if service in self._awaited:
                self._awaited.discard(service)
                os.eventfd_write(self.shrunk, 1)

    def _announced(self, service: int) -> None:
        with self._changed:
            if service in self._awaited:
                self._awaited.discard(service)
                os.eventfd_write(self.shrunk, 1)

    def _write(self, service: int, lines: bytes, dropped: int) -> None:
        file = self._files.get(service)
        if file is None:
            path = os.path.join(self._logs, f"{service}.log")
            file = self._files[service] = LogFile(path, *self._limits)
        failed = file.write(lines, dropped)
        self._open[service] = file
        self._open.move_to_end(service)
        if len(self._open) > self._most_open:
            self._open.popitem(last=False)[1].close()
        if failed is not None and not self._failing:
            print(f"scmd: logs cannot be written: {failed}", file=sys.stderr, flush=True)
        self._failing = failed is not None


class Output:
    """One launch's pipe."""

    __slots__ = ("awaited", "descriptor", "lines", "number", "patience", "service", "shown_as")

    def __init__(self, capture: Capture, descriptor: int) -> None:
        self.shown_as = b"" if capture.essential else f"{capture.name}: ".encode(errors="replace")
        self.awaited = capture.awaited_line.encode(errors="replace")
        """What a line is searched for; empty when it has been found."""
        self.number = capture.number
        self.service = capture.service
        self.descriptor = descriptor
        self.patience = PATIENCE
        """Seconds for which it may be left alone; none while the disk stands still."""
        prefix = f"{capture.name}: ".encode(errors="replace") if capture.name_prefix else b""
        self.lines = Lines(prefix, capture.timestamps)


class Logger:
    """Reads from the keeper's socket and from every pipe it passes."""

    def __init__(self, keeper: FrameSocket, writer: Writer, echo: Echo | None) -> None:
        self._keeper = keeper
        self._writer = writer
        self._echo = echo
        self._outputs: dict[int, Output] = {}
        self._poll = select.epoll()
        self._poll.register(keeper, select.EPOLLIN)
        self._poll.register(writer.shrunk, select.EPOLLIN)
        self._ended: list[Output] = []
        """Outputs that are read to their end and not written to it yet."""
        self._paused: dict[int, float] = {}
        """Outputs that are left alone while their backlog is full, and until when."""

    def run(self) -> None:
        """Until the keeper closes the connection."""
        self._writer.start()
        try:
            while True:
                for descriptor, _ in self._poll.poll(self._patience()):
                    if descriptor == self._keeper.fileno():
                        self._converse()
                    elif descriptor == self._writer.shrunk:
                        os.eventfd_read(descriptor)
                        self._resume(0.0)
                        self._announce_ends()
                    elif descriptor in self._outputs:
                        self._read_or_pause(self._outputs[descriptor])
                if self._paused:
                    self._resume(time.monotonic())
        except Disconnected:
            self._read_the_rest()
            self._writer.end()
            if self._echo is not None:
                self._echo.end()

    def _converse(self) -> None:
        self._keeper.flush()
        for message, descriptors in self._keeper.receive():
            if isinstance(message, Hello):
                self._keeper.send(Ready())
            elif isinstance(message, Capture) and len(descriptors) == 1:
                output = Output(message, descriptors[0])
                self._outputs[output.descriptor] = output
                self._poll.register(output.descriptor, select.EPOLLIN)
                if message.again:
                    self._put(output, LOST)
        self._watch_keeper()

    def _patience(self) -> float | None:
        """Seconds until a paused output is read whatever its backlog."""
        if not self._paused:
            return None
        return max(0.0, min(self._paused.values()) - time.monotonic())

    def _read_or_pause(self, output: Output) -> None:
        if not self._writer.is_full(output.service):
            output.patience = PATIENCE
        elif output.patience:
            self._poll.unregister(output.descriptor)
            self._paused[output.descriptor] = time.monotonic() + output.patience
            return
        self._read(output)

    def _resume(self, now: float) -> None:
        """Read on where there is room, or patience has ended: there lines are dropped now."""
        for descriptor, limit in list(self._paused.items()):
            output = self._outputs[descriptor]
            if now >= limit:
                output.patience = 0.0
            elif self._writer.is_full(output.service):
                continue
            del self._paused[descriptor]
            self._poll.register(descriptor, select.EPOLLIN)

    def _read(self, output: Output) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(output.descriptor, _READ_SIZE)
        except BlockingIOError:
            return False
        if data:
            self._put(output, output.lines.feed(data))
            return True
        self._put(output, output.lines.end())
        self._poll.unregister(output.descriptor)
        os.close(output.descriptor)
        del self._outputs[output.descriptor]
        if all(other.service != output.service for other in self._outputs.values()):
            self._writer.release(output.service)
        self._ended.append(output)
        self._announce_ends()
        return False

    def _announce_ends(self) -> None:
        """Whoever hears of an end finds all of the output in the log."""
        for output in list(self._ended):
            if self._writer.has_written(output.service):
                self._ended.remove(output)
                self._keeper.send(OutputEnded(number=output.number))
        self._watch_keeper()

    def _put(self, output: Output, lines: bytes) -> None:
        if output.awaited and output.awaited in lines:
            output.awaited = b""
            self._keeper.send(LineSeen(number=output.number))
            self._watch_keeper()
        self._writer.put(output.service, lines)
        if self._echo is not None:
            self._echo.put(output.shown_as, lines)

    def _watch_keeper(self) -> None:
        wanted = select.EPOLLIN | (select.EPOLLOUT if self._keeper.unsent else 0)
        self._poll.modify(self._keeper, wanted)

    def _read_the_rest(self) -> None:
        """What is in the pipes now, and then no more, however much is still being written."""
        self._resume(math.inf)
        for output in list(self._outputs.values()):
            for _ in range(_LAST_READS):
                limit = time.monotonic() + PATIENCE
                while self._writer.is_full(output.service) and time.monotonic() < limit:
                    if select.select([self._writer.shrunk], [], [], PATIENCE)[0]:
                        os.eventfd_read(self._writer.shrunk)
                if not self._read(output):
                    break
            self._put(output, output.lines.end())


def main(arguments: list[str]) -> int:
    """`[--echo] LOGS [MAX_BYTES FILES] SOCKET`"""
    keep_going()
    echo = Echo() if arguments[0] == "--echo" else None
    logs, *limits, descriptor = arguments if echo is None else arguments[1:]
    Logger(inherited(int(descriptor)), Writer(logs, *map(int, limits)), echo).run()
    return 0


if __name__ == "__main__":
    sys.exit(with_threads(lambda: main(sys.argv[1:])))
