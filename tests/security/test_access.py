"""Access checks: the documented defaults, and the algorithm against a naive one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.security.access import GenericMapping, access_check
from scmd.security.defaults import (
    SCM_DESCRIPTOR,
    SCM_MAPPING,
    SERVICE_DESCRIPTOR,
    SERVICE_MAPPING,
)
from scmd.security.descriptor import Ace, AceFlags, AceType, SecurityDescriptor
from scmd.security.sddl import descriptor_from_sddl
from scmd.security.token import Token, unix_token
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ScmAccess, ServiceAccess, StandardAccess
from tests.security.strategies import DESCRIPTORS, SIDS

MAXIMUM = int(StandardAccess.MAXIMUM_ALLOWED)
ROOT = unix_token(0, [0], administrator=True)
USER = unix_token(1000, [1000, 27], administrator=False)
REMOTE = unix_token(1000, [1000], administrator=False, local=False)


def granted(descriptor: SecurityDescriptor, token: Token, desired: int) -> int | None:
    """The granted mask on a service, None when refused."""
    try:
        return access_check(descriptor, token, desired, SERVICE_MAPPING)
    except Refused as refusal:
        return None if refusal.error is Error.ACCESS_DENIED else -1


def test_tokens_hold_the_documented_sids() -> None:
    assert USER.user == "S-1-22-1-1000"
    assert USER.groups == {
        "S-1-22-2-1000", "S-1-22-2-27", "S-1-1-0", "S-1-5-11", "S-1-5-4", "S-1-2-0",
    }  # fmt: skip
    assert ROOT.groups >= {"S-1-5-32-544", "S-1-5-18"}
    assert "S-1-5-4" not in REMOTE.sids
    assert "S-1-5-2" in REMOTE.sids


@pytest.mark.parametrize(
    ("token", "service", "scm"),
    [(ROOT, 0xF01FF, 0xF003F), (USER, 0x2018D, 0x20015), (REMOTE, None, 0x1)],
)
def test_the_defaults_give_what_is_documented(token: Token, service: int | None, scm: int) -> None:
    assert granted(SERVICE_DESCRIPTOR, token, MAXIMUM) == service
    assert access_check(SCM_DESCRIPTOR, token, MAXIMUM, SCM_MAPPING) == scm


@pytest.mark.parametrize("right", list(ServiceAccess.ALL_ACCESS))
def test_a_local_user_has_exactly_the_documented_rights(right: ServiceAccess) -> None:
    expected = int(right) if right & 0x2018D else None
    assert granted(SERVICE_DESCRIPTOR, USER, right) == expected
    assert granted(SERVICE_DESCRIPTOR, ROOT, right) == int(right)


@pytest.mark.parametrize(
    ("generic", "service", "scm"),
    [
        (StandardAccess.GENERIC_READ, 0x2008D, 0x20014),
        (StandardAccess.GENERIC_WRITE, 0x20002, 0x20022),
        (StandardAccess.GENERIC_EXECUTE, 0x20170, 0x20009),
        (StandardAccess.GENERIC_ALL, 0xF01FF, 0xF003F),
    ],
)
def test_generic_rights_map_as_documented(generic: StandardAccess, service: int, scm: int) -> None:
    assert SERVICE_MAPPING.map(generic) == service
    assert SCM_MAPPING.map(generic) == scm
    assert granted(SERVICE_DESCRIPTOR, ROOT, generic) == service
    assert access_check(SCM_DESCRIPTOR, ROOT, generic, SCM_MAPPING) == scm


def test_a_local_user_may_not_create_services() -> None:
    with pytest.raises(Refused):
        access_check(SCM_DESCRIPTOR, USER, ScmAccess.CREATE_SERVICE, SCM_MAPPING)


def test_the_stored_order_decides() -> None:
    denied_first = descriptor_from_sddl("D:(D;;RP;;;WD)(A;;RPWP;;;WD)")
    allowed_first = descriptor_from_sddl("D:(A;;RPWP;;;WD)(D;;RP;;;WD)")
    assert granted(denied_first, USER, ServiceAccess.START) is None
    assert granted(denied_first, USER, ServiceAccess.STOP) == ServiceAccess.STOP
    assert granted(allowed_first, USER, ServiceAccess.START) == ServiceAccess.START
    assert granted(denied_first, USER, MAXIMUM) == ServiceAccess.STOP


def test_null_allows_everything_and_empty_nothing() -> None:
    assert granted(SecurityDescriptor(), USER, MAXIMUM) == 0xF01FF
    assert granted(descriptor_from_sddl("D:NO_ACCESS_CONTROL"), USER, 0xF01FF) == 0xF01FF
    assert granted(descriptor_from_sddl("D:"), ROOT, ServiceAccess.QUERY_STATUS) is None
    assert granted(descriptor_from_sddl("D:"), USER, MAXIMUM) is None


def test_the_owner_may_always_read_and_write_the_dacl() -> None:
    owned = descriptor_from_sddl("O:S-1-22-1-1000D:(D;;RCWD;;;WD)")
    assert granted(owned, USER, MAXIMUM) == 0x60000
    assert granted(owned, USER, StandardAccess.WRITE_DAC) == 0x40000
    assert granted(owned, ROOT, StandardAccess.WRITE_DAC) is None


def test_owner_rights_replace_what_the_owner_has_implicitly() -> None:
    owned = descriptor_from_sddl("O:S-1-22-1-1000D:(A;;LC;;;OW)")
    assert granted(owned, USER, StandardAccess.WRITE_DAC) is None
    assert granted(owned, USER, ServiceAccess.QUERY_STATUS) == ServiceAccess.QUERY_STATUS
    assert granted(owned, ROOT, ServiceAccess.QUERY_STATUS) is None


def test_the_sacl_needs_its_privilege() -> None:
    security = int(StandardAccess.ACCESS_SYSTEM_SECURITY)
    assert granted(SERVICE_DESCRIPTOR, ROOT, security | 1) == security | 1
    assert granted(SERVICE_DESCRIPTOR, USER, security) is None
    assert granted(SERVICE_DESCRIPTOR, ROOT, MAXIMUM) == 0xF01FF


def test_an_administrator_may_take_ownership() -> None:
    nothing = descriptor_from_sddl("D:")
    assert granted(nothing, ROOT, StandardAccess.WRITE_OWNER) == 0x80000
    assert granted(nothing, USER, StandardAccess.WRITE_OWNER) is None
    assert granted(nothing, ROOT, MAXIMUM) is None
    assert granted(descriptor_from_sddl("D:(A;;RC;;;WD)"), ROOT, MAXIMUM | 0x20000) == 0x20000
    assert granted(nothing, ROOT, MAXIMUM | StandardAccess.WRITE_OWNER) == 0x80000


def test_inherit_only_entries_and_audit_entries_do_not_count() -> None:
    assert granted(descriptor_from_sddl("D:(A;IO;LC;;;WD)"), USER, 4) is None
    assert granted(descriptor_from_sddl("D:S:(AU;SA;LC;;;WD)"), USER, 4) is None
    allowed = Ace(type=AceType.ACCESS_ALLOWED, mask=4, sid="S-1-1-0")
    audited = allowed.replace(type=AceType.SYSTEM_AUDIT)
    assert granted(SecurityDescriptor(dacl=(audited, allowed)), USER, 4) == 4


def test_maximum_together_with_a_right_that_is_missing_is_refused() -> None:
    assert granted(SERVICE_DESCRIPTOR, USER, MAXIMUM | ServiceAccess.START) is None
    assert granted(SERVICE_DESCRIPTOR, USER, MAXIMUM | ServiceAccess.QUERY_STATUS) == 0x2018D
    assert granted(SERVICE_DESCRIPTOR, ROOT, MAXIMUM | ServiceAccess.SET_STATUS) is None


def test_nothing_desired_is_granted_as_nothing() -> None:
    assert granted(SERVICE_DESCRIPTOR, USER, 0) == 0


def naive(descriptor: SecurityDescriptor, token: Token, bit: int, mapping: GenericMapping) -> bool:
    """Whether one right is given: the documented algorithm, one bit at a time."""
    assert descriptor.dacl is not None
    owned = descriptor.owner in token.sids
    has_owner_rights = any(ace.sid == "S-1-3-4" for ace in descriptor.dacl)
    if owned and not has_owner_rights and bit in (0x20000, 0x40000):
        return True
    for ace in descriptor.dacl:
        matches = ace.sid in token.sids or (ace.sid == "S-1-3-4" and owned)
        if matches and mapping.map(ace.mask) & bit and not ace.flags & AceFlags.INHERIT_ONLY:
            return ace.type is AceType.ACCESS_ALLOWED
    return False


@given(DESCRIPTORS, SIDS, st.frozensets(SIDS), st.integers(0, 0xFFFFF))
def test_every_bit_is_decided_as_documented(
    descriptor: SecurityDescriptor, user: str, groups: frozenset[str], desired: int
) -> None:
    token = Token(user=user, groups=groups)
    bits = [1 << index for index in range(20)]
    allowed = sum(bit for bit in bits if naive(descriptor, token, bit, SERVICE_MAPPING))
    expected = desired if desired & ~allowed == 0 else None
    assert granted(descriptor, token, desired) == expected
    assert granted(descriptor, token, MAXIMUM) == (allowed & 0xF01FF or None)
