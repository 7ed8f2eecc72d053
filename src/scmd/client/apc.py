"""Asynchronous procedure calls: what is queued to a thread runs when it waits alertably.

`SleepEx` and `WaitForSingleObjectEx` as Windows has them, and the event objects to wait for. A call
is never run anywhere else, and no lock is held while it runs: it may call anything. A thread that
waits alertably reads the connections itself that its calls come by (`waits`). What is no event
object is refused with 6.
"""

from __future__ import annotations

from collections import deque
from os import register_at_fork
from threading import local
from time import monotonic

from scmd.client.waits import Source, changing, wait, wake_all
from scmd.vocabulary.winerror import expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INFINITE = 0xFFFF_FFFF
WAIT_OBJECT_0 = 0
WAIT_IO_COMPLETION = 0xC0
WAIT_TIMEOUT = 0x102

_own = local()
register_at_fork(after_in_child=lambda: _own.__dict__.clear())
"""The parent's requests are the parent's, and what comes of them is not read here."""


class ApcQueue:
    """The calls queued to one thread, and where they come from."""

    __slots__ = ("calls", "sources")

    def __init__(self) -> None:
        self.calls: deque[Callable[[], bool]] = deque()
        """Each says whether it was still wanted. Only who reads a source of this queue adds one."""
        self.sources: set[Source] = set()


def current_queue() -> ApcQueue:
    """The calling thread's."""
    queue: ApcQueue | None = getattr(_own, "queue", None)
    if queue is None:
        queue = _own.queue = ApcQueue()
    return queue


class EventObject:
    """What CreateEvent gives; an auto-reset one lets one waiter pass."""

    __slots__ = ("is_set", "manual_reset")

    def __init__(self, manual_reset: bool, initial_state: bool) -> None:
        self.manual_reset = manual_reset
        self.is_set = initial_state

    def take(self) -> bool:
        """Whether it is set; that resets an auto-reset one. With the lock held."""
        if not self.is_set:
            return False
        self.is_set = self.manual_reset
        return True


def CreateEvent(manual_reset: bool = False, initial_state: bool = False) -> EventObject:
    """An event object of this process; it has no name."""
    return EventObject(manual_reset, initial_state)


def SetEvent(event: EventObject) -> None:
    """Let all who wait for it go on, or one if it is auto-reset. WinError 6: no event."""
    expect(EventObject, event, "SetEvent")
    with changing:
        event.is_set = True
        wake_all()


def ResetEvent(event: EventObject) -> None:
    """From now on one waits for it again. WinError 6: no event."""
    expect(EventObject, event, "ResetEvent")
    with changing:
        event.is_set = False


def SleepEx(milliseconds: int, alertable: bool = False) -> int:
    """0 when the time is up; WAIT_IO_COMPLETION when calls were run."""
    result = _wait(None, milliseconds, alertable)
    return WAIT_OBJECT_0 if result == WAIT_TIMEOUT else result


def WaitForSingleObjectEx(
    event: EventObject, milliseconds: int = INFINITE, alertable: bool = False
) -> int:
    """WAIT_OBJECT_0 when it is set, WAIT_TIMEOUT, or WAIT_IO_COMPLETION when calls were run."""
    expect(EventObject, event, "WaitForSingleObjectEx")
    return _wait(event, milliseconds, alertable)


def WaitForSingleObject(event: EventObject, milliseconds: int = INFINITE) -> int:
    """WAIT_OBJECT_0 when it is set, or WAIT_TIMEOUT."""
    expect(EventObject, event, "WaitForSingleObject")
    return _wait(event, milliseconds, False)


def wait_for_any(events: tuple[EventObject | None, ...], end: float | None) -> EventObject | None:
    """The first of them that is set; None when the monotonic clock has got to `end`."""

    def found() -> EventObject | None:
        for event in events:
            if event is not None and event.take():
                return event
        return None

    return wait(found, (), end)


def end_of(milliseconds: int) -> float | None:
    """When a wait that begins now is over; None: never. As a DWORD -1 is INFINITE too."""
    return None if milliseconds in (INFINITE, -1) else monotonic() + milliseconds / 1000


def _wait(event: EventObject | None, milliseconds: int, alertable: bool) -> int:
    queue = current_queue()

    def found() -> int | None:
        if alertable and queue.calls:
            return WAIT_IO_COMPLETION
        if event is not None and event.take():
            return WAIT_OBJECT_0
        return None

    end = end_of(milliseconds)
    if alertable and event is not None:
        # Calls that have come already are run first, though the event may be set.
        wait(lambda: queue.calls or None, queue.sources, 0)
    while True:
        result = wait(found, queue.sources if alertable else (), end)
        if result != WAIT_IO_COMPLETION:
            return WAIT_TIMEOUT if result is None else result
        if _run(queue):
            return WAIT_IO_COMPLETION


def _run(queue: ApcQueue) -> bool:
    """All that are there, and those that come meanwhile; whether any had something to do."""
    ran = False
    while queue.calls:
        ran = queue.calls.popleft()() or ran
    return ran
