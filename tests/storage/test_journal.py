"""The runtime journal's lines: what is read again, and what is void."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.storage.journal import Lines, Owner, header

OWNER = Owner("boot", "pid:[1]", "7 100")


@dataclass(frozen=True)
class Thing:
    number: int
    name: str = ""


@dataclass(frozen=True)
class Other:
    number: int


LINES = Lines({"T": Thing, "O": Other})
ENTRIES = [Thing(1, "a\nb"), Other(2), Thing(3)]


def written() -> bytes:
    return header(OWNER) + b"".join(map(LINES.encode, ENTRIES))


def decoded(data: bytes, owner: Owner = OWNER) -> list[object] | None:
    entries = LINES.decode(data, owner)
    return None if entries is None else list(entries)


def test_what_was_written_is_read_in_its_order() -> None:
    assert decoded(written()) == ENTRIES


@given(st.integers(0, 1000))
def test_a_torn_tail_loses_the_torn_entry_only(cut: int) -> None:
    data = written()
    whole = data[: len(data) - cut % (len(data) - len(header(OWNER)))]
    found = decoded(whole)
    assert found == ENTRIES[: whole.count(b"\n") - 1]


@pytest.mark.parametrize(
    "owner",
    [
        Owner("another boot", "pid:[1]", "7 100"),
        Owner("boot", "pid:[2]", "7 100"),
        Owner("boot", "pid:[1]", "7 101"),
    ],
    ids=("boot", "pid namespace", "keeper"),
)
def test_a_journal_of_somebody_else_is_void(owner: Owner) -> None:
    assert decoded(written(), owner) is None


@pytest.mark.parametrize("data", [b"", b"x", b"\n", b"{}\n", b"\xff\n", header(OWNER)[:-1]])
def test_a_journal_without_its_header_is_void(data: bytes) -> None:
    assert decoded(data) is None


def test_a_journal_of_another_version_is_void() -> None:
    assert decoded(written().replace(b'"scmd_journal":1', b'"scmd_journal":2')) is None


@pytest.mark.parametrize("line", [b"", b"X{}", b"T", b"T{", b'T{"number":"x"}', b"T\xff"])
def test_a_line_that_is_not_understood_is_passed_over(line: bytes) -> None:
    data = header(OWNER) + line + b"\n" + LINES.encode(Other(1))
    assert decoded(data) == [Other(1)]


def test_a_lone_surrogate_costs_no_entry() -> None:
    entry = Thing(1, "/bin/caf\udce9: no such file")
    assert decoded(header(OWNER) + LINES.encode(entry)) == [
        Thing(1, "/bin/caf\ufffd: no such file")
    ]


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert decoded(header(OWNER) + b'O{"number":1,"new":[2]}\n') == [Other(1)]


def test_fields_of_a_newer_reader_have_their_defaults() -> None:
    assert decoded(header(OWNER) + b'T{"number":1}\n') == [Thing(1)]


@given(st.binary())
def test_any_bytes_behind_the_header_are_survived(data: bytes) -> None:
    assert decoded(header(OWNER) + data) is not None
