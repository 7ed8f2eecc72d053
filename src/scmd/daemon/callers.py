"""Who calls on the local socket, and who performs what they ask."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from functools import lru_cache

from scmd.core.messages import AssociationEnded, Caller, Command, Event
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

    def perform(self, asked: Command | HostRequest) -> None:
        if isinstance(asked, Command):
            self._on_message(asked)
        else:
            self._on_host_request(asked)

    def association_ended(self, event: AssociationEnded) -> None:
        self._on_message(event)


def caller_of(peer: Peer) -> Caller:
    """The local caller: root, and the owner of a per-user SCM, administer it."""
    administrator = peer.uid in (0, os.geteuid())
    token = unix_token(peer.uid, peer.gids, administrator=administrator)
    return Caller(token, _user_name(peer.uid), f"local pid {peer.pid}")


@lru_cache(maxsize=1024)
def _user_name(uid: int) -> str:
    """For people only, never for an access check."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
