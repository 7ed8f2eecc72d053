"""SPNEGO: every choice of mechanisms, the MICs over it, other implementations, hostile bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.rpc.security import der
from scmd.rpc.security import spnego_tokens as tokens
from scmd.rpc.security.provider import SecurityError
from scmd.rpc.security.spnego import MAX_LEGS, SpnegoAcceptor
from scmd.rpc.security.spnego_tokens import (
    KERBEROS_OID,
    MS_KERBEROS_OID,
    NTLM_OID,
    InitToken,
    ResponseToken,
)
from tests.rpc.security.accounts import PASSWORD, World, initiator
from tests.rpc.security.spnego_initiator import SpnegoInitiator
from tests.rpc.security.toy import Toy


def toy(legs: int) -> Callable[[], Toy]:
    return lambda: Toy(legs, "ann")


def recorder(seen: list[bytes]) -> Callable[[bytes], bytes]:
    def record(token: bytes) -> bytes:
        seen.append(token)
        return token

    return record


def run(
    near: SpnegoInitiator,
    far: SpnegoAcceptor,
    wire: Callable[[bytes], bytes] = lambda token: token,
) -> int:
    """Pass tokens on until both are done or nothing comes; how many were passed on."""
    token = near.step(b"")
    count = 0
    while token:
        answer = far.step(wire(token))
        count += 1
        if not answer:
            break
        token = near.step(wire(answer))
        count += 1
    return count


@pytest.mark.parametrize("legs", [2, 3, 4, 5])
@pytest.mark.parametrize("others", [0, 1])
def test_the_first_choice_is_taken(legs: int, others: int) -> None:
    offers = [(KERBEROS_OID, toy(legs)())] + [(NTLM_OID, initiator())] * others
    near, far = SpnegoInitiator(offers), SpnegoAcceptor({KERBEROS_OID: toy(legs)})
    run(near, far)
    assert near.is_done()
    assert far.is_done()
    assert far.identity.mechanism == "toy"


def test_ntlm_proves_the_list() -> None:
    near = SpnegoInitiator([(NTLM_OID, initiator())])
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    seen: list[bytes] = []
    assert run(near, far, recorder(seen)) == 4
    assert near.is_done()
    assert far.is_done()
    assert near.session_key == far.session_key
    last = tokens.decode_response(seen[-1])
    assert last.state == tokens.ACCEPT_COMPLETED
    assert last.mic is not None
    sealed, signature = near.seal(b"", b"body", b"")
    assert far.unseal(b"", sealed, b"", signature) == b"body"
    sealed, signature = far.seal(b"", b"back", b"")
    assert near.unseal(b"", sealed, b"", signature) == b"back"


@pytest.mark.parametrize("legs", [2, 3, 4])
def test_a_later_choice_is_taken_and_proved(legs: int) -> None:
    near = SpnegoInitiator([(MS_KERBEROS_OID, toy(2)()), (KERBEROS_OID, toy(legs)())])
    far = SpnegoAcceptor({KERBEROS_OID: toy(legs)})
    seen: list[bytes] = []
    run(near, far, recorder(seen))
    assert near.is_done()
    assert far.is_done()
    assert tokens.decode_response(seen[1]).state == tokens.REQUEST_MIC


def test_ntlm_is_taken_where_the_server_has_no_kerberos() -> None:
    near = SpnegoInitiator([(KERBEROS_OID, toy(2)()), (NTLM_OID, initiator())])
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    run(near, far)
    assert near.is_done()
    assert far.identity.user == "ann"


def test_nothing_in_common_is_refused() -> None:
    near = SpnegoInitiator([(KERBEROS_OID, toy(2)())])
    with pytest.raises(SecurityError, match="no mechanism"):
        run(near, SpnegoAcceptor({NTLM_OID: World().acceptor}))


def test_bare_ntlm_is_understood() -> None:
    near, far = initiator(), SpnegoAcceptor({NTLM_OID: World().acceptor})
    assert far.step(near.step(far.step(near.step(b"") or b"") or b"") or b"") is None
    assert far.is_done()
    assert far.identity.user == "ann"
    with pytest.raises(SecurityError, match="SPNEGO: a token after the last one"):
        far.step(b"more")
    with pytest.raises(SecurityError, match="not offered"):
        SpnegoAcceptor({KERBEROS_OID: toy(2)}).step(initiator().step(b"") or b"")


def test_a_list_that_was_narrowed_on_the_way_is_noticed() -> None:
    """The attacker takes Kerberos away, so that NTLM seems to be all the client can do."""

    def narrow(token: bytes) -> bytes:
        if token[0] != der.APPLICATION_0:
            return token
        first = initiator().step(b"")
        listed = tokens.encode_mechanisms((NTLM_OID,))
        return tokens.encode_init(
            InitToken(mechanisms=(NTLM_OID,), mechanism_list=listed, token=first)
        )

    near = SpnegoInitiator([(KERBEROS_OID, toy(2)()), (NTLM_OID, initiator())])
    far = SpnegoAcceptor({KERBEROS_OID: toy(2), NTLM_OID: World().acceptor})
    with pytest.raises(SecurityError):
        run(near, far, narrow)
    assert not near.is_done()
    assert not far.is_done()


def test_a_proof_that_was_taken_away_is_missed() -> None:
    def strip(token: bytes) -> bytes:
        if token[0] == der.APPLICATION_0:
            return token
        response = tokens.decode_response(token)
        return tokens.encode_response(response.replace(mic=None))

    near = SpnegoInitiator([(KERBEROS_OID, toy(2)()), (NTLM_OID, initiator())])
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    with pytest.raises(SecurityError):
        run(near, far, strip)
    assert not far.is_done()


def test_tokens_without_end_are_not_listened_to() -> None:
    far = SpnegoAcceptor({NTLM_OID: World().acceptor, KERBEROS_OID: toy(2)})
    listed = (MS_KERBEROS_OID, NTLM_OID)
    init = InitToken(mechanisms=listed, mechanism_list=tokens.encode_mechanisms(listed), token=None)
    far.step(tokens.encode_init(init))
    empty = tokens.encode_response(ResponseToken())
    for _ in range(MAX_LEGS - 1):
        far.step(empty)
    with pytest.raises(SecurityError, match="after the last one"):
        far.step(empty)


def test_a_client_may_give_up() -> None:
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    near = initiator()
    listed = (NTLM_OID,)
    init = InitToken(
        mechanisms=listed, mechanism_list=tokens.encode_mechanisms(listed), token=near.step(b"")
    )
    far.step(tokens.encode_init(init))
    with pytest.raises(SecurityError, match="has given up"):
        far.step(tokens.encode_response(ResponseToken(state=tokens.REJECT)))


def test_so_many_mechanisms_are_listened_to() -> None:
    for count in (tokens.MAX_MECHANISMS, tokens.MAX_MECHANISMS + 1):
        listed = (NTLM_OID,) * count
        data = tokens.encode_init(
            InitToken(
                mechanisms=listed, mechanism_list=tokens.encode_mechanisms(listed), token=None
            )
        )
        if count == tokens.MAX_MECHANISMS:
            assert tokens.decode_init(data).mechanisms == listed
        else:
            with pytest.raises(SecurityError, match="too many"):
                tokens.decode_init(data)


# Bytes -----------------------------------------------------------------------------------------

octets = st.none() | st.binary(max_size=300)


@given(
    st.builds(
        ResponseToken,
        state=st.none() | st.integers(0, 3),
        mechanism=st.none() | st.binary(min_size=1, max_size=20),
        token=octets,
        mic=octets,
    )
)
def test_responses_survive_the_wire(response: ResponseToken) -> None:
    assert tokens.decode_response(tokens.encode_response(response)) == response


def test_hints_that_windows_sends_are_passed_over() -> None:
    listed = tokens.encode_mechanisms((NTLM_OID,))
    data = der.encode(
        der.APPLICATION_0,
        der.encode(der.OID, tokens.SPNEGO_OID),
        der.encode(
            der.context(0),
            der.encode(
                der.SEQUENCE,
                der.encode(der.context(0), listed),
                der.encode(der.context(1), b"\x03\x02\x01\x06"),
                der.encode(der.context(2), der.encode(der.OCTET_STRING, b"token")),
            ),
        ),
    )
    init = tokens.decode_init(data)
    assert (init.mechanisms, init.mechanism_list, init.token) == ((NTLM_OID,), listed, b"token")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa1",
        b"\xa1\x80\0\0",
        b"\xa1\x81\x05\x30\x03\xa0\x01\x0a",
        b"\xa1\x85\1\0\0\0\0",
        b"\xa1\x84\xff\xff\xff\xff\x30",
        b"\xa1\x82\0\x85" + bytes(133),
        b"\xa1\x07\x30\x05\xa0\x03\x0a\x01\x04",
        b"\xa1\x08\x30\x06\xa0\x04\x0a\x02\x00\x00",
    ],
)
def test_der_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(SecurityError):
        tokens.decode_response(data)


@settings(deadline=None)
@given(st.binary(max_size=120), st.integers(0, 3))
def test_no_bytes_do_more_than_be_refused(data: bytes, kind: int) -> None:
    heads = (b"", b"\x60", b"\xa1", b"\x60\x20\x06\x06" + tokens.SPNEGO_OID + b"\xa0")
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    for _ in range(2):
        try:
            far.step(heads[kind] + data)
        except SecurityError:
            continue


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 255), st.integers(0, 3))
def test_a_changed_byte_is_refused_or_changes_nothing(at: int, value: int, which: int) -> None:
    count = 0

    def change(token: bytes) -> bytes:
        nonlocal count
        count += 1
        if count - 1 != which:
            return token
        changed = bytearray(token)
        changed[at % len(token)] = value
        return bytes(changed)

    near = SpnegoInitiator([(NTLM_OID, initiator())])
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    try:
        run(near, far, change)
    except SecurityError:
        return
    if near.is_done() and far.is_done():
        assert near.session_key == far.session_key


# Other implementations -----------------------------------------------------------------------


def test_pyspnego_is_accepted() -> None:
    import spnego

    near = spnego.client(
        "ann", PASSWORD, protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate
    )
    far = SpnegoAcceptor({NTLM_OID: World().acceptor})
    token = near.step()
    while token:
        answer = far.step(token)
        token = near.step(answer) if answer else None
    assert near.complete
    assert far.is_done()
    wrapped = near.wrap(b"hello").data
    assert far.unseal(b"", wrapped[16:], b"", wrapped[:16]) == b"hello"


def test_pyspnego_accepts_our_tests_client(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spnego

    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text(f"ELSEWHERE:ann:{PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    far = spnego.server(protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate)
    near = SpnegoInitiator([(NTLM_OID, initiator())])
    token = near.step(b"")
    while token:
        answer = far.step(token)
        token = near.step(answer) if answer else None
    assert near.is_done()
    assert far.complete
    sealed, signature = near.seal(b"", b"hello", b"")
    assert far.unwrap(signature + sealed).data == b"hello"
