"""Security descriptors: owner, group, DACL and SACL, and their self-relative bytes.

[MS-DTYP] 2.4.4 to 2.4.6. An ACE of a type that is not understood refuses the whole
descriptor: what cannot be evaluated must not be stored as if it protected something.
Checking is `access.py`'s, the text form `sddl.py`'s.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from functools import lru_cache

from scmd.security.sid import SidError, sid_from_bytes, sid_size, sid_to_bytes
from scmd.vocabulary.value import Value

MAX_DESCRIPTOR_BYTES = 0x20000
"""Ours: two of the longest ACLs, nearly. RSetServiceObjectSecurity itself knows no bound."""

_HEADER = struct.Struct("<BBHIIII")
_ACL_HEADER = struct.Struct("<BBHHH")
_ACE_HEADER = struct.Struct("<BBHI")


class DescriptorError(ValueError):
    """Bytes or text that are not a security descriptor scmd can evaluate."""


class AceType(IntEnum):
    """AceType, [MS-DTYP] 2.4.4.1."""

    ACCESS_ALLOWED = 0x00
    ACCESS_DENIED = 0x01
    SYSTEM_AUDIT = 0x02
    SYSTEM_MANDATORY_LABEL = 0x11


class AceFlags(IntFlag):
    """AceFlags, [MS-DTYP] 2.4.4.1."""

    NONE = 0
    OBJECT_INHERIT = 0x01
    CONTAINER_INHERIT = 0x02
    NO_PROPAGATE_INHERIT = 0x04
    INHERIT_ONLY = 0x08
    INHERITED = 0x10
    SUCCESSFUL_ACCESS = 0x40
    FAILED_ACCESS = 0x80


class DescriptorControl(IntFlag):
    """The Control field, [MS-DTYP] 2.4.6."""

    NONE = 0
    OWNER_DEFAULTED = 0x0001
    GROUP_DEFAULTED = 0x0002
    DACL_PRESENT = 0x0004
    DACL_DEFAULTED = 0x0008
    SACL_PRESENT = 0x0010
    SACL_DEFAULTED = 0x0020
    DACL_AUTO_INHERIT_REQUIRED = 0x0100
    SACL_AUTO_INHERIT_REQUIRED = 0x0200
    DACL_AUTO_INHERITED = 0x0400
    SACL_AUTO_INHERITED = 0x0800
    DACL_PROTECTED = 0x1000
    SACL_PROTECTED = 0x2000
    RM_CONTROL_VALID = 0x4000
    SELF_RELATIVE = 0x8000


class Ace(Value):
    """One access control entry."""

    type: AceType
    mask: int
    sid: str
    flags: AceFlags = AceFlags.NONE


class SecurityDescriptor(Value):
    """A descriptor; an ACL of None is absent, or a NULL ACL when `control` says it is present."""

    owner: str | None = None
    group: str | None = None
    dacl: tuple[Ace, ...] | None = None
    """None lets everybody do everything; () lets nobody do anything."""
    sacl: tuple[Ace, ...] | None = None
    control: int = 0
    """`DescriptorControl` bits; SELF_RELATIVE never, a PRESENT bit only for a NULL ACL."""

    @classmethod
    def from_bytes(cls, data: bytes) -> SecurityDescriptor:
        """The descriptor in self-relative form; DescriptorError for anything else."""
        try:
            return _read(data)
        except SidError as error:
            raise DescriptorError(f"security descriptor: {error}") from error

    def to_bytes(self) -> bytes:
        """The self-relative form: header, SACL, DACL, owner, group."""
        sections = (
            b"" if self.owner is None else sid_to_bytes(self.owner),
            b"" if self.group is None else sid_to_bytes(self.group),
            b"" if self.sacl is None else acl_to_bytes(self.sacl),
            b"" if self.dacl is None else acl_to_bytes(self.dacl),
        )
        offsets = [0, 0, 0, 0]
        position = _HEADER.size
        for index in (2, 3, 0, 1):
            if sections[index]:
                offsets[index] = position
                position += len(sections[index])
        control = int(self.control) | DescriptorControl.SELF_RELATIVE
        if self.dacl is not None:
            control |= DescriptorControl.DACL_PRESENT
        if self.sacl is not None:
            control |= DescriptorControl.SACL_PRESENT
        owner, group, sacl, dacl = sections
        return _HEADER.pack(1, 0, control, *offsets) + sacl + dacl + owner + group


def acl_to_bytes(aces: tuple[Ace, ...]) -> bytes:
    """An ACL of revision 2; DescriptorError when it is longer than 65,535 bytes."""
    body = b"".join(
        _ACE_HEADER.pack(ace.type, ace.flags, 8 + sid_size(ace.sid), ace.mask)
        + sid_to_bytes(ace.sid)
        for ace in aces
    )
    size = _ACL_HEADER.size + len(body)
    if size > 0xFFFF:
        raise DescriptorError(f"an ACL of {len(aces)} entries is longer than 65,535 bytes")
    return _ACL_HEADER.pack(2, 0, size, len(aces), 0) + body


@lru_cache(32)
def _read(data: bytes) -> SecurityDescriptor:
    if not _HEADER.size <= len(data) <= MAX_DESCRIPTOR_BYTES:
        raise DescriptorError(f"a security descriptor of {len(data)} bytes")
    revision, _, control, owner, group, sacl, dacl = _HEADER.unpack_from(data)
    if revision != 1 or not control & DescriptorControl.SELF_RELATIVE:
        raise DescriptorError("not a self-relative security descriptor of revision 1")
    has_dacl = control & DescriptorControl.DACL_PRESENT and dacl
    has_sacl = control & DescriptorControl.SACL_PRESENT and sacl
    kept = control & ~DescriptorControl.SELF_RELATIVE
    if has_dacl or not control & DescriptorControl.DACL_PRESENT:
        kept &= ~DescriptorControl.DACL_PRESENT
    if has_sacl or not control & DescriptorControl.SACL_PRESENT:
        kept &= ~DescriptorControl.SACL_PRESENT
    return SecurityDescriptor(
        owner=sid_from_bytes(data, owner) if owner else None,
        group=sid_from_bytes(data, group) if group else None,
        dacl=_read_acl(data, dacl) if has_dacl else None,
        sacl=_read_acl(data, sacl) if has_sacl else None,
        control=kept,
    )


def _read_acl(data: bytes, offset: int) -> tuple[Ace, ...]:
    if len(data) - offset < _ACL_HEADER.size:
        raise DescriptorError("an ACL starts past the end")
    revision, _, size, count, _ = _ACL_HEADER.unpack_from(data, offset)
    if revision not in (2, 4) or size < _ACL_HEADER.size or offset + size > len(data):
        raise DescriptorError(f"an ACL of revision {revision} and {size} bytes")
    aces: list[Ace] = []
    position, end = offset + _ACL_HEADER.size, offset + size
    for _ in range(count):
        if end - position < _ACE_HEADER.size:
            raise DescriptorError(f"an ACL of {count} entries has room for {len(aces)}")
        length = struct.unpack_from("<H", data, position + 2)[0]
        if length < _ACE_HEADER.size or position + length > end:
            raise DescriptorError(f"an ACE of {length} bytes in an ACL of {size}")
        aces.append(_read_ace(data[position : position + length]))
        position += length
    return tuple(aces)


def _read_ace(data: bytes) -> Ace:
    kind, flags, _, mask = _ACE_HEADER.unpack_from(data)
    try:
        type = AceType(kind)
    except ValueError as error:
        raise DescriptorError(f"an ACE of type {kind}, which is not understood") from error
    return Ace(type=type, mask=mask, sid=sid_from_bytes(data, 8), flags=AceFlags(flags))
