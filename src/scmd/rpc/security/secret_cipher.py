"""The cipher of lpPassword on named pipes: DES under the SMB session key ([MS-LSAD] 5.1.2).

Over TCP the password is plain and the call is sealed; over a pipe the pipe's session key is all
there is. The cipher is a weak one, and what hides the password there is SMB's own encryption.
"""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from scmd.rpc.security.provider import SecurityError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.ciphers import CipherContext

BLOCK = 8
VERSION = 1
KEY_SIZE = 16
_STEP = 7


def encrypt(secret: bytes, session_key: bytes) -> bytes:
    """The secret behind its length and the version, padded with zeros."""
    plain = len(secret).to_bytes(4, "little") + VERSION.to_bytes(4, "little") + secret
    plain += bytes(-len(plain) & (BLOCK - 1))
    return b"".join(
        _des(key, decrypting=False).update(plain[at : at + BLOCK])
        for at, key in zip(range(0, len(plain), BLOCK), _keys(session_key), strict=False)
    )


def decrypt(data: bytes, session_key: bytes) -> bytes:
    """SecurityError: it was not encrypted under this key, or it is too short or too long."""
    if len(data) < BLOCK or len(data) % BLOCK:
        raise SecurityError("an encrypted password is whole blocks of 8 bytes")
    plain = b"".join(
        _des(key, decrypting=True).update(data[at : at + BLOCK])
        for at, key in zip(range(0, len(data), BLOCK), _keys(session_key), strict=False)
    )
    length = int.from_bytes(plain[:4], "little")
    version = int.from_bytes(plain[4:8], "little")
    if version != VERSION or length > len(plain) - BLOCK:
        raise SecurityError("an encrypted password that this session did not encrypt")
    return plain[BLOCK : BLOCK + length]


def _keys(session_key: bytes) -> Iterator[bytes]:
    """The seven bytes that each block is encrypted under, for ever ([MS-LSAD] 5.1.3)."""
    key = session_key[:KEY_SIZE].ljust(KEY_SIZE, b"\0")
    index = 0
    while True:
        yield key[index : index + _STEP]
        index += _STEP
        if index + _STEP > KEY_SIZE:
            index = KEY_SIZE - index


def _des(seven: bytes, *, decrypting: bool) -> CipherContext:
    bits = int.from_bytes(seven, "big")
    # Seven bits a byte; the lowest is parity, which nobody looks at.
    key = bytes((bits >> shift & 0x7F) << 1 for shift in range(49, -1, -7))
    cipher = Cipher(TripleDES(key * 3), modes.ECB())
    return cipher.decryptor() if decrypting else cipher.encryptor()
