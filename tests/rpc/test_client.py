"""The client's end against a server that is late, errs, or does not prove itself."""

from __future__ import annotations

import pytest

from scmd.rpc import binds, client, events, pdu, server
from scmd.rpc.errors import RpcError
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.provider import CONNECT, INTEGRITY, KERBEROS, NTLM, PRIVACY, SPNEGO
from tests.rpc.ends import ECHO, OTHER, bound
from tests.rpc.security.toy import Ends, Toy, policy


def abandoned(
    near: client.ClientConnection, far: server.ServerConnection, size: int
) -> list[bytes]:
    """The fragments of an answer that is on its way when nobody waits for it any more."""
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    far.respond(call_id, bytes(size))
    late = [frame[5] for frame in pdu.Framer().frames(far.data_to_send())]
    far.receive_data(near.abandon(call_id))
    return late


@pytest.mark.parametrize("level", [INTEGRITY, PRIVACY])
@pytest.mark.parametrize("auth_type", [NTLM, SPNEGO, KERBEROS])
def test_a_late_answer_is_dropped_and_counts_for_the_next_signature(
    auth_type: int, level: int
) -> None:
    ends = Ends(auth_type, level, terms=policy(INTEGRITY))
    ends.bind()
    late = abandoned(ends.near, ends.far, 9000)
    assert len(late) == 2
    for fragment in late:
        assert ends.near.receive_data(fragment) == []
    assert isinstance(ends.echo(b"in time"), client.Response)


def test_a_call_that_is_given_up_half_way_leaves_nothing() -> None:
    """Nor one that a fault ends, or that is whole: 4 MiB are for the unfinished ones."""
    near, far = bound(max_fragment=65528)
    for end in ("abandoned", "fault", "whole") * 70:
        call_id, data = near.call(ECHO, 0, b"")
        far.receive_data(data)
        far.respond(call_id, bytes(130_000))
        fragments = [frame[5] for frame in pdu.Framer().frames(far.data_to_send())]
        assert near.receive_data(b"".join(fragments[:-1])) == []
        if end == "abandoned":
            near.abandon(call_id)
            assert near.receive_data(fragments[-1]) == []
            continue
        last = pdu.encode_fault("<", call_id, 0, 5) if end == "fault" else fragments[-1]
        [event] = near.receive_data(last)
        assert isinstance(event, client.Fault if end == "fault" else client.Response)


def test_an_answer_belongs_to_a_call_and_answers_it_once() -> None:
    near, far = bound()
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    far.respond(call_id, b"answer")
    answer = far.data_to_send()
    for piece in (len(answer), 10):
        heard = near.receive_data(answer[:piece]) + near.receive_data(answer[piece:])
        assert len(heard) == (piece == len(answer)), "in whichever way it comes, once"
    assert near.receive_data(pdu.encode_fault("<", call_id, 0, 5)) == []
    for other in (0, call_id + 1):
        with pytest.raises(RpcError, match="was not made"):
            near.receive_data(pdu.encode_call(pdu.RESPONSE, "<", other, 0, 0, b"", 5840))


@pytest.mark.parametrize("call_id", [0, 1000])
def test_a_fault_of_no_call_is_one_of_the_connection(call_id: int) -> None:
    near, _ = bound()
    with pytest.raises(RpcError, match="0x00000005"):
        near.receive_data(pdu.encode_fault("<", call_id, 0, 5))
    with pytest.raises(RpcError, match="without a status"):
        near.receive_data(pdu.encode(pdu.FAULT, pdu.WHOLE, "<", 1, bytes(11)))


@pytest.mark.parametrize("kind", [pdu.REQUEST, pdu.BIND, pdu.AUTH_3, pdu.CO_CANCEL, 1])
def test_a_server_sends_what_servers_send(kind: int) -> None:
    near, _ = bound()
    assert near.receive_data(pdu.encode(pdu.SHUTDOWN, pdu.WHOLE, "<", 0, b"")) == []
    with pytest.raises(RpcError, match=f"type {kind}"):
        near.receive_data(pdu.encode(kind, pdu.WHOLE, "<", 1, bytes(8)))


def test_the_first_fragment_comes_first() -> None:
    near, _ = bound()
    call_id, _ = near.call(ECHO, 0, b"")
    data = bytearray(pdu.encode_call(pdu.RESPONSE, "<", call_id, 0, 0, b"end", 5840))
    data[3] = pdu.LAST_FRAGMENT
    with pytest.raises(RpcError, match="lacks its beginning"):
        near.receive_data(bytes(data))


def ack(call_id: int, results: int, *, size: int = 5840) -> bytes:
    accepted = binds.ContextResult(transfer=binds.NDR_SYNTAX)
    body = binds.encode_bind_ack(
        binds.BindAck(max_transmit=size, max_receive=size, group=7, results=(accepted,) * results),
        "<",
    )
    return pdu.encode(pdu.BIND_ACK, pdu.WHOLE, "<", call_id, body)


@pytest.mark.parametrize(("call_id", "results"), [(1, 0), (1, 1), (1, 3), (2, 2), (0, 2)])
def test_each_proposal_has_its_answer(call_id: int, results: int) -> None:
    near = client.ClientConnection()
    near.bind([ECHO, OTHER])
    with pytest.raises(RpcError, match="was not sent"):
        near.receive_data(ack(call_id, results))
    assert not near.is_bound


@pytest.mark.parametrize(("size", "longest"), [(65535, 5840), (4280, 4280), (0, 1432)])
def test_fragments_are_as_long_as_the_server_takes(size: int, longest: int) -> None:
    near = client.ClientConnection(max_fragment=5840)
    near.bind([ECHO])
    near.receive_data(ack(1, 1, size=size))
    assert near.is_bound
    frames = pdu.Framer().frames(near.call(ECHO, 0, bytes(9000))[1])
    assert longest - 8 < len(frames[0][5]) <= longest


# Authentication -------------------------------------------------------------------------------


def test_interfaces_that_are_added_have_numbers_of_their_own() -> None:
    near, far = client.ClientConnection(), server.ServerConnection([ECHO, OTHER])
    far.receive_data(near.bind([ECHO]))
    far.accept_bind(7)
    near.receive_data(far.data_to_send())
    assert far.receive_data(near.alter_context([OTHER])) == []
    [accepted] = near.receive_data(far.data_to_send())
    assert isinstance(accepted, client.BindAccepted)
    for interface in (ECHO, OTHER):
        [request] = far.receive_data(near.call(interface, 0, b"")[1])
        assert isinstance(request, events.Request)
        assert request.interface is interface


def test_adding_one_asks_for_no_proof_again() -> None:
    ends = Ends(KERBEROS)
    ends.bind()
    heard = len(ends.heard)
    ends.send(ends.near.alter_context([ECHO]))
    assert isinstance(ends.answers[-1], client.BindAccepted)
    assert ends.heard[heard:] == []


def securing(
    legs: int, *answers: tuple[int, bytes, int], heard: list[object] | None = None
) -> client.ClientConnection:
    """A client of SPNEGO in `legs`, and the server's answers: context, token, number of the PDU."""
    near = client.ClientConnection(security=Initiation(Toy(legs, "ann"), SPNEGO, PRIVACY))
    near.bind([ECHO])
    for context, token, call_id in answers:
        body = ack(call_id, 1)[pdu.HEADER_SIZE :]
        trailer = pdu.AuthTrailer(type=SPNEGO, level=PRIVACY, context_id=context, token=token)
        kind = pdu.BIND_ACK if call_id == 1 else pdu.ALTER_CONTEXT_RESPONSE
        told = near.receive_data(pdu.encode_secured(kind, pdu.WHOLE, "<", call_id, body, trailer))
        if heard is not None:
            heard += told
    return near


def test_nothing_is_called_before_both_ends_are_proved() -> None:
    near = securing(4, (1, b"1:ann", 1))
    with pytest.raises(RpcError, match="not complete"):
        near.call(ECHO, 0, b"")
    heard: list[object] = []
    near = securing(4, (1, b"1:ann", 1), heard=heard)
    assert heard == [], "that it is bound is told when it is all over"
    near = securing(4, (1, b"1:ann", 1), (1, b"3:ann", 2), heard=heard)
    [accepted] = heard
    assert isinstance(accepted, client.BindAccepted)
    assert accepted.group == 7
    assert near.call(ECHO, 0, b"")


def test_the_last_token_of_the_client_is_answered_where_it_is_not_ntlms() -> None:
    """As Kerberos' third in DCE style: the server's answer has none, and says that it is bound."""
    near = securing(3, (1, b"1:ann", 1))
    assert near.data_to_send()[2] == pdu.ALTER_CONTEXT
    with pytest.raises(RpcError, match="not complete"):
        near.call(ECHO, 0, b"")
    body = ack(2, 1)[pdu.HEADER_SIZE :]
    [accepted] = near.receive_data(pdu.encode(pdu.ALTER_CONTEXT_RESPONSE, pdu.WHOLE, "<", 2, body))
    assert isinstance(accepted, client.BindAccepted)
    assert near.call(ECHO, 0, b"")


class Mute(Toy):
    """Has nothing more to say, and is not done."""

    def step(self, token: bytes) -> bytes | None:
        return None if token else super().step(token)


def test_an_end_that_falls_silent_proves_nothing() -> None:
    near = client.ClientConnection(security=Initiation(Mute(4, "ann"), SPNEGO, PRIVACY))
    near.bind([ECHO])
    trailer = pdu.AuthTrailer(type=SPNEGO, level=PRIVACY, context_id=1, token=b"1:ann")
    body = ack(1, 1)[pdu.HEADER_SIZE :]
    with pytest.raises(RpcError, match="does not carry authentication on"):
        near.receive_data(pdu.encode_secured(pdu.BIND_ACK, pdu.WHOLE, "<", 1, body, trailer))


def test_at_connect_level_nothing_is_added_and_nothing_expected() -> None:
    ends = Ends(KERBEROS, CONNECT, terms=policy(CONNECT))
    ends.bind()
    answer = ends.echo(b"as it is")
    assert isinstance(answer, client.Response)
    assert answer.stub == b"as it is"
    request = ends.heard[-1]
    assert isinstance(request, events.Request)
    assert request.stub == b"as it is"


def test_the_server_answers_for_the_context_that_was_begun() -> None:
    with pytest.raises(RpcError, match="another security context"):
        securing(4, (2, b"1:ann", 1))
    with pytest.raises(RpcError, match="not the one expected"):
        securing(4, (1, b"1:bob", 1))
