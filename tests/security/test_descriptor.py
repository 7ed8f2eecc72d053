"""Security descriptors: self-relative bytes in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.security.descriptor import (
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


def test_a_simple_descriptor_has_the_documented_bytes() -> None:
    ace = Ace(type=AceType.ACCESS_ALLOWED, mask=0x1F01FF, sid="S-1-1-0")
    descriptor = SecurityDescriptor(dacl=(ace,))
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


@pytest.mark.parametrize("type", [4, 5, 6, 9, 0x12])
def test_an_entry_that_cannot_be_evaluated_refuses_the_whole(type: int) -> None:
    data = bytearray(EVERYONE_ALL)
    data[28] = type
    with pytest.raises(DescriptorError, match=f"type {type}"):
        SecurityDescriptor.from_bytes(bytes(data))


def test_an_acl_that_is_too_long_is_refused() -> None:
    ace = Ace(type=AceType.ACCESS_ALLOWED, mask=1, sid="S-1-1-0")
    with pytest.raises(DescriptorError):
        SecurityDescriptor(dacl=(ace,) * 4000).to_bytes()
