"""Security descriptors: self-relative bytes in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.security.descriptor import (
    MAX_DESCRIPTOR_BYTES,
    Ace,
    AceType,
    DescriptorControl,
    DescriptorError,
    SecurityDescriptor,
)
from tests.security.strategies import DESCRIPTORS

# D:(A;;FA;;;WD) as Windows writes it.
EVERYONE_ALL = bytes.fromhex(
    "010004800000000000000000000000001400000002001c0001000000"
    "000014 00ff011f00 010100000000000100000000".replace(" ", "")
)
EVERYONE = Ace(type=AceType.ACCESS_ALLOWED, mask=0x1F01FF, sid="S-1-1-0")


def test_a_simple_descriptor_has_the_documented_bytes() -> None:
    descriptor = SecurityDescriptor(dacl=(EVERYONE,))
    assert descriptor.to_bytes() == EVERYONE_ALL
    assert SecurityDescriptor.from_bytes(EVERYONE_ALL) == descriptor


@given(DESCRIPTORS)
def test_bytes_go_round(descriptor: SecurityDescriptor) -> None:
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


def test_null_absent_and_empty_acls_stay_apart() -> None:
    absent = SecurityDescriptor()
    null = SecurityDescriptor(control=int(DescriptorControl.DACL_PRESENT))
    empty = SecurityDescriptor(dacl=())
    for descriptor in (absent, null, empty):
        assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


@given(st.binary(max_size=200))
def test_hostile_bytes_are_one_error(data: bytes) -> None:
    try:
        descriptor = SecurityDescriptor.from_bytes(data)
    except DescriptorError:
        return
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


@given(st.integers(0, 2000), st.integers(0, 255), st.integers(0, 2000))
def test_a_damaged_descriptor_is_one_error(position: int, byte: int, length: int) -> None:
    data = bytearray(SERVICE_DESCRIPTOR.to_bytes())
    data[position % len(data)] = byte
    try:
        SecurityDescriptor.from_bytes(bytes(data[: len(data) - length % 20]))
    except DescriptorError:
        pass


@pytest.mark.parametrize(
    ("at", "bytes_there", "reason"),
    [
        (0, "02", "of revision 1"),
        (3, "00", "self-relative"),
        (16, "29", "past the end"),
        (20, "03", "ACL of revision 3"),
        (22, "07", "7 bytes"),
        (22, "1d", "29 bytes"),
        (24, "02", "room for 1"),
        (30, "07", "ACE of 7 bytes"),
        (30, "15", "ACE of 21 bytes"),
        (30, "13", "runs past the end"),
        (36, "02", "SID revision 2"),
        (37, "10", "16 sub-authorities"),
        (37, "02", "runs past the end"),
    ],
)
def test_what_does_not_hold_together_is_refused(at: int, bytes_there: str, reason: str) -> None:
    data = bytearray(EVERYONE_ALL)
    data[at] = int(bytes_there, 16)
    with pytest.raises(DescriptorError, match=reason):
        SecurityDescriptor.from_bytes(bytes(data))


def test_an_acl_of_revision_4_is_understood() -> None:
    data = bytearray(EVERYONE_ALL)
    data[20] = 4
    expected = SecurityDescriptor.from_bytes(EVERYONE_ALL)
    assert SecurityDescriptor.from_bytes(bytes(data)) == expected


def test_a_descriptor_has_a_largest_size() -> None:
    padded = EVERYONE_ALL.ljust(MAX_DESCRIPTOR_BYTES, b"\0")
    assert SecurityDescriptor.from_bytes(padded) == SecurityDescriptor.from_bytes(EVERYONE_ALL)
    with pytest.raises(DescriptorError, match="131073 bytes"):
        SecurityDescriptor.from_bytes(padded + b"\0")


@pytest.mark.parametrize(
    ("control", "sacl", "dacl", "expected"),
    [
        (0x8000, 0, 20, SecurityDescriptor()),
        (0x8000, 20, 0, SecurityDescriptor()),
        (0x8004, 0, 0, SecurityDescriptor(control=0x0004)),
        (0x8010, 0, 0, SecurityDescriptor(control=0x0010)),
        (0x8010, 0, 20, SecurityDescriptor(control=0x0010)),
        (0x8010, 20, 0, SecurityDescriptor(sacl=(EVERYONE,))),
        (0x8014, 20, 20, SecurityDescriptor(dacl=(EVERYONE,), sacl=(EVERYONE,))),
        (0x9004, 0, 20, SecurityDescriptor(dacl=(EVERYONE,), control=0x1000)),
    ],
)
def test_a_list_is_there_when_its_bit_and_its_place_say_so(
    control: int, sacl: int, dacl: int, expected: SecurityDescriptor
) -> None:
    """The bit alone is a NULL ACL; a place alone is nothing."""
    data = bytearray(EVERYONE_ALL)
    data[2:4] = control.to_bytes(2, "little")
    data[12], data[16] = sacl, dacl
    assert SecurityDescriptor.from_bytes(bytes(data)) == expected


@pytest.mark.parametrize("type", [4, 5, 6, 9, 0x12])
def test_an_entry_that_cannot_be_evaluated_refuses_the_whole(type: int) -> None:
    data = bytearray(EVERYONE_ALL)
    data[28] = type
    with pytest.raises(DescriptorError, match=f"type {type}"):
        SecurityDescriptor.from_bytes(bytes(data))


def test_an_acl_has_a_largest_size() -> None:
    longer = EVERYONE.replace(sid="S-1-1-0-0")
    fits = (*(EVERYONE,) * 5, *(longer,) * 2726)
    data = SecurityDescriptor(dacl=fits).to_bytes()
    assert len(data) == 20 + 65_532
    assert SecurityDescriptor.from_bytes(data).dacl == fits
    with pytest.raises(DescriptorError, match="65,535"):
        SecurityDescriptor(dacl=(*fits[1:], longer)).to_bytes()
