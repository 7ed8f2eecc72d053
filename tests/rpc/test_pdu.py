"""PDUs at their limits: headers, fragments, trailers."""

from __future__ import annotations

import pytest

from scmd.ndr.values import Guid
from scmd.rpc import pdu
from scmd.rpc.errors import RpcError

ORDERS = ["<", ">"]


def framed(data: bytes) -> pdu.Frame:
    [frame] = pdu.Framer().frames(data)
    return frame


@pytest.mark.parametrize(
    ("version", "is_one"), [((5, 0), True), ((5, 1), True), ((5, 2), False), ((4, 0), False)]
)
@pytest.mark.parametrize("cut", [0, 7, 15, 16, 23, 24])
def test_versions_5_0_and_5_1_are_spoken(version: tuple[int, int], is_one: bool, cut: int) -> None:
    """However the bytes come."""
    framer = pdu.Framer()
    data = bytes(version) + pdu.encode(pdu.CO_CANCEL, pdu.WHOLE, "<", 9, bytes(8))[2:]
    frames = framer.frames(data[:cut]) + framer.frames(data[cut:])
    assert (len(frames), framer.error is None) == (is_one, is_one)


@pytest.mark.parametrize(
    ("length", "auth_length", "is_one"),
    [(16, 0, True), (15, 0, False), (32, 8, True), (31, 8, False), (24, 1, False), (25, 1, True)],
)
def test_a_length_counts_all_that_is_said_to_be_there(
    length: int, auth_length: int, is_one: bool
) -> None:
    data = bytearray(pdu.encode(pdu.CO_CANCEL, pdu.WHOLE, "<", 9, bytes(16)))[:length]
    data[8:12] = length.to_bytes(2, "little") + auth_length.to_bytes(2, "little")
    framer = pdu.Framer()
    frames = framer.frames(bytes(data) + b"\5\0\x12\3\x10\0\0\0\x10\0\0\0\x09\0\0\0")
    assert (len(frames), framer.error is None) == (2 * is_one, is_one)


@pytest.mark.parametrize(("pad", "is_one"), [(0, True), (8, True), (9, False)])
def test_padding_is_a_part_of_the_body(pad: int, is_one: bool) -> None:
    trailer = pdu.AuthTrailer(type=10, level=5, context_id=7, token=b"token")
    data = bytearray(pdu.encode_secured(pdu.AUTH_3, pdu.WHOLE, "<", 9, bytes(8), trailer))
    data[26] = pad
    if is_one:
        assert pdu.auth_trailer(framed(bytes(data))) == trailer.replace(pad_length=pad)
    else:
        with pytest.raises(RpcError, match="more authentication padding"):
            pdu.auth_trailer(framed(bytes(data)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("size", "sizes"),
    [(0, [24]), (2024, [2048]), (2025, [2048, 25]), (4048, [2048, 2048]), (4049, [2048, 2048, 25])],
)
def test_fragments_fill_what_was_agreed(order: str, size: int, sizes: list[int]) -> None:
    data = pdu.encode_call(pdu.REQUEST, order, 9, 0x0102, 0x0304, bytes(size), 2055)
    frames = pdu.Framer().frames(data)
    assert [len(frame[5]) for frame in frames] == sizes
    flags = [0] * len(sizes)
    flags[0] |= pdu.FIRST_FRAGMENT
    flags[-1] |= pdu.LAST_FRAGMENT
    assert [frame[1] for frame in frames] == flags
    for frame in frames:
        assert pdu.decode_call(frame)[:2] == (0x0102, 0x0304)
        assert pdu.context_of(frame) == 0x0102


@pytest.mark.parametrize("order", ORDERS)
def test_a_fault_has_a_status_behind_its_header(order: str) -> None:
    data = pdu.encode_fault(order, 9, 0x0102, 0x01020304)
    assert pdu.decode_fault(framed(data)) == 0x01020304
    assert pdu.context_of(framed(data)) == 0x0102
    short = bytearray(data[:28])
    short[8:10] = (28).to_bytes(2, "little" if order == "<" else "big")
    assert pdu.decode_fault(framed(bytes(short))) == 0x01020304
    short[8:10] = (27).to_bytes(2, "little" if order == "<" else "big")
    with pytest.raises(RpcError, match="without a status"):
        pdu.decode_fault(framed(bytes(short[:27])))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("stub", [b"", b"stub", b"stub!"])
def test_a_token_is_no_part_of_a_call(order: str, stub: bytes) -> None:
    trailer = pdu.AuthTrailer(type=10, level=2, context_id=7, token=b"signature")
    call = pdu.encode_call(pdu.RESPONSE, order, 9, 0x0102, 0, stub, 5840)[pdu.HEADER_SIZE :]
    frame = framed(pdu.encode_secured(pdu.RESPONSE, pdu.WHOLE, order, 9, call, trailer))
    assert pdu.decode_call(frame) == (0x0102, 0, stub, None)
    token = pdu.auth_trailer(frame)
    assert token is not None
    assert (token.token, token.pad_length) == (b"signature", -len(stub) & 3)


def test_an_object_is_read_in_the_order_of_its_pdu() -> None:
    uuid = Guid.parse("00112233-4455-6677-8899-aabbccddeeff")
    for order, data in (("<", bytes(uuid)), (">", bytes(range(0, 256, 17)))):
        call = pdu.encode_call(pdu.REQUEST, order, 9, 0, 0, data + b"stub", 5840, pdu.OBJECT)
        assert pdu.decode_call(framed(call))[2:] == (b"stub", uuid)


def test_only_requests_name_objects() -> None:
    stub = bytes(range(20))
    for kind, skipped in ((pdu.REQUEST, 16), (pdu.RESPONSE, 0)):
        data = pdu.encode_call(kind, "<", 9, 0, 0, stub, 5840, pdu.OBJECT)
        assert pdu.decode_call(framed(data))[2] == stub[skipped:]
    short = pdu.encode_call(pdu.REQUEST, "<", 9, 0, 0, bytes(15), 5840, pdu.OBJECT)
    with pytest.raises(RpcError, match="shorter than its header"):
        pdu.decode_call(framed(short))
