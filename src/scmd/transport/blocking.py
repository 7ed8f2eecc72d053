"""Blocking streams for control programs: connect, send, receive, time-outs.

On `_socket` itself, since the `socket` module costs more time than a whole status query.
Nothing is retried; every failure is an OSError, a time-out its subclass TimeoutError.
"""

from __future__ import annotations

import _socket
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol
else:
    Protocol = object

RECEIVE_BYTES = 65536


class Stream(Protocol):
    """What a connection needs of what carries it; `StreamSocket` says more."""

    @property
    def send(self) -> Callable[[bytes], object]: ...

    @property
    def receive(self) -> Callable[[int], bytes]: ...

    def set_timeout(self, timeout: float | None) -> None: ...

    def close(self) -> None: ...

    def diagnosis(self) -> str: ...


class _Quiet(_socket.socket):
    """One that is collected needs no warning: since Python 3.12 the collector may come to it
    before it comes to the handle that would have closed it."""

    __slots__ = ()

    def __del__(self) -> None:
        self.close()


class StreamSocket:
    """A connected stream socket. A time-out is seconds, None waits for ever."""

    __slots__ = ("_end", "_limit", "_socket", "fileno", "receive", "send")

    def __init__(self, connected: _socket.socket, timeout: float | None = None) -> None:
        kind = connected.family, connected.type, connected.proto
        self._socket = _Quiet(*kind, connected.detach())
        self.send: Callable[[bytes], object]
        self.receive: Callable[[int], bytes]
        """receive(count) returns what has arrived, up to count bytes; b"" is end of file."""
        self.fileno = self._socket.fileno
        self.set_timeout(timeout)

    def send_some(self, data: bytes | bytearray) -> int:
        """Without waiting, if the time-out is None; how many bytes were taken."""
        try:
            return self._socket.send(data, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def set_timeout(self, timeout: float | None) -> None:
        """The longest that a later send, and all that is received until the next, may take."""
        self._socket.settimeout(timeout)
        if timeout is None:
            self.send, self.receive = self._socket.sendall, self._socket.recv
        else:
            self._limit, self._end = timeout, monotonic() + timeout
            self.send, self.receive = self._send_in_time, self._receive_in_time

    def _send_in_time(self, data: bytes) -> None:
        self._end = monotonic() + self._limit
        self._socket.settimeout(self._limit)
        self._socket.sendall(data)

    def _receive_in_time(self, count: int) -> bytes:
        """However little comes at a time."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._socket.recv(count)

    def shut_down(self) -> None:
        """The other end sees end of file now, and so does a `receive` that waits here."""
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # It had ended already.

    def close(self) -> None:
        """May be called again; the other end sees end of file."""
        self._socket.close()

    def diagnosis(self) -> str:
        """What is known about a connection that broke, beside the error itself; "": nothing."""
        return ""


class BlockingSocket(StreamSocket):
    """One connection to a unix stream socket."""

    __slots__ = ()

    def __init__(self, path: str, timeout: float | None = None) -> None:
        """Connect; FileNotFoundError or ConnectionRefusedError when nobody listens there."""
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            made.settimeout(timeout)
            made.connect(path)
        except BaseException:
            made.close()
            raise
        super().__init__(made, timeout)
