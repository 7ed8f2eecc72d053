"""Stream connections for one event loop, whatever the listening socket is.

A connection hands what it reads to its `Handler` and sends what it is given. When the client
does not take its replies, reading stops until it does, and the handler is told so that it stops
producing; what is held for one connection is thereby bounded by `WRITE_LIMIT`, one buffer of
input and one reply. A handler may also stop the reading itself. An idle connection has no
timer and costs no wake-up.

What the bytes mean is the handler's; whom to admit is the server's, one for each kind of socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from scmd.transport.listening import Listening

READ_SIZE = 32 * 1024
WRITE_LIMIT = 256 * 1024
"""Unsent bytes at which a connection stops reading and producing."""


class Handler(Protocol):
    """What a connection's owner implements. No method may raise."""

    def received(self, data: bytes) -> None:
        """Bytes came, in order, never empty."""

    def resumed(self) -> None:
        """The client took its replies: `StreamConnection.congested` is False again."""

    def lost(self) -> None:
        """The connection is over, whoever ended it. Called once; nothing follows."""


class StreamConnection(asyncio.BufferedProtocol):
    """One accepted connection. `send`, `close` and `abort` may be called at any time."""

    def __init__(self, server: StreamServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._handler: Handler | None = None
        self._held = False
        self.congested = False
        """The client does not take its replies: do not produce more."""

    # For the handler ------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send after everything sent before; without effect once the connection is over."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def hold(self, held: bool) -> None:
        """Stop reading (True) or go on. Congestion stops it besides."""
        self._held = held
        self._balance()

    def close(self) -> None:
        """Read no more, send what is pending, then end; `lost` follows."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End at once, pending replies are dropped; `lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    # For asyncio ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._handler = self._server.admit(self, transport.get_extra_info("socket"))
        if self._handler is None:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._handler is not None:
            self._handler.received(bytes(self._server.buffer[:nbytes]))

    def eof_received(self) -> bool:
        # A client that has shut its sending half down may still wait for replies, but nobody
        # but us would notice when it is gone: an end of input ends the connection.
        return False

    def pause_writing(self) -> None:
        self.congested = True
        self._balance()

    def resume_writing(self) -> None:
        self.congested = False
        if self._handler is not None:
            self._handler.resumed()
        self._balance()

    def connection_lost(self, exc: Exception | None) -> None:
        handler, self._handler = self._handler, None
        self._transport = None
        if handler is not None:
            self._server.dismiss(self)
            handler.lost()

    def _balance(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._held or self.congested:
            transport.pause_reading()
        else:
            transport.resume_reading()


class StreamServer:
    """Base of the servers: who is admitted, and what is open."""

    def __init__(self) -> None:
        self._connections: set[StreamConnection] = set()
        self._listening: list[Listening] = []
        # Shared by all connections: the loop fills it and hands it over in one go.
        self.buffer = memoryview(bytearray(READ_SIZE))

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    def close(self) -> None:
        """Accept no more and abort what is open."""
        while self._listening:
            self._listening.pop().close()
        for connection in tuple(self._connections):
            connection.abort()

    def listen(
        self, listening: socket.socket, connection: Callable[[StreamServer], StreamConnection]
    ) -> None:
        """Accept there from now on; who has made a unix socket's name will remove it."""
        self._listening.append(Listening(listening, lambda: connection(self)))

    def admit(self, connection: StreamConnection, sock: socket.socket) -> Handler | None:
        """The handler of a new connection; None when it is not admitted."""
        raise NotImplementedError

    def dismiss(self, connection: StreamConnection) -> None:
        """A connection that was admitted is over."""
        self._connections.discard(connection)
