"""Keytabs: which keys of Kerberos a file holds, as far as who they are of. No key is read.

The format is MIT's, version 0x502: records, each after its length, a negative one for a hole.
"""

from __future__ import annotations

from struct import error as StructError
from struct import unpack_from

_MAX_BYTES = 1 << 20
_VERSION = b"\5\2"


class KeytabError(ValueError):
    """Not a keytab that can serve; the text says why."""


def host_principal(path: str) -> str:
    """The first `host/NAME@REALM` with a key in the file. KeytabError, or OSError."""
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES)
    try:
        principals = _principals(data)
    except (StructError, UnicodeDecodeError):
        principals = None
    if principals is None:
        raise KeytabError(f"{path} is no keytab")
    for principal in principals:
        if principal.lower().startswith("host/"):
            return principal
    raise KeytabError(f"the keytab {path} has no key of host/NAME")


def _principals(data: bytes) -> list[str] | None:
    if data[:2] != _VERSION:
        return None
    found = []
    position = 2
    while position < len(data):
        (size,) = unpack_from(">i", data, position)
        position += 4
        if size == 0:
            break
        if size > 0:
            found.append(_principal(data[position : position + size]))
        position += abs(size)
    return found


def _principal(record: bytes) -> str:
    (count,) = unpack_from(">H", record)
    position = 2
    words = []
    for _ in range(count + 1):
        (size,) = unpack_from(">H", record, position)
        (word,) = unpack_from(f"{size}s", record, position + 2)
        words.append(word.decode())
        position += 2 + size
    realm, *components = words
    return f"{'/'.join(components)}@{realm}"
