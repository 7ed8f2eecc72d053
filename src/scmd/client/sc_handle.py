"""SC_HANDLE of the Win32 functions: a handle and the connection it shares with others.

A handle closes itself when it is collected; a connection ends with its last handle.
"""

from __future__ import annotations

from _thread import allocate_lock
from os import getpid

from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from scmd.client.calls import Calls
    from scmd.client.multiplexing import Multiplexed
    from scmd.client.notifications import Watching
    from scmd.ndr.values import ContextHandle

MOST_ON_A_LINK = 512
"""Handles; each has a call under way as long as it waits, of which a server takes so many."""


class Shared:
    """A connection and how many handles are open on it."""

    __slots__ = ("calls", "handles", "left", "linking", "links", "process")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.process = getpid()
        self.handles = 0
        self.left: list[ScHandle] = []
        """Handles that were collected when they could not be closed."""
        self.linking = allocate_lock()
        self.links: list[Multiplexed] = []
        """The connections that notifications come by, as many as are needed."""

    @property
    def is_busy(self) -> bool:
        """A call is under way, perhaps the very one in whose midst this is asked."""
        is_linking = self.linking.locked() or any(link.is_busy for link in self.links)
        return self.calls.is_busy or is_linking

    def close_left(self) -> None:
        while self.left:
            try:
                self.left.pop().Close()
            except (IndexError, WinError):
                # Another thread has closed the last one; or the connection has, by its end.
                continue


class ScHandle:
    """SC_HANDLE: a handle to the SCM or to a service; a context manager."""

    __slots__ = ("_raw", "_shared", "name", "watching")

    def __init__(self, shared: Shared, raw: ContextHandle, name: str = "") -> None:
        shared.handles += 1
        self._shared = shared
        self._raw: ContextHandle | None = raw
        self.name = name
        """The service's key name as it was given; "" for the SCM."""
        self.watching: Watching | None = None
        """What `notifications` keeps."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.Close()

    def __del__(self) -> None:
        try:
            if self._raw is not None and self._shared.is_busy:
                # This may be in the midst of the very call that closing it would wait for.
                self._shared.left.append(self)
            else:
                self.Close()
        except Exception:
            # The SCM closes what it cannot be told about when the connection ends.
            return

    def __bool__(self) -> bool:
        return self._raw is not None

    def __repr__(self) -> str:
        what = repr(self.name) if self.name else "the SCM"
        return f"<handle to {what}>" if self else f"<closed handle to {what}>"

    @property
    def opened(self) -> tuple[Calls, ContextHandle] | None:
        """What a call needs; None after Close."""
        self._shared.close_left()
        return None if self._raw is None else (self._shared.calls, self._raw)

    def child(self, raw: ContextHandle, name: str) -> ScHandle:
        """A service handle on the same connection."""
        return ScHandle(self._shared, raw, name)

    def link(self) -> Multiplexed:
        """A connection that notifications come by and that has room for one more handle."""
        from scmd.client.multiplexing import Multiplexed

        shared = self._shared
        with shared.linking:
            shared.links = [link for link in shared.links if not link.has_ended()]
            for link in shared.links:
                if link.handles < MOST_ON_A_LINK:
                    return link
            link = Multiplexed(shared.calls.another_connection())
            shared.links.append(link)
            return link

    def Close(self) -> None:
        """Close it; a second time, or in a child that was forked since, this does nothing."""
        raw, self._raw = self._raw, None
        shared = self._shared
        if raw is None or shared.process != getpid():
            return
        shared.close_left()
        shared.handles -= 1
        if self.watching is not None:
            self.watching.close()
        for link in () if shared.handles else shared.links:
            link.close()
        if shared.calls.is_closed:
            return
        if shared.handles:
            shared.calls.close_handle(raw)
        else:
            shared.calls.close()


def use(handle: ScHandle, function: str) -> tuple[Calls, ContextHandle]:
    """What a call needs; WinError 6 for a closed handle, and for what is none."""
    expect(ScHandle, handle, function)
    opened = handle.opened
    if opened is None:
        raise WinError(Error.INVALID_HANDLE, function)
    return opened
