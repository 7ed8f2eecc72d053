"""What the TCP end point demands, and how it finds out who calls: NTLMv2, Kerberos, or SPNEGO."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from scmd.linux.remote_users import RemoteUsers
from scmd.rpc.security.lockout import Lockout, OriginAttempts
from scmd.rpc.security.ntlm_acceptor import Account, NtlmAcceptor, ServerNames
from scmd.rpc.security.ntlm_messages import filetime
from scmd.rpc.security.provider import (
    INTEGRITY,
    KERBEROS,
    NTLM,
    PRIVACY,
    SPNEGO,
    Acceptor,
    SecurityPolicy,
)
from scmd.rpc.security.spnego import SpnegoAcceptor
from scmd.rpc.security.spnego_tokens import KERBEROS_OID, MS_KERBEROS_OID, NTLM_OID
from scmd.storage import remote_settings
from scmd.storage.remote_settings import RemoteSettings

_MAX_NETBIOS = 15


class RemoteSecurity:
    """Makes the policy for each connection; remembers who has guessed wrong."""

    def __init__(self, users: RemoteUsers) -> None:
        self._users = users
        self._lockout = Lockout()
        node = os.uname().nodename
        self._names = ServerNames(
            computer=node.partition(".")[0].upper()[:_MAX_NETBIOS] or "SCMD", dns_computer=node
        )

    def policy(self, settings: RemoteSettings, origin: str) -> SecurityPolicy:
        """For a connection from this address."""

        def ntlm() -> Acceptor:
            return NtlmAcceptor(
                _Accounts(self._users),
                OriginAttempts(self._lockout, origin, _milliseconds),
                self._names,
                challenge=os.urandom(8),
                now=filetime(time.time()),
            )

        mechanisms = {NTLM_OID: ntlm}
        acceptors: dict[int, Callable[[], Acceptor]] = {NTLM: ntlm}
        if settings.keytab:

            def kerberos() -> Acceptor:
                from scmd.transport.kerberos import KerberosAcceptor

                return KerberosAcceptor(settings.keytab)

            acceptors[KERBEROS] = kerberos
            mechanisms |= {KERBEROS_OID: kerberos, MS_KERBEROS_OID: kerberos}
        acceptors[SPNEGO] = lambda: SpnegoAcceptor(mechanisms)
        weak = settings.level == remote_settings.INTEGRITY
        return SecurityPolicy(acceptors=acceptors, minimum_level=INTEGRITY if weak else PRIVACY)


class _Accounts:
    """The users as NTLM asks for them."""

    def __init__(self, users: RemoteUsers) -> None:
        self._users = users

    def find(self, user: str) -> Account | None:
        found = self._users.get(user)
        if found is None or found.nt_hash is None:
            return None
        return Account(name=found.name, nt_hash=found.nt_hash)


def _milliseconds() -> int:
    return int(time.monotonic() * 1000)
