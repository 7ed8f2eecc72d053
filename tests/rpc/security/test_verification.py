"""The verification trailer: each of its commands, and stubs that only look like having one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.rpc.security.verification import (
    SIGNATURE,
    Agreed,
    CallHeader,
    agrees,
    append,
    may_disagree,
)

SYNTAXES = bytes(range(40))


def agreed(syntaxes: bytes = SYNTAXES, *, header_signing: bool = True) -> Agreed:
    return Agreed(syntaxes, header_signing=header_signing)


def header(order: str = "<", call_id: int = 7, context_id: int = 1, opnum: int = 15) -> CallHeader:
    return CallHeader(order, call_id, context_id, opnum)


@given(st.binary(max_size=100), st.booleans())
def test_what_is_appended_agrees(stub: bytes, header_signing: bool) -> None:
    whole = append(stub, agreed(header_signing=header_signing), header())
    assert whole.startswith(stub)
    # The client asks for header signing always; without an answer it must not be agreed.
    assert agrees(whole, agreed(header_signing=header_signing), header()) is header_signing


def test_the_bytes_of_a_trailer_are_those_of_the_specification() -> None:
    """[MS-RPCE] 2.2.2.13: the header's command only where the header is not signed."""
    common = bytes.fromhex("8ae3137102f43671 0100 0400 01000000")
    short = b"stub!\0\0\0" + common + bytes.fromhex("0240 2800") + SYNTAXES
    assert append(b"stub!", agreed(), header()) == short
    whole = bytes.fromhex("0200 2800") + SYNTAXES + bytes.fromhex("0340 1000")
    told = bytes.fromhex("00 00 0000 10000000 07000000 0100 0f00")
    unsigned = append(b"stub!", agreed(header_signing=False), header())
    assert unsigned == b"stub!\0\0\0" + common + whole + told


@pytest.mark.parametrize("header_signing", [True, False])
def test_the_usual_trailer_is_looked_at_where_headers_are_not_signed(header_signing: bool) -> None:
    whole = append(b"", agreed(), header())
    assert may_disagree(whole, agreed(header_signing=header_signing)) is not header_signing
    assert may_disagree(whole, agreed(bytes(40)))
    assert not may_disagree(b"no trailer at all", agreed(header_signing=header_signing))


def test_each_difference_in_what_was_agreed_is_noticed() -> None:
    whole = append(b"stub", agreed(), header())
    assert not agrees(whole, agreed(bytes(40)), header())
    assert not agrees(whole, agreed(header_signing=False), header())


@pytest.mark.parametrize(
    "other", [header(call_id=8), header(context_id=2), header(opnum=16), header(order=">")]
)
def test_each_difference_in_the_header_is_noticed(other: CallHeader) -> None:
    whole = b"arguments..." + trailer((1, bytes(4)), (2, SYNTAXES), (0x4003, header().encode()))
    assert agrees(whole, agreed(), header())
    assert not agrees(whole, agreed(), other)


@pytest.mark.parametrize(
    ("bits", "claims"), [(0, False), (1, True), (2, False), (0xFFFFFFFE, False)]
)
def test_only_the_lowest_bit_claims_that_headers_are_signed(bits: int, claims: bool) -> None:
    whole = trailer((0x4001, bits.to_bytes(4, "little")))
    assert agrees(whole, agreed(header_signing=False), header()) is not claims
    assert agrees(whole, agreed(), header())


def trailer(*commands: tuple[int, bytes]) -> bytes:
    return SIGNATURE + b"".join(
        kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
        for kind, value in commands
    )


@pytest.mark.parametrize(
    ("commands", "is_fine"),
    [
        ([(0x4001, bytes(4))], True),
        ([(1, b"\1\0\0\0"), (0x4002, SYNTAXES)], True),
        ([(0x4001, bytes(3))], False),
        ([(0x4002, SYNTAXES[:39])], False),
        ([(0xC002, SYNTAXES)], True),
        ([(0xC002, bytes(40))], False),
        ([(0x4005, b"new")], True),
        ([(0xC005, b"new")], False),
        ([(0x8005, b"new"), (0x4001, bytes(4))], False),
    ],
)
def test_commands_that_are_not_understood_may_be_passed_over_unless_they_must_not(
    commands: list[tuple[int, bytes]], is_fine: bool
) -> None:
    assert agrees(b"arguments..." + trailer(*commands) + bytes(12), agreed(), header()) is is_fine


@pytest.mark.parametrize(
    "stub",
    [
        b"",
        bytes(2000),
        b"." + trailer((0xC005, b"")),
        trailer((0x8005, b"")),
        trailer((0x8005, b"past the end"))[:-4],
        trailer((0xC005, b"past the end"))[:-4],
        trailer((0xC005, b"")) + bytes(2000),
    ],
)
def test_arguments_are_not_taken_for_a_trailer(stub: bytes) -> None:
    assert agrees(stub, agreed(), header())
