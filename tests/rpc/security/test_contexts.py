"""Security contexts: every level and way of agreeing, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.rpc import binds, client, events, pdu, server
from scmd.rpc.errors import (
    ACCESS_DENIED,
    PROTOCOL_ERROR,
    SECURITY_PACKAGE_ERROR,
    UNSUPPORTED_LEVEL,
    RpcError,
)
from scmd.rpc.security.acceptance import MAX_SECURITY_CONTEXTS
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.protection import Protection
from scmd.rpc.security.provider import (
    CALL,
    CONNECT,
    INTEGRITY,
    KERBEROS,
    NTLM,
    PACKET,
    PRIVACY,
    SPNEGO,
    SecurityError,
    SecurityPolicy,
)
from tests.rpc.ends import ECHO, OTHER
from tests.rpc.security.toy import LEGS, Ends, Toy, policy

types = st.sampled_from(sorted(LEGS))
levels = st.sampled_from([CONNECT, CALL, PACKET, INTEGRITY, PRIVACY])
unhurried = settings(deadline=None, max_examples=60)


def fault(answer: object) -> int:
    assert isinstance(answer, client.Fault)
    return answer.status


@unhurried
@given(
    auth_type=types,
    level=levels,
    form=st.sampled_from([0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN]),
    stubs=st.lists(st.integers(0, 9000), min_size=1, max_size=4),
    max_fragment=st.sampled_from([2048, 4280, 5840]),
    covers_headers=st.booleans(),
)
def test_calls_are_answered_at_every_level(
    auth_type: int,
    level: int,
    form: int,
    stubs: list[int],
    max_fragment: int,
    covers_headers: bool,
) -> None:
    terms = policy(CONNECT, covers_headers=covers_headers)
    ends = Ends(
        auth_type,
        level,
        terms=terms,
        form=form,
        max_fragment=max_fragment,
        covers_headers=covers_headers,
    )
    ends.bind()
    for size in stubs:
        stub = bytes(range(256)) * (size // 256) + bytes(size % 256)
        answer = ends.echo(stub)
        assert isinstance(answer, client.Response)
        assert answer.stub[:size] == stub
        request = ends.heard[-1]
        assert isinstance(request, events.Request)
        assert request.security is ends.contexts[0]


@unhurried
@given(auth_type=types, level=st.sampled_from([CONNECT, PACKET, INTEGRITY, PRIVACY]))
def test_calls_below_the_minimum_level_are_denied(auth_type: int, level: int) -> None:
    ends = Ends(auth_type, level, terms=policy(INTEGRITY))
    ends.bind()
    answer = ends.echo(b"what")
    if level >= INTEGRITY:
        assert isinstance(answer, client.Response)
    else:
        assert fault(answer) == ACCESS_DENIED
        assert not any(isinstance(event, events.Request) for event in ends.heard)
        refused = ends.heard[-1]
        assert isinstance(refused, events.AuthenticationRefused)
        assert refused.message.endswith("by ann")
    assert not ends.far.is_closing


def test_who_does_not_say_who_he_is_may_call_what_is_open_to_all() -> None:
    ends = Ends(None)
    ends.bind()
    assert fault(ends.echo(b"")) == ACCESS_DENIED
    _, data = ends.near.call(OTHER, 0, b"open")
    ends.send(data)
    request = ends.heard[-1]
    assert isinstance(request, events.Request)
    assert request.security is None


@pytest.mark.parametrize("auth_type", [SPNEGO, KERBEROS])
def test_a_wrong_password_is_told_at_once(auth_type: int) -> None:
    ends = Ends(auth_type, password="bob")
    ends.bind()
    refused = ends.answers[-1]
    assert isinstance(refused, client.BindRefused)
    assert (refused.reason, refused.status) == (9, 0)
    assert isinstance(ends.heard[-1], events.AuthenticationRefused)
    assert ends.far.is_closing


def test_a_token_refused_in_alter_context_is_a_fault() -> None:
    def spoil(data: bytes) -> bytes:
        return data.replace(b"2:ann", b"2:bob")

    ends = Ends(SPNEGO, wire=spoil)
    ends.bind()
    refused = ends.answers[-1]
    assert isinstance(refused, client.BindRefused)
    assert refused.status == ACCESS_DENIED
    assert ends.far.is_closing


def test_a_token_refused_in_rpc_auth_3_shows_at_the_first_call() -> None:
    ends = Ends(NTLM, wire=lambda data: data.replace(b"2:ann", b"2:bob"))
    ends.bind()
    assert isinstance(ends.heard[-1], events.AuthenticationRefused)
    assert not ends.far.is_closing
    assert fault(ends.echo(b"")) == ACCESS_DENIED
    assert ends.far.is_closing


def test_a_type_that_is_not_offered_is_refused() -> None:
    ends = Ends(SPNEGO, terms=SecurityPolicy(acceptors={}, minimum_level=PRIVACY))
    ends.bind()
    refused = ends.answers[-1]
    assert isinstance(refused, client.BindRefused)
    assert refused.reason == binds.NAK_AUTHENTICATION_TYPE


def test_a_mechanism_that_does_not_work_here_is_refused() -> None:
    def broken() -> Toy:
        raise SecurityError("there is no keytab")

    ends = Ends(SPNEGO, terms=SecurityPolicy(acceptors={SPNEGO: broken}, minimum_level=PRIVACY))
    ends.bind()
    refused = ends.answers[-1]
    assert isinstance(refused, client.BindRefused)
    assert refused.reason == binds.NAK_INVALID_CHECKSUM


def token(
    leg: int, *, context: int = 1, level: int = PRIVACY, auth_type: int = SPNEGO
) -> pdu.AuthTrailer:
    return pdu.AuthTrailer(type=auth_type, level=level, context_id=context, token=b"%d:ann" % leg)


def leg(
    kind: int, trailer: pdu.AuthTrailer, *, features: int | None = None, flags: int = 0
) -> bytes:
    transfers = [binds.NDR_SYNTAX]
    contexts = [
        binds.PresentationContext(
            id=0, abstract=binds.Syntax(uuid=ECHO.uuid, version=1), transfers=tuple(transfers)
        )
    ]
    if features is not None:
        uuid = type(ECHO.uuid)(binds.FEATURES_PREFIX + features.to_bytes(8, "little"))
        contexts.append(
            binds.PresentationContext(
                id=9,
                abstract=binds.Syntax(uuid=ECHO.uuid, version=1),
                transfers=(binds.Syntax(uuid=uuid, version=1),),
            )
        )
    bind = binds.Bind(max_transmit=5840, max_receive=5840, contexts=tuple(contexts))
    return pdu.encode_secured(
        kind, pdu.WHOLE | flags, "<", 1, binds.encode_bind(bind, "<"), trailer
    )


@pytest.mark.parametrize("level", [0, 1, 7, 255])
def test_there_are_five_levels_that_authenticate(level: int) -> None:
    ends = Ends()
    [event] = ends.far.receive_data(leg(pdu.BIND, token(0, level=level)))
    assert isinstance(event, events.AuthenticationRefused)
    assert pdu.Framer().frames(ends.far.data_to_send())[0][0] == pdu.BIND_NAK
    ends = Ends(None)
    ends.bind()
    ends.far.receive_data(leg(pdu.ALTER_CONTEXT, token(0, level=level)))
    [frame] = pdu.Framer().frames(ends.far.data_to_send())
    assert pdu.decode_fault(frame) == UNSUPPORTED_LEVEL


@pytest.mark.parametrize("features", [None, 0, 3])
def test_each_call_belongs_to_the_security_context_it_names(features: int | None) -> None:
    """Whether or not the client has asked for their multiplexing: impacket does not."""
    ends = Ends()
    far = ends.far
    far.receive_data(leg(pdu.BIND, token(0, auth_type=KERBEROS), features=features))
    far.accept_bind(7)
    second = leg(pdu.ALTER_CONTEXT, token(0, context=2, auth_type=KERBEROS))
    [event] = far.receive_data(second)
    assert isinstance(event, events.Authenticated)
    toys = {1: Toy(2, "ann"), 2: Toy(2, "ann")}
    far.data_to_send()
    for number in (1, 2, 1):
        near = Initiation(toys[number], KERBEROS, PRIVACY, context_id=number)
        near._establish()
        assert near.protection is not None
        data = near.protection.encode_call(pdu.REQUEST, "<", number + 10, 0, 0, b"stub", 5840)
        [request] = far.receive_data(data)
        assert isinstance(request, events.Request)
        assert request.security is not None
        assert request.security.context_id == number
        far.respond(request.call_id, b"")


@pytest.mark.parametrize("first", [0, pdu.HEADER_SIGNING])
@pytest.mark.parametrize("second", [0, pdu.HEADER_SIGNING])
def test_headers_are_signed_in_all_contexts_or_in_none(first: int, second: int) -> None:
    """As was agreed before the first of them ([MS-RPCE] 2.2.2.3)."""
    far = Ends().far
    kerberos = {number: token(0, context=number, auth_type=KERBEROS) for number in (1, 2)}
    far.receive_data(leg(pdu.BIND, kerberos[1], flags=first))
    far.accept_bind(7)
    assert far.data_to_send()[3] == pdu.WHOLE | first
    [event] = far.receive_data(leg(pdu.ALTER_CONTEXT, kerberos[2], flags=second))
    assert far.data_to_send()[3] == pdu.WHOLE | first & second
    assert isinstance(event, events.Authenticated)
    assert event.context.header_signing is bool(first)


@pytest.mark.parametrize("change", ["context", "type", "level", "unfinished", "none"])
def test_a_call_must_keep_to_what_was_agreed(change: str) -> None:
    ends = Ends(SPNEGO)
    if change == "unfinished":
        ends.far.receive_data(leg(pdu.BIND, token(0)))
        ends.far.accept_bind(7)
    else:
        ends.bind()
    ends.far.data_to_send()
    near = Initiation(
        Toy(4, "ann"),
        NTLM if change == "type" else SPNEGO,
        INTEGRITY if change == "level" else PRIVACY,
        context_id=2 if change == "context" else 1,
    )
    near._establish()
    assert near.protection is not None
    encode = pdu.encode_call if change == "none" else near.protection.encode_call
    heard = ends.far.receive_data(encode(pdu.REQUEST, "<", 9, 0, 0, b"stub", 5840))
    assert not any(isinstance(event, events.Request) for event in heard)
    [frame] = pdu.Framer().frames(ends.far.data_to_send())
    expected = SECURITY_PACKAGE_ERROR if change in ("type", "level") else ACCESS_DENIED
    assert pdu.decode_fault(frame) == expected
    assert ends.far.is_closing is (change != "none")


def told(far: server.ServerConnection, data: bytes) -> str:
    """Why what follows of these bytes is refused."""
    [event] = far.receive_data(data)
    assert isinstance(event, events.AuthenticationRefused)
    return event.message


def auth_3(trailer: pdu.AuthTrailer) -> bytes:
    return pdu.encode_secured(pdu.AUTH_3, pdu.WHOLE, "<", 1, bytes(4), trailer)


def begun(*legs: bytes, terms: SecurityPolicy | None = None) -> server.ServerConnection:
    """A server that has heard a bind and other legs, and refused none."""
    far = Ends(terms=terms).far
    for data in legs:
        assert not any(
            isinstance(event, events.AuthenticationRefused) for event in far.receive_data(data)
        )
        if data is legs[0]:
            far.accept_bind(7)
    far.data_to_send()
    return far


def established(level: int = PRIVACY, *, auth_type: int = KERBEROS, context: int = 1) -> Protection:
    """A client's context that the toy has established."""
    near = Initiation(Toy(2, "ann"), auth_type, level, context_id=context)
    near._establish()
    assert near.protection is not None
    return near.protection


CALL_9 = (pdu.REQUEST, "<", 9, 0, 0, b"stub", 5840)


def test_what_was_not_begun_is_not_finished_and_ends_all_trust() -> None:
    far = begun(leg(pdu.BIND, token(0, auth_type=KERBEROS)))
    assert "not begun" in told(far, auth_3(token(2, context=5)))
    assert "failed" in told(far, established().encode_call(*CALL_9))
    assert far.is_closing


def test_rpc_auth_3_has_to_be_the_end() -> None:
    terms = SecurityPolicy(acceptors={SPNEGO: lambda: Toy(6, "ann")}, minimum_level=PRIVACY)
    far = begun(leg(pdu.BIND, token(0)), terms=terms)
    assert "does not finish" in told(far, auth_3(token(2)))


def test_who_failed_once_is_heard_no_more() -> None:
    far = begun(
        leg(pdu.BIND, token(0, auth_type=KERBEROS)),
        leg(pdu.ALTER_CONTEXT, token(0, context=2, auth_type=NTLM)),
    )
    wrong = token(2, context=2, auth_type=NTLM).replace(token=b"2:bob")
    assert "not the one expected" in told(far, auth_3(wrong))
    assert "needs none" in told(far, auth_3(token(2, context=2, auth_type=NTLM)))
    assert "failed" in told(far, established().encode_call(*CALL_9))
    assert status_of(far) == ACCESS_DENIED
    assert far.is_closing


def test_an_established_context_takes_no_token() -> None:
    far = begun(leg(pdu.BIND, token(0, auth_type=KERBEROS)))
    assert "needs none" in told(far, leg(pdu.ALTER_CONTEXT, token(2, auth_type=KERBEROS)))
    assert status_of(far) == ACCESS_DENIED
    assert far.is_closing


@pytest.mark.parametrize("other", [token(2, level=INTEGRITY), token(2, auth_type=KERBEROS)])
def test_type_and_level_stay_what_they_were(other: pdu.AuthTrailer) -> None:
    far = begun(leg(pdu.BIND, token(0)))
    assert "have changed" in told(far, leg(pdu.ALTER_CONTEXT, other))
    assert far.is_closing


def test_a_connection_has_so_many_security_contexts() -> None:
    legs = [
        leg(kind, token(0, context=number, auth_type=KERBEROS))
        for number in range(MAX_SECURITY_CONTEXTS)
        for kind in [pdu.ALTER_CONTEXT if number else pdu.BIND]
    ]
    one_more = token(0, context=MAX_SECURITY_CONTEXTS, auth_type=KERBEROS)
    assert "too many" in told(begun(*legs), leg(pdu.ALTER_CONTEXT, one_more))


def status_of(far: server.ServerConnection) -> int:
    [frame] = pdu.Framer().frames(far.data_to_send())
    return pdu.decode_fault(frame)


def test_a_presentation_context_keeps_its_meaning() -> None:
    ends = Ends(NTLM)
    ends.bind()
    moved = binds.PresentationContext(
        id=0, abstract=binds.Syntax(uuid=OTHER.uuid, version=3), transfers=(binds.NDR_SYNTAX,)
    )
    bind = binds.Bind(max_transmit=5840, max_receive=5840, contexts=(moved,))
    body = binds.encode_bind(bind, "<")
    [event] = ends.far.receive_data(pdu.encode(pdu.ALTER_CONTEXT, pdu.WHOLE, "<", 40, body))
    assert isinstance(event, events.ProtocolViolated)
    [frame] = pdu.Framer().frames(ends.far.data_to_send())
    assert (frame[3], pdu.decode_fault(frame)) == (40, PROTOCOL_ERROR)
    assert ends.far.is_closing


def test_fragments_of_one_call_come_in_one_security_context() -> None:
    ends = Ends(NTLM, INTEGRITY, terms=policy(1))
    ends.bind()
    assert ends.security is not None
    protection = ends.security.protection
    assert protection is not None
    data = protection.encode_call(pdu.REQUEST, "<", 9, 0, 0, bytes(6000), 5840)
    first = pdu.Framer().frames(data)[0][5]
    assert ends.far.receive_data(first) == []
    slipped_in = bytearray(pdu.encode_call(pdu.REQUEST, "<", 9, 0, 0, b"evil", 5840))
    slipped_in[3] = pdu.LAST_FRAGMENT
    [event] = ends.far.receive_data(bytes(slipped_in))
    assert isinstance(event, events.ProtocolViolated)


def test_an_answer_without_its_protection_is_refused_by_the_client() -> None:
    ends = Ends(NTLM)
    ends.bind()
    call_id, _ = ends.near.call(ECHO, 0, b"")
    with pytest.raises(RpcError, match="not protected"):
        ends.near.receive_data(pdu.encode_call(pdu.RESPONSE, "<", call_id, 0, 0, b"", 5840))
