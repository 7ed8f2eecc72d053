"""SDDL: security descriptors as text, in and out ([MS-DTYP] 2.5.1).

Rights are written as Windows writes them: a name of its own for the file and key masks,
else the letters in bit order, else a hexadecimal number. Names of accounts that only a
domain has (`DA`, `EA`...) are refused, because there is no domain to take them from.
"""

from __future__ import annotations

from itertools import pairwise

from scmd.security.descriptor import (
    Ace,
    AceFlags,
    AceType,
    DescriptorControl,
    DescriptorError,
    SecurityDescriptor,
)
from scmd.security.sid import SidError, canonical_sid

TRUSTEES = {
    "WD": "S-1-1-0",
    "CO": "S-1-3-0",
    "CG": "S-1-3-1",
    "OW": "S-1-3-4",
    "NU": "S-1-5-2",
    "IU": "S-1-5-4",
    "SU": "S-1-5-6",
    "AN": "S-1-5-7",
    "ED": "S-1-5-9",
    "PS": "S-1-5-10",
    "AU": "S-1-5-11",
    "RC": "S-1-5-12",
    "SY": "S-1-5-18",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "WR": "S-1-5-33",
    "UD": "S-1-5-84-0-0-0-0-0",
    "BA": "S-1-5-32-544",
    "BU": "S-1-5-32-545",
    "BG": "S-1-5-32-546",
    "PU": "S-1-5-32-547",
    "AO": "S-1-5-32-548",
    "SO": "S-1-5-32-549",
    "PO": "S-1-5-32-550",
    "BO": "S-1-5-32-551",
    "RE": "S-1-5-32-552",
    "RU": "S-1-5-32-554",
    "RD": "S-1-5-32-555",
    "NO": "S-1-5-32-556",
    "MU": "S-1-5-32-558",
    "LU": "S-1-5-32-559",
    "IS": "S-1-5-32-568",
    "CY": "S-1-5-32-569",
    "ER": "S-1-5-32-573",
    "CD": "S-1-5-32-574",
    "RA": "S-1-5-32-575",
    "ES": "S-1-5-32-576",
    "MS": "S-1-5-32-577",
    "HA": "S-1-5-32-578",
    "AA": "S-1-5-32-579",
    "RM": "S-1-5-32-580",
    "AC": "S-1-15-2-1",
    "LW": "S-1-16-4096",
    "ME": "S-1-16-8192",
    "MP": "S-1-16-8448",
    "HI": "S-1-16-12288",
    "SI": "S-1-16-16384",
    "AS": "S-1-18-1",
    "SS": "S-1-18-2",
}
DOMAIN_TRUSTEES = "AP CA CN DA DC DD DG DU EA EK KA LA LG PA RO RS SA"

RIGHTS = {
    "CC": 0x0000_0001,
    "DC": 0x0000_0002,
    "LC": 0x0000_0004,
    "SW": 0x0000_0008,
    "RP": 0x0000_0010,
    "WP": 0x0000_0020,
    "DT": 0x0000_0040,
    "LO": 0x0000_0080,
    "CR": 0x0000_0100,
    "SD": 0x0001_0000,
    "RC": 0x0002_0000,
    "WD": 0x0004_0000,
    "WO": 0x0008_0000,
    "GA": 0x1000_0000,
    "GX": 0x2000_0000,
    "GW": 0x4000_0000,
    "GR": 0x8000_0000,
}
"""One bit each, ascending: the order in which they are written."""
NAMED_MASKS = {
    "FA": 0x001F_01FF,
    "FR": 0x0012_0089,
    "FW": 0x0012_0116,
    "FX": 0x0012_00A0,
    "KA": 0x000F_003F,
    "KR": 0x0002_0019,
    "KW": 0x0002_0006,
    "KX": 0x0002_0019,
}
LABEL_RIGHTS = {"NW": 1, "NR": 2, "NX": 4}

ACE_TYPES = {
    "A": AceType.ACCESS_ALLOWED,
    "D": AceType.ACCESS_DENIED,
    "AU": AceType.SYSTEM_AUDIT,
    "ML": AceType.SYSTEM_MANDATORY_LABEL,
}
ACE_FLAGS = {
    "OI": AceFlags.OBJECT_INHERIT,
    "CI": AceFlags.CONTAINER_INHERIT,
    "NP": AceFlags.NO_PROPAGATE_INHERIT,
    "IO": AceFlags.INHERIT_ONLY,
    "ID": AceFlags.INHERITED,
    "SA": AceFlags.SUCCESSFUL_ACCESS,
    "FA": AceFlags.FAILED_ACCESS,
}
_ACL_FLAGS = {
    "D": {
        "P": DescriptorControl.DACL_PROTECTED,
        "AR": DescriptorControl.DACL_AUTO_INHERIT_REQUIRED,
        "AI": DescriptorControl.DACL_AUTO_INHERITED,
    },
    "S": {
        "P": DescriptorControl.SACL_PROTECTED,
        "AR": DescriptorControl.SACL_AUTO_INHERIT_REQUIRED,
        "AI": DescriptorControl.SACL_AUTO_INHERITED,
    },
}
_PRESENT = {"D": DescriptorControl.DACL_PRESENT, "S": DescriptorControl.SACL_PRESENT}
_NULL_ACL = "NO_ACCESS_CONTROL"
_MAX_TEXT = 0x20000

_LETTERS_BY_SID = {sid: letters for letters, sid in TRUSTEES.items()}
_NAMES_BY_MASK = {mask: name for name, mask in reversed(NAMED_MASKS.items())}


def descriptor_from_sddl(text: str) -> SecurityDescriptor:
    """The descriptor a text describes; DescriptorError names what is wrong with it."""
    if len(text) > _MAX_TEXT:
        raise DescriptorError(f"SDDL of {len(text)} characters")
    fields: dict[str, object] = {}
    control = 0
    for tag, body in _sections(text):
        if tag in "OG":
            fields["owner" if tag == "O" else "group"] = _sid_from_text(body)
            continue
        flags, aces = _acl_from_text(tag, body)
        control |= flags
        fields["dacl" if tag == "D" else "sacl"] = aces
    return SecurityDescriptor(control=control, **fields)  # type: ignore[arg-type] # by field


def descriptor_to_sddl(
    descriptor: SecurityDescriptor, *, owner: bool = True, group: bool = True
) -> str:
    """The text: O, G, D, S; `sc sdshow` leaves owner and group out."""
    parts = []
    if owner and descriptor.owner is not None:
        parts.append("O:" + _sid_to_text(descriptor.owner))
    if group and descriptor.group is not None:
        parts.append("G:" + _sid_to_text(descriptor.group))
    for tag, aces in (("D", descriptor.dacl), ("S", descriptor.sacl)):
        flags = "".join(
            letters for letters, bit in _ACL_FLAGS[tag].items() if descriptor.control & bit
        )
        if aces is not None:
            parts.append(f"{tag}:{flags}" + "".join(map(ace_to_sddl, aces)))
        elif descriptor.control & _PRESENT[tag]:
            parts.append(f"{tag}:{flags}{_NULL_ACL}")
    return "".join(parts)


def ace_to_sddl(ace: Ace) -> str:
    """One entry in its parentheses."""
    kind = next(letters for letters, type in ACE_TYPES.items() if type == ace.type)
    flags = "".join(letters for letters, bit in ACE_FLAGS.items() if ace.flags & bit)
    return f"({kind};{flags};{_mask_to_text(ace.type, ace.mask)};;;{_sid_to_text(ace.sid)})"


def _sections(text: str) -> list[tuple[str, str]]:
    """The parts `O:`, `G:`, `D:`, `S:` in any order, each at most once."""
    starts = []
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == ":" and depth == 0 and position:
            starts.append(position - 1)
    if text.strip() and (not starts or text[: starts[0]].strip()):
        raise DescriptorError(f"SDDL starts with {text[:8]!r}, expected O:, G:, D: or S:")
    sections: list[tuple[str, str]] = []
    for start, end in pairwise([*starts, len(text)]):
        tag = text[start]
        if tag not in "OGDS" or any(tag == other for other, _ in sections):
            raise DescriptorError(f"SDDL part {tag!r}: unknown or given twice")
        sections.append((tag, text[start + 2 : end].strip()))
    return sections


def _acl_from_text(tag: str, body: str) -> tuple[int, tuple[Ace, ...] | None]:
    head, parenthesis, rest = body.partition("(")
    head = head.strip()
    is_null = head.endswith(_NULL_ACL)
    if is_null:
        head = head.removesuffix(_NULL_ACL)
    control = 0
    while head:
        letters = "P" if head[0] == "P" else head[:2]
        if letters not in _ACL_FLAGS[tag]:
            raise DescriptorError(f"SDDL {tag}: unknown flags {head!r} (P, AR, AI are known)")
        control |= _ACL_FLAGS[tag][letters]
        head = head[len(letters) :]
    if is_null:
        if parenthesis:
            raise DescriptorError(f"SDDL {tag}: {_NULL_ACL} has no entries")
        return control | _PRESENT[tag], None
    return control, _aces_from_text(tag, parenthesis + rest)


def _aces_from_text(tag: str, text: str) -> tuple[Ace, ...]:
    aces = []
    while text:
        end = text.find(")")
        if text[0] != "(" or end < 0:
            raise DescriptorError(f"SDDL {tag}: expected an entry in parentheses at {text[:16]!r}")
        aces.append(_ace_from_text(tag, text[1:end]))
        text = text[end + 1 :].lstrip()
    return tuple(aces)


def _ace_from_text(tag: str, text: str) -> Ace:
    fields = [field.strip() for field in text.split(";")]
    if len(fields) != 6 or fields[0] not in ACE_TYPES or fields[3] or fields[4]:
        raise DescriptorError(
            f"SDDL entry ({text}): expected (type;flags;rights;;;trustee) of type A, D, AU or ML"
        )
    type = ACE_TYPES[fields[0]]
    if (type in (AceType.ACCESS_ALLOWED, AceType.ACCESS_DENIED)) != (tag == "D"):
        raise DescriptorError(f"SDDL entry ({text}) does not belong into {tag}:")
    flags = 0
    for letters in _pairs(fields[1], text):
        if letters not in ACE_FLAGS:
            raise DescriptorError(f"SDDL entry ({text}): unknown flag {letters!r}")
        flags |= ACE_FLAGS[letters]
    mask = _mask_from_text(type, fields[2], text)
    return Ace(type=type, mask=mask, sid=_sid_from_text(fields[5]), flags=AceFlags(flags))


def _pairs(field: str, text: str) -> list[str]:
    if len(field) % 2:
        raise DescriptorError(f"SDDL entry ({text}): {field!r} is not made of letter pairs")
    return [field[index : index + 2] for index in range(0, len(field), 2)]


def _mask_from_text(type: AceType, field: str, text: str) -> int:
    if field[:1].isdigit():
        return _number(field, text)
    mask = 0
    for letters in _pairs(field, text):
        if type is AceType.SYSTEM_MANDATORY_LABEL and letters in LABEL_RIGHTS:
            mask |= LABEL_RIGHTS[letters]
        elif letters in RIGHTS:
            mask |= RIGHTS[letters]
        elif letters in NAMED_MASKS:
            mask |= NAMED_MASKS[letters]
        else:
            raise DescriptorError(f"SDDL entry ({text}): unknown right {letters!r}")
    return mask


def _number(field: str, text: str) -> int:
    base = 16 if field[:2] in ("0x", "0X") else 8 if field[0] == "0" and len(field) > 1 else 10
    try:
        number = int(field, base) if len(field) <= 12 and "_" not in field else -1
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFFFFFF:
        raise DescriptorError(f"SDDL entry ({text}): {field!r} is not a 32-bit number")
    return number


def _mask_to_text(type: AceType, mask: int) -> str:
    if type is AceType.SYSTEM_MANDATORY_LABEL:
        letters, table = "", LABEL_RIGHTS
    else:
        letters, table = _NAMES_BY_MASK.get(mask, ""), RIGHTS
    if letters:
        return letters
    rest = mask
    for name, bit in table.items():
        if mask & bit:
            letters += name
            rest &= ~bit
    return f"0x{mask:x}" if rest else letters


def _sid_from_text(text: str) -> str:
    if text in TRUSTEES:
        return TRUSTEES[text]
    if text in DOMAIN_TRUSTEES.split():
        raise DescriptorError(f"SDDL trustee {text!r} needs a domain; give the SID instead")
    try:
        return canonical_sid(text)
    except SidError as error:
        raise DescriptorError(f"SDDL trustee {text!r}: neither known letters nor a SID") from error


def _sid_to_text(sid: str) -> str:
    return _LETTERS_BY_SID.get(sid, sid)
