"""NTLMv2 at the server's end: a challenge, and whether the answer proves the password.

[MS-NLMP] 3.2.5. Refused are LM, NTLMv1, anonymous and guest, keys of less than 128 bits, sessions
without extended security, a MIC that is wrong or missing though the client says it sent one. A
challenge serves one answer. Wrong passwords and unknown users cost the same time and are told in
the same words; `Attempts` says when to listen no more.
"""

from __future__ import annotations

import hmac

from scmd.rpc.security import ntlm_messages as messages
from scmd.rpc.security import ntlm_session as keys
from scmd.rpc.security.provider import Identity, SecurityError
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

DEMANDED = messages.UNICODE | messages.NTLM | messages.EXTENDED_SESSION_SECURITY | messages.KEY_128
"""Without these no client is listened to."""
OFFERED = (
    DEMANDED
    | messages.SIGN
    | messages.SEAL
    | messages.ALWAYS_SIGN
    | messages.KEY_EXCHANGE
    | messages.KEY_56
    | messages.VERSION
)
_REFUSED = "the user name or the password is wrong"
_NO_HASH = bytes(16)


class Account(Value):
    """Who may authenticate. `nt_hash` is as good as the password."""

    name: str
    nt_hash: bytes

    def __repr__(self) -> str:
        return f"<Account {self.name!r}>"


class Accounts(Protocol):
    """Where the accounts are kept."""

    def find(self, user: str) -> Account | None:
        """The account of this name, whatever its case; None: there is none, or it is disabled."""


class Attempts(Protocol):
    """Who may still try. Names are as the client sent them, and need not exist."""

    def is_locked(self, user: str) -> bool:
        """No attempt is admitted now, however right the password."""

    def failed(self, user: str, *, exists: bool) -> None: ...

    def succeeded(self, user: str) -> None: ...


class ServerNames(Value):
    """What the challenge says of this machine."""

    computer: str
    """NetBIOS name: upper case, at most 15 characters."""
    dns_computer: str
    domain: str = "WORKGROUP"


class NtlmAcceptor(keys.NtlmMechanism):
    """One authentication. `challenge` is 8 random bytes, `now` the time as a FILETIME."""

    def __init__(
        self,
        accounts: Accounts,
        attempts: Attempts,
        names: ServerNames,
        *,
        challenge: bytes,
        now: int,
    ) -> None:
        super().__init__()
        assert len(challenge) == 8, "a challenge has 8 bytes"
        self._accounts = accounts
        self._attempts = attempts
        self._names = names
        self._challenge = challenge
        self._now = now
        self._heard: tuple[bytes, bytes, int] | None = None
        self._identity: Identity | None = None
        self._is_over = False

    @property
    def identity(self) -> Identity:
        assert self._identity is not None, "nobody is known yet"
        return self._identity

    def step(self, token: bytes) -> bytes | None:
        if self._is_over:
            raise SecurityError("a message after the last one")
        if self._heard is None:
            return self._answer(token)
        self._is_over = True
        negotiate, challenge, flags = self._heard
        self._authenticate(negotiate, challenge, flags, token)
        return None

    # The two messages of the client ---------------------------------------------------------

    def _answer(self, negotiate: bytes) -> bytes:
        """CHALLENGE_MESSAGE."""
        asked = messages.decode_negotiate(negotiate)
        flags = asked & OFFERED
        _demand(flags)
        flags |= messages.TARGET_INFO | messages.REQUEST_TARGET | messages.TARGET_TYPE_SERVER
        names = self._names
        pairs = {
            messages.AV_NETBIOS_DOMAIN: names.domain.encode("utf-16-le"),
            messages.AV_NETBIOS_COMPUTER: names.computer.encode("utf-16-le"),
            messages.AV_DNS_DOMAIN: "".encode("utf-16-le"),
            messages.AV_DNS_COMPUTER: names.dns_computer.encode("utf-16-le"),
            messages.AV_TIMESTAMP: self._now.to_bytes(8, "little"),
        }
        challenge = messages.encode_challenge(
            messages.Challenge(
                flags=flags,
                server_challenge=self._challenge,
                target_name=names.computer,
                target_info=messages.encode_pairs(pairs),
            )
        )
        self._heard = negotiate, challenge, flags
        return challenge

    def _authenticate(self, negotiate: bytes, challenge: bytes, offered: int, token: bytes) -> None:
        message = messages.decode_authenticate(token)
        flags = message.flags & offered
        _demand(flags)
        if message.flags & messages.ANONYMOUS or not message.user:
            raise SecurityError("an anonymous client")
        if len(message.nt_response) <= 24:
            raise SecurityError(f"{message.user!r} answers by LM or NTLMv1")
        given, temp = message.nt_response[:16], message.nt_response[16:]
        client = messages.decode_client_challenge(temp)
        name, key = self._prove(message, given, temp)
        if flags & messages.KEY_EXCHANGE:
            if len(message.encrypted_key) != 16:
                raise SecurityError("a session key of another size than 16")
            key = keys.rc4(key, message.encrypted_key)
        self._check_mic(message, client, key, (negotiate, challenge, token))
        self._identity = Identity(user=name, domain=self._names.computer, mechanism="NTLM")
        self._establish(key, is_server=True, exchanged=bool(flags & messages.KEY_EXCHANGE))

    def _prove(
        self, message: messages.Authenticate, given: bytes, temp: bytes
    ) -> tuple[str, bytes]:
        """The account's name and the session's base key, if the password was right."""
        user = message.user
        if self._attempts.is_locked(user):
            raise SecurityError(f"{user!r} is locked out after too many wrong passwords")
        account = self._accounts.find(user)
        nt_hash = _NO_HASH if account is None else account.nt_hash
        key = keys.response_key(nt_hash, user, message.domain)
        is_right = hmac.compare_digest(keys.proof(key, self._challenge, temp), given)
        if not is_right or account is None:
            self._attempts.failed(user, exists=account is not None)
            raise SecurityError(f"{user!r}: {_REFUSED}")
        self._attempts.succeeded(user)
        return account.name, keys.base_key(key, given)

    def _check_mic(
        self,
        message: messages.Authenticate,
        client: messages.ClientChallenge,
        key: bytes,
        heard: tuple[bytes, bytes, bytes],
    ) -> None:
        """[MS-NLMP] 3.2.5.1.2. The flag is covered by the proof and cannot be taken away."""
        flags = int.from_bytes(client.pairs.get(messages.AV_FLAGS, b""), "little")
        is_promised = flags & messages.AV_FLAG_MIC
        if not is_promised and not any(message.mic or b""):
            return
        if message.mic is None:
            raise SecurityError("the MIC is missing")
        negotiate, challenge, token = heard
        end = messages.MIC_AT + messages.MIC_SIZE
        blank = token[: messages.MIC_AT] + bytes(messages.MIC_SIZE) + token[end:]
        expected = keys.message_mic(key, negotiate, challenge, blank)
        if not hmac.compare_digest(expected, message.mic):
            raise SecurityError("the messages were changed on the way: a wrong MIC")


def _demand(flags: int) -> None:
    if flags & DEMANDED != DEMANDED:
        raise SecurityError("the client does without Unicode, NTLMv2 sessions or 128 bit keys")
