"""Clients on the local socket: bytes to sessions, replies to bytes.

One session a connection decides what its bytes mean; here outputs are taken to whom they
are for. A client that does not read its replies is not read from either.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from typing import assert_never

from scmd.core.messages import Caller, Command, Event, Reply
from scmd.security.token import unix_token
from scmd.server.host_requests import HostRequest
from scmd.server.session import Close, Session, Sessions
from scmd.transport.local_server import LocalConnection
from scmd.transport.peer import Peer


class Clients:
    """Every connection, by its session."""

    def __init__(
        self,
        sessions: Sessions,
        on_message: Callable[[Command | Event], None],
        on_host_request: Callable[[HostRequest], None],
    ) -> None:
        self._sessions = sessions
        self._on_message = on_message
        self._on_host_request = on_host_request
        self._clients: dict[Session, _Client] = {}

    def accept(self, connection: LocalConnection) -> _Client:
        """A new connection: what `LocalServer` asks for."""
        session = self._sessions.open(caller_of(connection.peer))
        client = _Client(self, session, connection)
        self._clients[session] = client
        return client

    def answer(self, reply: Reply) -> None:
        """Carry on with the call that this reply was owed to, if somebody still waits for it."""
        session = self._sessions.answer(reply)
        client = self._clients.get(session) if session is not None else None
        if client is not None:
            client.pump()

    def take(self, output: Command | HostRequest) -> None:
        if isinstance(output, Command):
            self._on_message(output)
        else:
            self._on_host_request(output)

    def forget(self, session: Session) -> None:
        del self._clients[session]
        ended = session.closed()
        if ended is not None:
            self._on_message(ended)

    def __len__(self) -> int:
        return len(self._clients)


class _Client:
    """What `LocalServer` tells of one connection, and what its session wants done."""

    def __init__(self, clients: Clients, session: Session, connection: LocalConnection) -> None:
        self._clients = clients
        self._session = session
        self._connection = connection
        self._pumping = False
        self._held = False

    def received(self, data: bytes) -> None:
        self._session.receive(data)
        self.pump()

    def resumed(self) -> None:
        self.pump()

    def lost(self) -> None:
        self._clients.forget(self._session)

    def pump(self) -> None:
        """Do what the session wants until it waits. A reply that comes meanwhile is not lost:
        it only adds outputs, which the loop that is running takes."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._connection.congested:
                output = self._session.next()
                match output:
                    case None:
                        break
                    case bytes():
                        self._connection.send(output)
                    case Command() | HostRequest():
                        self._clients.take(output)
                    case Close():
                        self._connection.close()
                        break
                    case _:
                        assert_never(output)
        finally:
            self._pumping = False
        held = self._session.is_backed_up
        if held != self._held:
            self._held = held
            self._connection.hold(held)


def caller_of(peer: Peer) -> Caller:
    """The local caller: root, and the owner of a per-user SCM, administer it."""
    administrator = peer.uid in (0, os.geteuid())
    token = unix_token(peer.uid, peer.gids, administrator=administrator)
    return Caller(token, _user_name(peer.uid), f"local pid {peer.pid}")


_names: dict[int, str] = {}


def _user_name(uid: int) -> str:
    """For people only; looked up once, never for an access check."""
    if uid not in _names:
        try:
            _names[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            _names[uid] = f"uid {uid}"
    return _names[uid]
