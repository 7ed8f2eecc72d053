"""TCP: what both ends set on a connection, and control programs' own end of it.

Names are looked up, and every address is tried.
"""

from __future__ import annotations

import socket

from scmd.transport.blocking import StreamSocket

LIMIT_S = 60
"""Seconds until a machine that has gone is noticed."""


def set_options(connected: socket.socket, limit_s: int) -> None:
    """Nothing waits to be sent together, and whoever is gone is noticed; OSError.

    That takes `limit_s` seconds, which 6 divides, whether something is on its way or not.
    """
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limit_s // 2),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limit_s // 6),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_s * 1_000),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ):
        connected.setsockopt(level, option, value)


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
            set_options(connected, LIMIT_S)
        except BaseException:
            connected.close()
            raise
        super().__init__(connected, timeout)
