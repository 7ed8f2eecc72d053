"""The server's end against bytes: negotiation, exact PDUs, and peers that break the rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.ndr.values import Guid
from scmd.rpc import binds, events, pdu, server
from scmd.rpc.errors import ACCESS_DENIED, PROTOCOL_ERROR, TOO_BUSY
from scmd.rpc.interface import Interface
from tests.rpc.ends import ECHO, OTHER, bound, new_server, requests

FRAGMENT = 5840


def syntax(interface: Interface) -> binds.Syntax:
    return binds.Syntax(uuid=interface.uuid, version=interface.major)


def features(bits: int) -> binds.Syntax:
    return binds.Syntax(uuid=Guid(binds.FEATURES_PREFIX + bits.to_bytes(8, "little")), version=1)


def bind_pdu(
    *contexts: tuple[binds.Syntax, tuple[binds.Syntax, ...]],
    limits: tuple[int, int] = (FRAGMENT, FRAGMENT),
    order: str = "<",
    kind: int = pdu.BIND,
    flags: int = pdu.WHOLE,
    count: int | None = None,
) -> bytes:
    proposed = tuple(
        binds.PresentationContext(id=index, abstract=abstract, transfers=transfers)
        for index, (abstract, transfers) in enumerate(contexts)
    )
    bind = binds.Bind(max_transmit=limits[0], max_receive=limits[1], contexts=proposed)
    body = bytearray(binds.encode_bind(bind, order))
    if count is not None:
        body[8] = count
    return pdu.encode(kind, flags, order, 1, bytes(body))


def answered(far: server.ServerConnection, data: bytes) -> binds.BindAck:
    [event] = far.receive_data(data)
    assert isinstance(event, events.BindRequested)
    far.accept_bind(3)
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert frame[0] == pdu.BIND_ACK
    return binds.decode_bind_ack(frame)


def test_the_bytes_of_a_bind_and_its_answer() -> None:
    bind = bytes.fromhex(
        "05000b03 10000000 4800 0000 01000000"
        "b810 b810 00000000 01 000000"
        "0000 01 00 11111111222233334455 66778899aabb 01000000"
        "045d888aeb1cc9119fe808002b104860 02000000"
    )
    bind = bind.replace(bytes.fromhex("11111111222233334455"), bytes(ECHO.uuid)[:10])
    ack = answered(new_server(), bind)
    assert ack == binds.BindAck(
        max_transmit=4280,
        max_receive=4280,
        group=3,
        secondary_address="135",
        results=(binds.ContextResult(transfer=binds.NDR_SYNTAX),),
    )


def test_a_bind_ack_is_padded_behind_its_address() -> None:
    body = binds.encode_bind_ack(
        binds.BindAck(
            max_transmit=4280,
            max_receive=4280,
            group=3,
            secondary_address="135",
            results=(binds.ContextResult(result=2, reason=1),),
        ),
        "<",
    )
    assert body == bytes.fromhex("b810b810 03000000 0400 31333500 0000 01000000 0200 0100") + bytes(
        20
    )


def test_each_element_has_its_result_and_an_interface_one_syntax() -> None:
    far = new_server()
    both = (binds.Syntax(uuid=Guid(bytes(16)), version=9), binds.NDR64_SYNTAX)
    newer = syntax(ECHO).replace(version=1 | 3 << 16)
    older = syntax(ECHO).replace(version=1 | 1 << 16)
    ack = answered(
        far,
        bind_pdu(
            (older, (binds.NDR_SYNTAX,)),
            (syntax(ECHO), (binds.NDR64_SYNTAX,)),
            (syntax(ECHO), (features(3),)),
            (syntax(OTHER), both),
            (newer, (binds.NDR_SYNTAX,)),
            (syntax(OTHER).replace(version=4), (binds.NDR_SYNTAX,)),
        ),
    )
    assert [(r.result, r.reason, r.transfer) for r in ack.results] == [
        (binds.ACCEPTANCE, 0, binds.NDR_SYNTAX),
        (binds.PROVIDER_REJECTION, binds.TRANSFER_SYNTAXES_NOT_SUPPORTED, binds.NO_SYNTAX),
        (binds.NEGOTIATE_ACK, binds.KEEP_CONNECTION_ON_ORPHAN, binds.NO_SYNTAX),
        (binds.ACCEPTANCE, 0, binds.NDR64_SYNTAX),
        (binds.PROVIDER_REJECTION, binds.ABSTRACT_SYNTAX_NOT_SUPPORTED, binds.NO_SYNTAX),
        (binds.PROVIDER_REJECTION, binds.ABSTRACT_SYNTAX_NOT_SUPPORTED, binds.NO_SYNTAX),
    ]


@pytest.mark.parametrize(
    ("limits", "agreed"),
    [
        ((5840, 5840), 5840),
        ((65535, 4280), 4280),
        ((4287, 9000), 4280),
        ((100, 100), 2048),
        ((0, 0), 2048),
        ((5840, 0), 2048),
    ],
)
def test_one_fragment_size_is_agreed(limits: tuple[int, int], agreed: int) -> None:
    ack = answered(new_server(), bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)), limits=limits))
    assert (ack.max_transmit, ack.max_receive) == (agreed, agreed)


@pytest.mark.parametrize("first", [1, 5, 15, 16, 17])
def test_what_is_no_pdu_is_told_at_its_header(first: int) -> None:
    """However it is cut: what would be its length is not waited for."""
    framer = pdu.Framer()
    stranger = b"Welcome to this machine"
    assert framer.frames(stranger[:first]) == []
    assert framer.frames(stranger[first:]) == []
    assert framer.error is not None


def with_token(pad: int = 0) -> bytes:
    """A bind that asks for NTLM, and says that it is padded by so much."""
    data = bytearray(bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,))))
    data += bytes((10, 5, pad, 0)) + bytes(4) + b"NTLMSSP\0"
    data[8:12] = len(data).to_bytes(2, "little") + (8).to_bytes(2, "little")
    return bytes(data)


def test_a_bind_that_asks_for_authentication_is_refused() -> None:
    far = new_server()
    [event] = far.receive_data(with_token())
    assert isinstance(event, events.AuthenticationRefused)
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert (frame[0], binds.decode_bind_nak(frame)) == (pdu.BIND_NAK, 8)
    assert far.is_closing


@pytest.mark.parametrize(
    "data",
    [
        bind_pdu(),
        bind_pdu((syntax(ECHO), ())),
        bind_pdu((syntax(ECHO), (features(1),)), (syntax(ECHO), (features(2),))),
        bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)), count=2),
        with_token(pad=200),
    ],
    ids=["no context", "no syntax", "features twice", "cut short", "more padding than body"],
)
def test_a_bind_that_makes_no_sense_is_refused(data: bytes) -> None:
    far = new_server()
    [event] = far.receive_data(data)
    assert isinstance(event, events.ProtocolViolated)
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert frame[5][16:] == bytes.fromhex("0000 01 0500 000000")
    assert (frame[0], binds.decode_bind_nak(frame)) == (pdu.BIND_NAK, 0)
    assert far.is_closing


@pytest.mark.parametrize(
    ("version", "kind", "answered_by"),
    [
        (b"\5\2", pdu.BIND, pdu.BIND_NAK),
        (b"\4\0", pdu.BIND, pdu.BIND_NAK),
        (b"\5\2", pdu.REQUEST, pdu.FAULT),
    ],
)
def test_a_bind_of_another_version_is_told_which_we_speak(
    version: bytes, kind: int, answered_by: int
) -> None:
    """C706 12.6.3.1 and [MS-RPCE] 2.2.2.9: reason 4, and the versions."""
    far = new_server()
    data = bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)), kind=kind)
    [event] = far.receive_data(version + data[2:])
    assert isinstance(event, events.ProtocolViolated)
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert frame[0] == answered_by
    if answered_by == pdu.BIND_NAK:
        assert frame[5][16:] == bytes.fromhex("0400 01 0500 000000")
    assert far.is_closing


def test_a_second_bind_is_refused() -> None:
    _, far = bound()
    [event] = far.receive_data(bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,))))
    assert isinstance(event, events.ProtocolViolated)
    assert far.data_to_send()[2] == pdu.BIND_NAK
    assert far.is_closing


@pytest.mark.parametrize("flags", [0, pdu.FIRST_FRAGMENT, 0xFF])
def test_the_flags_of_a_bind_say_what_it_can_and_nothing_else(flags: int) -> None:
    far = new_server()
    [event] = far.receive_data(bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)), flags=flags))
    assert isinstance(event, events.BindRequested)
    far.accept_bind(1)
    assert far.data_to_send()[3] == pdu.WHOLE | flags & pdu.MULTIPLEX


def test_what_still_comes_of_an_orphan_is_passed_over() -> None:
    _, far = bound()
    for data in (
        fragment(5, pdu.FIRST_FRAGMENT, b"one"),
        pdu.encode(pdu.ORPHANED, pdu.WHOLE, "<", 5, b""),
        fragment(5, pdu.LAST_FRAGMENT, b"two"),
    ):
        assert far.receive_data(data) == []
    assert not far.is_closing


def test_an_object_uuid_is_handed_on() -> None:
    _, far = bound()
    uuid = bytes(range(16))
    data = bytearray(pdu.encode_call(pdu.REQUEST, "<", 9, 0, 5, uuid + b"stub", FRAGMENT))
    data[3] |= pdu.OBJECT
    [request] = requests(far.receive_data(bytes(data)))
    assert (request.object, request.stub) == (uuid, b"stub")


def test_a_maybe_call_is_never_answered() -> None:
    _, far = bound()
    data = pdu.encode_call(pdu.REQUEST, "<", 9, 0, 5, b"", FRAGMENT, pdu.MAYBE)
    for is_fault in (False, True):
        [request] = requests(far.receive_data(data))
        if is_fault:
            far.fault(request.call_id, ACCESS_DENIED)
        else:
            far.respond(request.call_id, b"")
        assert far.data_to_send() == b""
        # Its number may be used again, by a call that is.
        [request] = requests(far.receive_data(fragment(9, pdu.WHOLE, b"")))
        far.respond(request.call_id, b"")
        assert far.data_to_send() != b""


def test_an_alloc_hint_counts_down() -> None:
    data = pdu.encode_call(pdu.RESPONSE, "<", 1, 0, 0, bytes(5000), 2048)
    frames = pdu.Framer().frames(data)
    assert [(frame[1], frame[5][16:20]) for frame in frames] == [
        (pdu.FIRST_FRAGMENT, (5000).to_bytes(4, "little")),
        (0, (5000 - 2024).to_bytes(4, "little")),
        (pdu.LAST_FRAGMENT, (5000 - 4048).to_bytes(4, "little")),
    ]


# Limits ---------------------------------------------------------------------------------------


def fragment(call_id: int, flags: int, stub: bytes, context: int = 0, opnum: int = 0) -> bytes:
    data = bytearray(pdu.encode_call(pdu.REQUEST, "<", call_id, context, opnum, stub, 65528))
    data[3] = flags
    return bytes(data)


def status_of(data: bytes) -> int:
    [frame] = pdu.Framer().frames(data)
    return pdu.decode_fault(frame)


def test_a_request_over_four_mebibytes_is_denied_and_the_rest_ignored() -> None:
    _, far = bound()
    part = bytes(65000)
    assert far.receive_data(fragment(5, pdu.FIRST_FRAGMENT, part)) == []
    for _ in range(64):
        assert far.receive_data(fragment(5, 0, part)) == []
    assert status_of(far.data_to_send()) == ACCESS_DENIED
    assert far.receive_data(fragment(5, 0, part)) == []
    assert far.receive_data(fragment(5, pdu.LAST_FRAGMENT, part)) == []
    assert not far.is_closing
    assert requests(far.receive_data(fragment(6, pdu.WHOLE, b"")))


def test_what_is_complete_no_longer_counts() -> None:
    _, far = bound()
    part = bytes(65000)
    for call_id in range(1, 36):
        assert far.receive_data(fragment(call_id, pdu.FIRST_FRAGMENT, part)) == []
        [request] = requests(far.receive_data(fragment(call_id, pdu.LAST_FRAGMENT, part)))
        far.respond(request.call_id, b"")


def test_too_many_calls_at_once_are_told_so() -> None:
    _, far = bound()
    for call_id in range(1, server.MAX_CALLS + 1):
        assert requests(far.receive_data(fragment(call_id, pdu.WHOLE, b"")))
    assert far.receive_data(fragment(server.MAX_CALLS + 1, pdu.WHOLE, b"")) == []
    assert status_of(far.data_to_send()) == TOO_BUSY
    far.respond(1, b"")
    far.data_to_send()
    assert requests(far.receive_data(fragment(server.MAX_CALLS + 2, pdu.WHOLE, b"")))


@pytest.mark.parametrize(
    "data",
    [
        fragment(1, pdu.WHOLE, b"")[:4] + b"\x20" + fragment(1, pdu.WHOLE, b"")[5:],
        b"GET / HTTP/1.1\r\n\r\n",
        fragment(9, 0, b"never began"),
        fragment(9, pdu.FIRST_FRAGMENT, b"") + fragment(9, pdu.LAST_FRAGMENT, b"", opnum=1),
        fragment(9, pdu.WHOLE, b"") + fragment(9, pdu.WHOLE, b""),
        fragment(9, pdu.WHOLE, b"") + fragment(9, pdu.FIRST_FRAGMENT, b""),
        pdu.encode(pdu.REQUEST, pdu.WHOLE, "<", 9, b"1234"),
        pdu.encode(pdu.RESPONSE, pdu.WHOLE, "<", 9, bytes(8)),
        pdu.encode(pdu.AUTH_3, pdu.WHOLE, "<", 9, bytes(8)),
        pdu.encode(1, pdu.WHOLE, "<", 9, bytes(8)),
        pdu.encode(pdu.ALTER_CONTEXT, pdu.WHOLE, "<", 9, bytes(8) + b"\1\0\0\0"),
        bind_pdu(kind=pdu.ALTER_CONTEXT),
        bind_pdu((syntax(ECHO), ()), kind=pdu.ALTER_CONTEXT),
        b"\5\0\0\3\x10\0\0\0\x0f\0\0\0\1\0\0\0",
        b"\5\0\0\3\x10\0\0\0\x18\0\x20\0\1\0\0\0" + bytes(8),
        b"\5\2\0\3\x10\0\0\0\x18\0\0\0\1\0\0\0" + bytes(8),
    ],
    ids=range(16),
)
def test_a_peer_that_breaks_the_protocol_gets_a_fault_and_the_end(data: bytes) -> None:
    _, far = bound()
    heard = far.receive_data(data)
    assert isinstance(heard[-1], events.ProtocolViolated)
    assert far.is_closing
    last = pdu.Framer().frames(far.data_to_send())[-1]
    assert pdu.decode_fault(last) == PROTOCOL_ERROR
    assert far.receive_data(fragment(50, pdu.WHOLE, b"")) == []


def test_nothing_but_a_bind_may_come_first() -> None:
    far = new_server()
    [event] = far.receive_data(fragment(1, pdu.WHOLE, b""))
    assert isinstance(event, events.ProtocolViolated)


def test_what_came_before_the_violation_is_heard() -> None:
    _, far = bound()
    heard = far.receive_data(fragment(9, pdu.WHOLE, b"good") + b"garbage that is none at all")
    assert [type(event) for event in heard] == [events.Request, events.ProtocolViolated]


@pytest.mark.parametrize("first", [pdu.WHOLE, pdu.FIRST_FRAGMENT])
def test_a_call_that_is_not_over_cannot_be_made_again(first: int) -> None:
    _, far = bound()
    far.receive_data(fragment(1, first, b""))
    [event] = far.receive_data(fragment(1, pdu.WHOLE, b""))
    assert isinstance(event, events.ProtocolViolated)


pdus = st.one_of(
    st.builds(
        fragment,
        st.integers(1, 2),
        st.sampled_from([pdu.WHOLE, pdu.FIRST_FRAGMENT, pdu.LAST_FRAGMENT]) | st.integers(0, 255),
        st.binary(max_size=30),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    st.sampled_from(
        [
            bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,))),
            bind_pdu((syntax(OTHER), (binds.NDR64_SYNTAX,)), kind=pdu.ALTER_CONTEXT),
            pdu.encode(pdu.ORPHANED, pdu.WHOLE, "<", 1, b""),
            pdu.encode(pdu.CO_CANCEL, pdu.WHOLE, ">", 2, b""),
            pdu.call_header(pdu.REQUEST, pdu.WHOLE, "<", 48, 16, 3, 0, 0, 0) + bytes(24),
        ]
    ),
)
chunks = st.one_of(st.binary(max_size=80), pdus)


@settings(deadline=None, max_examples=200)
@given(pieces=st.lists(chunks, max_size=12), is_bound=st.booleans())
def test_no_bytes_make_the_server_raise(pieces: list[bytes], is_bound: bool) -> None:
    far = bound()[1] if is_bound else new_server()
    for piece in pieces:
        for event in far.receive_data(piece):
            if isinstance(event, events.BindRequested):
                far.accept_bind(1)
            elif isinstance(event, events.Request):
                far.respond(event.call_id, b"")
        for frame in pdu.Framer().frames(far.data_to_send()):
            assert len(frame[5]) <= 65535


@settings(deadline=None, max_examples=200)
@given(said=st.lists(st.tuples(st.lists(pdus, min_size=1, max_size=2), st.booleans()), max_size=12))
def test_pdus_mean_the_same_in_one_piece_and_byte_by_byte(
    said: list[tuple[list[bytes], bool]],
) -> None:
    far, other = bound()[1], bound()[1]
    for together, is_answered in said:
        data = b"".join(together)
        whole = _heard(far, [data], is_answered)
        assert whole == _heard(other, [bytes([byte]) for byte in data], is_answered)


def _heard(far: server.ServerConnection, pieces: list[bytes], is_answered: bool) -> list[object]:
    """What these bytes say to a server, and what comes back."""
    told = [event for piece in pieces for event in far.receive_data(piece)]
    for event in told:
        if is_answered and isinstance(event, events.Request):
            far.respond(event.call_id, event.stub)
    described = [(type(event), [getattr(event, n) for n in event.__slots__]) for event in told]
    return [*described, far.data_to_send(), far.open_calls]
