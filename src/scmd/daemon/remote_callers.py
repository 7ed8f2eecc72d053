"""Who somebody from another machine is here: from an authenticated identity to a caller.

Only users that an administrator has added may come by TCP. One whose name a Unix user has is that
user with his groups; any other has a SID of his own. By the named pipe smbd has authenticated the
user, and its SIDs count. Everybody from elsewhere has NETWORK and never INTERACTIVE.

Users and groups are looked up, which a slow directory service delays: not for the event loop's
thread.
"""

from __future__ import annotations

import grp
import os
import pwd

from scmd.core.messages import Caller
from scmd.linux.remote_users import RemoteUser, RemoteUsers
from scmd.rpc.security.provider import Identity
from scmd.security.sid import (
    ADMINISTRATORS,
    ANONYMOUS,
    AUTHENTICATED_USERS,
    EVERYONE,
    INTERACTIVE,
    LOCAL,
    LOCAL_SYSTEM,
    NETWORK,
)
from scmd.security.token import (
    ADMINISTRATOR_PRIVILEGES,
    USER_PRIVILEGES,
    Token,
    unix_token,
)
from scmd.transport.pipe_auth import PipePeer

_GUESTS = "S-1-5-32-546"
_SMBD_FLAGS = "S-1-22-2041152804-"
"""A SID that smbd adds to say something else."""


def anonymous(origin: str) -> Caller:
    """Whoever has connected and not said who it is."""
    token = Token(user=ANONYMOUS, groups=frozenset({EVERYONE, NETWORK}))
    return Caller(token, "anonymous", origin)


class RemoteCallers:
    """Maps identities; `administrators` is a Unix group's name, "" for none."""

    def __init__(self, users: RemoteUsers) -> None:
        self._users = users
        self.administrators = ""

    def caller_of(self, identity: Identity, origin: str) -> Caller | None:
        """The caller of an identity that NTLM or Kerberos has proved; None: nobody here."""
        user = self._users.get(identity.user)
        if user is None:
            return None
        return Caller(self.token_of(user), str(identity), origin)

    def token_of(self, user: RemoteUser) -> Token:
        """As whom he calls by TCP."""
        token = self._unix_token(user)
        if token is None:
            token = _token(user.sid, (), administrator=user.administrator)
        return token

    def pipe_caller(self, peer: PipePeer) -> Caller | None:
        """The caller of a pipe; None: a guest, or nobody in particular."""
        sids = tuple(sid for sid in peer.sids if not sid.startswith(_SMBD_FLAGS))
        if not sids or peer.is_guest or ANONYMOUS in sids or _GUESTS in sids:
            return None
        known = self._users.get(peer.account) if peer.account else None
        administrator = (
            peer.uid == 0
            or self._is_administrator(peer.account, peer.gids)
            or (known is not None and known.administrator and peer.uid == _uid_of(peer.account))
        )
        token = _token(sids[0], sids[1:], administrator=administrator)
        name = f"{peer.domain}\\{peer.account}" if peer.domain else peer.account
        return Caller(token, name or sids[0], f"{peer.address}:{peer.port} (SMB)")

    def _unix_token(self, user: RemoteUser) -> Token | None:
        try:
            entry = pwd.getpwnam(user.name)
            groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        except (KeyError, ValueError, OSError):
            return None
        administrator = (
            user.administrator
            or entry.pw_uid == 0
            or self._is_administrator(entry.pw_name, tuple(groups))
        )
        return unix_token(entry.pw_uid, groups, administrator=administrator, local=False)

    def _is_administrator(self, name: str, gids: tuple[int, ...]) -> bool:
        if not self.administrators:
            return False
        try:
            group = grp.getgrnam(self.administrators)
        except KeyError:
            return False
        return group.gr_gid in gids or name in group.gr_mem


def _uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _token(user: str, groups: tuple[str, ...], *, administrator: bool) -> Token:
    # Whatever smbd says: nobody from elsewhere sits at this machine.
    every = {*groups} - {INTERACTIVE, LOCAL}
    every |= {EVERYONE, AUTHENTICATED_USERS, NETWORK}
    if administrator:
        every |= {ADMINISTRATORS, LOCAL_SYSTEM}
    privileges = ADMINISTRATOR_PRIVILEGES if ADMINISTRATORS in every else USER_PRIVILEGES
    return Token(user=user, groups=frozenset(every), privileges=privileges)
