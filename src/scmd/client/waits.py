"""Waiting threads: who waits for an answer reads it, and whatever comes before it for others.

A thread that only receives would have to be woken before the one that waits could be, which costs
as much as the answer's own way. So a thread in `wait` watches the sources that it wants something
of, and reads those that no other thread is reading. After each reading those whose source was
taken are woken: what they wait for may have come, or the source may be theirs to read now.
"""

from __future__ import annotations

from os import (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    close,
    eventfd,
    eventfd_read,
    eventfd_write,
    register_at_fork,
)
from select import POLLIN, POLLOUT, poll
from threading import RLock, local
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Found = TypeVar("Found")

changing = RLock()
"""Held while what a thread may wait for is changed, or looked at; a handle that is collected then
may need it again."""
_LONGEST_S = 1_000_000.0
"""What the kernel can wait at a time."""
_waiting: set[Waiter] = set()
_own = local()


class Source:
    """What waiting threads read; a source without a `descriptor` has a thread that does."""

    descriptor = -1
    is_taken = False
    """A thread is reading it, or about to."""
    has_unsent = False
    """Something is to be sent: the other end did not take it, or it was not urgent."""
    is_over = False
    """There is nothing more to read."""

    def read(self) -> None:
        """Take in what has come and tell whom it is for; only for the thread that has taken it."""
        raise NotImplementedError

    def send_more(self) -> None:
        """Send what the other end takes now."""

    def take(self) -> bool:
        """Whether it is now the caller's to read, until `release`."""
        with changing:
            taken, self.is_taken = self.is_taken, True
        return not taken

    def release(self) -> None:
        with changing:
            _release([self])

    def read_was_done(self) -> None:
        """Of the thread that reads it for ever: have the others look."""
        with changing:
            _wake_for([self])


class Waiter:
    """A thread's own end of `wait`."""

    __slots__ = ("missed", "wakes")

    def __init__(self) -> None:
        self.wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.missed: list[Source] = []
        """What others were reading when it began to wait."""

    def __del__(self, close: Callable[[int], None] = close) -> None:
        close(self.wakes)

    def wake(self) -> None:
        eventfd_write(self.wakes, 1)


def wait(
    found: Callable[[], Found | None], sources: Iterable[Source] = (), end: float | None = None
) -> Found | None:
    """What `found` finds; None when the monotonic clock has got to `end` and there is nothing.

    `found` is called with `changing` held. The sources are looked at once even if it is late.
    """
    waiter: Waiter | None = getattr(_own, "waiter", None)
    if waiter is None:
        waiter = _own.waiter = Waiter()
    is_late = False
    while True:
        taken: list[Source] = []
        try:
            with changing:
                result = found()
                if result is not None or is_late:
                    return result
                waiter.missed = []
                for source in sources:
                    if not source.is_over:
                        (waiter.missed if source.is_taken else taken).append(source)
                        source.is_taken = True
                _waiting.add(waiter)
            left = None
            if end is not None:
                left = min(max(0.0, end - monotonic()), _LONGEST_S)
                is_late = not left
            _read(waiter, taken, left)
        finally:
            with changing:
                _waiting.discard(waiter)
                _release(taken)


def _forked() -> None:
    """A wake-up that parent and child share would reach one of the two."""
    _waiting.clear()
    _own.__dict__.clear()
    changing.release()


register_at_fork(before=changing.acquire, after_in_parent=changing.release, after_in_child=_forked)


def wake_all() -> None:
    """Have all waiting threads look again. With `changing` held."""
    for waiter in _waiting:
        waiter.wake()


def look_again() -> None:
    """The same, without."""
    with changing:
        wake_all()


def _read(waiter: Waiter, taken: list[Source], left: float | None) -> None:
    """Read those of the sources where something comes first, unless the waiter is woken before."""
    poller = poll()
    poller.register(waiter.wakes, POLLIN)
    for source in taken:
        if source.has_unsent:
            source.send_more()
        poller.register(source.descriptor, POLLIN | POLLOUT if source.has_unsent else POLLIN)
    ready = dict(poller.poll(None if left is None else left * 1000))
    for source in taken:
        events = ready.get(source.descriptor, 0)
        if events & POLLOUT:
            source.send_more()
        if events & ~POLLOUT:
            source.read()
    if waiter.wakes in ready:
        eventfd_read(waiter.wakes)


def _release(taken: list[Source]) -> None:
    for source in taken:
        source.is_taken = False
    if _waiting:
        _wake_for(taken)


def _wake_for(sources: list[Source]) -> None:
    for waiter in _waiting:
        if any(source in sources for source in waiter.missed):
            waiter.wake()
