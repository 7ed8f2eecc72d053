"""MD4 (RFC 1320), for the NT hash alone: OpenSSL 3 offers it no more, and hashlib with it.

An NT hash is MD4 of the password in UTF-16LE. It is what a password is kept as, and as good as it.
"""

from __future__ import annotations

import struct

_MASK = 0xFFFF_FFFF
_ROUNDS = (
    # additive constant, order of the words, shifts
    (0x0000_0000, tuple(range(16)), (3, 7, 11, 19)),
    (0x5A82_7999, (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
    (0x6ED9_EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
)


def _mix(round_number: int, x: int, y: int, z: int) -> int:
    if round_number == 0:
        return (x & y) | (~x & z)
    if round_number == 1:
        return (x & y) | (x & z) | (y & z)
    return x ^ y ^ z


def md4(data: bytes) -> bytes:
    """The digest, 16 bytes."""
    padded = data + b"\x80" + bytes(-(len(data) + 9) & 63) + struct.pack("<Q", len(data) * 8)
    state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476]
    for start in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, start)
        a, b, c, d = state
        for number, (constant, order, shifts) in enumerate(_ROUNDS):
            for step, index in enumerate(order):
                total = (a + _mix(number, b, c, d) + words[index] + constant) & _MASK
                shift = shifts[step & 3]
                rotated = (total << shift | total >> (32 - shift)) & _MASK
                a, b, c, d = d, rotated, b, c
        state = [(old + new) & _MASK for old, new in zip(state, (a, b, c, d), strict=True)]
    return struct.pack("<4I", *state)


def nt_hash(password: str) -> bytes:
    """What NTLM knows of a password ([MS-NLMP] 3.3.1, NTOWFv1)."""
    return md4(password.encode("utf-16-le", "surrogatepass"))
