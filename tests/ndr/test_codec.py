"""Bytes of every type in every form, checked against bytes written by hand from [C706] 14."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.ndr.errors import BAD_STUB_DATA, INVALID_TAG, NdrError
from scmd.ndr.structure import ANSI, BIG_ENDIAN, NDR64, Structure
from scmd.ndr.types import (
    BYTE,
    DWORD,
    GUID,
    HANDLE,
    HYPER,
    WORD,
    Annotated,
    Array,
    Bytes,
    Fixed,
    Integer,
    NotSent,
    SizeOf,
    Struct,
    Text,
    Trailing,
    Union,
    Unique,
)
from scmd.ndr.values import NULL_HANDLE, ContextHandle, Guid, swap_guid
from tests.ndr.strategies import instances, unhurried

HANDLE_BYTES = bytes(range(16))


class Mixed(Structure):
    byte: BYTE
    word: WORD
    long: DWORD
    byte_2: BYTE
    hyper: HYPER


class Names(Structure):
    handle: HANDLE
    first: Annotated[str, Text(10)]
    second: Annotated[str | None, Unique(Text(10))] = None
    last: DWORD = 7


class Pair(Structure):
    kind: DWORD
    delay: DWORD = 0


class Item(Structure):
    kind: DWORD
    size: Annotated[int, SizeOf("data", 8)] = 0
    data: Annotated[bytes | None, Unique(Bytes(8))] = None


class Group(Structure):
    subtype: Annotated[Guid | None, Unique(GUID)] = None
    count: Annotated[int, SizeOf("items", 4)] = 0
    items: Annotated[tuple[Item, ...] | None, Unique(Array(Struct(Item), 4))] = None


class Groups(Structure):
    count: Annotated[int, SizeOf("groups", 4)] = 0
    groups: Annotated[tuple[Group, ...] | None, Unique(Array(Struct(Group), 4))] = None
    tail: DWORD = 0xEEEEEEEE


class Wide(Structure):
    number: HYPER


class Choice(Structure):
    level: DWORD
    value: Annotated[
        Pair | Wide | None, Union("level", {1: Unique(Struct(Pair)), 2: Unique(Struct(Wide))})
    ]


class Chosen(Structure):
    choice: Annotated[Choice, Struct(Choice)]
    tail: DWORD = 9


class ChoiceList(Structure):
    count: Annotated[int, SizeOf("choices", 4)] = 0
    choices: Annotated[tuple[Choice, ...], Trailing(Array(Struct(Choice), 4))]


class Answer(Structure):
    list: Annotated[ChoiceList | None, Unique(Struct(ChoiceList))]
    error: DWORD = 0


class Sized(Structure):
    text: Annotated[str, Text(100, capacity="capacity")]
    capacity: Annotated[int, NotSent()] = 0
    level: Annotated[int, NotSent()] = 1
    value: Annotated[Pair | None, Union("level", {1: Unique(Struct(Pair))})] = None


class Odd(Structure):
    small: Annotated[int, Integer(4, 1, 10)]
    raw: Annotated[bytes, Fixed(3)]


class Node(Structure):
    node: WORD
    delete: BYTE = 0


class Nodes(Structure):
    nodes: Annotated[tuple[Node, ...], Array(Struct(Node), 9)]
    names: Annotated[str | None, Unique(Text(99, multiple=True))] = None


ALL = (Mixed, Names, Groups, Chosen, Answer, Odd, Nodes)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_integers_stand_at_their_natural_alignment() -> None:
    value = Mixed(byte=1, word=2, long=3, byte_2=4, hyper=5)
    little = h("01 00 0200 03000000 04 00000000000000")
    assert value.encode() == little[:9] + bytes(7) + (5).to_bytes(8, "little")
    assert value.encode(BIG_ENDIAN) == h("01 00 0002 00000003 04") + bytes(7) + h(
        "0000000000000005"
    )


def test_a_top_level_string_has_no_referent_and_a_unique_one_follows_its_own() -> None:
    value = Names(handle=ContextHandle.of(HANDLE_BYTES), first="ab", second="")
    assert value.encode() == (
        bytes(4)
        + HANDLE_BYTES
        + h("03000000 00000000 03000000 6100 6200 0000 0000")
        + h("04000200 01000000 00000000 01000000 0000 0000")
        + h("07000000")
    )


def test_one_byte_characters_for_ansi() -> None:
    value = Names(handle=NULL_HANDLE, first="aé")
    assert value.encode(ANSI) == bytes(20) + h("04000000 00000000 04000000 61c3a900") + h(
        "00000000 07000000"
    )
    assert Names.decode(value.encode(ANSI), ANSI) == value


def test_ndr64_counts_and_pointers_take_eight_bytes() -> None:
    value = Names(handle=NULL_HANDLE, first="a", second="b")
    assert value.encode(NDR64) == (
        bytes(24)
        + h("0200000000000000 0000000000000000 0200000000000000 61000000 00000000")
        + h("0400020000000000")
        + h("0200000000000000 0000000000000000 0200000000000000 62000000")
        + h("07000000")
    )


def test_referents_follow_the_whole_construct_each_with_its_own() -> None:
    guid = Guid(range(16))
    items = (Item(kind=1, size=1, data=b"x"), Item(kind=2))
    value = Groups(count=2, groups=(Group(subtype=guid, count=2, items=items), Group(subtype=guid)))
    assert value.encode() == (
        h("02000000 04000200")
        + h("02000000")
        + h("08000200 02000000 0c000200")
        + h("10000200 00000000 00000000")
        + bytes(range(16))
        + h("02000000 01000000 01000000 14000200 02000000 00000000 00000000")
        + h("01000000 78 000000")
        + bytes(range(16))
        + h("eeeeeeee")
    )
    assert Groups.decode(value.encode()) == value


def test_the_tag_of_a_union_is_sent_twice() -> None:
    value = Chosen(choice=Choice(level=1, value=Pair(kind=5)))
    assert value.encode() == h("01000000 01000000 04000200 05000000 00000000 09000000")
    assert value.encode(NDR64) == h(
        "01000000 00000000 01000000 00000000 0400020000000000 05000000 00000000 09000000"
    )
    wide = Chosen(choice=Choice(level=2, value=Wide(number=1)))
    assert wide.encode() == h("02000000 02000000 04000200 00000000 0100000000000000 09000000")


def test_a_conformant_structure_begins_with_its_count() -> None:
    value = Answer(list=ChoiceList(count=1, choices=(Choice(level=2, value=None),)))
    assert value.encode() == h("04000200 01000000 01000000 02000000 02000000 00000000 00000000")
    assert Answer.decode(value.encode()) == value
    assert Answer.decode(value.encode(NDR64), NDR64) == value


def test_capacity_is_the_strings_maximum_count() -> None:
    value = Sized(text="ab", capacity=20)
    assert value.encode()[:12] == h("14000000 00000000 03000000")
    assert Sized.decode(value.encode()) == value
    assert Sized.decode(Sized(text="ab").encode()).capacity == 3


def test_counts_are_written_by_the_encoder() -> None:
    value = Groups(groups=(Group(), Group()))
    assert Groups.decode(value.encode()).count == 2
    assert Groups.decode(Groups(count=3).encode()).count == 3, "of a NULL array it is the field's"


def test_structures_of_an_array_are_aligned_each() -> None:
    value = Nodes(nodes=(Node(node=1, delete=1), Node(node=2)), names="a\0b\0")
    assert value.encode()[:12] == h("02000000 0100 01 00 0200 00 00")
    assert Nodes.decode(value.encode()) == value


def test_an_answer_is_clamped_and_a_request_is_checked() -> None:
    assert Odd(small=500, raw=b"abc").encode() == h("0a000000 616263")
    with pytest.raises(NdrError):
        Odd.decode(h("0b000000 616263"))
    with pytest.raises(NdrError):
        Odd(small=5, raw=b"ab").encode()


END = h("00000000 07000000")


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        (Names, b"", "unpack_from"),
        (Names, bytes(20) + h("02000000 01000000 02000000 6100 0000") + END, "counts 2, 1, 2"),
        (Names, bytes(20) + h("01000000 00000000 02000000 6100 0000") + END, "counts 1, 0, 2"),
        (Names, bytes(20) + h("0b000000 00000000 02000000 6100 0000") + END, "counts 11, 0, 2"),
        (Names, bytes(20) + h("02000000 00000000 00000000") + END, "counts 2, 0, 0"),
        (Names, bytes(20) + h("ffffffff 00000000 ffffffff 6100 0000") + END, "counts 4294967295"),
        (Names, bytes(20) + h("04000000 00000000 04000000 6100 0000"), "4 bytes are missing"),
        (Names, bytes(20) + h("02000000 00000000 02000000 6100 6100") + END, "end with a NUL"),
        (Groups, h("05000000 00000000 00000000"), "count is 5, at most 4"),
        (Groups, h("01000000 01000000 05000000") + bytes(100), "5 elements, at most 4"),
        (Groups, h("01000000 01000000 ffffffff") + bytes(100), "4294967295 elements"),
        (Groups, h("04000000 01000000 04000000") + bytes(40), "4 elements do not fit"),
        (Groups, h("02000000 01000000 01000000") + bytes(16), "count is 2, groups has 1"),
        (Chosen, h("01000000 02000000 00000000 00000000"), "the tag is 2"),
    ],
    ids=range(14),
)
def test_what_the_declaration_does_not_allow_is_bad_stub_data(
    kind: type[Structure], data: bytes, reason: str
) -> None:
    with pytest.raises(NdrError, match=reason) as caught:
        kind.decode(data)
    assert caught.value.status == BAD_STUB_DATA


def test_a_tag_without_an_arm_is_an_invalid_tag_in_both_directions() -> None:
    with pytest.raises(NdrError) as caught:
        Chosen.decode(h("03000000 03000000 00000000 00000000"))
    assert caught.value.status == INVALID_TAG
    with pytest.raises(NdrError) as caught:
        Chosen(choice=Choice(level=3, value=None)).encode()
    assert caught.value.status == INVALID_TAG


@pytest.mark.parametrize("text", ["a\0b", "0123456789"])
def test_a_string_that_cannot_be_sent_is_refused(text: str) -> None:
    with pytest.raises(NdrError):
        Names(handle=NULL_HANDLE, first=text).encode()


def test_text_ends_at_its_first_nul() -> None:
    data = bytes(20) + h("04000000 00000000 04000000 6100 0000 6200 0000 00000000 07000000")
    assert Names.decode(data).first == "a"


@pytest.mark.parametrize("text", ["\ud800", "\udc00x", "a\ud800\ud800"])
def test_lone_surrogates_reach_the_name_rules(text: str) -> None:
    for form in (0, BIG_ENDIAN):
        value = Names(handle=NULL_HANDLE, first=text)
        assert Names.decode(value.encode(form), form) == value


def test_bytes_that_are_no_utf8_reach_the_name_rules() -> None:
    data = bytes(20) + h("03000000 00000000 03000000 ff61 00 00 00000000 07000000")
    assert Names.decode(data, ANSI).first == "\udcffa"


def test_what_follows_the_parameters_is_ignored() -> None:
    data = Pair(kind=1, delay=2).encode()
    assert Pair.decode(data + b"verification trailer") == Pair(kind=1, delay=2)


@unhurried
@given(value=st.one_of([instances(kind) for kind in ALL]), form=st.integers(0, 7))
def test_decoding_undoes_encoding_in_every_form(value: Structure, form: int) -> None:
    assert type(value).decode(value.encode(form), form) == value


@unhurried
@given(kind=st.sampled_from(ALL), data=st.binary(max_size=200), form=st.integers(0, 7))
def test_random_bytes_raise_nothing_but_ndr_error(
    kind: type[Structure], data: bytes, form: int
) -> None:
    with suppress(NdrError):
        kind.decode(data, form)


@unhurried
@given(uuid=st.binary(min_size=16, max_size=16))
def test_guids_read_and_turn(uuid: bytes) -> None:
    guid = Guid(uuid)
    assert Guid.parse(str(guid)) == guid
    assert swap_guid(swap_guid(uuid)) == uuid


def test_handles_are_little_endian_whatever_the_form() -> None:
    handle = ContextHandle.of(HANDLE_BYTES, attributes=1)
    value = Names(handle=handle, first="")
    assert value.encode(BIG_ENDIAN)[:20] == h("00000001 03020100 0504 0706 08090a0b0c0d0e0f")
    assert Names.decode(value.encode(BIG_ENDIAN), BIG_ENDIAN).handle == handle
    assert (handle.attributes, handle.uuid, handle.is_null) == (1, HANDLE_BYTES, False)
    assert NULL_HANDLE.is_null
    with pytest.raises(ValueError, match="16 bytes"):
        ContextHandle.of(b"short")
    with pytest.raises(ValueError, match="not a GUID"):
        Guid.parse("367abb81-9844-35f1-ad32")
