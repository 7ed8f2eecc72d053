"""The end points for other machines: opened, served and closed as the settings say.

Nothing listens unless an administrator has asked for it. The listening sockets are the keeper's and
outlive this process; settings are in the database before a change is answered, and a change that
cannot be carried out whole leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from scmd.core.messages import SaveId
from scmd.daemon import remote_places as places
from scmd.daemon.background import Background
from scmd.daemon.keeper_link import ANEW, TOO_OLD, KeeperLink, KeeperState
from scmd.daemon.keeper_listeners import PIPE, TCP, CannotListen, check_address
from scmd.daemon.lookups import looked_up
from scmd.daemon.remote_callers import RemoteCallers, anonymous
from scmd.endpoint_mapper.operations import EPM
from scmd.endpoint_mapper.towers import Tower, tower_of
from scmd.linux.database import Database, SaveControl
from scmd.linux.keytab import KeytabError, host_principal
from scmd.linux.remote_users import RemoteUser, RemoteUsers
from scmd.rpc.mgmt import MGMT
from scmd.rpc.security.provider import Identity
from scmd.rpc.server import REMOTE_FRAGMENT
from scmd.scmd_interface.operations import SCMD
from scmd.security.sid import ADMINISTRATORS
from scmd.security.token import Token
from scmd.server.conversation import Conversations
from scmd.server.mapper_server import EndpointMapper
from scmd.server.session import INTERFACES, Found, Interfaces, Terms
from scmd.storage.remote_settings import RemoteSettings, changes_to, settings_of
from scmd.svcctl.interface import SVCCTL
from scmd.transport.network_server import NetworkConnection, NetworkServer
from scmd.transport.pipe_auth import PipePeer
from scmd.transport.pipe_server import Pipe, PipeServer
from scmd.transport.streams import Handler, StreamServer
from scmd.vocabulary.errors import Error

if TYPE_CHECKING:
    from scmd.daemon.remote_security import RemoteSecurity

LISTENING_VERSION = 2
"""Of keepers that listen for others."""
LOGON_FAILURE = 1326
PIPE_ADDRESS = "\\PIPE\\svcctl"
Audit = Callable[[str, str, str, str, int], None]
"""User, origin, action, target, error."""
log = logging.getLogger("scmd.manager")


class RemoteError(Exception):
    """A change cannot be carried out; nothing has changed."""


class Remote:
    """All end points besides the local one. `begin` once, then `change` at any time."""

    def __init__(
        self,
        keeper: KeeperLink,
        state: KeeperState,
        database: Database,
        users: RemoteUsers,
        audit: Audit,
        on_front: Callable[[bool], None],
    ) -> None:
        self._keeper = keeper
        self._audit = audit
        self._on_front = on_front
        self._keeper_version = state.version
        self._database = database
        self._held = dict(state.listeners)
        self._servers: dict[str, StreamServer] = {}
        self._failed: dict[str, str] = {}
        self._saves = 0
        self._changing = asyncio.Lock()
        self._conversations: Conversations | None = None
        self._interfaces: Interfaces = {}
        """Of the TCP end point."""
        self._mapped: Interfaces = {}
        """Of the endpoint mapper's."""
        self.users = users
        self.callers = RemoteCallers(users)
        self._looking_up = Background()
        self._security: RemoteSecurity | None = None
        self.settings = settings_of(database.control_values())
        self.callers.administrators = self.settings.administrators

    async def begin(self, conversations: Conversations) -> None:
        """Listen where the settings say; a place that cannot be had is logged."""
        self._conversations = conversations
        async with self._changing:
            await self._introduce(self.settings)
            for name in self._names(self.settings):
                await self._serve_if_possible(name)
            for name, listener in self._held.items():
                listener.close()
                self._keeper.unlisten(name)
            self._held.clear()
            self._tell_front()

    def close(self) -> None:
        """Abort what is connected; the keeper goes on listening."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    async def change(self, wanted: RemoteSettings) -> None:
        """Make it so, durably. RemoteError says why not."""
        async with self._changing:
            try:
                settings = places.checked(wanted)
            except places.WrongPlace as error:
                raise RemoteError(str(error)) from error
            names = self._names(settings)
            new = [name for name in names if name not in self._servers]
            in_the_way = [
                old
                for old in self._servers.keys() - names
                if any(places.are_in_the_way(old, name) for name in new)
            ]
            try:
                for name in in_the_way:
                    self._stop(name)
                for name in new:
                    if name.startswith(TCP):
                        check_address(name)
                    await self._serve(name)
                await self._save(settings)
            except (OSError, CannotListen) as error:
                for name in new:
                    self._stop(name)
                for name in in_the_way:
                    await self._serve_if_possible(name)
                raise RemoteError(str(error)) from error
            await self._introduce(settings)
            self.settings = settings
            self.callers.administrators = settings.administrators
            self._failed.clear()
            for name in self._servers.keys() - names:
                self._stop(name)
            self._tell_front()

    async def change_users(self, change: Callable[[RemoteUsers], None]) -> None:
        """Carry it out, on a thread since it waits for the disk; raises what it raises."""
        async with self._changing:
            await asyncio.to_thread(change, self.users)

    def end_points(self) -> list[str]:
        """What is served now, by the keeper's names."""
        return sorted(self._servers)

    async def status(self) -> dict[str, Any]:
        """For RQueryRemote (docs/scmd-interface.md)."""
        users = await looked_up(self._users_status)
        return {
            "settings": asdict(self.settings),
            "listening": self.end_points(),
            "failed": self._failed,
            "connections": sum(server.connections for server in self._servers.values()),
            "users": users,
            "users_problem": self.users.problem,
        }

    def _users_status(self) -> list[dict[str, Any]]:
        return [_user_status(user, self.callers.token_of(user)) for user in self.users]

    # Listening ------------------------------------------------------------------------------

    @staticmethod
    def _names(settings: RemoteSettings) -> list[str]:
        names = [places.tcp_name(place) for place in (settings.tcp, settings.epm) if place]
        return [*names, places.pipe_name(settings.smbd)] if settings.smbd else names

    async def _serve(self, name: str) -> None:
        """Listen and accept; OSError: it cannot be done."""
        listener = self._held.pop(name, None) or await self._listen(name)
        if listener.family == socket.AF_UNIX:
            pipes = self._servers[name] = PipeServer(self._accept_pipe, _pipe_refused)
            pipes.start(listener)
            return
        port = listener.getsockname()[1]
        network = self._servers[name] = NetworkServer(
            lambda connection: self._accept(connection, name, port)
        )
        network.start(listener)

    async def _serve_if_possible(self, name: str) -> None:
        try:
            await self._serve(name)
        except OSError as error:
            self._failed[name] = str(error)
            log.error("remote administration: %s", error)

    async def _listen(self, name: str) -> socket.socket:
        if name.startswith(TCP) and find_spec("cryptography") is None:
            raise OSError("TCP needs the package cryptography: pip install 'scmd[remote]'")
        if self._keeper_version < LISTENING_VERSION:
            raise OSError(f"{TOO_OLD} to listen: {ANEW}")
        if name.startswith(PIPE):
            _make_folder(os.path.dirname(name.removeprefix(PIPE)))
        return await self._keeper.listen(name)

    def _tell_front(self) -> None:
        """Whether smbd can hand the pipe over."""
        self._on_front(any(name.startswith(PIPE) for name in self._servers))

    async def _introduce(self, settings: RemoteSettings) -> None:
        """Know what is spoken where, and by what name Kerberos knows this server, for who asks."""
        principal = ""
        if settings.keytab:
            with suppress(OSError, KeytabError):
                principal = await looked_up(host_principal, settings.keytab)
        if self._conversations is not None:
            management = self._conversations.sessions.with_management
            mapper = EndpointMapper(self._towers).operations()
            self._interfaces = management(INTERFACES, principal)
            self._mapped = management({EPM: mapper}, principal)

    def _stop(self, name: str) -> None:
        server = self._servers.pop(name, None)
        if server is not None:
            server.close()
            self._keeper.unlisten(name)

    async def _save(self, settings: RemoteSettings) -> None:
        loop = asyncio.get_running_loop()
        saved: asyncio.Future[Error] = loop.create_future()
        self._saves += 1

        def done(_: SaveId, error: Error) -> None:
            loop.call_soon_threadsafe(saved.set_result, error)

        self._database.submit(SaveControl(SaveId(self._saves), changes_to(settings)), done)
        error = await saved
        if error:
            raise OSError(f"the settings cannot be saved ({error.name})")

    # Accepting ------------------------------------------------------------------------------

    def _accept(self, connection: NetworkConnection, name: str, port: int) -> Handler:
        assert self._conversations is not None
        origin = f"{connection.origin}:{connection.port}"
        terms = self._terms(connection, origin, port)
        if self.settings.epm and name == places.tcp_name(self.settings.epm):
            # Who does prove who he is, as hardened clients do, is held to it.
            policy = terms.policy.replace(open_interfaces=frozenset({EPM, MGMT}))
            terms = replace(terms, policy=policy, interfaces=self._mapped)
        return self._conversations.open(anonymous(origin), connection, terms)

    def _terms(self, connection: NetworkConnection, origin: str, port: int) -> Terms:
        async def look_up(identity: Identity, found: Found) -> None:
            caller = await looked_up(self.callers.caller_of, identity, origin)
            if caller is not None:
                connection.proved()
            found(caller)

        return Terms(
            policy=self._secured().policy(self.settings, connection.origin),
            find_caller=lambda *asked: self._looking_up.begin(look_up(*asked)),
            refused=lambda reason: self._audit("somebody", origin, "log on", reason, LOGON_FAILURE),
            machine=connection.origin,
            secondary_address=str(port),
            max_fragment=REMOTE_FRAGMENT,
            interfaces=self._interfaces,
        )

    def _secured(self) -> RemoteSecurity:
        if self._security is None:
            # Here, since nobody else needs the package it needs.
            from scmd.daemon.remote_security import RemoteSecurity

            self._security = RemoteSecurity(self.users)
        return self._security

    def _accept_pipe(self, peer: PipePeer, pipe: Pipe) -> None:
        self._looking_up.begin(self._begin_pipe(peer, pipe))

    async def _begin_pipe(self, peer: PipePeer, pipe: Pipe) -> None:
        assert self._conversations is not None
        caller = await looked_up(self.callers.pipe_caller, peer)
        if pipe.is_lost:
            return
        if caller is None:
            origin = f"{peer.address}:{peer.port} (SMB)"
            self._audit(peer.account or "somebody", origin, "log on", "as a guest", LOGON_FAILURE)
            pipe.begin(None)
            return
        terms = Terms(
            machine=peer.address,
            secondary_address=PIPE_ADDRESS,
            max_fragment=REMOTE_FRAGMENT,
        )
        pipe.begin(self._conversations.open(caller, pipe, terms))

    def _towers(self) -> Iterable[Tower]:
        if not self.settings.tcp:
            return ()
        host, port = places.host_and_port(self.settings.tcp)
        address = bytes(map(int, host.split("."))) if ":" not in host else bytes(4)
        return [tower_of(known, port=port, address=address) for known in (SVCCTL, SCMD)]


def _user_status(user: RemoteUser, token: Token) -> dict[str, Any]:
    return {
        "name": user.name,
        "sid": token.user,
        "administrator": ADMINISTRATORS in token.groups,
        "password": user.nt_hash is not None,
    }


def _pipe_refused(reason: str) -> None:
    log.error("smbd has handed a pipe over in a way that is not understood: %s", reason)


def _make_folder(folder: str) -> None:
    """The pipe's folder and the one it is in, closed to others where they are made now."""
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
