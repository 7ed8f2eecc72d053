"""Who calls on the local socket, and who performs what they ask.

What the core cannot know and has to be asked of the host first, whether an account exists and
what a user is called, is looked up on a thread: a slow directory service keeps only the one who
asked waiting, and for a mere name not long.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable

from msgspec.structs import replace

from scmd.core.messages import Caller
from scmd.core.messages.commands import ChangeConfig, Command, CreateService
from scmd.core.messages.events import Event
from scmd.core.validation import is_local_system
from scmd.daemon.background import Background
from scmd.daemon.lookups import looked_up
from scmd.linux import accounts
from scmd.security.sid import service_sid
from scmd.security.token import unix_token
from scmd.server.host_requests import HostRequest
from scmd.transport.local_server import LocalConnection
from scmd.transport.peer import Peer
from scmd.transport.streams import Handler

NAMES_KEPT = 1024
"""Users whose names are not asked for again."""
PATIENCE_S = 2.0
"""So long a caller waits for the user's name; then it is served without."""


class Performer:
    """Commands go to the core, host requests to the host; see `server.conversation`."""

    def __init__(
        self,
        on_message: Callable[[Command | Event], None],
        on_host_request: Callable[[HostRequest], None],
    ) -> None:
        self._on_message = on_message
        self._on_host_request = on_host_request
        self._looking_up = Background()

    def perform(self, asked: Command | HostRequest) -> None:
        if not isinstance(asked, Command):
            self._on_host_request(asked)
        elif type(asked) is CreateService and _is_to_be_found(asked.config.account):
            self._looking_up.begin(self._perform_with(asked, asked.config.account))
        elif type(asked) is ChangeConfig and _is_to_be_found(asked.account):
            self._looking_up.begin(self._perform_with(asked, asked.account or ""))
        else:
            self._on_message(asked)

    async def _perform_with(self, command: CreateService | ChangeConfig, account: str) -> None:
        known = False
        try:
            known = await looked_up(accounts.is_known, account)
        finally:  # It is owed an answer in any case.
            self._on_message(replace(command, account_unknown=not known))

    def happened(self, event: Event) -> None:
        self._on_message(event)


def _is_to_be_found(account: str | None) -> bool:
    """A per-user SCM has no accounts but its own, which the core knows."""
    if not account or is_local_system(account):
        return False
    return os.geteuid() == 0


def _user_name(uid: int) -> str:
    """For people only, never for an access check."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


class LocalCallers:
    """Opens the conversations of local connections, each with its caller.

    Of a connection whose user's name is not known yet one buffer is read until it is.
    """

    def __init__(
        self,
        open_: Callable[[Caller, LocalConnection], Handler],
        service_with: Callable[[int], str | None],
        name_of: Callable[[int], str] = _user_name,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._open = open_
        self._patience_s = patience_s
        self._service_with = service_with
        self._name_of = name_of
        self._names: dict[int, str] = {}
        self._unnamed: dict[int, list[_Unnamed]] = {}
        self._looking_up = Background()

    def accept(self, connection: LocalConnection) -> Handler:
        peer = connection.peer
        own = self._service_with(peer.uid)
        name = self._names.get(peer.uid) if own is None else f"NT SERVICE\\{own}"
        if name is not None:
            return self._open(caller_of(peer, self._service_with, name), connection)
        unnamed = _Unnamed(connection)
        waiting = self._unnamed.setdefault(peer.uid, [])
        waiting.append(unnamed)
        if len(waiting) == 1:
            self._looking_up.begin(self._look_up(peer.uid))
        return unnamed

    async def _look_up(self, uid: int) -> None:
        """A name is for people only: who is not named in time is called by the number meanwhile."""
        look_up = asyncio.ensure_future(looked_up(self._name_of, uid))
        await asyncio.wait([look_up], timeout=self._patience_s)
        if not look_up.done():
            self._begin(uid, f"uid {uid}")
            await asyncio.wait([look_up])
        if (failed := look_up.exception()) is None:
            self._begin(uid, look_up.result())
            return
        self._begin(uid, f"uid {uid}")
        del self._names[uid]
        raise failed

    def _begin(self, uid: int, name: str) -> None:
        """Serve those that have waited for the name, and those to come."""
        if len(self._names) >= NAMES_KEPT:
            self._names.clear()
        self._names[uid] = name
        for unnamed in self._unnamed.pop(uid, ()):
            if not unnamed.is_lost:
                connection = unnamed.connection
                caller = caller_of(connection.peer, self._service_with, name)
                unnamed.begin(self._open(caller, connection))


class _Unnamed:
    """The handler of a connection until its conversation begins, and what passes on from then."""

    def __init__(self, connection: LocalConnection) -> None:
        self.connection = connection
        self.is_lost = False
        self._early = b""
        self._handler: Handler | None = None

    def begin(self, handler: Handler) -> None:
        self._handler = handler
        self.connection.hold(False)
        if self._early:
            handler.received(self._early)
            self._early = b""

    def received(self, data: bytes) -> None:
        if self._handler is not None:
            self._handler.received(data)
        else:
            self._early += data
            self.connection.hold(True)

    def resumed(self) -> None:
        if self._handler is not None:
            self._handler.resumed()

    def lost(self) -> None:
        self.is_lost = True
        if self._handler is not None:
            self._handler.lost()


def caller_of(peer: Peer, service_with: Callable[[int], str | None], name: str) -> Caller:
    """The local caller: root, and the owner of a per-user SCM, administer it.

    `service_with` tells whose own uid or gid a number is: its process has that service's SID.
    """
    administrator = peer.uid in (0, os.geteuid())
    token = unix_token(peer.uid, peer.gids, administrator=administrator)
    services = set(filter(None, map(service_with, {peer.uid, *peer.gids})))
    if services:
        token = token.replace(groups=token.groups | set(map(service_sid, services)))
    return Caller(token, name, f"local pid {peer.pid}")
