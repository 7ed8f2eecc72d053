"""How lpPassword travels by named pipe: under the SMB session's key, by DES ([MS-LSAD] 5.1.2).

By TCP the password is plain and the whole call is sealed; what a pipe carries need not be.
"""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 8
KEY_BYTES = 16
_VERSION = 1
_STEP = 7


def encrypted(secret: bytes, session_key: bytes) -> bytes:
    """The secret behind its length and the version, padded with zeros; 16 bytes are the key."""
    plain = len(secret).to_bytes(4, "little") + _VERSION.to_bytes(4, "little") + secret
    plain += bytes(-len(plain) % BLOCK_BYTES)
    starts = range(0, len(plain), BLOCK_BYTES)
    return b"".join(
        Cipher(TripleDES(key * 3), modes.ECB()).encryptor().update(plain[at : at + BLOCK_BYTES])
        for at, key in zip(starts, _keys(session_key), strict=False)
    )


def _keys(session_key: bytes) -> Iterator[bytes]:
    """The DES key of each block, for ever: seven bytes further on each time (5.1.3)."""
    index = 0
    while True:
        bits = int.from_bytes(session_key[index : index + _STEP], "big")
        # Seven bits a byte; the lowest is parity, which nobody looks at.
        yield bytes((bits >> shift & 0x7F) << 1 for shift in range(49, -1, -7))
        index += _STEP
        if index + _STEP > KEY_BYTES:
            index = KEY_BYTES - index
