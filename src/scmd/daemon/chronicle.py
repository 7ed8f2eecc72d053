"""What has become of the services: their histories, and a bundle for each failure.

Told by the core's notices, asked by clients. Files are written and read on threads. A bundle
holds the last output, which has a way to go through pipe and logger when the process is
gone already: it is written when all of that has arrived, and whoever asks meanwhile waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.effects import ServiceFailed, StatusChanged
from scmd.core.messages.events import ProcessExited
from scmd.linux import crash_files
from scmd.linux.clock import timestamp, utc_now
from scmd.linux.history_files import HistoryFiles
from scmd.linux.log_reader import read_tail
from scmd.linux.spool import Spool
from scmd.storage import crash_document
from scmd.storage.documents import to_json
from scmd.storage.history import HistoryError, Transition, to_line
from scmd.vocabulary.service import ServiceState

LONGEST_WAIT_S = 2.0
"""For a process that writes on, or leaves children that could, after its service has failed."""
MAX_ENDED = 1000
"""Launches whose end is remembered, in case their failure is heard of later."""
MAX_WAITING = crash_files.KEEP
"""Failures of one service that wait for their bundle; of more, the oldest get none."""
_TAIL_BYTES = 256 << 10
_WORDS = {int(state): state.name for state in ServiceState}

Now = Callable[[], datetime]
log = logging.getLogger("scmd.manager")


class _End:
    """The end of a launch, as far as it is known."""

    __slots__ = ("awaited", "changed", "exit", "output_ended")

    def __init__(self) -> None:
        self.output_ended = False
        self.exit: ProcessExited | None = None
        self.awaited = False
        self.changed = asyncio.Event()

    def is_known(self, failure: ServiceFailed) -> bool:
        return self.exit is not None or self.is_told(failure)

    @staticmethod
    def is_told(failure: ServiceFailed) -> bool:
        return failure.exit_code is not None or failure.signal is not None


class Chronicle:
    """Made on the event loop; `noted`, `failed` and `deleted` return at once."""

    def __init__(self, state: Path, spool: Spool | None = None, *, now: Now = utc_now) -> None:
        """`spool` keeps transitions for the manager after this one."""
        self._logs = state / "logs"
        self._crashes = state / "crashes"
        self._history = HistoryFiles(state / "history", log.error, spool=spool)
        self._now = now
        self._causes: dict[ServiceId, str] = {}
        """What was noted last of a service."""
        self._waiting: dict[ServiceId, deque[tuple[str, ServiceFailed]]] = {}
        self._tasks: dict[ServiceId, asyncio.Task[None]] = {}
        self._ends: dict[LaunchId, _End] = {}
        self._is_closing = False

    def retain(self, services: Collection[ServiceId]) -> None:
        """Remove what records that are none of these have left. Blocks; not for the loop."""
        self._history.retain(services)
        try:
            crash_files.retain(self._crashes, services)
        except OSError as error:
            log.warning("bundles of deleted services are still there: %s", error)

    # What happens ---------------------------------------------------------------------------

    def noted(self, change: StatusChanged) -> None:
        """A transition, or another reason for the same state; the same reason is no news."""
        status = change.status
        moved = status.state != change.before
        if not moved and self._causes.get(change.service) == change.cause:
            return
        self._causes[change.service] = change.cause
        transition = Transition(
            time=self._time(),
            state=_WORDS[status.state],
            cause=change.cause,
            actor=change.actor.name,
            origin=change.actor.origin,
            before=_WORDS[change.before] if moved and change.before else "",
            lasted_ms=change.lasted,
            process_id=status.process_id,
            win32_exit_code=status.win32_exit_code,
            service_specific_exit_code=status.service_specific_exit_code,
        )
        self._history.append(change.service, to_line(transition))

    def output_ended(self, launch: LaunchId) -> None:
        """All that the launch will ever write is in its log."""
        end = self._end_of(launch)
        end.output_ended = True
        end.changed.set()

    def exited(self, exit: ProcessExited) -> None:
        end = self._end_of(exit.launch)
        end.exit = exit
        end.changed.set()

    def _end_of(self, launch: LaunchId) -> _End:
        """What is known of it; of launches that nobody waits for the latest are remembered."""
        end = self._ends.get(launch)
        if end is None:
            end = self._ends[launch] = _End()
            while len(self._ends) > MAX_ENDED:
                oldest = next(iter(self._ends))
                if self._ends[oldest].awaited:
                    break
                del self._ends[oldest]
        return end

    def failed(self, failure: ServiceFailed) -> None:
        waiting = self._waiting.setdefault(failure.service, deque(maxlen=MAX_WAITING))
        waiting.append((self._time(), failure))
        if failure.service not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._bundle_all(failure.service))
            self._tasks[failure.service] = task

    def deleted(self, service: ServiceId) -> None:
        """The record is gone, and all that was kept of it goes."""
        self._causes.pop(service, None)
        self._waiting.pop(service, None)
        self._history.remove(service)
        after = self._tasks.get(service)
        self._tasks[service] = asyncio.get_running_loop().create_task(
            self._remove_bundles(service, after)
        )

    # Questions ------------------------------------------------------------------------------

    async def history(self, service: ServiceId) -> bytes:
        """The newest transitions as JSON lines, oldest first. OSError: they cannot be read."""
        try:
            lines = await asyncio.to_thread(self._history.read, service)
        except HistoryError as error:
            raise OSError(str(error)) from error
        return b"".join(line + b"\n" for line in lines)

    async def crash(self, service: ServiceId, age: int) -> bytes:
        """The newest bundle, or one `age` before it; empty when there is none. OSError."""
        task = self._tasks.get(service)
        if task is not None:
            await asyncio.wait([task])
        return await asyncio.to_thread(crash_files.read, self._crashes, service, age)

    async def close(self) -> None:
        """Write what is still to be written, without waiting for more output."""
        self._is_closing = True
        for end in self._ends.values():
            end.changed.set()
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        await asyncio.to_thread(self._history.close)

    # Bundles --------------------------------------------------------------------------------

    async def _bundle_all(self, service: ServiceId) -> None:
        try:
            while waiting := self._waiting.get(service):
                time, failure = waiting.popleft()
                await asyncio.to_thread(self._write, time, await self._over(failure))
        except OSError as error:
            log.error("no bundle of the failed service %d: %s", service, error)
        finally:
            self._waiting.pop(service, None)
            if self._tasks.get(service) is asyncio.current_task():
                del self._tasks[service]

    async def _over(self, failure: ServiceFailed) -> ServiceFailed:
        """When it is over with the process, or that has been waited for long enough.

        The failure, with how the process ended if that has come out since.
        """
        end = self._end_of(failure.launch)
        end.awaited = True
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                while not (self._is_closing or (end.output_ended and end.is_known(failure))):
                    end.changed.clear()
                    await end.changed.wait()
        except TimeoutError:
            pass
        end.awaited = False
        if end.exit is None or end.is_told(failure):
            return failure
        return replace(failure, exit_code=end.exit.exit_code, signal=end.exit.signal)

    def _write(self, time: str, failure: ServiceFailed) -> None:
        """On a thread."""
        tail = read_tail(self._logs, failure.log_of or failure.service, _TAIL_BYTES)
        lines = crash_document.output_lines(tail)
        try:
            transitions = self._history.read(failure.service)
        except (HistoryError, OSError):
            transitions = []

        def bundle(number: int) -> bytes:
            return to_json(_document(number, time, failure, lines, transitions))

        crash_files.write(self._crashes, failure.service, bundle)

    async def _remove_bundles(self, service: ServiceId, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            await asyncio.to_thread(crash_files.remove, self._crashes, service)
        except OSError as error:
            log.warning("bundles of deleted services are still there: %s", error)
        if self._tasks.get(service) is asyncio.current_task():
            del self._tasks[service]

    def _time(self) -> str:
        return timestamp(self._now())


def _document(
    number: int, time: str, failure: ServiceFailed, lines: list[str], transitions: list[bytes]
) -> crash_document.CrashDocument:
    return crash_document.CrashDocument(
        number=number,
        time=time,
        service=failure.name,
        cause=failure.cause,
        win32_exit_code=failure.status.win32_exit_code,
        service_specific_exit_code=failure.status.service_specific_exit_code,
        process_id=failure.process_id,
        exit_code=failure.exit_code,
        signal=failure.signal,
        traceback=crash_document.traceback_in(lines),
        output=lines,
        history=list(map(msgspec.json.decode, transitions[-crash_document.MAX_TRANSITIONS :])),
        configuration=crash_document.configuration(failure.config),
        parameters=crash_document.hosting_parameters(failure.parameters),
    )
