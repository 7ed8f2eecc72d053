"""NTLMv2's keys, and what is signed and sealed with them ([MS-NLMP] 3.3.2 and 3.4).

Extended session security with 128 bits is the only kind spoken: a signing and a sealing key
each way, and sequence numbers that no PDU can be repeated, left out or moved under.
"""

from __future__ import annotations

import hmac
from struct import Struct as Packer

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from scmd.rpc.security.provider import SecurityError
from scmd.vocabulary.names import name_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import md5

    from cryptography.hazmat.primitives.ciphers import CipherContext
else:
    try:
        # Python's own is twice as fast as OpenSSL's on messages this short.
        from _md5 import md5
    except ImportError:
        from hashlib import md5

SIGNATURE_SIZE = 16
_VERSION = b"\1\0\0\0"
_NUMBER = Packer("<I")
_TO_SERVER = b"client-to-server"
_TO_CLIENT = b"server-to-client"


def response_key(nt_hash: bytes, user: str, domain: str) -> bytes:
    """NTOWFv2: what the response is made with. The domain is the client's to choose."""
    return hmac.digest(nt_hash, (name_key(user) + domain).encode("utf-16-le"), "md5")


def proof(key: bytes, server_challenge: bytes, client_challenge: bytes) -> bytes:
    """NTProofStr, the first 16 bytes of an NTLMv2 response."""
    return hmac.digest(key, server_challenge + client_challenge, "md5")


def base_key(key: bytes, nt_proof: bytes) -> bytes:
    """SessionBaseKey, with NTLMv2 the KeyExchangeKey too."""
    return hmac.digest(key, nt_proof, "md5")


def message_mic(session_key: bytes, negotiate: bytes, challenge: bytes, blank: bytes) -> bytes:
    """The MIC over all three messages; `blank` is the third with zeros in its place."""
    return hmac.digest(session_key, negotiate + challenge + blank, "md5")


def rc4(key: bytes, data: bytes) -> bytes:
    return _stream(key).update(data)


def _stream(key: bytes) -> CipherContext:
    return Cipher(ARC4(key), None).encryptor()


class _Direction:
    """One way's keys, key stream and count."""

    __slots__ = ("_crypt", "_exchanged", "_inner", "_outer", "_sealing_key", "count")

    def __init__(self, session_key: bytes, way: bytes, *, exchanged: bool) -> None:
        # HMAC-MD5 (RFC 2104), with the key's part of it done once.
        key = _derive(session_key, way, b"signing").ljust(64, b"\0")
        self._inner = md5(bytes(byte ^ 0x36 for byte in key))
        self._outer = md5(bytes(byte ^ 0x5C for byte in key))
        self._sealing_key = _derive(session_key, way, b"sealing")
        self._exchanged = exchanged
        self.count = 0
        self.rewind()

    def sign(self, head: bytes, body: bytes, tail: bytes) -> bytes:
        """Of the next message. Encrypted where a key was exchanged (3.4.4.2)."""
        number = _NUMBER.pack(self.count)
        self.count = (self.count + 1) & 0xFFFF_FFFF
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(b"".join((number, head, body, tail)))
        outer.update(inner.digest())
        checksum = outer.digest()[:8]
        if self._exchanged:
            checksum = self._crypt(checksum)
        return b"".join((_VERSION, checksum, number))

    def verify(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(self.sign(head, body, tail), signature):
            raise SecurityError("a wrong signature")

    def seal(self, head: bytes, body: bytes, tail: bytes) -> tuple[bytes, bytes]:
        # The checksum is of the plain body, but the key stream covers the body first.
        sealed = self._crypt(body)
        return sealed, self.sign(head, body, tail)

    def unseal(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> bytes:
        plain = self._crypt(body)
        self.verify(head, plain, tail, signature)
        return plain

    def rewind(self) -> None:
        """Begin the key stream again; the count goes on."""
        self._crypt = _stream(self._sealing_key).update


class NtlmMechanism:
    """What both halves are once they are done. They set the key by `_establish`."""

    covers_headers = True

    def __init__(self) -> None:
        self._keys: tuple[bytes, _Direction, _Direction] | None = None

    def is_done(self) -> bool:
        return self._keys is not None

    @property
    def session_key(self) -> bytes:
        return self._established[0]

    def signature_size(self, sealing: bool) -> int:
        return SIGNATURE_SIZE

    @property
    def sign(self) -> Callable[[bytes, bytes, bytes], bytes]:
        return self._established[1].sign

    @property
    def verify(self) -> Callable[[bytes, bytes, bytes, bytes], None]:
        return self._established[2].verify

    @property
    def seal(self) -> Callable[[bytes, bytes, bytes], tuple[bytes, bytes]]:
        return self._established[1].seal

    @property
    def unseal(self) -> Callable[[bytes, bytes, bytes, bytes], bytes]:
        return self._established[2].unseal

    def list_mic(self, data: bytes) -> bytes:
        mic = self.sign(b"", data, b"")
        # The key stream begins again behind it ([MS-SPNG] 3.3.5.1).
        self._established[1].rewind()
        return mic

    def check_list_mic(self, data: bytes, mic: bytes) -> None:
        self.verify(b"", data, b"", mic)
        self._established[2].rewind()

    def _establish(self, session_key: bytes, *, is_server: bool, exchanged: bool) -> None:
        to_server = _Direction(session_key, _TO_SERVER, exchanged=exchanged)
        to_client = _Direction(session_key, _TO_CLIENT, exchanged=exchanged)
        out, into = (to_client, to_server) if is_server else (to_server, to_client)
        self._keys = session_key, out, into

    @property
    def _established(self) -> tuple[bytes, _Direction, _Direction]:
        """The key, the way out and the way in."""
        assert self._keys is not None, "there is no session yet"
        return self._keys


def _derive(session_key: bytes, way: bytes, use: bytes) -> bytes:
    return md5(b"%ssession key to %s %s key magic constant\0" % (session_key, way, use)).digest()
