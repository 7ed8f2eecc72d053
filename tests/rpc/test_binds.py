"""What binds and alter_contexts say and are answered with, field by field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.ndr.values import Guid
from scmd.rpc import binds, events, pdu, server
from scmd.rpc.errors import RpcError
from scmd.rpc.presentation import MAX_CONTEXTS
from tests.rpc.ends import ECHO, OTHER, bound, new_server
from tests.rpc.security.toy import policy
from tests.rpc.test_server import answered, bind_pdu, features, syntax

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
ORDERS = st.sampled_from("<>")
SYNTAXES = st.builds(binds.Syntax, uuid=st.binary(min_size=16, max_size=16).map(Guid), version=U32)
CONTEXTS = st.builds(
    binds.PresentationContext,
    id=U16,
    abstract=SYNTAXES,
    transfers=st.lists(SYNTAXES, max_size=3).map(tuple),
)
RESULTS = st.builds(binds.ContextResult, result=U16, reason=U16, transfer=SYNTAXES)


def framed(kind: int, order: str, body: bytes) -> pdu.Frame:
    [frame] = pdu.Framer().frames(pdu.encode(kind, pdu.WHOLE, order, 1, body))
    return frame


@given(ORDERS, U16, U16, U32, st.lists(CONTEXTS, max_size=3))
def test_binds_go_round(
    order: str, transmit: int, receive: int, group: int, contexts: list[binds.PresentationContext]
) -> None:
    bind = binds.Bind(
        max_transmit=transmit, max_receive=receive, group=group, contexts=tuple(contexts)
    )
    assert binds.decode_bind(framed(pdu.BIND, order, binds.encode_bind(bind, order))) == bind


@given(ORDERS, U16, U16, U32, st.text("0123456789", max_size=9), st.lists(RESULTS, max_size=3))
def test_their_answers_go_round(
    order: str,
    transmit: int,
    receive: int,
    group: int,
    address: str,
    results: list[binds.ContextResult],
) -> None:
    ack = binds.BindAck(
        max_transmit=transmit,
        max_receive=receive,
        group=group,
        secondary_address=address,
        results=tuple(results),
    )
    assert binds.decode_bind_ack(framed(12, order, binds.encode_bind_ack(ack, order))) == ack


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("<", "0100 0200 03000000 01 000000 0400 01 00 33221100 5544 7766 8899aabbccddeeff"),
        (">", "0001 0002 00000003 01 000000 0004 01 00 00112233 4455 6677 8899aabbccddeeff"),
    ],
)
def test_the_bytes_of_both_orders(order: str, data: str) -> None:
    uuid = Guid.parse("00112233-4455-6677-8899-aabbccddeeff")
    context = binds.PresentationContext(
        id=4, abstract=binds.Syntax(uuid=uuid, version=5), transfers=(binds.NDR_SYNTAX,)
    )
    bind = binds.Bind(max_transmit=1, max_receive=2, group=3, contexts=(context,))
    assert binds.encode_bind(bind, order)[:32] == bytes.fromhex(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_reason_of_a_refusal_has_two_bytes(order: str) -> None:
    body = binds.encode_bind_nak(0x0104, order)
    assert binds.decode_bind_nak(framed(pdu.BIND_NAK, order, body)) == 0x0104


def test_what_a_bind_proposes_lies_in_front_of_its_token() -> None:
    data = bytearray(bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)), count=2))
    trailer = pdu.AuthTrailer(type=10, level=5, context_id=1, token=bytes(200))
    [frame] = pdu.Framer().frames(
        pdu.encode_secured(pdu.BIND, pdu.WHOLE, "<", 1, bytes(data[16:]), trailer)
    )
    with pytest.raises(RpcError, match="cut short"):
        binds.decode_bind(frame)


def alter(*contexts: tuple[binds.Syntax, tuple[binds.Syntax, ...]]) -> bytes:
    return bind_pdu(*contexts, kind=pdu.ALTER_CONTEXT, limits=(2048, 2048), flags=0x13)


def test_an_alter_context_agrees_on_presentations_alone() -> None:
    """Not on fragments, nor on what else the connection can: the bind has."""
    _, far = bound()
    assert far.receive_data(alter((syntax(ECHO), (binds.NDR_SYNTAX,)))) == []
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert frame[:2] == (pdu.ALTER_CONTEXT_RESPONSE, pdu.WHOLE)
    assert binds.decode_bind_ack(frame).max_transmit == server.REMOTE_FRAGMENT
    assert binds.decode_bind_ack(frame).group == 7


def test_one_that_makes_no_sense_was_not_carried_out() -> None:
    _, far = bound()
    [event] = far.receive_data(alter())
    assert isinstance(event, events.ProtocolViolated)
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert frame[:2] == (pdu.FAULT, pdu.WHOLE | pdu.DID_NOT_EXECUTE)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_many_security_contexts_are_for_those_that_authenticate(is_trusted: bool) -> None:
    far = new_server() if is_trusted else server.ServerConnection([ECHO], policy=policy())
    ack = answered(far, bind_pdu((syntax(ECHO), (features(0xFF),))))
    both = binds.SECURITY_CONTEXT_MULTIPLEXING | binds.KEEP_CONNECTION_ON_ORPHAN
    assert ack.results[0].reason == (binds.KEEP_CONNECTION_ON_ORPHAN if is_trusted else both)


def test_each_context_has_to_propose_something() -> None:
    far = new_server()
    [event] = far.receive_data(bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)), (syntax(OTHER), ())))
    assert isinstance(event, events.ProtocolViolated)


def test_features_are_proposed_once_wherever_they_stand() -> None:
    proposed = [(syntax(ECHO), (binds.NDR_SYNTAX,)), (syntax(ECHO), (features(1),))]
    assert answered(new_server(), bind_pdu(*proposed)).results[1].reason == 0
    [event] = new_server().receive_data(bind_pdu(*proposed, proposed[1]))
    assert isinstance(event, events.ProtocolViolated)


def test_a_connection_has_so_many_presentation_contexts() -> None:
    """Numbers that mean something already are no new ones."""
    _, far = bound()

    def proposal(number: int) -> binds.ContextResult:
        context = binds.PresentationContext(
            id=number, abstract=syntax(ECHO), transfers=(binds.NDR_SYNTAX,)
        )
        bind = binds.Bind(max_transmit=5840, max_receive=5840, contexts=(context,))
        body = binds.encode_bind(bind, "<")
        assert far.receive_data(pdu.encode(pdu.ALTER_CONTEXT, pdu.WHOLE, "<", 1, body)) == []
        [frame] = pdu.Framer().frames(far.data_to_send())
        [result] = binds.decode_bind_ack(frame).results
        return result

    for number in range(2, MAX_CONTEXTS):
        assert proposal(number).result == binds.ACCEPTANCE
    for number in (MAX_CONTEXTS, MAX_CONTEXTS + 1):
        refused = proposal(number)
        assert (refused.result, refused.reason) == (binds.PROVIDER_REJECTION, binds.LOCAL_LIMIT)
    assert proposal(MAX_CONTEXTS - 1).result == binds.ACCEPTANCE
