"""The client's end against the server's end: whatever is said arrives, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.rpc import client, events, pdu
from scmd.rpc.errors import (
    CONTEXT_MISMATCH,
    OPERATION_RANGE,
    UNKNOWN_INTERFACE,
    RpcError,
    win32_error,
)
from tests.rpc.ends import ECHO, ECHO_BLOB, OTHER, UNKNOWN, Blob, bound, new_server, requests

unhurried = settings(deadline=None, max_examples=30)
forms = st.sampled_from([0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN])


def test_a_bind_says_who_joins_what() -> None:
    near, far = client.ClientConnection(), new_server()
    [event] = far.receive_data(near.bind([ECHO, UNKNOWN, OTHER], group=5))
    assert isinstance(event, events.BindRequested)
    assert event.group == 5
    far.accept_bind(5)
    assert far.group == 5
    [accepted] = near.receive_data(far.data_to_send())
    assert isinstance(accepted, client.BindAccepted)
    assert (accepted.group, accepted.refused, accepted.secondary_address) == (5, (UNKNOWN,), "135")
    with pytest.raises(RpcError, match="unknown is not bound"):
        near.call(UNKNOWN, 0, b"")


def test_a_refused_bind_closes() -> None:
    near, far = client.ClientConnection(), new_server()
    far.receive_data(near.bind([ECHO]))
    far.refuse_bind(2)
    [refused] = near.receive_data(far.data_to_send())
    assert isinstance(refused, client.BindRefused)
    assert refused.reason == 2
    assert far.is_closing


@unhurried
@given(
    form=forms,
    size=st.integers(0, 20_000),
    answer=st.integers(0, 20_000),
    max_fragment=st.sampled_from([2048, 4280, 5840, 65528]),
    cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
)
def test_calls_survive_fragments_and_any_splitting(
    form: int, size: int, answer: int, max_fragment: int, cuts: list[int]
) -> None:
    near, far = bound(form=form, max_fragment=max_fragment)
    sent = Blob(number=1, data=bytes(range(256)) * (size // 256))
    call_id, data = near.call(ECHO, 0, ECHO_BLOB.encode_request(sent, near.form))
    [request] = requests(_deliver(data, cuts, far.receive_data))
    assert (request.call_id, request.interface, request.opnum) == (call_id, ECHO, 0)
    assert ECHO_BLOB.decode_request(request.stub, request.form) == sent
    back = Blob(number=2, data=bytes(answer))
    far.respond(call_id, ECHO_BLOB.encode_response(back, request.form))
    [response] = _deliver(far.data_to_send(), cuts, near.receive_data)
    assert isinstance(response, client.Response)
    assert ECHO_BLOB.decode_response(response.stub, response.form) == back
    assert far.open_calls == 0


def _deliver(data: bytes, cuts: list[int], receive: object) -> list[object]:
    heard: list[object] = []
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        heard += receive(data[position : position + size])  # type: ignore[operator] # either end
        position, turn = position + size, turn + 1
    return heard


def test_calls_are_answered_in_any_order() -> None:
    near, far = bound()
    first, one = near.call(ECHO, 0, b"1")
    second, two = near.call(OTHER, 4, b"2")
    heard = requests(far.receive_data(one + two))
    assert [(r.call_id, r.interface, r.opnum, r.stub) for r in heard] == [
        (first, ECHO, 0, b"1"),
        (second, OTHER, 4, b"2"),
    ]
    far.respond(second, b"two")
    far.respond(first, b"one")
    answers = near.receive_data(far.data_to_send())
    assert [(a.call_id, a.stub) for a in answers if isinstance(a, client.Response)] == [
        (second, b"two"),
        (first, b"one"),
    ]


def test_fragments_of_two_calls_may_be_mixed() -> None:
    near, far = bound(max_fragment=2048)
    a, one = near.call(ECHO, 0, b"a" * 3000)
    b, two = near.call(ECHO, 0, b"b" * 3000)
    heard = requests(far.receive_data(one[:2048] + two + one[2048:]))
    assert [(r.call_id, r.stub) for r in heard] == [(b, b"b" * 3000), (a, b"a" * 3000)]


def test_a_fault_answers_its_call() -> None:
    near, far = bound()
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    far.fault(call_id, CONTEXT_MISMATCH)
    [fault] = near.receive_data(far.data_to_send())
    assert isinstance(fault, client.Fault)
    assert (fault.call_id, fault.status, win32_error(fault.status)) == (call_id, 0x1C00001A, 6)


def test_faults_become_what_windows_raises() -> None:
    assert win32_error(5) == 5
    assert win32_error(OPERATION_RANGE) == 1745
    assert win32_error(0x6F7) == 1783
    assert win32_error(0x1C012345) == 1726
    assert win32_error(1722) == 1722


def test_a_context_can_be_added_later() -> None:
    near, far = client.ClientConnection(), new_server()
    far.receive_data(near.bind([ECHO]))
    far.accept_bind(1)
    near.receive_data(far.data_to_send())
    assert far.receive_data(near.alter_context([UNKNOWN, OTHER])) == []
    [accepted] = near.receive_data(far.data_to_send())
    assert isinstance(accepted, client.BindAccepted)
    assert (accepted.refused, accepted.secondary_address) == ((UNKNOWN,), "")
    _, data = near.call(OTHER, 1, b"")
    [request] = requests(far.receive_data(data))
    assert request.interface is OTHER


def test_an_orphan_is_not_answered_and_the_connection_lives() -> None:
    near, far = bound()
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    [event] = far.receive_data(near.abandon(call_id))
    assert isinstance(event, events.CallCancelled)
    assert event.is_orphaned
    far.respond(call_id, b"late")
    assert far.data_to_send() == b""
    _, data = near.call(ECHO, 0, b"next")
    assert requests(far.receive_data(data))


def test_an_answer_to_an_abandoned_call_is_dropped() -> None:
    near, far = bound()
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    far.respond(call_id, b"on its way")
    near.abandon(call_id)
    assert near.receive_data(far.data_to_send()) == []


def test_a_cancel_is_told_and_the_call_is_still_answered() -> None:
    near, far = bound()
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    [event] = far.receive_data(pdu.encode(pdu.CO_CANCEL, pdu.WHOLE, "<", call_id, b""))
    assert isinstance(event, events.CallCancelled)
    assert not event.is_orphaned
    far.respond(call_id, b"answer")
    [response] = near.receive_data(far.data_to_send())
    assert isinstance(response, client.Response)


def test_multiplexing_is_granted_when_asked() -> None:
    near, far = client.ClientConnection(), new_server()
    far.receive_data(near.bind([ECHO]))
    far.accept_bind(1)
    assert far.data_to_send()[3] & pdu.MULTIPLEX


def test_an_answer_over_four_mebibytes_is_refused_by_the_client() -> None:
    near, far = bound(max_fragment=65528)
    call_id, data = near.call(ECHO, 0, b"")
    far.receive_data(data)
    far.respond(call_id, bytes(4 * 1024 * 1024 + 1))
    with pytest.raises(RpcError, match="4 MiB"):
        near.receive_data(far.data_to_send())


@unhurried
@given(data=st.binary(max_size=100), at=st.integers(0, 60), value=st.integers(0, 255))
def test_a_lying_server_raises_rpc_error_alone(data: bytes, at: int, value: int) -> None:
    near, far = bound()
    call_id, request = near.call(ECHO, 0, b"")
    far.receive_data(request)
    far.respond(call_id, b"12345678" * 5)
    answer = bytearray(far.data_to_send())
    answer[at] = value
    for hostile in (bytes(answer), data, b"\5\0\x0c\3\x10\0\0\0" + data):
        try:
            near.receive_data(hostile)
        except RpcError:
            return


def test_an_unknown_presentation_context_is_a_fault() -> None:
    _, far = bound()
    data = pdu.encode_call(pdu.REQUEST, "<", 9, 77, 0, b"", 5840)
    assert far.receive_data(data) == []
    fault = far.data_to_send()
    assert fault[2] == pdu.FAULT
    assert fault[3] & pdu.DID_NOT_EXECUTE
    assert fault[24:28] == UNKNOWN_INTERFACE.to_bytes(4, "little")
    assert not far.is_closing
