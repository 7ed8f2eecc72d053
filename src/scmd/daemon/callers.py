"""Who calls on the local socket, and who performs what they ask.

What the core cannot know and has to be asked of the host first, whether an account exists, is
looked up on a thread: a slow directory service keeps only the one who asked waiting.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from scmd.core.messages import Caller
from scmd.core.messages.commands import ChangeConfig, Command, CreateService
from scmd.core.messages.events import Event
from scmd.core.validation import is_local_system
from scmd.daemon.background import Background
from scmd.linux import accounts
from scmd.security.sid import service_sid
from scmd.security.token import unix_token
from scmd.server.host_requests import HostRequest
from scmd.transport.peer import Peer


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
        elif isinstance(asked, CreateService) and _is_to_be_found(asked.config.account):
            self._looking_up.begin(self._perform_with(asked, asked.config.account))
        elif isinstance(asked, ChangeConfig) and _is_to_be_found(asked.account):
            self._looking_up.begin(self._perform_with(asked, asked.account or ""))
        else:
            self._on_message(asked)

    async def _perform_with(self, command: CreateService | ChangeConfig, account: str) -> None:
        known = await asyncio.to_thread(accounts.is_known, account)
        self._on_message(replace(command, account_unknown=not known))

    def happened(self, event: Event) -> None:
        self._on_message(event)


def _is_to_be_found(account: str | None) -> bool:
    """A per-user SCM has no accounts but its own, which the core knows."""
    if not account or is_local_system(account):
        return False
    return os.geteuid() == 0


def caller_of(peer: Peer, service_with: Callable[[int], str | None]) -> Caller:
    """The local caller: root, and the owner of a per-user SCM, administer it.

    `service_with` tells whose own uid or gid a number is: its process has that service's SID.
    """
    administrator = peer.uid in (0, os.geteuid())
    token = unix_token(peer.uid, peer.gids, administrator=administrator)
    services = set(filter(None, map(service_with, {peer.uid, *peer.gids})))
    if services:
        token = token.replace(groups=token.groups | set(map(service_sid, services)))
    own = service_with(peer.uid)
    name = _user_name(peer.uid) if own is None else f"NT SERVICE\\{own}"
    return Caller(token, name, f"local pid {peer.pid}")


@lru_cache(maxsize=1024)
def _user_name(uid: int) -> str:
    """For people only, never for an access check."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
