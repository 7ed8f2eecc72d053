"""The keeper's protocol as bytes: round trips, ages, hostile input, descriptors."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.daemon import keeper_messages as wire
from scmd.daemon.keeper_messages import (
    HEADER,
    KINDS,
    MAX_BODY,
    FrameReader,
    Malformed,
    Message,
    decode,
    encode,
)
from scmd.daemon.keeper_socket import Disconnected, FrameSocket

TEXT = st.text(st.characters())
NUMBER = st.integers(-(1 << 63), (1 << 63) - 1)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "int": NUMBER,
    "str": TEXT,
    "bool": st.booleans(),
    "int | None": st.none() | NUMBER,
    "str | None": st.none() | TEXT,
    "tuple[int, ...]": st.lists(NUMBER).map(tuple),
    "tuple[str, ...]": st.lists(TEXT).map(tuple),
    "tuple[tuple[str, int], ...]": st.lists(st.tuples(TEXT, NUMBER)).map(tuple),
    "tuple[tuple[str, str], ...]": st.lists(st.tuples(TEXT, TEXT)).map(tuple),
    "tuple[tuple[str, str], ...] | None": st.none() | st.lists(st.tuples(TEXT, TEXT)).map(tuple),
}


def messages() -> st.SearchStrategy[Message]:
    def of(kind: type[Message]) -> st.SearchStrategy[Message]:
        fields = {name: VALUES[text] for name, text in kind.__annotations__.items()}
        return st.fixed_dictionaries(fields).map(lambda values: kind(**values))

    return st.sampled_from(list(KINDS.values())).flatmap(of)


def decoded(frame: bytes) -> Message:
    length, kind, _ = HEADER.unpack_from(frame)
    body = frame[HEADER.size :]
    assert length == len(body)
    return decode(kind, body)


@given(messages())
def test_every_message_survives_the_wire(message: Message) -> None:
    assert decoded(encode(message)) == message


def test_text_that_is_no_unicode_survives() -> None:
    message = wire.Signal(number=1, signal=2)
    assert decoded(encode(message)) == message
    failed = wire.LaunchFailed(number=1, error=2, detail="/tmp/\udcff")
    assert decoded(encode(failed)) == failed


@given(messages(), st.data())
def test_frames_arrive_in_any_pieces(message: Message, data: st.DataObject) -> None:
    stream = encode(message) * 3
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader = FrameReader()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end], [])
        found += list(reader.messages())
    assert found == [(message, [])] * 3


@given(st.sampled_from(sorted(KINDS)), st.binary())
def test_hostile_bytes_are_malformed_and_nothing_else(kind: int, body: bytes) -> None:
    try:
        decode(kind, body)
    except Malformed:
        return


@given(messages(), st.data())
def test_damaged_frames_are_malformed_and_nothing_else(
    message: Message, data: st.DataObject
) -> None:
    frame = bytearray(encode(message))
    if len(frame) > HEADER.size:
        frame[data.draw(st.integers(HEADER.size, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded(bytes(frame))
    except Malformed:
        return


def test_an_older_sender_s_missing_field_has_its_default() -> None:
    body = encode(wire.Signal(number=1, signal=15, tree=True))[HEADER.size :]
    assert body.endswith(b"t")
    assert decode(3, body[:-1]) == wire.Signal(number=1, signal=15, tree=False)


def test_what_has_its_default_at_the_end_is_not_sent() -> None:
    short = encode(wire.Signal(number=1, signal=15))
    assert (
        short[HEADER.size :]
        == encode(wire.Signal(number=1, signal=15, tree=True))[HEADER.size : -1]
    )
    capture = wire.Capture(number=1, service=2, name="Web", again=True)
    assert decoded(encode(capture)) == capture
    assert len(encode(wire.Hello(version=wire.VERSION))) > HEADER.size


def test_a_newer_sender_s_unknown_field_is_ignored() -> None:
    body = encode(wire.Kill(number=1))[HEADER.size :]
    assert decode(4, body + b"t") == wire.Kill(number=1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (200, b""),
        (4, b""),
        (4, b"t"),
        (4, b"i1234"),
        (7, b"n"),
        (35, b"s\xff\xff\xff\xff"),
        (4, b"(\x01\x00\x00\x00" * 50),
        (4, b"?"),
    ],
)
def test_what_no_version_says_is_malformed(kind: int, body: bytes) -> None:
    with pytest.raises(Malformed):
        decode(kind, body)


def test_a_frame_may_not_be_too_long_or_lack_its_descriptors() -> None:
    for header in (HEADER.pack(MAX_BODY + 1, 6, 0), HEADER.pack(0, 6, 1)):
        reader = FrameReader()
        reader.feed(header, [])
        with pytest.raises(Malformed):
            list(reader.messages())


def test_samples_of_version_1() -> None:
    """Bytes as they were first spoken; a keeper of that age is still understood."""
    samples = {
        "0900000001006901000000000000 00": wire.Hello(version=1),
        "13000000030069070000000000000069 0f0000000000000066": wire.Signal(number=7, signal=15),
        "13000000240069010000000000000069 03000000000000006e": wire.Exited(
            number=1, exit_code=3, signal=None
        ),
    }
    for sample, message in samples.items():
        assert decoded(bytes.fromhex(sample)) == message
        # What was added since comes after it; a default at the end may be left out.
        spoken, now = bytes.fromhex(sample)[HEADER.size :], encode(message)[HEADER.size :]
        assert now.startswith(spoken) or (spoken.startswith(now) and spoken[len(now) :] == b"f")


# Sockets ------------------------------------------------------------------------------------


def pair() -> tuple[FrameSocket, FrameSocket]:
    ours, theirs = socket.socketpair()
    return FrameSocket(ours), FrameSocket(theirs)


@pytest.mark.parametrize("lent", [False, True])
def test_descriptors_stay_with_their_messages_when_the_socket_is_full(lent: bool) -> None:
    sender, receiver = pair()
    files = [os.memfd_create(str(number)) for number in range(200)]
    for number, file in enumerate(files):
        os.write(file, str(number).encode())
    before = len(os.listdir("/proc/self/fd"))
    for number, file in enumerate(files):
        sender.send(wire.Capture(number=number, service=1, name="x" * 4000), file, lent=lent)
        sender.send(wire.OutputEnded(number=number))
    assert sender.unsent
    assert (len(os.listdir("/proc/self/fd")) == before) is lent
    if not lent:
        close_all(files)
    found: list[int] = []
    ended: list[int] = []
    while len(ended) < 200:
        sender.flush()
        for message, descriptors in receiver.receive():
            if isinstance(message, wire.Capture):
                assert os.pread(descriptors[0], 10, 0) == str(message.number).encode()
                assert not os.get_inheritable(descriptors[0])
                os.close(descriptors[0])
                found.append(message.number)
            elif isinstance(message, wire.OutputEnded):
                assert not descriptors
                ended.append(message.number)
    assert found == ended == list(range(200))
    if lent:
        close_all(files)
    sender.close()
    with pytest.raises(Disconnected):
        receiver.receive()
    receiver.close()


def close_all(files: list[int]) -> None:
    for file in files:
        os.close(file)


def test_nonsense_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    receiver = FrameSocket(socket.socket(fileno=theirs.detach()))
    ours.send(b"\xff" * 100)
    with pytest.raises(Disconnected, match="malformed"):
        receiver.receive()
    receiver.close()
    ours.close()
