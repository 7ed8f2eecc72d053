"""Calls that are not let through: what each is answered with, and what it leaves behind."""

from __future__ import annotations

import pytest

from scmd.rpc import binds, events, pdu, server
from scmd.rpc.errors import (
    ACCESS_DENIED,
    PROTOCOL_ERROR,
    SECURITY_PACKAGE_ERROR,
    UNKNOWN_INTERFACE,
)
from scmd.rpc.mgmt import Statistics
from scmd.rpc.security.provider import INTEGRITY, KERBEROS
from scmd.rpc.security.verification import CallHeader
from tests.rpc.ends import ECHO, OTHER, bound, new_server, requests
from tests.rpc.security.test_contexts import begun, established, leg, token
from tests.rpc.security.test_verification import trailer
from tests.rpc.security.toy import Ends, policy
from tests.rpc.test_server import bind_pdu, fragment, syntax

FIRST, LAST = pdu.FIRST_FRAGMENT, pdu.LAST_FRAGMENT
DENIED = pdu.WHOLE | pdu.DID_NOT_EXECUTE
"""The flags of a fault that says: nothing was done."""


def fault(far: server.ServerConnection) -> tuple[int, int, int, int]:
    """Flags, call, presentation context and status of the one fault that is to be sent."""
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert frame[0] == pdu.FAULT
    return frame[1], frame[3], pdu.context_of(frame), pdu.decode_fault(frame)


def test_a_call_to_nothing_is_answered_at_its_first_fragment() -> None:
    _, far = bound()
    assert far.receive_data(fragment(5, FIRST, b"one", context=9)) == []
    assert fault(far) == (DENIED, 5, 0, UNKNOWN_INTERFACE)
    for flags in (0, LAST):
        assert far.receive_data(fragment(5, flags, b"more", context=9)) == []
    assert (far.data_to_send(), far.is_closing) == (b"", False)


def test_unfinished_calls_are_counted_and_the_one_too_many_is_given_up() -> None:
    _, far = bound()
    for call_id in range(1, server.MAX_CALLS + 1):
        assert far.receive_data(fragment(call_id, FIRST, b"")) == []
    assert far.data_to_send() == b""
    many = server.MAX_CALLS + 1
    assert far.receive_data(fragment(many, FIRST, b"", context=1)) == []
    assert fault(far) == (DENIED, many, 1, ACCESS_DENIED)
    assert far.receive_data(fragment(many, LAST, b"", context=1)) == []
    assert requests(far.receive_data(fragment(1, LAST, b"")))


def test_a_request_may_have_four_mebibytes_and_not_a_byte_more() -> None:
    _, far = bound()
    part = bytes(1 << 15)
    for call_id in (5, 6):
        far.receive_data(fragment(call_id, FIRST, part))
        for _ in range(126):
            far.receive_data(fragment(call_id, 0, part))
        [request] = requests(far.receive_data(fragment(call_id, LAST, part)))
        assert len(request.stub) == server.MAX_STUB
        far.respond(call_id, b"")
        far.data_to_send()
    far.receive_data(fragment(7, FIRST, part + b"."))
    for _ in range(127):
        assert far.receive_data(fragment(7, 0, part)) == []
    assert fault(far) == (DENIED, 7, 0, ACCESS_DENIED)
    assert far.receive_data(fragment(7, LAST, part)) == []
    assert far.data_to_send() == b""


@pytest.mark.parametrize(
    ("behind", "is_stray"), [(0, False), (149, False), (150, True), (-1, True)]
)
def test_strays_of_old_calls_are_passed_over_and_of_others_are_not(
    behind: int, is_stray: bool
) -> None:
    _, far = bound()
    assert requests(far.receive_data(fragment(1000, pdu.WHOLE, b"")))
    heard = far.receive_data(fragment(1000 - behind, LAST, b""))
    assert [type(event) for event in heard] == [events.ProtocolViolated] * is_stray
    assert far.is_closing is is_stray


def test_a_cancel_leaves_a_call_that_is_not_whole_as_it_is() -> None:
    _, far = bound()
    far.receive_data(fragment(5, FIRST, b"one"))
    assert far.receive_data(pdu.encode(pdu.CO_CANCEL, pdu.WHOLE, "<", 5, b"")) == []
    [request] = requests(far.receive_data(fragment(5, LAST, b"two")))
    assert request.stub == b"onetwo"


TOKEN = pdu.AuthTrailer(type=10, level=5, context_id=1, token=bytes(16))


@pytest.mark.parametrize(
    "data",
    [
        fragment(9, FIRST, b"") + fragment(9, FIRST, b""),
        pdu.encode_secured(pdu.REQUEST, pdu.WHOLE, "<", 9, bytes(24), TOKEN),
        pdu.encode_secured(pdu.AUTH_3, pdu.WHOLE, "<", 9, bytes(4), TOKEN),
    ],
    ids=["begun twice", "a signature", "a token"],
)
def test_what_was_never_agreed_ends_the_connection(data: bytes) -> None:
    _, far = bound()
    [event] = far.receive_data(data)
    assert isinstance(event, events.ProtocolViolated)
    assert fault(far) == (pdu.WHOLE, 9, 0, PROTOCOL_ERROR)
    assert far.is_closing


@pytest.mark.parametrize("kind", [pdu.ALTER_CONTEXT, pdu.AUTH_3, pdu.CO_CANCEL, pdu.ORPHANED])
def test_nothing_else_comes_before_a_bind(kind: int) -> None:
    body = bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)))[16:]
    for is_trusted in (True, False):
        for data in (
            pdu.encode(kind, pdu.WHOLE, "<", 9, body),
            pdu.encode_secured(kind, pdu.WHOLE, "<", 9, body, TOKEN),
        ):
            far = new_server() if is_trusted else Ends().far
            [event] = far.receive_data(data)
            assert isinstance(event, events.ProtocolViolated)
            assert fault(far) == (pdu.WHOLE, 9, 0, PROTOCOL_ERROR)


def test_a_bind_is_answered_before_the_next() -> None:
    far = new_server()
    bind = bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,)))
    heard = far.receive_data(bind + bind)
    assert [type(event) for event in heard] == [events.BindRequested, events.ProtocolViolated]
    assert far.data_to_send()[2] == pdu.BIND_NAK
    assert far.is_closing


@pytest.mark.parametrize("kind", [pdu.AUTH_3, pdu.CO_CANCEL])
def test_who_authenticates_keeps_to_the_kinds_of_pdus(kind: int) -> None:
    ends = Ends(None)
    ends.bind()
    heard = ends.far.receive_data(pdu.encode(kind, pdu.WHOLE, "<", 9, bytes(8)))
    assert [type(event) for event in heard] == [events.ProtocolViolated] * (kind == pdu.AUTH_3)


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        (CallHeader("<", 9, 0, 5), True),
        (CallHeader("<", 9, 0, 6), False),
        (CallHeader("<", 9, 5, 0), False),
        (CallHeader("<", 8, 0, 5), False),
    ],
)
def test_a_call_that_its_client_did_not_make_is_not_carried_out(
    said: CallHeader, is_so: bool
) -> None:
    """[MS-RPCE] 3.3.1.5.2.2: where no header is signed, the signed stub says what it is for."""
    bind = leg(pdu.BIND, token(0, auth_type=KERBEROS, level=INTEGRITY))
    far = begun(bind, terms=policy(INTEGRITY))
    stub = b"args" + trailer((0x4003, said.encode()))
    call = established(INTEGRITY).encode_call(pdu.REQUEST, "<", 9, 0, 5, stub, 5840)
    heard = far.receive_data(call)
    assert [type(event) for event in heard] == [events.Request] * is_so
    if not is_so:
        assert fault(far) == (DENIED, 9, 0, ACCESS_DENIED)
    assert not far.is_closing


def test_a_token_that_is_refused_later_was_not_carried_out_and_a_forged_call_may_have_been() -> (
    None
):
    """[C706] 12.6.4.7: did_not_execute promises that it can be tried again."""
    far = begun(leg(pdu.BIND, token(0, auth_type=KERBEROS)))
    far.receive_data(leg(pdu.ALTER_CONTEXT, token(2, auth_type=KERBEROS)))
    assert fault(far) == (DENIED, 1, 0, ACCESS_DENIED)
    far = begun(leg(pdu.BIND, token(0, auth_type=KERBEROS)))
    far.receive_data(established(INTEGRITY).encode_call(pdu.REQUEST, "<", 9, 3, 5, b"", 5840))
    assert fault(far) == (pdu.WHOLE, 9, 3, SECURITY_PACKAGE_ERROR)


def test_one_call_that_wants_no_answer_takes_none_from_others() -> None:
    _, far = bound()
    data = pdu.encode_call(pdu.REQUEST, "<", 9, 0, 5, b"", 5840, pdu.MAYBE)
    assert requests(far.receive_data(data + fragment(10, pdu.WHOLE, b"")))
    far.respond(10, b"answer")
    [frame] = pdu.Framer().frames(far.data_to_send())
    assert (frame[3], pdu.decode_call(frame)[2]) == (10, b"answer")


def test_pdus_and_calls_are_counted_whichever_way_they_take() -> None:
    statistics = Statistics()
    far = server.ServerConnection([ECHO, OTHER], statistics=statistics)
    far.receive_data(bind_pdu((syntax(ECHO), (binds.NDR_SYNTAX,))))
    far.accept_bind(1)
    far.data_to_send()
    assert (statistics.received, statistics.calls, statistics.sent) == (1, 0, 1)
    assert requests(far.receive_data(fragment(5, pdu.WHOLE, b"")))
    assert (statistics.received, statistics.calls) == (2, 1)
    assert requests(far.receive_data(fragment(6, FIRST, b"") + fragment(6, LAST, b"")))
    assert (statistics.received, statistics.calls) == (4, 2)
    for call_id in (5, 6):
        far.respond(call_id, b"")
    far.data_to_send()
    far.data_to_send()
    assert statistics.sent == 3
