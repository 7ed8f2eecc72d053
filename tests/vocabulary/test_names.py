"""Names: what is legal, what is the same, what is safe to print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_service_name, check_text, escaped, name_key, utf16_units

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Spooler", "SPOOLER"),
        ("größe", "GRÖßE"),
        ("ß", "ß"),
        ("ẞ", "ẞ"),
        ("İ", "İ"),
        ("ı", "ı"),
        ("i", "I"),
        ("ÿ", "Ÿ"),
        ("µ", "µ"),
        ("μ", "Μ"),
        ("ς", "ς"),
        ("σ", "Σ"),
        ("ſ", "ſ"),
        ("K", "K"),
        ("ŉ", "ŉ"),
        ("ﬁ", "ﬁ"),
        ("пример", "ПРИМЕР"),
        ("𐐨", "𐐨"),
        ("..", ".."),
        ("\udc00x", "\udc00X"),
    ],
)
def test_the_key_of_a_name(name: str, key: str) -> None:
    assert name_key(name) == key


@given(ANY_TEXT)
def test_keys_are_idempotent_and_keep_lengths(name: str) -> None:
    key = name_key(name)
    assert name_key(key) == key
    assert utf16_units(key) == utf16_units(name)
    assert len(key) == len(name)


def test_upper_casing_is_one_to_one() -> None:
    """No two characters that are not each other's case share a key."""
    members: dict[str, set[str]] = {}
    for code in range(0x10000):
        members.setdefault(name_key(chr(code)), set()).add(chr(code))
    for key, characters in members.items():
        assert len(characters) <= 2
        assert characters <= {key, key.lower()}


@pytest.mark.parametrize(
    "name",
    ["..", ".", " ", "a b", "€" * 256, "𐐨" * 128, "x" * 256, "\x1b[31m", "\n", "a:b", "*", "+a"],
)
def test_legal_names(name: str) -> None:
    check_service_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "a\\b", "a,b", "a\0", "\ud800", "x\udfff", "€" * 257, "𐐨" * 129, "x" * 257],
)
def test_illegal_names_are_error_123(name: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_service_name(name)
    assert refusal.value.error is Error.INVALID_NAME


def test_text_is_checked_against_its_own_limit_and_error() -> None:
    check_text("")
    check_text("x" * 100_000)
    with pytest.raises(Refused) as refusal:
        check_text("𐐨𐐨", 3, Error.INVALID_PARAMETER)
    assert refusal.value.error is Error.INVALID_PARAMETER


@pytest.mark.parametrize(
    ("text", "units"), [("", 0), ("abc", 3), ("€", 1), ("𐐨", 2), ("a𐐨b", 4), ("\ud800", 1)]
)
def test_lengths_are_utf16_units(text: str, units: int) -> None:
    assert utf16_units(text) == units
    assert len(text.encode("utf-16-le", "surrogatepass")) == 2 * units


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Web server", "Web server"),
        ("größe €", "größe €"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udc80", "\\udc80"),
        ("\x9b1m", "\\x9b1m"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(ANY_TEXT)
def test_what_is_escaped_is_printable(text: str) -> None:
    assert escaped(text).isprintable()
