"""A TCP connection for control programs: names looked up, every address tried, keep-alive on."""

from __future__ import annotations

import socket

from scmd.transport.blocking import StreamSocket

_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class TcpStream(StreamSocket):
    """One connection. A machine that has gone is noticed even where there is no time-out."""

    __slots__ = ()

    def __init__(
        self, host: str, port: int, connect_timeout: float, timeout: float | None = None
    ) -> None:
        """Connect; OSError, of the address tried last."""
        try:
            connected = socket.create_connection((host, port), connect_timeout)
        except UnicodeError as error:
            text = "no machine can have this name"
            raise socket.gaierror(socket.EAI_NONAME, text) from error
        try:
            for option in _KEEP_ALIVE:
                connected.setsockopt(*option)
        except BaseException:
            connected.close()
            raise
        super().__init__(connected, timeout)
