"""What has a largest size, at it and one past it, as it is written and as it is read."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.ndr.errors import BAD_STUB_DATA, NdrError
from scmd.ndr.structure import BIG_ENDIAN, NDR64, Structure
from scmd.ndr.types import (
    Annotated,
    Array,
    Bytes,
    Integer,
    NotSent,
    SizeOf,
    Struct,
    Text,
    Trailing,
    Unique,
    Varying,
)

FORMS = [0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN]


class Said(Structure):
    text: Annotated[str, Text(4, capacity="capacity")]
    capacity: Annotated[int, NotSent()] = 0


class Raw(Structure):
    data: Annotated[bytes, Bytes(4)]


class Numbers(Structure):
    numbers: Annotated[tuple[int, ...], Array(Integer(4), 4)]


class Listed(Structure):
    numbers: Annotated[tuple[int, ...], Varying(Integer(4), 4, "capacity")]
    capacity: Annotated[int, NotSent()] = 0


def counts(form: int, *numbers: int) -> bytes:
    size = 8 if form & NDR64 else 4
    return b"".join(n.to_bytes(size, "big" if form & BIG_ENDIAN else "little") for n in numbers)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "field", "fits", "more"),
    [
        (Said, "text", "abc", "abcd"),
        (Said, "text", "", "\U0001f600\U0001f600"),
        (Raw, "data", b"1234", b"12345"),
        (Numbers, "numbers", (1, 2, 3, 4), (1, 2, 3, 4, 5)),
        (Listed, "numbers", (1, 2, 3, 4), (1, 2, 3, 4, 5)),
        (Listed, "numbers", (), (1, 2, 3, 4, 5)),
    ],
)
def test_what_fits_is_written_and_read_and_nothing_longer(
    form: int, kind: type[Structure], field: str, fits: Any, more: Any
) -> None:
    assert getattr(kind.decode(kind(**{field: fits}).encode(form), form), field) == fits
    for wrong in (more, None):
        with pytest.raises(NdrError, match=r"at most 4|required"):
            kind(**{field: wrong}).encode(form)


@pytest.mark.parametrize("form", FORMS)
def test_a_capacity_is_no_less_than_there_is_and_no_more_than_is_allowed(form: int) -> None:
    for capacity, sent in ((0, 2), (3, 3), (4, 4), (5, 4)):
        listed = Listed(numbers=(1, 2), capacity=capacity)
        said = Said(text="a", capacity=capacity)
        for value in (listed, said):
            data = value.encode(form)
            assert data.startswith(counts(form, sent, 0, 2))
            assert type(value).decode(data, form) == value.replace(capacity=sent)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("capacity", "offset", "count", "is_fine"),
    [
        (4, 0, 4, True),
        (4, 0, 1, True),
        (1, 0, 1, True),
        (5, 0, 1, False),
        (5, 0, 5, False),
        (1, 0, 2, False),
        (4, 1, 1, False),
        (0xFFFFFFFF, 0, 1, False),
        (4, 0xFFFFFFFF, 1, False),
        (4, 0, 0xFFFFFFFF, False),
    ],
)
def test_the_counts_of_what_varies_are_held_against_each_other(
    form: int, capacity: int, offset: int, count: int, is_fine: bool
) -> None:
    data = counts(form, capacity, offset, count) + bytes(40)
    for kind in (Listed, Said):
        if is_fine:
            assert kind.decode(data, form).capacity == capacity
        else:
            with pytest.raises(NdrError, match=f"counts {capacity}, {offset}, {count}; limit 4"):
                kind.decode(data, form)
    assert Listed.decode(counts(form, 4, 0, 0), form).numbers == ()
    with pytest.raises(NdrError, match="counts 4, 0, 0"):
        Said.decode(counts(form, 4, 0, 0), form)


class Inner(Structure):
    length: Annotated[int, SizeOf("octets", 8)] = 0
    octets: Annotated[tuple[int, ...], Trailing(Array(Integer(1), 8))]


class Outer(Structure):
    inner: Annotated[Inner | None, Unique(Struct(Inner))]


@pytest.mark.parametrize("form", FORMS)
def test_a_count_that_is_told_twice_is_the_same_in_structures_inside_others(form: int) -> None:
    """Also in those to which nothing points any further, such as a tower."""
    data = bytearray(Outer(inner=Inner(octets=(1, 2, 3))).encode(form))
    assert Outer.decode(bytes(data), form).inner == Inner(length=3, octets=(1, 2, 3))
    at = data.index(b"\1\2\3") - 4
    for length in (2, 4):
        data[at : at + 4] = length.to_bytes(4, "big" if form & BIG_ENDIAN else "little")
        with pytest.raises(NdrError, match=f"length is {length}, octets has 3") as caught:
            Outer.decode(bytes(data), form)
        assert caught.value.status == BAD_STUB_DATA


class Plain(Structure):
    number: Annotated[int, Integer(4)]
    other: Annotated[int, Integer(4)] = 0


@pytest.mark.parametrize("form", FORMS)
def test_fixed_items_that_are_cut_short_are_bad_stub_data(form: int) -> None:
    data = Plain(number=7).encode(form)
    assert Plain.decode(data + b"more", form) == Plain(number=7)
    with pytest.raises(NdrError, match="Plain") as caught:
        Plain.decode(data[:-1], form)
    assert caught.value.status == BAD_STUB_DATA


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [Raw, Numbers])
def test_a_count_is_bounded_before_anything_is_built_of_it(
    form: int, kind: type[Structure]
) -> None:
    kind.decode(counts(form, 4) + bytes(16), form)
    for count in (5, 0xFFFFFFFF):
        with pytest.raises(NdrError, match=f"{count} elements, at most 4"):
            kind.decode(counts(form, count) + bytes(100), form)
    with pytest.raises(NdrError, match="do not fit"):
        kind.decode(counts(form, 4) + bytes(3), form)
