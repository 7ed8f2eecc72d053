"""Flat buffers: exact bytes, whole entries only, malformed ones refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.ndr.errors import NdrError
from scmd.svcctl.buffers import (
    fill,
    join_dependencies,
    lock_status_bytes,
    pack_multi_string,
    pack_services,
    pack_status_process,
    query_config_bytes,
    split_dependencies,
    unpack_multi_string,
    unpack_services,
)
from scmd.svcctl.config2_buffers import QUERY_LEVELS, pack_config2, unpack_config2
from scmd.svcctl.configuration import QueryServiceConfig
from scmd.svcctl.text import encode_text, text_at, texts_size, unit_size
from scmd.vocabulary.configuration import FailureAction, FailureActions, ServiceConfig
from scmd.vocabulary.service import OWN_RESTART, ActionType
from scmd.vocabulary.status import ServiceStatus
from tests.ndr.strategies import unhurried

STATUS = ServiceStatus(type=0x10, state=4, controls_accepted=1, process_id=0x1234)


class Listed(NamedTuple):
    name: str
    display_name: str
    status: ServiceStatus


ENTRIES = [Listed("a", "Alpha", STATUS), Listed("bé", "Beta", STATUS), Listed("c", "", STATUS)]
names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
u32 = st.integers(0, 2**32 - 1)
statuses = st.builds(ServiceStatus, **dict.fromkeys(ServiceStatus._fields, u32))


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_a_status_process_is_thirty_six_bytes() -> None:
    data = pack_status_process(STATUS)
    assert data == h("10000000 04000000 01000000") + bytes(16) + h("34120000 00000000")


def test_fill_gives_exactly_the_size() -> None:
    assert fill(b"abc", 5) == b"abc\0\0"
    assert fill(b"abc", 2) == b"\0\0"
    assert fill(b"abc", 3) == b"abc"


def test_an_entry_with_its_texts_behind() -> None:
    buffer, returned, needed = pack_services(ENTRIES[:1], 60, with_process=True)
    assert (returned, needed, len(buffer)) == (1, 60, 60)
    assert buffer == (
        h("2c000000 30000000") + pack_status_process(STATUS) + "a\0Alpha\0".encode("utf-16-le")
    )
    short, returned, _ = pack_services(ENTRIES[:1], 100, with_process=False)
    assert short[:8] == h("24000000 28000000")
    assert short[52:] == bytes(48)
    assert returned == 1


def test_as_many_whole_entries_as_fit_and_the_rest_is_needed() -> None:
    everything = pack_services(ENTRIES, 0, with_process=True)
    assert everything == (b"", 0, 60 + 60 + 50)
    buffer, returned, needed = pack_services(ENTRIES, 130, with_process=True)
    assert (len(buffer), returned, needed) == (130, 2, 50)
    assert unpack_services(buffer, 2, with_process=True) == ENTRIES[:2]
    assert pack_services(ENTRIES, 59, with_process=True)[1:] == (0, 170)
    assert pack_services(ENTRIES, 170, with_process=True)[1:] == (3, 170)


def test_the_short_entries_have_no_process() -> None:
    buffer, returned, _ = pack_services(ENTRIES, 500, with_process=False)
    entries = unpack_services(buffer, returned, with_process=False)
    assert [entry[:2] for entry in entries] == [entry[:2] for entry in ENTRIES]
    assert entries[0][2] == STATUS.replace(process_id=0)


@unhurried
@given(
    entries=st.lists(st.builds(Listed, names, names, statuses), max_size=8),
    size=st.integers(0, 1000),
    ansi=st.booleans(),
)
def test_enumerations_survive_their_buffer(entries: list[Listed], size: int, ansi: bool) -> None:
    buffer, returned, needed = pack_services(entries, size, with_process=True, ansi=ansi)
    assert len(buffer) == size
    assert unpack_services(buffer, returned, with_process=True, ansi=ansi) == entries[:returned]
    if returned < len(entries):
        rest, more, _ = pack_services(entries[returned:], needed, with_process=True, ansi=ansi)
        assert more == len(entries) - returned
        assert len(rest) == needed


@unhurried
@given(data=st.binary(max_size=200), returned=u32, ansi=st.booleans())
def test_hostile_enumerations_raise_ndr_error_alone(data: bytes, returned: int, ansi: bool) -> None:
    for count in (returned, returned % 6):
        with suppress(NdrError):
            unpack_services(data, count, with_process=False, ansi=ansi)


@pytest.mark.parametrize("offset", [36, 37, 0xFFFFFFFF])
def test_a_text_must_end_inside_its_buffer(offset: int) -> None:
    entry = offset.to_bytes(4, "little") * 2 + bytes(28)
    with pytest.raises(NdrError):
        unpack_services(entry + b"a\0", 1, with_process=False)


@pytest.mark.parametrize("ansi", [True, False])
@pytest.mark.parametrize("offset", [0, 1, 6])
def test_a_text_has_a_largest_length(offset: int, ansi: bool) -> None:
    for size in (0, 4, 5):
        buffer = b"." * offset + encode_text("x" * size, ansi) + b"rest"
        if size <= 4:
            assert text_at(buffer, offset, ansi, 4) == "x" * size
        else:
            with pytest.raises(NdrError, match=f"up to 4 units at offset {offset}"):
                text_at(buffer, offset, ansi, 4)
    # NULs that belong to two units end nothing.
    assert text_at(b"\1\0\0\1\0\0", 0, False) == "\1\u0100"


def test_many_entries_cannot_share_one_enormous_text() -> None:
    entry = h("00100000 00100000") + bytes(28)
    with pytest.raises(NdrError):
        unpack_services(entry * 100 + b"aa" * 100_000 + bytes(2), 100, with_process=False)


# Config2 --------------------------------------------------------------------------------------

CONFIG = ServiceConfig(
    name="Web",
    description="x",
    failure_actions=FailureActions(
        reset_period_s=60,
        reboot_message="ab",
        command="c",
        actions=(FailureAction(type=ActionType.RUN_COMMAND, delay=60000),),
    ),
    failure_actions_flag=True,
    delayed_auto_start=True,
    sid_type=1,
    required_privileges=("SeA", "B"),
    preshutdown_timeout=5,
    preferred_node=3,
    run_level=2,
    managed_account=True,
    launch_protected=3,
)


@pytest.mark.parametrize(
    ("level", "expected", "value"),
    [
        (1, "04000000 7800 0000", "x"),
        (
            2,
            "3c0000001c0000002200000001000000140000000300000060ea0000 6100 6200 0000 6300 0000",
            CONFIG.failure_actions,
        ),
        (3, "01000000", True),
        (4, "01000000", True),
        (5, "01000000", 1),
        (6, "04000000 5300 6500 4100 0000 4200 0000 0000", ("SeA", "B")),
        (7, "05000000", 5),
        (9, "0300 00 00", 3),
        (10, "02000000", 2),
        (11, "01000000", True),
        (12, "03000000", 3),
    ],
)
def test_the_bytes_of_each_level(level: int, expected: str, value: object) -> None:
    assert pack_config2(level, CONFIG) == h(expected)
    assert unpack_config2(level, h(expected) + bytes(10)) == value


@pytest.mark.parametrize(
    ("level", "expected", "value"),
    [
        (1, bytes(4), ""),
        (2, bytes(20), FailureActions()),
        (6, bytes(4), ()),
        (9, h("0000 01 00"), None),
    ],
)
def test_a_level_with_nothing_set(level: int, expected: bytes, value: object) -> None:
    empty = ServiceConfig(name="Empty")
    assert pack_config2(level, empty) == expected
    assert unpack_config2(level, expected) == value


def test_a_text_at_offset_0_is_nothing_whatever_is_there() -> None:
    buffer = h("41004200 00000000 00000000 00000000 00000000")
    assert unpack_config2(2, buffer) == FailureActions(reset_period_s=0x42_0041)


def test_ansi_levels_have_short_texts() -> None:
    assert pack_config2(1, CONFIG, ansi=True) == h("04000000 7800")
    buffer = pack_config2(2, CONFIG, ansi=True)
    assert buffer[28:] == b"ab\0c\0"
    assert unpack_config2(2, buffer, ansi=True) == CONFIG.failure_actions
    assert pack_config2(6, CONFIG, ansi=True) == pack_config2(6, CONFIG), "shared with W"


@pytest.mark.parametrize(
    ("count", "offset", "size"), [(1025, 20, 20_000), (2, 20, 35), (1, 0xFFFFFFFF, 100)]
)
def test_actions_are_counted_before_they_are_read(count: int, offset: int, size: int) -> None:
    header = bytes(12) + count.to_bytes(4, "little") + offset.to_bytes(4, "little")
    with pytest.raises(NdrError, match="failure actions at"):
        unpack_config2(2, header.ljust(size, b"\0"))


def test_there_are_as_many_actions_as_the_wire_takes_and_none_at_offset_0() -> None:
    action = struct.pack("<II", 1, 5)
    full = struct.pack("<5I", 0, 0, 0, 1024, 20) + action * 1024
    actions = unpack_config2(2, full)
    assert isinstance(actions, FailureActions)
    assert len(actions.actions) == 1024
    with pytest.raises(NdrError, match="1025 failure actions"):
        unpack_config2(2, struct.pack("<5I", 0, 0, 0, 1025, 20) + action * 1025)
    nowhere = unpack_config2(2, struct.pack("<5I", 60, 0, 0, 1024, 0))
    assert nowhere == FailureActions(reset_period_s=60)


@pytest.mark.parametrize("level", QUERY_LEVELS)
def test_a_level_that_is_cut_short_is_refused(level: int) -> None:
    needed = 20 if level == 2 else 4
    unpack_config2(level, bytes(needed))
    with pytest.raises(NdrError, match=f"level {level}"):
        unpack_config2(level, bytes(needed - 1))


@pytest.mark.parametrize("kind", [*ActionType, OWN_RESTART, 0xFFFFFFFF])
def test_an_action_of_another_server_is_kept_whatever_its_type(kind: int) -> None:
    buffer = struct.pack("<5I2I", 60, 0, 0, 1, 20, kind, 5000)
    (action,) = unpack_config2(2, buffer).actions  # type: ignore[union-attr] # the level's type
    assert (action.type, action.delay) == (kind, 5000)
    assert isinstance(action.type, ActionType) == (kind <= ActionType.RUN_COMMAND)


@pytest.mark.parametrize("level", [0, 8, 13])
def test_other_levels_have_no_buffer(level: int) -> None:
    with pytest.raises(NdrError):
        pack_config2(level, CONFIG)
    with pytest.raises(NdrError):
        unpack_config2(level, bytes(40))


@unhurried
@given(level=st.sampled_from(QUERY_LEVELS), data=st.binary(max_size=60), ansi=st.booleans())
def test_hostile_levels_raise_ndr_error_alone(level: int, data: bytes, ansi: bool) -> None:
    with suppress(NdrError):
        unpack_config2(level, data, ansi=ansi)


# Multi-strings ----------------------------------------------------------------------------------


@unhurried
@given(strings=st.lists(names.filter(bool)).map(tuple), ansi=st.booleans())
def test_multi_strings_survive(strings: tuple[str, ...], ansi: bool) -> None:
    assert unpack_multi_string(pack_multi_string(strings, ansi=ansi), ansi=ansi) == strings


def test_a_multi_string_ends_with_two_nuls() -> None:
    assert pack_multi_string(("a", "+g")) == "a\0+g\0\0".encode("utf-16-le")
    assert pack_multi_string((), ansi=True) == b"\0\0"
    assert unpack_multi_string(b"a\0b\0\0rest", ansi=True) == ("a", "b")
    assert unpack_multi_string(b"a\0b", ansi=True) == ("a", "b")
    assert unpack_multi_string(b"") == ()
    with pytest.raises(NdrError):
        unpack_multi_string(b"a\0\0")
    for wrong in ("", "a\0"):
        with pytest.raises(NdrError):
            pack_multi_string((wrong,))


def test_half_a_unit_is_none() -> None:
    with pytest.raises(NdrError, match="multi-string of 3 bytes"):
        unpack_multi_string(b"a\0b")
    # The buffer of a level has the size that was asked for, which may be odd.
    assert unpack_config2(6, struct.pack("<I", 4) + "A\0\0".encode("utf-16-le") + b"\0") == ("A",)


def test_dependencies_are_joined_by_slashes() -> None:
    assert join_dependencies(("a", "+g")) == "a/+g"
    assert split_dependencies("a/+g") == ("a", "+g")
    assert split_dependencies(None) == split_dependencies("") == ()


def test_the_size_of_a_config_counts_texts_and_nuls() -> None:
    assert query_config_bytes(QueryServiceConfig()) == 64 + 2 * 5 + 2
    assert query_config_bytes(QueryServiceConfig(binary_path_name="abc")) == 76 + 6
    assert query_config_bytes(QueryServiceConfig(), ansi=True) == 64 + 6
    assert query_config_bytes(QueryServiceConfig(binary_path_name="x" * 5000)) == 10_076
    assert lock_status_bytes("root") == 24 + 10


@pytest.mark.parametrize("ansi", [False, True])
def test_the_size_of_texts_is_that_of_each_with_its_end(ansi: bool) -> None:
    texts = ["", "abc", "bé", "\U0001f600", "\ud800", "\udc00", ""]
    assert texts_size(texts, ansi) == sum(len(encode_text(text, ansi)) for text in texts)
    assert texts_size([], ansi) == 0
    assert texts_size([""], ansi) == unit_size(ansi)
