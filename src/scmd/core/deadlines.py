"""Deadlines: instants at which something is to be done, in one heap.

A deadline is made once and may be armed, moved and cancelled any number of times. Moving
one later costs nothing: its entry stays in the heap and is put right when it comes up.
So a service that reports progress a thousand times a second does not fill the heap.

A cancelled one's entry stays as well, perhaps for days; as soon as the heap is twice as large as
what was in use of it, it is cleared of those. So it never has many more entries than are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

LEAST_CLEARED = 256
"""A smaller heap is not worth clearing."""


class Deadline:
    """An instant and what is to be done then; not armed when `at` is None."""

    __slots__ = ("action", "at", "entry", "why")

    def __init__(self, action: Callable[[], None], why: str) -> None:
        self.action = action
        self.at: int | None = None
        self.entry: tuple[int, int] | None = None
        """The heap entry that stands for it: (instant, serial number)."""
        self.why = why
        """For people and checkers: what is being waited for."""

    def cancel(self) -> None:
        self.at = None


class Deadlines:
    """All deadlines of one SCM, due in order of instant, then of arming."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Deadline]] = []
        self._serial = 0
        self._clear_at = LEAST_CLEARED
        """The size at which it is cleared the next time."""

    def arm(self, deadline: Deadline, at: int) -> None:
        """Set or move a deadline to the instant `at`."""
        deadline.at = at
        if deadline.entry is None or deadline.entry[0] > at:
            self._push(deadline, at)

    def next(self) -> int | None:
        """The earliest armed instant, or None."""
        heap = self._heap
        if not heap:
            return None
        at, serial, deadline = heap[0]
        if deadline.at != at or deadline.entry != (at, serial):
            self._put_right()
            return heap[0][0] if heap else None
        return at

    def pop_due(self, now: int) -> Deadline | None:
        """The next deadline that is due, no longer armed; None when none is."""
        self._put_right()
        if not self._heap or self._heap[0][0] > now:
            return None
        deadline = heappop(self._heap)[2]
        deadline.at = deadline.entry = None
        return deadline

    def armed(self) -> list[Deadline]:
        """Every armed deadline, in no useful order; for checkers and `why`."""
        return [
            deadline
            for at, serial, deadline in self._heap
            if deadline.at is not None and deadline.entry == (at, serial)
        ]

    def _push(self, deadline: Deadline, at: int) -> None:
        if len(self._heap) >= self._clear_at:
            self._clear()
        self._serial += 1
        deadline.entry = (at, self._serial)
        heappush(self._heap, (at, self._serial, deadline))

    def _clear(self) -> None:
        """Drop entries that stand for nothing any more; all others keep their order."""
        used = []
        for entry in self._heap:
            at, serial, deadline = entry
            if deadline.entry != (at, serial):
                continue
            if deadline.at is None:
                deadline.entry = None
            else:
                used.append(entry)
        self._heap[:] = used
        heapify(self._heap)
        self._clear_at = max(LEAST_CLEARED, 2 * len(used))

    def _put_right(self) -> None:
        """Make the first entry one that is armed and says the right instant."""
        heap = self._heap
        while heap:
            at, serial, deadline = heap[0]
            if deadline.entry != (at, serial):
                heappop(heap)
            elif deadline.at is None:
                heappop(heap)
                deadline.entry = None
            elif deadline.at > at:
                heappop(heap)
                self._push(deadline, deadline.at)
            else:
                return
