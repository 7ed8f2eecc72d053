"""Grants: a service's DACL in words that people use, and changed in them.

A word stands for a set of access rights. What a trustee was granted is what the entries that
name it allow, less what is denied before; how groups add up for a caller is `access.py`'s.
Granting keeps one allowing entry a trustee that is not inherited, and takes the rights out of the
denying ones. Revoking rights leaves those as they are: taken out, they might give what a group has.
"""

from __future__ import annotations

from scmd.security.access import GenericMapping
from scmd.security.defaults import SCM_MAPPING, SERVICE_MAPPING
from scmd.security.descriptor import Ace, AceFlags, AceType, SecurityDescriptor
from scmd.security.sddl import TRUSTEES
from scmd.vocabulary.service import ScmAccess, ServiceAccess, StandardAccess
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_S = ServiceAccess
_M = ScmAccess
_STANDARD = StandardAccess

SERVICE_WORDS: Mapping[str, int] = {
    "query": SERVICE_MAPPING.read,
    "start": int(_S.START),
    "stop": int(_S.STOP),
    "pause": int(_S.PAUSE_CONTINUE),
    "control": int(_S.USER_DEFINED_CONTROL),
    "change": int(_S.CHANGE_CONFIG),
    "delete": int(_STANDARD.DELETE),
    "security": int(_STANDARD.READ_CONTROL | _STANDARD.WRITE_DAC | _STANDARD.WRITE_OWNER),
    "all": int(_S.ALL_ACCESS),
}
"""For a service. `query` is what reading status and configuration takes."""
SCM_WORDS: Mapping[str, int] = {
    "connect": int(_M.CONNECT),
    "list": int(_STANDARD.READ_CONTROL | _M.CONNECT | _M.ENUMERATE_SERVICE | _M.QUERY_LOCK_STATUS),
    "create": int(_M.CONNECT | _M.CREATE_SERVICE),
    "lock": int(_M.CONNECT | _M.LOCK),
    "boot": int(_M.CONNECT | _M.MODIFY_BOOT_CONFIG),
    "security": int(_STANDARD.READ_CONTROL | _STANDARD.WRITE_DAC | _STANDARD.WRITE_OWNER),
    "all": int(_M.ALL_ACCESS),
}
"""For the SCM itself."""
_EXPLICIT = ~int(AceFlags.INHERITED | AceFlags.INHERIT_ONLY)

TRUSTEE_NAMES: Mapping[str, str] = {
    "Administrators": TRUSTEES["BA"],
    "Users": TRUSTEES["BU"],
    "Everyone": TRUSTEES["WD"],
    "Interactive": TRUSTEES["IU"],
    "Network": TRUSTEES["NU"],
    "Service": TRUSTEES["SU"],
    "Authenticated Users": TRUSTEES["AU"],
    "LocalSystem": TRUSTEES["SY"],
    "LocalService": TRUSTEES["LS"],
    "NetworkService": TRUSTEES["NS"],
}
"""Trustees that have the same SID on every machine."""


class Grant(Value):
    """What one trustee may do, and what is denied to it, both mapped to specific rights."""

    sid: str
    allowed: int
    denied: int


def mask_of_words(words: Iterable[str], table: Mapping[str, int]) -> int:
    """All of their rights; KeyError carries the first word that the table lacks."""
    mask = 0
    for word in words:
        mask |= table[word.lower()]
    return mask


def words_of_mask(mask: int, table: Mapping[str, int]) -> list[str]:
    """Words that together say the mask, and a number for what no word says."""
    if table["all"] & ~mask == 0:
        return ["all"]
    words = [word for word, rights in table.items() if rights & ~mask == 0]
    rest = mask
    for word in words:
        rest &= ~table[word]
    return [*words, *([f"0x{rest:x}"] if rest else [])]


def grants(descriptor: SecurityDescriptor, mapping: GenericMapping) -> list[Grant] | None:
    """What each trustee is granted, in the DACL's order; None: everybody everything."""
    if descriptor.dacl is None:
        return None
    found: dict[str, tuple[int, int]] = {}
    for ace in descriptor.dacl:
        if ace.flags & AceFlags.INHERIT_ONLY:
            continue
        allowed, denied = found.get(ace.sid, (0, 0))
        mask = mapping.map(ace.mask)
        if ace.type == AceType.ACCESS_ALLOWED:
            allowed |= mask & ~denied
        else:
            denied |= mask & ~allowed
        found[ace.sid] = allowed, denied
    return [
        Grant(sid=sid, allowed=allowed, denied=denied) for sid, (allowed, denied) in found.items()
    ]


def granted(descriptor: SecurityDescriptor, sid: str, mask: int) -> SecurityDescriptor:
    """The descriptor with these rights allowed to the trustee, and no longer denied to it.

    A NULL DACL, which allows everybody everything, stays as it is.
    """
    if descriptor.dacl is None:
        return descriptor
    aces = _without(descriptor.dacl, sid, mask, AceType.ACCESS_DENIED)
    for place, ace in enumerate(aces):
        if (
            ace.sid == sid
            and ace.type == AceType.ACCESS_ALLOWED
            and ace.flags == ace.flags & _EXPLICIT
        ):
            aces[place] = ace.replace(mask=ace.mask | mask)
            break
    else:
        aces.append(Ace(type=AceType.ACCESS_ALLOWED, mask=mask, sid=sid))
    return descriptor.replace(dacl=tuple(aces))


def revoked(
    descriptor: SecurityDescriptor, sid: str, mask: int | None, mapping: GenericMapping
) -> SecurityDescriptor:
    """The descriptor without these rights of the trustee; None: without any entry of it.

    ValueError: the DACL is NULL, there is no entry to take rights from.
    """
    if descriptor.dacl is None:
        raise ValueError("everybody may do everything: the descriptor has no list of rights")
    if mask is None:
        return descriptor.replace(dacl=tuple(ace for ace in descriptor.dacl if ace.sid != sid))
    aces = [
        ace.replace(mask=mapping.map(ace.mask)) if ace.sid == sid else ace
        for ace in descriptor.dacl
    ]
    return descriptor.replace(dacl=tuple(_without(aces, sid, mask, AceType.ACCESS_ALLOWED)))


def _without(aces: Iterable[Ace], sid: str, mask: int, type: AceType) -> list[Ace]:
    """The entries; those of this trustee and type lose the rights, and go when none is left."""
    kept = []
    for ace in aces:
        if ace.sid == sid and ace.type == type:
            if not ace.mask & ~mask:
                continue
            ace = ace.replace(mask=ace.mask & ~mask)
        kept.append(ace)
    return kept


def words_and_mapping(is_scm: bool) -> tuple[Mapping[str, int], GenericMapping]:
    """The words and the generic mapping of the kind of object."""
    return (SCM_WORDS, SCM_MAPPING) if is_scm else (SERVICE_WORDS, SERVICE_MAPPING)
