"""The named pipe behind smbd: each connection is a pipe that some user has opened.

Since smbd's word is taken for who that is, only root may be at the other end: the socket's folder
and mode say so (`keeper_listeners`), and the kernel is asked for each connection.

After the hand-over (`pipe_auth`) both ends send messages: a 16-bit length and as many bytes.
What comes in may be cut anywhere; what goes out is one PDU a message.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from scmd.transport.peer import peer_of
from scmd.transport.pipe_auth import (
    ACCESS_DENIED,
    PipeAuthError,
    PipePeer,
    decode_request,
    encode_reply,
    request_size,
)
from scmd.transport.streams import Handler, StreamConnection, StreamServer

PIPES = 4096
HANDOVER_SECONDS = 10.0
_PDU_HEADER = 16


class Accept(Protocol):
    """Who takes a pipe over; `pipe.begin` is to be called, at once or later."""

    def __call__(self, peer: PipePeer, pipe: Pipe) -> None: ...


class Pipe:
    """One pipe: the stream's handler, and a channel for whoever speaks RPC on it."""

    def __init__(
        self, stream: StreamConnection, accept: Accept, refused: Callable[[str], None]
    ) -> None:
        self._stream = stream
        self._refused = refused
        self._accept = accept
        self._handler: Handler | None = None
        self._level: int | None = None
        """Of the request, which was understood."""
        self.is_lost = False
        self._pending = bytearray()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(HANDOVER_SECONDS, stream.abort)

    # For the stream -------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        self._pending += data
        if self._level is None:
            try:
                self._take_over()
            except PipeAuthError as error:
                self._refused(str(error))
                # Samba cannot read a refusal of a level it does not know: the end is one.
                self._stream.abort()
                return
        self._pass_on()

    def resumed(self) -> None:
        if self._handler is not None:
            self._handler.resumed()

    def lost(self) -> None:
        self.is_lost = True
        self._deadline.cancel()
        if self._handler is not None:
            self._handler.lost()

    # For the handler ------------------------------------------------------------------------

    def begin(self, handler: Handler | None) -> None:
        """The pipe is this handler's from now on; None: its user is not served."""
        assert self._level is not None, "nobody has asked"
        self._stream.send(encode_reply(self._level, 0 if handler else ACCESS_DENIED))
        if handler is None:
            self._stream.close()
            return
        self._handler = handler
        self._stream.hold(False)
        self._pass_on()

    @property
    def congested(self) -> bool:
        """The client does not take its replies: do not produce more."""
        return self._stream.congested

    def send(self, data: bytes) -> None:
        """Whole PDUs; each is a message of its own."""
        position = 0
        parts = []
        while len(data) - position >= _PDU_HEADER:
            order = "little" if data[position + 4] & 0x10 else "big"
            length = int.from_bytes(data[position + 8 : position + 10], order)  # type: ignore[arg-type] # one of the two
            assert length >= _PDU_HEADER, "not a PDU"
            parts.append(length.to_bytes(2, "little"))
            parts.append(data[position : position + length])
            position += length
        self._stream.send(b"".join(parts))

    def hold(self, held: bool) -> None:
        self._stream.hold(held)

    def close(self) -> None:
        self._stream.close()

    # ----------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        size = request_size(self._pending)
        if size is None or len(self._pending) < size:
            return
        peer = decode_request(bytes(self._pending[:size]))
        del self._pending[:size]
        self._deadline.cancel()
        self._level = peer.level
        self._accept(peer, self)

    def _pass_on(self) -> None:
        if self._handler is None:
            # Nothing is to come before the answer; what comes all the same stays in the socket.
            self._stream.hold(self._level is not None)
        elif payload := self._messages():
            self._handler.received(payload)

    def _messages(self) -> bytes:
        """The contents of the messages that are complete."""
        pending = self._pending
        parts = []
        position = 0
        while len(pending) - position >= 2:
            end = position + 2 + int.from_bytes(pending[position : position + 2], "little")
            if len(pending) < end:
                break
            parts.append(bytes(pending[position + 2 : end]))
            position = end
        del pending[:position]
        return b"".join(parts)


class PipeServer(StreamServer):
    """Accepts what smbd connects; `trusted` are the users whose word is taken: root.

    `refused` is told why a request that is not understood was refused.
    """

    def __init__(
        self,
        accept: Accept,
        refused: Callable[[str], None] = lambda _: None,
        *,
        trusted: frozenset[int] = frozenset({0}),
    ) -> None:
        super().__init__()
        self._accept = accept
        self._refused = refused
        self._trusted = trusted

    def start(self, listening: socket.socket) -> None:
        """Accept there from now on."""
        self.listen(listening, StreamConnection)

    def admit(self, connection: StreamConnection, sock: socket.socket) -> Handler | None:
        try:
            uid = peer_of(sock).uid
        except OSError:
            return None
        if uid not in self._trusted or len(self._connections) >= PIPES:
            return None
        self._connections.add(connection)
        return Pipe(connection, self._accept, self._refused)
