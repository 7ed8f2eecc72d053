"""The local end point: connections on a listening unix socket, limited by user.

The socket and its place in the file system are the keeper's, which made it and outlives this
process.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from scmd.transport.peer import Peer, peer_of
from scmd.transport.streams import Handler, StreamConnection, StreamServer

CONNECTIONS_PER_USER = 256
"""Of users other than root and the SCM's own: one of them must not take every descriptor."""


class LocalConnection(StreamConnection):
    """A connection of this peer."""

    peer: Peer


class LocalServer(StreamServer):
    """Accepts on a listening socket that somebody else made and will unlink."""

    def __init__(
        self,
        accept: Callable[[LocalConnection], Handler],
        *,
        connections_per_user: int = CONNECTIONS_PER_USER,
    ) -> None:
        super().__init__()
        self._accept = accept
        self._limit = connections_per_user
        self._unlimited = {0, os.geteuid()}
        self._by_user: dict[int, int] = {}

    def start(self, listening: socket.socket) -> None:
        """Accept from now on. The socket must be a unix stream socket; it becomes ours to close."""
        if listening.family != socket.AF_UNIX or listening.type != socket.SOCK_STREAM:
            raise ValueError(f"{listening!r} is not a unix stream socket")
        self.listen(listening, LocalConnection)

    def admit(self, connection: StreamConnection, sock: socket.socket) -> Handler | None:
        """None when the connection's user has too many already."""
        assert isinstance(connection, LocalConnection)
        try:
            connection.peer = peer_of(sock)
        except OSError:
            return None
        uid = connection.peer.uid
        count = self._by_user.get(uid, 0)
        if count >= self._limit and uid not in self._unlimited:
            return None
        self._by_user[uid] = count + 1
        self._connections.add(connection)
        return self._accept(connection)

    def dismiss(self, connection: StreamConnection) -> None:
        assert isinstance(connection, LocalConnection)
        super().dismiss(connection)
        uid = connection.peer.uid
        count = self._by_user.pop(uid) - 1
        if count:
            self._by_user[uid] = count
