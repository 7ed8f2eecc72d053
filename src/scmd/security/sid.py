"""Security identifiers: text, bytes, the well-known ones, and the SIDs of services.

Everywhere in scmd a SID is its canonical text (`S-1-5-32-544`); the binary form exists
only inside descriptors ([MS-DTYP] 2.4.2).
"""

from __future__ import annotations

import hashlib
import struct

from scmd.vocabulary.names import name_key

EVERYONE = "S-1-1-0"
LOCAL = "S-1-2-0"
OWNER_RIGHTS = "S-1-3-4"
NETWORK = "S-1-5-2"
INTERACTIVE = "S-1-5-4"
SERVICE = "S-1-5-6"
ANONYMOUS = "S-1-5-7"
AUTHENTICATED_USERS = "S-1-5-11"
LOCAL_SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"

MAX_SUB_AUTHORITIES = 15
NT_SERVICE = "S-1-5-80"
_UNIX_USERS = "S-1-22-1"
_UNIX_GROUPS = "S-1-22-2"


class SidError(ValueError):
    """Text or bytes that are not a SID."""


def sid_to_bytes(sid: str) -> bytes:
    """The binary form; SidError unless the text is a SID of revision 1."""
    authority, parts = _parse(sid)
    header = struct.pack(">BBHI", 1, len(parts), authority >> 32, authority & 0xFFFFFFFF)
    return header + struct.pack(f"<{len(parts)}I", *parts)


def sid_from_bytes(data: bytes, offset: int = 0) -> str:
    """The SID that starts at `offset`; SidError when it is malformed or runs past the end."""
    if offset < 0 or len(data) - offset < 8:
        raise SidError("a SID needs at least 8 bytes")
    revision, count, high, low = struct.unpack_from(">BBHI", data, offset)
    if revision != 1 or count > MAX_SUB_AUTHORITIES:
        raise SidError(f"SID revision {revision} with {count} sub-authorities")
    if len(data) - offset < 8 + 4 * count:
        raise SidError(f"a SID of {count} sub-authorities runs past the end")
    parts = struct.unpack_from(f"<{count}I", data, offset + 8)
    return _format(high << 32 | low, parts)


def sid_size(sid: str) -> int:
    """Bytes of the binary form."""
    return 8 + 4 * (sid.count("-") - 2)


def canonical_sid(text: str) -> str:
    """The one spelling of a SID that comparisons use; SidError when it is none."""
    return _format(*_parse(text))


def service_sid(name: str) -> str:
    """`NT SERVICE\\name`: S-1-5-80 and the SHA-1 of the upper-case UTF-16 name."""
    upper = name_key(name).encode("utf-16-le", "surrogatepass")
    digest = hashlib.sha1(upper, usedforsecurity=False).digest()
    return "-".join([NT_SERVICE, *map(str, struct.unpack("<5I", digest))])


def unix_user_sid(uid: int) -> str:
    """Samba's `Unix User`: S-1-22-1-uid."""
    return f"{_UNIX_USERS}-{uid}"


def unix_group_sid(gid: int) -> str:
    """Samba's `Unix Group`: S-1-22-2-gid."""
    return f"{_UNIX_GROUPS}-{gid}"


def _parse(text: str) -> tuple[int, tuple[int, ...]]:
    fields = text.split("-")
    if len(fields) < 3 or fields[0] not in ("S", "s") or fields[1] != "1":
        raise SidError(f"{text!r} is not a SID (S-1-authority-numbers)")
    if len(fields) - 3 > MAX_SUB_AUTHORITIES:
        raise SidError(f"{text!r} has more than {MAX_SUB_AUTHORITIES} sub-authorities")
    authority = _number(fields[2], 2**48, text)
    return authority, tuple(_number(field, 2**32, text) for field in fields[3:])


def _number(field: str, limit: int, text: str) -> int:
    hexadecimal = field[:2] in ("0x", "0X")
    digits = field[2:] if hexadecimal else field
    if not digits.isascii() or not digits.isalnum() or len(digits) > 20:
        raise SidError(f"{text!r} is not a SID: {field!r} is not a number")
    try:
        number = int(digits, 16 if hexadecimal else 10)
    except ValueError as error:
        raise SidError(f"{text!r} is not a SID: {field!r} is not a number") from error
    if number >= limit:
        raise SidError(f"{text!r} is not a SID: {field!r} is out of range")
    return number


def _format(authority: int, parts: tuple[int, ...]) -> str:
    head = str(authority) if authority < 2**32 else f"0x{authority:012X}"
    return "-".join(["S-1", head, *map(str, parts)])
