"""Mechanisms: tokens back and forth until both ends agree, then signatures and seals.

An acceptor is the server's half, an initiator the client's; each lives for one security context.
`rpc` knows mechanisms by these protocols only, so that NTLM, SPNEGO and, from outside the pure
layers, Kerberos are used alike. A mechanism refuses with `SecurityError`, after which it is of
no more use.
"""

from __future__ import annotations

from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from scmd.rpc.interface import Interface
else:
    Protocol = object

SPNEGO = 9
NTLM = 10
KERBEROS = 16
"""auth_type, [MS-RPCE] 2.2.1.1.7."""

LEVEL_NONE = 1
CONNECT = 2
CALL = 3
PACKET = 4
INTEGRITY = 5
PRIVACY = 6
"""auth_level, [MS-RPCE] 2.2.1.1.8. CALL is treated as PACKET."""


class SecurityError(Exception):
    """The other end is not who it says, or a PDU is not what was sent. Says no secrets."""


class Identity(Value):
    """Whom an acceptor has found at the other end. What that means here is the owner's to say."""

    user: str
    domain: str = ""
    mechanism: str
    """`NTLM` or `Kerberos`."""

    def __str__(self) -> str:
        return f"{self.domain}\\{self.user}" if self.domain else self.user


class Mechanism(Protocol):
    """Either half. The parts of a PDU that are to be covered: header, body, trailer without token.

    Signing and sealing count PDUs: each must be done once, in the order of the wire.
    """

    @property
    def covers_headers(self) -> bool:
        """It signs headers even where the ends have not agreed on header signing (NTLM)."""

    @property
    def session_key(self) -> bytes:
        """The key both ends share, once done."""

    def is_done(self) -> bool:
        """Nothing more is expected from the other end, and both ends are proved."""

    def step(self, token: bytes) -> bytes | None:
        """Take a token and give the next one, if there is one. SecurityError: refused."""

    def list_mic(self, data: bytes) -> bytes:
        """The proof that SPNEGO's list of mechanisms is the one this end knows."""

    def check_list_mic(self, data: bytes, mic: bytes) -> None:
        """SecurityError: the other end knows another list."""

    def signature_size(self, sealing: bool) -> int:
        """The size of every signature, or of every seal's signature."""

    def sign(self, head: bytes, body: bytes, tail: bytes) -> bytes:
        """The signature of a PDU to send."""

    def verify(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> None:
        """SecurityError: the next PDU of the other end is not this one."""

    def seal(self, head: bytes, body: bytes, tail: bytes) -> tuple[bytes, bytes]:
        """The encrypted body of a PDU to send, and its signature."""

    def unseal(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> bytes:
        """The plain body. SecurityError as for `verify`."""


class Acceptor(Mechanism, Protocol):
    """The server's half: it is given the first token."""

    @property
    def identity(self) -> Identity:
        """Whose session this is, once done."""


class Initiator(Mechanism, Protocol):
    """The client's half: `step(b"")` gives the first token."""


class SecurityPolicy(Value):
    """What a server demands of a connection's client."""

    acceptors: Mapping[int, Callable[[], Acceptor]] = {}
    """How a context of each auth_type offered begins. Empty: none is spoken, a bind that asks for
    one is refused."""
    minimum_level: int = LEVEL_NONE
    """Calls below it are answered "access denied". LEVEL_NONE: whoever connected needs no
    authentication here, because the transport has said who that is."""
    open_interfaces: frozenset[Interface] = frozenset()
    """Anybody may call these, at any level: what tells nothing and changes nothing."""


TRUSTED_TRANSPORT = SecurityPolicy()
"""A unix socket, or a named pipe whose SMB session was authenticated."""
