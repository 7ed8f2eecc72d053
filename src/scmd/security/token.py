"""Tokens: who a caller is, as SIDs and privileges.

A token is made once for each connection, from the peer's uid and groups or from an
authenticated session, and never from name look-ups. What it may do is `access.py`'s.
"""

from __future__ import annotations

from scmd.security.sid import (
    ADMINISTRATORS,
    AUTHENTICATED_USERS,
    EVERYONE,
    INTERACTIVE,
    LOCAL,
    LOCAL_SYSTEM,
    NETWORK,
    unix_group_sid,
    unix_user_sid,
)
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SE_SECURITY = "SeSecurityPrivilege"
SE_TAKE_OWNERSHIP = "SeTakeOwnershipPrivilege"
SE_CHANGE_NOTIFY = "SeChangeNotifyPrivilege"
SE_RESTORE = "SeRestorePrivilege"
SE_SHUTDOWN = "SeShutdownPrivilege"

USER_PRIVILEGES = frozenset({SE_CHANGE_NOTIFY})
ADMINISTRATOR_PRIVILEGES = frozenset(
    {
        SE_CHANGE_NOTIFY,
        SE_SECURITY,
        SE_TAKE_OWNERSHIP,
        "SeBackupPrivilege",
        SE_RESTORE,
        "SeDebugPrivilege",
        SE_SHUTDOWN,
        "SeRemoteShutdownPrivilege",
    }
)


class Token(Value):
    """A caller's identity for access checks."""

    user: str
    """The SID, canonical text form."""
    groups: frozenset[str] = frozenset()
    privileges: frozenset[str] = frozenset()

    @property
    def sids(self) -> frozenset[str]:
        """Every SID an ACE may match: the user and its groups."""
        return self.groups | {self.user}


def unix_token(uid: int, gids: Iterable[int], *, administrator: bool, local: bool = True) -> Token:
    """The token of a Linux user with these groups (the primary one among them).

    `administrator` adds Administrators and LocalSystem and their privileges: root, or the
    owner of a per-user SCM. `local` callers are interactive users; others came by the network.
    """
    groups = {unix_group_sid(gid) for gid in gids}
    groups |= {EVERYONE, AUTHENTICATED_USERS}
    groups |= {INTERACTIVE, LOCAL} if local else {NETWORK}
    if administrator:
        groups |= {ADMINISTRATORS, LOCAL_SYSTEM}
    return Token(
        user=unix_user_sid(uid),
        groups=frozenset(groups),
        privileges=ADMINISTRATOR_PRIVILEGES if administrator else USER_PRIVILEGES,
    )
