"""SDDL: text in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.security.defaults import (
    SCM_DESCRIPTOR,
    SCM_SDDL,
    SERVICE_DESCRIPTOR,
    SERVICE_SDDL,
)
from scmd.security.descriptor import AceType, DescriptorError, SecurityDescriptor
from scmd.security.sddl import (
    NAMED_MASKS,
    RIGHTS,
    TRUSTEES,
    descriptor_from_sddl,
    descriptor_to_sddl,
)
from tests.security.strategies import DESCRIPTORS


def test_the_defaults_are_written_as_windows_writes_them() -> None:
    assert descriptor_to_sddl(SCM_DESCRIPTOR) == SCM_SDDL
    assert descriptor_to_sddl(SERVICE_DESCRIPTOR) == SERVICE_SDDL


def test_the_default_masks_are_the_documented_numbers() -> None:
    assert SERVICE_DESCRIPTOR.dacl is not None
    assert SCM_DESCRIPTOR.dacl is not None
    assert [ace.mask for ace in SERVICE_DESCRIPTOR.dacl] == [0x201FD, 0xF01FF, 0x2018D, 0x2018D]
    assert [ace.mask for ace in SCM_DESCRIPTOR.dacl] == [0x1, 0x20015, 0x20015, 0x20035, 0xF003F]


@given(DESCRIPTORS)
def test_text_goes_round(descriptor: SecurityDescriptor) -> None:
    assert descriptor_from_sddl(descriptor_to_sddl(descriptor)) == descriptor


@given(st.text(alphabet="OGDS:PAIR();CLWDxNO_ S-15018,\0é", max_size=60))
def test_hostile_text_is_one_error(text: str) -> None:
    try:
        descriptor = descriptor_from_sddl(text)
    except DescriptorError:
        return
    assert descriptor_from_sddl(descriptor_to_sddl(descriptor)) == descriptor


@pytest.mark.parametrize("letters", sorted(TRUSTEES))
def test_every_trustee_goes_round(letters: str) -> None:
    text = f"O:{letters}D:(A;;CC;;;{letters})"
    assert descriptor_to_sddl(descriptor_from_sddl(text)) == text


@pytest.mark.parametrize("letters", sorted({*RIGHTS, *NAMED_MASKS} - {"KX"}))
def test_every_right_goes_round(letters: str) -> None:
    text = f"D:(A;;{letters};;;WD)"
    assert descriptor_to_sddl(descriptor_from_sddl(text)) == text


@pytest.mark.parametrize(
    ("rights", "mask"),
    [
        ("0x201fd", 0x201FD),
        ("0XFF", 0xFF),
        ("10", 10),
        ("010", 8),
        ("0", 0),
        ("", 0),
        ("GAGR", 0x90000000),
        ("CCCC", 1),
        ("KX", 0x20019),
    ],
)
def test_rights_are_letters_or_numbers(rights: str, mask: int) -> None:
    descriptor = descriptor_from_sddl(f"D:(A;;{rights};;;WD)")
    assert descriptor.dacl is not None
    assert descriptor.dacl[0].mask == mask


def test_flags_parts_and_blanks_are_understood() -> None:
    text = (
        "S:AI(ML;;NW;;;LW) D:PAI(D;OICINPIOID;GA;;;AN) (A;;0x12345;;;S-1-5-21-1-2-3-500) O:BAG:SY"
    )
    descriptor = descriptor_from_sddl(text)
    assert descriptor.sacl is not None
    assert descriptor.sacl[0].type is AceType.SYSTEM_MANDATORY_LABEL
    assert descriptor_to_sddl(descriptor) == (
        "O:BAG:SYD:PAI(D;OICINPIOID;GA;;;AN)(A;;0x12345;;;S-1-5-21-1-2-3-500)S:AI(ML;;NW;;;LW)"
    )
    assert descriptor_to_sddl(descriptor, owner=False, group=False).startswith("D:PAI(D")


def test_a_null_dacl_has_its_own_word() -> None:
    descriptor = descriptor_from_sddl("D:PNO_ACCESS_CONTROL")
    assert descriptor.dacl is None
    assert descriptor_to_sddl(descriptor) == "D:PNO_ACCESS_CONTROL"


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "D",
        "X:",
        "D:(A;;CC;;;WD",
        "D:A;;CC;;;WD)",
        "D:(A;;CC;;WD)",
        "D:(A;;CC;;;XX)",
        "D:(A;;CC;;;DA)",
        "D:(A;;C;;;WD)",
        "D:(A;;QQ;;;WD)",
        "D:(A;ZZ;CC;;;WD)",
        "D:(A;;0xfffffffff;;;WD)",
        "D:(A;;1_0;;;WD)",
        "D:(A;;0xg;;;WD)",
        "D:(A;;08;;;WD)",
        "D:(A;;0000000000017;;;WD)",
        "D:(A;;NW;;;WD)",
        "S:(ML;;QQ;;;LW)",
        "D:(AU;;CC;;;WD)",
        "S:(A;;CC;;;WD)",
        "D:(OA;;CC;;;WD)",
        "D:(A;;CC;guid;;WD)",
        "D:(A;;CC;;guid;WD)",
        "D:Q(A;;CC;;;WD)",
        "D:D:",
        "O:",
        "D:NO_ACCESS_CONTROL(A;;CC;;;WD)",
        "D:(A;;CC;;;WD)x",
    ],
)
def test_what_is_wrong_is_named(text: str) -> None:
    with pytest.raises(DescriptorError, match="SDDL"):
        descriptor_from_sddl(text)


def test_a_text_has_a_largest_size() -> None:
    text = "D:(A;;CC;;;WD)"
    assert descriptor_from_sddl(text.ljust(0x20000)) == descriptor_from_sddl(text)
    with pytest.raises(DescriptorError, match="131073 characters"):
        descriptor_from_sddl(text.ljust(0x20001))


def test_who_needs_a_domain_is_told_so() -> None:
    with pytest.raises(DescriptorError, match="'DA' needs a domain"):
        descriptor_from_sddl("O:DA")


def test_nothing_describes_nothing() -> None:
    assert descriptor_from_sddl("") == SecurityDescriptor()
