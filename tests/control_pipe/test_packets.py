"""Packets: round trips, exact bytes, fragments, and hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.control_pipe.packets import (
    MAX_MESSAGE,
    MAX_PACKET,
    PROCESS_PACKETS,
    SCM_PACKETS,
    Control,
    ControlAnswer,
    Decoder,
    Event,
    Hello,
    Packet,
    PacketError,
    ParametersChanged,
    Registered,
    Resync,
    Start,
    StartAnswer,
    Status,
    Welcome,
    encode,
)
from scmd.vocabulary.status import ServiceStatus

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
STRINGS = st.lists(TEXT, max_size=8).map(tuple)
STATUSES = st.builds(
    ServiceStatus,
    type=U32,
    state=U32,
    controls_accepted=U32,
    win32_exit_code=U32,
    service_specific_exit_code=U32,
    check_point=U32,
    wait_hint=U32,
)
FROM_PROCESS: st.SearchStrategy[Packet] = st.one_of(
    st.builds(Hello, version=U32, table=STRINGS),
    st.builds(StartAnswer, service=U32, error=U32),
    st.builds(Registered, service=U32),
    st.builds(ControlAnswer, control=U64, error=U32),
    st.builds(Status, service=U32, sequence=U64, status=STATUSES),
    st.builds(Event, service=U32, type=U16, category=U16, event_id=U32, strings=STRINGS),
)
FROM_SCM: st.SearchStrategy[Packet] = st.one_of(
    st.builds(Welcome, version=U32),
    st.builds(Start, service=U32, arguments=STRINGS),
    st.builds(
        Control,
        service=U32,
        control=U64,
        code=U32,
        event_type=U32,
        data=st.binary(max_size=MAX_PACKET * 2),
    ),
    st.builds(ParametersChanged, service=U32),
    st.builds(Resync),
)


def decoded(decoder: Decoder, datagrams: list[bytes]) -> list[Packet]:
    packets = [decoder.feed(datagram) for datagram in datagrams]
    return [packet for packet in packets if packet is not None]


@given(st.lists(FROM_PROCESS, max_size=5))
def test_what_a_process_sends_arrives_as_it_was(packets: list[Packet]) -> None:
    datagrams = [datagram for packet in packets for datagram in encode(packet)]
    assert decoded(Decoder(PROCESS_PACKETS), datagrams) == packets


@given(st.lists(FROM_SCM, max_size=5))
def test_what_the_scm_sends_arrives_as_it_was(packets: list[Packet]) -> None:
    datagrams = [datagram for packet in packets for datagram in encode(packet)]
    assert all(len(datagram) <= MAX_PACKET for datagram in datagrams)
    assert decoded(Decoder(SCM_PACKETS), datagrams) == packets


STATUS = ServiceStatus(
    type=0x10,
    state=4,
    controls_accepted=5,
    win32_exit_code=6,
    service_specific_exit_code=7,
    check_point=8,
    wait_hint=9,
)

SEVEN_WORDS = "10000000 04000000 05000000 06000000 07000000 08000000 09000000"


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (Hello(version=1, table=("A", "é")), "01000000 01000000 02000000 01000000 41 02000000c3a9"),
        (StartAnswer(service=7, error=1054), "02000000 07000000 1e040000"),
        (Registered(service=7), "03000000 07000000"),
        (ControlAnswer(control=2**40, error=120), "04000000 78000000 0000000000010000"),
        (
            Status(service=7, sequence=3, status=STATUS),
            "05000000 07000000 0300000000000000" + SEVEN_WORDS,
        ),
        (
            Event(service=7, type=4, category=1, event_id=0x40000001, strings=("x",)),
            "06000000 07000000 0400 0100 01000040 01000000 01000000 78",
        ),
        (Welcome(version=1), "81000000 01000000"),
        (
            Start(service=7, arguments=("Web", "")),
            "82000000 07000000 02000000 03000000 576562 00000000",
        ),
        (
            Control(service=7, control=9, code=200, event_type=2, data=b"\xff"),
            "83000000 07000000 0900000000000000 c8000000 02000000 01000000 ff",
        ),
        (ParametersChanged(service=7), "84000000 07000000"),
        (Resync(), "85000000"),
    ],
)
def test_each_packet_has_the_documented_bytes(packet: Packet, expected: str) -> None:
    assert encode(packet) == [bytes.fromhex(expected)]


def test_a_long_message_is_fragmented_and_only_the_last_fragment_is_unmarked() -> None:
    packet = Start(service=1, arguments=("name", "x" * 100_000))
    datagrams = encode(packet)
    assert [datagram[1] for datagram in datagrams] == [1, 1, 1, 0]
    assert {datagram[0] for datagram in datagrams} == {130}
    assert decoded(Decoder(SCM_PACKETS), datagrams) == [packet]


@given(st.data())
def test_a_truncated_message_is_refused(data: st.DataObject) -> None:
    datagram = encode(data.draw(FROM_PROCESS))[0]
    cut = datagram[: data.draw(st.integers(0, len(datagram) - 1))]
    with pytest.raises(PacketError):
        Decoder(PROCESS_PACKETS).feed(cut)


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_only_packet_errors(data: bytes) -> None:
    for expected in (PROCESS_PACKETS, SCM_PACKETS):
        try:
            Decoder(expected).feed(data)
        except PacketError:
            continue


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x01\0\0",
        bytes(MAX_PACKET + 1),
        bytes.fromhex("00000000"),
        bytes.fromhex("81000000 01000000"),  # Welcome, sent by a process
        bytes.fromhex("03020000 07000000"),  # an unknown flag
        bytes.fromhex("03000100 07000000"),  # the reserved field
        bytes.fromhex("03000000 07000000 00"),  # one byte too many
        bytes.fromhex("01000000 01000000 ffffffff"),  # four thousand million strings
        bytes.fromhex("01000000 01000000 01000000 ffffffff 41"),  # a string of 4 GiB
        bytes.fromhex("01000000 01000000 01000000 01000000 00"),  # NUL
        bytes.fromhex("01000000 01000000 01000000 01000000 ff"),  # not UTF-8
        bytes.fromhex("01010000"),  # an empty fragment
    ],
)
def test_malformed_packets_are_refused(datagram: bytes) -> None:
    with pytest.raises(PacketError):
        Decoder(PROCESS_PACKETS).feed(datagram)


def test_another_packet_between_fragments_is_refused() -> None:
    decoder = Decoder(SCM_PACKETS)
    decoder.feed(encode(Start(service=1, arguments=("x" * MAX_PACKET,)))[0])
    with pytest.raises(PacketError):
        decoder.feed(encode(Resync())[0])


def test_fragments_without_end_are_refused_at_the_limit() -> None:
    decoder = Decoder(SCM_PACKETS)
    fragment = b"\x82\x01\0\0" + bytes(MAX_PACKET - 4)
    for _ in range(MAX_MESSAGE // (MAX_PACKET - 4)):
        assert decoder.feed(fragment) is None
    with pytest.raises(PacketError):
        decoder.feed(fragment)


@pytest.mark.parametrize(
    "packet",
    [
        StartAnswer(service=2**32),
        Registered(service=-1),
        Hello(table=("a\0b",)),
        Hello(table=("\ud800",)),
        Hello(table=("a",) * 5000),
        Control(service=1, control=1, code=1, data=bytes(MAX_MESSAGE)),
    ],
)
def test_what_does_not_fit_is_refused_when_encoding(packet: Packet) -> None:
    with pytest.raises(PacketError):
        encode(packet)
