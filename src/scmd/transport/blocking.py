"""A blocking unix stream socket for control programs: connect, send, receive, time-outs.

On `_socket` itself, since the `socket` module costs more time than a whole status query.
Nothing is retried; every failure is an OSError, a time-out its subclass TimeoutError.
"""

from __future__ import annotations

import _socket

RECEIVE_BYTES = 65536


class BlockingSocket:
    """One connection. A time-out is seconds, None waits for ever."""

    __slots__ = ("_socket", "receive", "send")

    def __init__(self, path: str, timeout: float | None = None) -> None:
        """Connect; FileNotFoundError or ConnectionRefusedError when nobody listens there."""
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self.send = self._socket.sendall
        self.receive = self._socket.recv
        """receive(count) returns what has arrived, up to count bytes; b"" is end of file."""

    def set_timeout(self, timeout: float | None) -> None:
        """The longest a later send or receive may take."""
        self._socket.settimeout(timeout)

    def close(self) -> None:
        """May be called again; the other end sees end of file."""
        self._socket.close()
