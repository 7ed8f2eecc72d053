"""Access checks: what a token may do to an object with this descriptor.

The algorithm is [MS-DTYP] 2.5.3.2 without object ACEs: entries count in the order in
which they are stored, and the first one that speaks of a right decides it. Putting
denials first is the duty of whoever writes the descriptor.
"""

from __future__ import annotations

from scmd.security.descriptor import AceFlags, AceType, SecurityDescriptor
from scmd.security.sid import OWNER_RIGHTS
from scmd.security.token import SE_SECURITY, SE_TAKE_OWNERSHIP
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import StandardAccess
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.security.token import Token

_GENERIC_READ = int(StandardAccess.GENERIC_READ)
_GENERIC_WRITE = int(StandardAccess.GENERIC_WRITE)
_GENERIC_EXECUTE = int(StandardAccess.GENERIC_EXECUTE)
_GENERIC_ALL = int(StandardAccess.GENERIC_ALL)
_GENERIC = _GENERIC_READ | _GENERIC_WRITE | _GENERIC_EXECUTE | _GENERIC_ALL
_MAXIMUM = int(StandardAccess.MAXIMUM_ALLOWED)
_SYSTEM_SECURITY = int(StandardAccess.ACCESS_SYSTEM_SECURITY)
_WRITE_OWNER = int(StandardAccess.WRITE_OWNER)
_OWNER_IMPLICIT = int(StandardAccess.READ_CONTROL | StandardAccess.WRITE_DAC)
_ALLOWED = int(AceType.ACCESS_ALLOWED)
_DENIED = int(AceType.ACCESS_DENIED)
_INHERIT_ONLY = int(AceFlags.INHERIT_ONLY)


class GenericMapping(Value):
    """What the four generic rights mean for a kind of object."""

    read: int
    write: int
    execute: int
    all: int

    def map(self, mask: int) -> int:
        """The mask with its generic bits replaced by what they stand for."""
        if not mask & _GENERIC:
            return mask
        mapped = mask & ~_GENERIC
        if mask & _GENERIC_READ:
            mapped |= self.read
        if mask & _GENERIC_WRITE:
            mapped |= self.write
        if mask & _GENERIC_EXECUTE:
            mapped |= self.execute
        if mask & _GENERIC_ALL:
            mapped |= self.all
        return mapped


def access_check(
    descriptor: SecurityDescriptor, token: Token, desired: int, mapping: GenericMapping
) -> int:
    """The granted mask: `desired` mapped, and with MAXIMUM_ALLOWED whatever else there is.

    Refused(ACCESS_DENIED) when a desired right is missing, or when MAXIMUM_ALLOWED finds
    nothing. A `desired` of 0 is granted as 0. ACCESS_SYSTEM_SECURITY needs
    SeSecurityPrivilege; the owner may always read and write the DACL unless an OWNER
    RIGHTS entry says otherwise.
    """
    wanted = mapping.map(int(desired) & ~_MAXIMUM)
    given = _from_privileges(token, wanted)
    missing = wanted & ~given
    if desired & _MAXIMUM:
        given |= _scan(descriptor, token, mapping, mapping.all | missing)
        if missing & ~given or not given:
            raise Refused(Error.ACCESS_DENIED)
        return given
    if missing and missing & ~_scan(descriptor, token, mapping, missing):
        raise Refused(Error.ACCESS_DENIED)
    return wanted


def _from_privileges(token: Token, wanted: int) -> int:
    given = 0
    if wanted & _SYSTEM_SECURITY:
        if SE_SECURITY not in token.privileges:
            raise Refused(Error.ACCESS_DENIED, f"needs {SE_SECURITY}")
        given |= _SYSTEM_SECURITY
    if wanted & _WRITE_OWNER and SE_TAKE_OWNERSHIP in token.privileges:
        given |= _WRITE_OWNER
    return given


def _scan(descriptor: SecurityDescriptor, token: Token, mapping: GenericMapping, open: int) -> int:
    """Which of the `open` rights the DACL gives; each is decided by the first ACE naming it."""
    aces = descriptor.dacl
    if aces is None:
        return open
    owned = descriptor.owner is not None and descriptor.owner in token.sids
    given = 0
    if owned and not any(ace.sid == OWNER_RIGHTS for ace in aces):
        given = open & _OWNER_IMPLICIT
        open &= ~_OWNER_IMPLICIT
    sids = token.sids | {OWNER_RIGHTS} if owned else token.sids
    for ace in aces:
        if not open:
            break
        if ace.sid not in sids or int(ace.flags) & _INHERIT_ONLY:
            continue
        decided = mapping.map(ace.mask) & open
        if ace.type == _ALLOWED:
            given |= decided
            open &= ~decided
        elif ace.type == _DENIED:
            open &= ~decided
    return given
