"""A mechanism with any number of legs, and two ends that use it.

What `rpc` does with mechanisms is tested by this one: it is real in what counts there (each
signature covers what it is given and its place in the order), and has no cryptography of note.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import shake_128

from scmd.rpc import client, events, server
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.protection import Protection
from scmd.rpc.security.provider import (
    KERBEROS,
    NTLM,
    PRIVACY,
    SPNEGO,
    Identity,
    Initiator,
    SecurityError,
    SecurityPolicy,
)
from tests.rpc.ends import ECHO, OTHER

LEGS = {KERBEROS: 2, NTLM: 3, SPNEGO: 4}


class Toy:
    """Tokens are `<number of the leg>:<password>`; `legs` in all."""

    def __init__(self, legs: int, password: str, *, covers_headers: bool = False) -> None:
        self.covers_headers = covers_headers
        self.session_key = password.encode()
        self.identity = Identity(user=password, mechanism="toy")
        self._legs = legs
        self._leg = 0
        self._sent = 0
        self._heard = 0

    def is_done(self) -> bool:
        return self._leg >= self._legs

    def step(self, token: bytes) -> bytes | None:
        if token or self._leg:
            if token != b"%d:%s" % (self._leg, self.session_key):
                raise SecurityError("the token is not the one expected")
            self._leg += 1
        if self.is_done():
            return None
        answer = b"%d:%s" % (self._leg, self.session_key)
        self._leg += 1
        return answer

    def list_mic(self, data: bytes) -> bytes:
        return self.sign(b"", data, b"")

    def check_list_mic(self, data: bytes, mic: bytes) -> None:
        self.verify(b"", data, b"", mic)

    def signature_size(self, sealing: bool) -> int:
        return 24 if sealing else 16

    def sign(self, head: bytes, body: bytes, tail: bytes) -> bytes:
        self._sent += 1
        return self._mac(self._sent, head + body + tail)

    def verify(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> None:
        self._heard += 1
        if not hmac.compare_digest(self._mac(self._heard, head + body + tail), signature):
            raise SecurityError("a wrong signature")

    def seal(self, head: bytes, body: bytes, tail: bytes) -> tuple[bytes, bytes]:
        signature = self.sign(head, body, tail)
        return self._mask(self._sent, body), signature + bytes(8)

    def unseal(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> bytes:
        plain = self._mask(self._heard + 1, body)
        if signature[16:] != bytes(8):
            raise SecurityError("a wrong seal")
        self.verify(head, plain, tail, signature[:16])
        return plain

    def _mac(self, number: int, data: bytes) -> bytes:
        return hmac.digest(self.session_key + number.to_bytes(4, "big"), data, "sha256")[:16]

    def _mask(self, number: int, data: bytes) -> bytes:
        stream = shake_128(self.session_key + number.to_bytes(4, "big")).digest(len(data))
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def policy(minimum_level: int = PRIVACY, **options: bool) -> SecurityPolicy:
    """Offers each type of `LEGS`; the password is always "ann"."""

    def offer(legs: int) -> Callable[[], Toy]:
        return lambda: Toy(legs, "ann", **options)

    return SecurityPolicy(
        acceptors={auth_type: offer(legs) for auth_type, legs in LEGS.items()},
        minimum_level=minimum_level,
        open_interfaces=frozenset({OTHER}),
    )


class Ends:
    """A client and a server, and the wire between them. Every PDU passes `wire`."""

    def __init__(
        self,
        auth_type: int | None = SPNEGO,
        level: int = PRIVACY,
        *,
        terms: SecurityPolicy | None = None,
        password: str = "ann",
        mechanism: Initiator | None = None,
        form: int = 0,
        max_fragment: int = server.REMOTE_FRAGMENT,
        covers_headers: bool = False,
        wire: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        security = None
        if auth_type is not None:
            toy = Toy(LEGS[auth_type], password, covers_headers=covers_headers)
            security = Initiation(mechanism or toy, auth_type, level)
        self.security = security
        self.near = client.ClientConnection(form=form, security=security)
        self.far = server.ServerConnection(
            [ECHO, OTHER],
            secondary_address="135",
            max_fragment=max_fragment,
            policy=terms or policy(covers_headers=covers_headers),
        )
        self.wire = wire
        self.heard: list[events.ServerEvent] = []
        self.answers: list[object] = []
        self.contexts: list[Protection] = []

    def bind(self) -> None:
        self.send(self.near.bind([ECHO, OTHER]))

    def send(self, data: bytes) -> None:
        """To the server, and everything that follows of it, up to the last answer."""
        while data:
            for event in self.far.receive_data(self.wire(data)):
                self.heard.append(event)
                if isinstance(event, events.BindRequested):
                    self.far.accept_bind(7)
                elif isinstance(event, events.Authenticated):
                    self.contexts.append(event.context)
                elif isinstance(event, events.Request):
                    self.far.respond(event.call_id, event.stub)
            back = self.far.data_to_send()
            if back:
                self.answers += self.near.receive_data(self.wire(back))
            data = self.near.data_to_send()

    def echo(self, stub: bytes) -> object:
        """What a call with this stub is answered by."""
        _, data = self.near.call(ECHO, 0, stub)
        self.send(data)
        return self.answers[-1]
