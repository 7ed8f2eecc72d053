"""The real core behind a TCP port on loopback, for other people's clients.

A thread accepts and serves one connection after the other, or several in turns; nothing of asyncio
is in it, since what is tested is the wire.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scmd.core.messages import Caller
from scmd.core.messages.commands import Command
from scmd.rpc.events import Authenticated
from scmd.rpc.mgmt import MGMT
from scmd.rpc.security.lockout import Lockout, OriginAttempts
from scmd.rpc.security.md4 import nt_hash
from scmd.rpc.security.ntlm_acceptor import Account, NtlmAcceptor, ServerNames
from scmd.rpc.security.provider import (
    NTLM,
    PRIVACY,
    SPNEGO,
    Acceptor,
    Identity,
    SecurityPolicy,
)
from scmd.rpc.security.spnego import SpnegoAcceptor
from scmd.rpc.security.spnego_tokens import NTLM_OID
from scmd.rpc.server import REMOTE_FRAGMENT
from scmd.security.token import unix_token
from scmd.server.host_requests import HostRequest
from scmd.server.session import Close, Session, Terms
from scmd.vocabulary.names import name_key
from tests.server.test_stack import World

USER, PASSWORD = "ann", "Tr0ub4dor&3"
FILETIME = 133_000_000_000_000_000


class Port:
    """A listening port; `refusals` are what its sessions told the audit."""

    def __init__(
        self,
        world: World,
        minimum_level: int,
        acceptors: dict[int, Callable[[], Acceptor]] | None,
        place: tuple[str, int],
    ) -> None:
        self.world = world
        self.refusals: list[str] = []
        self.identities: list[Identity] = []
        self._attempts = OriginAttempts(Lockout(), "127.0.0.1", lambda: 0)
        self._listening = socket.create_server(place)
        self.number: int = self._listening.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._sessions: dict[socket.socket, Session] = {}
        self._policy = SecurityPolicy(
            acceptors=acceptors
            or {NTLM: self.ntlm, SPNEGO: lambda: SpnegoAcceptor({NTLM_OID: self.ntlm})},
            minimum_level=minimum_level,
            open_interfaces=frozenset({MGMT}),
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ntlm(self) -> NtlmAcceptor:
        names = ServerNames(computer="SCMD", dns_computer="scmd.example")
        return NtlmAcceptor(self, self._attempts, names, challenge=os.urandom(8), now=FILETIME)

    def find(self, user: str) -> Account | None:
        known = name_key(user) == name_key(USER)
        return Account(name=USER, nt_hash=nt_hash(PASSWORD)) if known else None

    def close(self) -> None:
        self._wake.close()
        self._thread.join()
        for sock in (*self._sessions, self._listening, self._woken):
            sock.close()
        self._selector.close()

    def _caller(self, identity: Identity) -> Caller:
        self.identities.append(identity)
        token = unix_token(0, (0,), administrator=True, local=False)
        return Caller(token, str(identity), "127.0.0.1")

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._woken:
                    return
                if sock is self._listening:
                    self._accept()
                else:
                    self._serve(sock)

    def _accept(self) -> None:
        sock, _ = self._listening.accept()
        terms = Terms(
            policy=self._policy,
            refused=self.refusals.append,
            machine="127.0.0.1",
            secondary_address=str(self.number),
            max_fragment=REMOTE_FRAGMENT,
        )
        nobody = Caller(unix_token(65534, (), administrator=False, local=False), "nobody", "test")
        self._sessions[sock] = self.world.sessions.open(nobody, terms)
        self._selector.register(sock, selectors.EVENT_READ)

    def _serve(self, sock: socket.socket) -> None:
        session = self._sessions[sock]
        data = sock.recv(65536)
        session.receive(data)
        is_over = not data
        while not is_over and (output := session.next()) is not None:
            if isinstance(output, bytes):
                sock.sendall(output)
            elif isinstance(output, Command):
                self.world.handle(output)
            elif isinstance(output, HostRequest):
                self.world.answer(output)
            elif isinstance(output, Authenticated):
                session.identified(output, self._caller(output.identity))
            else:
                is_over = isinstance(output, Close)
        if is_over:
            for ended in session.closed():
                self.world.handle(ended)
            self._selector.unregister(sock)
            del self._sessions[sock]
            sock.close()


@contextmanager
def listening(
    world: World | None = None,
    minimum_level: int = PRIVACY,
    acceptors: dict[int, Callable[[], Acceptor]] | None = None,
    place: tuple[str, int] = ("127.0.0.1", 0),
) -> Iterator[Port]:
    port = Port(world or World(), minimum_level, acceptors, place)
    try:
        yield port
    finally:
        port.close()
