"""Two values the wire is full of: context handles and GUIDs, as bytes with a meaning.

Both are kept in their little-endian form whatever the PDU's byte order was, so that equal
handles are equal bytes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class ContextHandle(bytes):
    """A context handle, 20 bytes: attributes and a UUID ([C706] 4.2.16.6)."""

    __slots__ = ()

    @classmethod
    def of(cls, uuid: bytes, attributes: int = 0) -> Self:
        """The handle with this 16-byte UUID; ValueError for another length."""
        if len(uuid) != 16:
            raise ValueError(f"a context handle's UUID has 16 bytes, not {len(uuid)}")
        return cls(attributes.to_bytes(4, "little") + uuid)

    @property
    def attributes(self) -> int:
        return int.from_bytes(self[:4], "little")

    @property
    def uuid(self) -> bytes:
        return self[4:]

    @property
    def is_null(self) -> bool:
        return not any(self)


NULL_HANDLE = ContextHandle(20)


class Guid(bytes):
    """A GUID's 16 bytes as little-endian NDR has them."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `367abb81-9844-35f1-ad32-98f038001003`; ValueError for anything else."""
        parts = text.strip("{}").split("-")
        if [len(part) for part in parts] != [8, 4, 4, 4, 12]:
            raise ValueError(f"{text!r} is not a GUID")
        return cls(swap_guid(bytes.fromhex("".join(parts))))

    def __str__(self) -> str:
        text = swap_guid(self).hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


NULL_GUID = Guid(16)


def swap_guid(raw: bytes) -> bytes:
    """The same GUID in the other byte order: the first three fields are turned round."""
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:16]
