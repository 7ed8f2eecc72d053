"""Grants: words for rights, and descriptors changed in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.security.access import access_check
from scmd.security.defaults import SCM_DESCRIPTOR, SCM_MAPPING, SERVICE_DESCRIPTOR, SERVICE_MAPPING
from scmd.security.descriptor import SecurityDescriptor
from scmd.security.grants import (
    SCM_WORDS,
    SERVICE_WORDS,
    Grant,
    granted,
    grants,
    mask_of_words,
    revoked,
    words_of_mask,
)
from scmd.security.sddl import descriptor_from_sddl, descriptor_to_sddl
from scmd.security.token import Token
from scmd.vocabulary.errors import Refused
from tests.security.strategies import DESCRIPTORS

OPS = "S-1-22-2-1001"
SOMEBODY = Token(user="S-1-22-1-1000", groups=frozenset({OPS}))


def may(descriptor: SecurityDescriptor, mask: int) -> bool:
    try:
        access_check(descriptor, SOMEBODY, mask, SERVICE_MAPPING)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("table", [SERVICE_WORDS, SCM_WORDS])
def test_every_word_is_said_as_it_was_written(table: dict[str, int]) -> None:
    for word in table:
        assert word in words_of_mask(mask_of_words([word.upper()], table), table)
    with pytest.raises(KeyError, match="dance"):
        mask_of_words(["dance"], table)


@given(st.integers(0, 0xF01FF))
def test_words_say_a_mask_completely(mask: int) -> None:
    said = 0
    for word in words_of_mask(mask, SERVICE_WORDS):
        said |= int(word, 16) if word.startswith("0x") else SERVICE_WORDS[word]
    assert said == mask


def test_what_is_granted_may_be_done_and_what_is_revoked_may_not() -> None:
    mask = mask_of_words(("start", "stop"), SERVICE_WORDS)
    assert not may(SERVICE_DESCRIPTOR, 0x10)
    given = granted(SERVICE_DESCRIPTOR, OPS, mask)
    assert may(given, 0x30)
    assert not may(given, 0x40)
    assert descriptor_to_sddl(given).startswith(
        descriptor_to_sddl(SERVICE_DESCRIPTOR).partition("S:")[0] + f"(A;;RPWP;;;{OPS})S:"
    )
    fewer = revoked(given, OPS, 0x10, SERVICE_MAPPING)
    assert may(fewer, 0x20)
    assert not may(fewer, 0x10)
    assert revoked(fewer, OPS, 0x20, SERVICE_MAPPING) == SERVICE_DESCRIPTOR
    assert revoked(given, OPS, None, SERVICE_MAPPING) == SERVICE_DESCRIPTOR


def test_a_grant_takes_the_denial_of_the_same_trustee_back() -> None:
    denied = descriptor_from_sddl(f"D:(D;;RPWP;;;{OPS})(A;;CC;;;{OPS})")
    given = granted(denied, OPS, 0x10)
    assert descriptor_to_sddl(given) == f"D:(D;;WP;;;{OPS})(A;;CCRP;;;{OPS})"


@pytest.mark.parametrize(
    ("entries", "allowed", "denied"),
    [
        ("(A;;RP;;;{0})(A;;WP;;;{0})", 0x30, 0),
        ("(A;;RP;;;{0})(D;;RPWP;;;{0})", 0x10, 0x20),
        ("(D;;RP;;;{0})(A;;RPWP;;;{0})", 0x20, 0x10),
        ("(D;;RP;;;{0})(D;;WP;;;{0})", 0, 0x30),
        ("(A;CI;RP;;;{0})", 0x10, 0),
        ("(A;IO;RP;;;{0})(A;;WP;;;{0})", 0x20, 0),
    ],
)
def test_of_a_right_the_first_entry_counts(entries: str, allowed: int, denied: int) -> None:
    found = grants(descriptor_from_sddl("D:" + entries.format(OPS)), SERVICE_MAPPING)
    assert found == [Grant(sid=OPS, allowed=allowed, denied=denied)]


@pytest.mark.parametrize("flag", ["ID", "IO"])
def test_an_entry_that_is_not_the_services_own_is_left_as_it_is(flag: str) -> None:
    given = granted(descriptor_from_sddl(f"D:(A;{flag};RP;;;{OPS})"), OPS, 0x20)
    assert descriptor_to_sddl(given) == f"D:(A;{flag};RP;;;{OPS})(A;;WP;;;{OPS})"
    merged = granted(descriptor_from_sddl(f"D:(A;CI;RP;;;{OPS})"), OPS, 0x20)
    assert descriptor_to_sddl(merged) == f"D:(A;CI;RPWP;;;{OPS})"


def test_a_denial_stays_when_its_right_is_revoked() -> None:
    denied = descriptor_from_sddl(f"D:(D;;RP;;;{OPS})(A;;RPWP;;;{OPS})(A;;RP;;;WD)")
    taken = revoked(denied, OPS, 0x10, SERVICE_MAPPING)
    assert descriptor_to_sddl(taken) == f"D:(D;;RP;;;{OPS})(A;;WP;;;{OPS})(A;;RP;;;WD)"


def test_generic_rights_can_be_revoked_in_part() -> None:
    generic = descriptor_from_sddl(f"D:(A;;GA;;;{OPS})")
    assert not may(revoked(generic, OPS, 0x10, SERVICE_MAPPING), 0x10)
    assert may(revoked(generic, OPS, 0x10, SERVICE_MAPPING), 0x20)


def test_without_a_list_everybody_may_do_everything() -> None:
    open_to_all = descriptor_from_sddl("D:NO_ACCESS_CONTROL")
    assert grants(open_to_all, SERVICE_MAPPING) is None
    assert granted(open_to_all, OPS, 0x10) == open_to_all
    with pytest.raises(ValueError, match="everybody"):
        revoked(open_to_all, OPS, 0x10, SERVICE_MAPPING)


def test_the_default_grants() -> None:
    found = grants(SERVICE_DESCRIPTOR, SERVICE_MAPPING) or []
    words = {grant.sid: words_of_mask(grant.allowed, SERVICE_WORDS) for grant in found}
    assert words["S-1-5-32-544"] == ["all"]
    assert words["S-1-5-4"] == ["query", "control"]
    assert words["S-1-5-18"] == ["query", "start", "stop", "pause", "control"]
    listed = grants(SCM_DESCRIPTOR, SCM_MAPPING) or []
    assert [grant.sid for grant in listed] == [
        *("S-1-5-11", "S-1-5-4", "S-1-5-6", "S-1-5-18", "S-1-5-32-544")
    ]


@given(DESCRIPTORS, st.integers(1, 0xF01FF))
def test_a_grant_counts_whatever_the_descriptor_was(
    descriptor: SecurityDescriptor, mask: int
) -> None:
    """Unless an entry for another of the caller's SIDs denies it: there is none for these."""
    given = granted(descriptor, OPS, mask)
    found = {grant.sid: grant for grant in grants(given, SERVICE_MAPPING) or ()}
    assert found[OPS].allowed & mask == mask
    taken = revoked(given, OPS, mask, SERVICE_MAPPING)
    left = {grant.sid: grant for grant in grants(taken, SERVICE_MAPPING) or ()}
    assert OPS not in left or not left[OPS].allowed & mask
    others = [ace for ace in descriptor.dacl or () if ace.sid != OPS]
    assert [ace for ace in taken.dacl or () if ace.sid != OPS] == others
