"""Accounts, attempts and clocks for NTLM, and both of its ends."""

from __future__ import annotations

from scmd.rpc.security.lockout import Lockout, LockoutPolicy, OriginAttempts
from scmd.rpc.security.md4 import nt_hash
from scmd.rpc.security.ntlm_acceptor import Account, NtlmAcceptor, ServerNames
from scmd.rpc.security.ntlm_initiator import Credentials, NtlmInitiator
from scmd.vocabulary.names import name_key

NOW = 133_000_000_000_000_000
"""A FILETIME."""
PASSWORD = "Tr0ub4dor€&3"
NAMES = ServerNames(computer="HOST", dns_computer="host.example")


class World:
    """One account, ann; its attempts are counted under a clock that stands still."""

    def __init__(self) -> None:
        self.clock = 0
        self.lockout = Lockout(LockoutPolicy(failures_per_origin=3))
        self._serial = 0

    def find(self, user: str) -> Account | None:
        known = Account(name="ann", nt_hash=nt_hash(PASSWORD))
        return known if name_key(user) == "ANN" else None

    def acceptor(self, origin: str = "10.0.0.7", names: ServerNames = NAMES) -> NtlmAcceptor:
        self._serial += 1
        attempts = OriginAttempts(self.lockout, origin, lambda: self.clock)
        challenge = self._serial.to_bytes(8, "big")
        return NtlmAcceptor(self, attempts, names, challenge=challenge, now=NOW)


def initiator(
    user: str = "ann", password: str = PASSWORD, domain: str = "ELSEWHERE"
) -> NtlmInitiator:
    credentials = Credentials(
        user=user, domain=domain, nt_hash=nt_hash(password), workstation="CLIENT"
    )
    return NtlmInitiator(
        credentials, randomness=bytes(range(24)), now=NOW + 1, target="host/host.example"
    )
