"""SIDs: text, bytes, and the SIDs of services and Unix users."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.security.sid import (
    SidError,
    canonical_sid,
    service_sid,
    sid_from_bytes,
    sid_size,
    sid_to_bytes,
)

SIDS = st.builds(
    lambda authority, parts: "-".join(
        ["S-1", str(authority) if authority < 2**32 else f"0x{authority:012X}", *map(str, parts)]
    ),
    st.integers(0, 2**48 - 1),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
)


@pytest.mark.parametrize(
    ("name", "sid"),
    [
        (
            "TrustedInstaller",
            "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
        ),
        ("Spooler", "S-1-5-80-3951239711-1671533544-1416304335-3763227691-3930497994"),
        ("Legit", "S-1-5-80-159957745-2084983471-2137709666-960844832-1182961511"),
    ],
)
def test_the_sid_of_a_service_is_the_documented_one(name: str, sid: str) -> None:
    assert service_sid(name) == sid
    assert service_sid(name.swapcase()) == sid


def test_the_binary_form_is_the_documented_one() -> None:
    expected = bytes.fromhex("01020000000000052000000020020000")
    assert sid_to_bytes("S-1-5-32-544") == expected
    assert sid_from_bytes(b"xy" + expected + b"z", 2) == "S-1-5-32-544"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("01010000000000", "at least 8 bytes"),
        ("020100000000000500000000", "revision 2"),
        ("0110000000000005" + "00000000" * 16, "16 sub-authorities"),
        ("010200000000000520000000200200", "past the end"),
    ],
)
def test_bytes_that_are_none_are_refused(data: str, reason: str) -> None:
    for behind in (b"", b"xyz"):
        with pytest.raises(SidError, match=reason):
            sid_from_bytes(behind + bytes.fromhex(data), len(behind))


@given(SIDS)
def test_text_and_bytes_go_round(sid: str) -> None:
    data = sid_to_bytes(sid)
    assert sid_from_bytes(data) == sid == canonical_sid(sid)
    assert len(data) == sid_size(sid)


@given(st.binary(max_size=80), st.integers(-2, 90))
def test_hostile_bytes_are_one_error(data: bytes, offset: int) -> None:
    try:
        sid = sid_from_bytes(data, offset)
    except SidError:
        return
    assert sid_to_bytes(sid) == data[offset : offset + sid_size(sid)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S",
        "S-1",
        "S-2-5-18",
        "X-1-5-18",
        "S-1-x",
        "S-1-5-",
        "S-1-5--1",
        "S-1-5-4294967296",
        "S-1-281474976710656",
        "S-1-5-1_0",
        "S-1-5-٣",
        "S-1-5" + "-1" * 16,
    ],
)
def test_what_is_not_a_sid_is_refused(text: str) -> None:
    with pytest.raises(SidError):
        canonical_sid(text)


def test_a_sid_has_one_canonical_spelling() -> None:
    assert canonical_sid("s-1-0x5-018") == "S-1-5-18"
    assert canonical_sid("S-1-0x000100000000-1") == "S-1-0x000100000000-1"
    assert canonical_sid("S-1-0xffffffffffff-1") == "S-1-0xFFFFFFFFFFFF-1"
