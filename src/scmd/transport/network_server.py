"""TCP end points: connections from the network, limited until their clients have proved themselves.

A connection is new, with little time, few bytes and few others beside it (`admission`), until its
owner calls `proved`. A client that has vanished without a word is noticed by TCP's keep-alive, so
that its handles do not stay for ever.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from scmd.transport.admission import Admission, Limits
from scmd.transport.streams import Handler, StreamConnection, StreamServer
from scmd.transport.tcp import set_options

LIMIT_S = 120
"""Seconds until a client that has gone is noticed."""


class NetworkConnection(StreamConnection):
    """One accepted connection from `origin`, an address; `port` is its port there."""

    origin = ""
    port = 0
    is_proved = False
    _deadline: asyncio.TimerHandle | None = None
    _allowance = 0

    def proved(self) -> None:
        """The client is who it says: the limits of new connections are over.

        Without effect once the connection is over.
        """
        if not self.is_proved and self._deadline is not None:
            self.is_proved = True
            self._deadline.cancel()
            server = self._server
            assert isinstance(server, NetworkServer)
            server.admission.prove(self.origin, self)

    def buffer_updated(self, nbytes: int) -> None:
        if not self.is_proved:
            self._allowance -= nbytes
            if self._allowance < 0:
                self.abort()
                return
        super().buffer_updated(nbytes)

    def begin(self, limits: Limits) -> None:
        """Its time as a new connection runs from now on. For the server."""
        self._allowance = limits.new_bytes
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(limits.new_seconds, self.abort)

    def end(self) -> None:
        """It is over. For the server."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class NetworkServer(StreamServer):
    """Accepts on any number of listening TCP sockets; their connections share the limits."""

    def __init__(
        self, accept: Callable[[NetworkConnection], Handler], limits: Limits | None = None
    ) -> None:
        super().__init__()
        self._accept = accept
        self._limits = limits or Limits()
        self.admission: Admission[NetworkConnection] = Admission(self._limits)

    def start(self, listening: socket.socket) -> None:
        """Accept there from now on."""
        self.listen(listening, NetworkConnection)

    def admit(self, connection: StreamConnection, sock: socket.socket) -> Handler | None:
        """None where there are too many."""
        assert isinstance(connection, NetworkConnection)
        try:
            address, port = sock.getpeername()[:2]
            set_options(sock, LIMIT_S)
        except OSError:
            return None  # It has gone already.
        connection.origin, connection.port = address.removeprefix("::ffff:"), port
        is_admitted, victim = self.admission.admit(connection.origin, connection)
        if victim is not None:
            victim.abort()
        if not is_admitted:
            return None
        connection.begin(self._limits)
        self._connections.add(connection)
        return self._accept(connection)

    def dismiss(self, connection: StreamConnection) -> None:
        assert isinstance(connection, NetworkConnection)
        super().dismiss(connection)
        connection.end()
        if connection.is_proved:
            self.admission.forget_proved(connection.origin)
        else:
            self.admission.forget_new(connection.origin, connection)
