"""Asynchronous procedure calls: what is queued to a thread runs when it waits alertably.

`SleepEx` and `WaitForSingleObjectEx` as Windows has them, and the event objects to wait for. A call
is never run anywhere else, and no lock is held while it runs: it may call anything.
"""

from __future__ import annotations

from collections import deque
from threading import Condition, local
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INFINITE = 0xFFFF_FFFF
WAIT_OBJECT_0 = 0
WAIT_IO_COMPLETION = 0xC0
WAIT_TIMEOUT = 0x102

_changed = Condition()
"""Something was queued to some thread, or an event was set."""
_own = local()


class ApcQueue:
    """The calls queued to one thread."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: deque[Callable[[], bool]] = deque()

    def put(self, call: Callable[[], bool]) -> None:
        """Queue a call, from any thread. It says whether it was still wanted."""
        with _changed:
            self.calls.append(call)
            _changed.notify_all()


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
    with _changed:
        event.is_set = True
        _changed.notify_all()


def ResetEvent(event: EventObject) -> None:
    with _changed:
        event.is_set = False


def SleepEx(milliseconds: int, alertable: bool = False) -> int:
    """0 when the time is up; WAIT_IO_COMPLETION when calls were run."""
    result = _wait(None, milliseconds, alertable)
    return WAIT_OBJECT_0 if result == WAIT_TIMEOUT else result


def WaitForSingleObjectEx(
    event: EventObject, milliseconds: int = INFINITE, alertable: bool = False
) -> int:
    """WAIT_OBJECT_0 when it is set, WAIT_TIMEOUT, or WAIT_IO_COMPLETION when calls were run."""
    return _wait(event, milliseconds, alertable)


def WaitForSingleObject(event: EventObject, milliseconds: int = INFINITE) -> int:
    return _wait(event, milliseconds, False)


def wait_for_any(events: tuple[EventObject | None, ...], end: float | None) -> EventObject | None:
    """The first of them that is set; None when the monotonic clock has got to `end`."""
    with _changed:
        while True:
            for event in events:
                if event is not None and event.take():
                    return event
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return None
            _changed.wait(left)


def _wait(event: EventObject | None, milliseconds: int, alertable: bool) -> int:
    queue = current_queue()
    end = None if milliseconds == INFINITE else monotonic() + milliseconds / 1000
    while True:
        with _changed:
            while not (alertable and queue.calls):
                if event is not None and event.take():
                    return WAIT_OBJECT_0
                left = None if end is None else end - monotonic()
                if left is not None and left <= 0:
                    return WAIT_TIMEOUT
                _changed.wait(left)
        if _run(queue):
            return WAIT_IO_COMPLETION


def _run(queue: ApcQueue) -> bool:
    """All that are there, and those that come meanwhile; whether any had something to do."""
    ran = False
    while True:
        with _changed:
            if not queue.calls:
                return ran
            call = queue.calls.popleft()
        ran = call() or ran
