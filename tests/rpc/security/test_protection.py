"""Protection: what is signed and sealed of each call, and what must be as was agreed."""

from __future__ import annotations

import pytest

from scmd.rpc import client, events, pdu
from scmd.rpc.errors import SECURITY_PACKAGE_ERROR
from scmd.rpc.security.provider import (
    CALL,
    CONNECT,
    INTEGRITY,
    KERBEROS,
    PACKET,
    PRIVACY,
    SPNEGO,
)
from tests.rpc.security.test_contexts import CALL_9, begun, established, leg, status_of, token, told
from tests.rpc.security.toy import Ends, Toy, policy


def test_call_level_is_as_good_as_packet_level() -> None:
    ends = Ends(KERBEROS, CALL, terms=policy(PACKET))
    ends.bind()
    assert isinstance(ends.echo(b"what"), client.Response)


def protected(pad: int = 0, object_uuid: bytes = b"", level: int = PRIVACY) -> bytes:
    """A call put together by hand: 16 bytes of stub, of which `pad` are said to be padding."""
    toy, stub = Toy(2, "ann"), b"sixteen bytes..."
    size = toy.signature_size(level == PRIVACY)
    flags = pdu.WHOLE | (pdu.OBJECT if object_uuid else 0)
    length = pdu.CALL_HEADER_SIZE + len(object_uuid) + len(stub) + 8 + size
    head = pdu.call_header(pdu.REQUEST, flags, "<", length, size, 9, len(stub), 0, 5) + object_uuid
    tail = pdu.security_trailer_bytes("<", KERBEROS, level, pad, 1)
    if level == PRIVACY:
        stub, signature = toy.seal(head, stub, tail)
    else:
        signature = toy.sign(head, stub, tail)
    return head + stub + tail + signature


@pytest.mark.parametrize("level", [INTEGRITY, PRIVACY])
@pytest.mark.parametrize("pad", [0, 3, 16])
def test_an_object_uuid_is_signed_and_never_encrypted(level: int, pad: int) -> None:
    """[MS-RPCE] 2.2.2.11: it belongs to the header."""
    bind = leg(pdu.BIND, token(0, auth_type=KERBEROS, level=level), flags=pdu.HEADER_SIGNING)
    far = begun(bind, terms=policy(INTEGRITY))
    [request] = far.receive_data(protected(pad, bytes(range(16)), level))
    assert isinstance(request, events.Request)
    assert request.object == bytes(range(16))
    assert request.stub == b"sixteen bytes..."[: 16 - pad]


@pytest.mark.parametrize(
    ("size", "hints"),
    [
        (0, [0]),
        (1984, [1984]),
        (1985, [1985, 1]),
        (3968, [3968, 1984]),
        (3969, [3969, 1985, 1]),
    ],
)
def test_fragments_are_as_long_as_was_agreed_and_whole_blocks(size: int, hints: list[int]) -> None:
    """Header, stub, trailer and signature together: 24, up to 1984, 8 and 24 of 2048 bytes."""
    sealed = established(PRIVACY).encode_call(pdu.REQUEST, "<", 9, 3, 5, bytes(size), 2048)
    frames = pdu.Framer().frames(sealed)
    assert [int.from_bytes(frame[5][16:20], "little") for frame in frames] == hints
    assert all(len(frame[5]) <= 2048 and len(frame[5]) % 16 == 8 for frame in frames)
    flags = [frame[1] for frame in frames]
    assert (flags[0] & pdu.FIRST_FRAGMENT, flags[-1] & pdu.LAST_FRAGMENT) == (1, 2)
    assert not any(flags[1:-1])
    assert sum(flags) == pdu.WHOLE


def test_at_connect_level_a_call_is_sent_as_it_is() -> None:
    call = (pdu.REQUEST, "<", 9, 3, 5, bytes(5000), 2048)
    assert established(CONNECT).encode_call(*call) == pdu.encode_call(*call)


def test_at_connect_level_no_header_is_signed() -> None:
    trailer = token(0, auth_type=KERBEROS, level=CONNECT)
    far = Ends(terms=policy(CONNECT)).far
    heard = far.receive_data(leg(pdu.BIND, trailer, flags=pdu.HEADER_SIGNING))
    assert isinstance(heard[-1], events.Authenticated)
    assert not heard[-1].context.header_signing


@pytest.mark.parametrize(("level", "auth_type"), [(PACKET, KERBEROS), (INTEGRITY, SPNEGO)])
def test_type_and_level_count_where_no_header_is_signed(level: int, auth_type: int) -> None:
    bind = leg(pdu.BIND, token(0, auth_type=KERBEROS, level=INTEGRITY))
    far = begun(bind, terms=policy(INTEGRITY))
    call = established(level, auth_type=auth_type).encode_call(*CALL_9)
    assert "another authentication type or level" in told(far, call)
    assert status_of(far) == SECURITY_PACKAGE_ERROR


@pytest.mark.parametrize("object_uuid", [b"", bytes(16)])
def test_padding_is_a_part_of_the_body(object_uuid: bytes) -> None:
    bind = leg(pdu.BIND, token(0, auth_type=KERBEROS), flags=pdu.HEADER_SIGNING)
    assert "more padding" in told(begun(bind), protected(17, object_uuid))
