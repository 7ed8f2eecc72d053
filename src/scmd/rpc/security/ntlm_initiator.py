"""NTLMv2 at the client's end ([MS-NLMP] 3.1.5).

The password is not kept, its NT hash is; LM and NTLMv1 responses are never sent, and a server that
offers less than `ntlm_acceptor` demands is given no response at all.
"""

from __future__ import annotations

from scmd.rpc.security import ntlm_messages as messages
from scmd.rpc.security import ntlm_session as keys
from scmd.rpc.security.ntlm_acceptor import DEMANDED, OFFERED
from scmd.rpc.security.provider import SecurityError
from scmd.vocabulary.value import Value


class Credentials(Value):
    """Who to be. `nt_hash` is `md4.nt_hash(password)`, and as good as the password."""

    user: str
    domain: str = ""
    nt_hash: bytes
    workstation: str = ""

    def __repr__(self) -> str:
        return f"<Credentials of {self.domain}\\{self.user}>"


class NtlmInitiator(keys.NtlmMechanism):
    """One authentication. `randomness` is 24 random bytes, `now` the time as a FILETIME."""

    def __init__(
        self, credentials: Credentials, *, randomness: bytes, now: int, target: str = ""
    ) -> None:
        super().__init__()
        assert len(randomness) == 24, "8 bytes of challenge, 16 of key"
        self._credentials = credentials
        self._challenge, self._random_key = randomness[:8], randomness[8:]
        self._now = now
        self._target = target
        self._negotiate: bytes | None = None

    def step(self, token: bytes) -> bytes | None:
        if self._negotiate is None:
            flags = OFFERED | messages.REQUEST_TARGET | messages.TARGET_INFO
            self._negotiate = messages.encode_negotiate(flags)
            return self._negotiate
        if self.is_done():
            raise SecurityError("a message after the last one")
        return self._authenticate(self._negotiate, token)

    def _authenticate(self, negotiate: bytes, token: bytes) -> bytes:
        challenge = messages.decode_challenge(token)
        flags = challenge.flags & (OFFERED | messages.TARGET_INFO)
        if flags & DEMANDED != DEMANDED:
            raise SecurityError("the server does without Unicode, NTLMv2 or 128 bit keys")
        credentials = self._credentials
        temp, has_time = self._client_challenge(challenge)
        key = keys.response_key(credentials.nt_hash, credentials.user, credentials.domain)
        nt_proof = keys.proof(key, challenge.server_challenge, temp)
        session_key = keys.base_key(key, nt_proof)
        exchanged = bool(flags & messages.KEY_EXCHANGE)
        encrypted_key = b""
        if exchanged:
            encrypted_key = keys.rc4(session_key, self._random_key)
            session_key = self._random_key
        lm_proof = keys.proof(key, challenge.server_challenge, self._challenge)
        message = messages.Authenticate(
            flags=flags,
            # [MS-NLMP] 3.1.5.1.2: no LMv2 response where the server tells the time.
            lm_response=bytes(24) if has_time else lm_proof + self._challenge,
            nt_response=nt_proof + temp,
            domain=credentials.domain,
            user=credentials.user,
            workstation=credentials.workstation,
            encrypted_key=encrypted_key,
            mic=None,
        )
        blank = messages.encode_authenticate(message)
        mic = keys.message_mic(session_key, negotiate, token, blank)
        self._establish(session_key, is_server=False, exchanged=exchanged)
        return messages.encode_authenticate(message.replace(mic=mic))

    def _client_challenge(self, challenge: messages.Challenge) -> tuple[bytes, bool]:
        """The `temp` of the response, and whether the server told the time."""
        pairs = messages.decode_pairs(challenge.target_info)
        time = pairs.get(messages.AV_TIMESTAMP)
        flags = int.from_bytes(pairs.get(messages.AV_FLAGS, b"")[:4], "little")
        pairs[messages.AV_FLAGS] = (flags | messages.AV_FLAG_MIC).to_bytes(4, "little")
        if self._target:
            pairs[messages.AV_TARGET_NAME] = self._target.encode("utf-16-le")
        client = messages.ClientChallenge(
            timestamp=self._now if time is None else int.from_bytes(time[:8], "little"),
            challenge=self._challenge,
            pairs=pairs,
        )
        return messages.encode_client_challenge(client), time is not None
