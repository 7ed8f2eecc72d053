"""Kerberos with a real KDC: both halves, alone and inside SPNEGO, and Samba's client."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from ctypes import byref, c_int, c_uint32

import pytest

from scmd.rpc import client
from scmd.rpc.security import der
from scmd.rpc.security import spnego_tokens as tokens
from scmd.rpc.security.provider import (
    CONNECT,
    INTEGRITY,
    KERBEROS,
    PACKET,
    PRIVACY,
    SPNEGO,
    Acceptor,
    Initiator,
    SecurityError,
    SecurityPolicy,
)
from scmd.rpc.security.spnego import SpnegoAcceptor
from scmd.rpc.security.spnego_tokens import MS_KERBEROS_OID
from scmd.transport import gssapi
from scmd.transport.kerberos import ASKED, KerberosAcceptor, KerberosInitiator
from tests.rpc.security.accounts import World, initiator
from tests.rpc.security.spnego_initiator import SpnegoInitiator
from tests.rpc.security.toy import Ends
from tests.server.remote import listening
from tests.transport.kdc import OTHER_REALM, REALM, Realm, realm

pytestmark = pytest.mark.peers("krb5kdc", "kadmin.local", "kinit")
TARGET = "host@scmd.test"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    folder = tmp_path_factory.mktemp("realm")
    saved = dict(os.environ)
    with realm(folder) as made:
        os.environ.update(made.variables)
        try:
            yield made
        finally:
            os.environ.clear()
            os.environ.update(saved)


def established(near: Initiator, far: Acceptor) -> int:
    """Both ends done; how many tokens that took."""
    token = near.step(b"")
    count = 0
    while token:
        answer = far.step(token)
        count += 1
        if not answer:
            break
        token = near.step(answer)
        count += 1
    assert near.is_done()
    assert far.is_done()
    return count


def pair(site: Realm, user: str = "ann") -> tuple[KerberosInitiator, KerberosAcceptor]:
    return KerberosInitiator(TARGET, site.ticket(user)), KerberosAcceptor(site.keytab)


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_a_principal_is_known_after_three_tokens(site: Realm, user: str) -> None:
    near, far = pair(site, user)
    assert established(near, far) == 3
    assert (far.identity.user, far.identity.domain) == (user, REALM)
    assert near.session_key == far.session_key
    for end in (near, far):
        with pytest.raises(SecurityError, match="after the last one"):
            end.step(b"more")


def test_somebody_of_another_realm_is_not_who_has_the_same_name_here(site: Realm) -> None:
    """Though this realm trusts that one, and its KDC gives him a ticket."""
    near, far = pair(site, f"ann@{OTHER_REALM}")
    with pytest.raises(SecurityError, match=f"ann@{OTHER_REALM} is not of the realm {REALM}"):
        established(near, far)


@pytest.mark.parametrize("headers", [(b"", b""), (b"header", b"tail....")])
@pytest.mark.parametrize("size", [0, 16, 1024])
def test_what_is_signed_or_sealed_arrives(
    site: Realm, headers: tuple[bytes, bytes], size: int
) -> None:
    near, far = pair(site)
    established(near, far)
    head, tail = headers
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for out, into in ((near, far), (far, near), (near, far)):
        sealed, signature = out.seal(head, body, tail)
        assert len(signature) == out.signature_size(True)
        assert size == 0 or sealed != body
        assert into.unseal(head, sealed, tail, signature) == body
        signature = out.sign(head, body, tail)
        assert len(signature) == out.signature_size(False)
        into.verify(head, body, tail, signature)


def test_changes_repetitions_and_gaps_are_noticed(site: Realm) -> None:
    near, far = pair(site)
    established(near, far)
    sealed, signature = near.seal(b"head", bytes(32), b"tail")
    for changed in (
        (b"heaD", sealed, b"tail", signature),
        (b"head", sealed[:-1] + bytes((sealed[-1] ^ 1,)), b"tail", signature),
        (b"head", sealed, b"taiL", signature),
        (b"head", sealed, b"tail", signature[:-1] + bytes((signature[-1] ^ 1,))),
        (b"head", sealed, b"tail", b""),
    ):
        with pytest.raises(SecurityError):
            far.unseal(*changed)
    assert far.unseal(b"head", sealed, b"tail", signature) == bytes(32)
    with pytest.raises(SecurityError):
        far.unseal(b"head", sealed, b"tail", signature)
    near.seal(b"head", bytes(32), b"tail")
    later = near.seal(b"head", bytes(32), b"tail")
    with pytest.raises(SecurityError):
        far.unseal(b"head", later[0], b"tail", later[1])


class Careless(KerberosInitiator):
    """A client that does not mind what was not agreed on."""

    def _settle(self, major: int, flags: int) -> None:
        self._is_done = not major & gssapi.CONTINUE_NEEDED


class Trusting(KerberosAcceptor):
    """A server that does not mind either."""

    def _settle(self, major: int, flags: int) -> None:
        self._is_done = not major & gssapi.CONTINUE_NEEDED


@pytest.mark.parametrize("without", [gssapi.REPLAY, gssapi.SEQUENCE])
def test_who_does_without_the_order_of_messages_is_refused(
    site: Realm, monkeypatch: pytest.MonkeyPatch, without: int
) -> None:
    monkeypatch.setattr("scmd.transport.kerberos.ASKED", ASKED & ~without)
    near = Careless(TARGET, site.ticket("ann"))
    with pytest.raises(SecurityError, match="does without"):
        established(near, KerberosAcceptor(site.keytab))
    with pytest.raises(SecurityError, match="does without"):
        established(pair(site)[0], Trusting(site.keytab))


def test_a_body_that_was_only_signed_is_no_sealed_one(site: Realm) -> None:
    near, far = pair(site)
    established(near, far)
    array, memory = gssapi.pieces((gssapi.HEADER, 100), (gssapi.DATA, bytes(32)))
    is_sealed = c_int()
    call = ("gss_wrap_iov", near._context, c_int(0), c_uint32(0), byref(is_sealed), array, c_int(2))
    gssapi.call(*call)
    token, body = memory[0].raw[: array[0].buffer.length], memory[1].raw
    assert (is_sealed.value, body) == (0, bytes(32))
    with pytest.raises(SecurityError, match="not encrypted"):
        far.unseal(b"", body, b"", token)


def test_who_has_no_ticket_gets_no_token(site: Realm) -> None:
    with pytest.raises(SecurityError):
        KerberosInitiator(TARGET, f"FILE:{site.folder}/nothing").step(b"")
    with pytest.raises(SecurityError, match="not found in Kerberos database"):
        KerberosInitiator("host@elsewhere.test", site.ticket("ann")).step(b"")
    with pytest.raises(SecurityError):
        KerberosAcceptor(f"{site.folder}/no-keytab").step(b"")


@pytest.mark.parametrize("token", [b"", b"\0", b"\x60\x03\x06\x01\x2a", b"\x6e\x84" + bytes(400)])
def test_a_token_that_is_none_is_refused(site: Realm, token: bytes) -> None:
    with pytest.raises(SecurityError):
        KerberosAcceptor(site.keytab).step(token)


def test_a_first_token_may_be_framed(site: Realm) -> None:
    """As impacket's is, [RFC 2743] 3.1; in DCE style MIT's library sends none and takes none."""

    def framed(token: bytes, oid: bytes = tokens.KERBEROS_OID) -> bytes:
        return der.encode(der.APPLICATION_0, der.encode(der.OID, oid), b"\1\0", token)

    near, far = pair(site)
    token = near.step(b"")
    other = pair(site)[0].step(b"")
    assert token
    assert other
    for wrong in (
        framed(other, tokens.NTLM_OID),
        framed(framed(other)),
        framed(other)[:-1],
        framed(b""),
    ):
        with pytest.raises(SecurityError):
            KerberosAcceptor(site.keytab).step(wrong)
    answer = far.step(framed(token))
    assert answer is not None
    last = near.step(answer)
    assert last is not None
    assert not far.step(last)
    assert (far.is_done(), far.identity.user) == (True, "ann")


def test_a_ticket_that_was_used_is_not_taken_again(site: Realm) -> None:
    near, far = pair(site)
    token = near.step(b"")
    assert token is not None
    assert far.step(token) is not None
    again = KerberosAcceptor(site.keytab)
    try:
        answer = again.step(token)
    except SecurityError:
        return
    # In DCE style the third token proves who it is; a recorded first one leads nowhere.
    assert answer is not None
    assert not again.is_done()


def test_spnego_prefers_kerberos_and_falls_back_to_ntlm(site: Realm) -> None:
    def offers() -> list[tuple[bytes, Initiator]]:
        return [
            (tokens.KERBEROS_OID, KerberosInitiator(TARGET, site.ticket("ann"))),
            (tokens.NTLM_OID, initiator()),
        ]

    def kerberos() -> Acceptor:
        return KerberosAcceptor(site.keytab)

    both: dict[bytes, Callable[[], Acceptor]] = {
        tokens.KERBEROS_OID: kerberos,
        tokens.NTLM_OID: World().acceptor,
    }
    far = SpnegoAcceptor(both)
    established(SpnegoInitiator(offers()), far)
    assert far.identity.mechanism == "Kerberos"
    far = SpnegoAcceptor({tokens.NTLM_OID: World().acceptor})
    established(SpnegoInitiator(offers()), far)
    assert far.identity.mechanism == "NTLM"


# Samba's client ---------------------------------------------------------------------------------

SAMBA = """
import sys
from samba import credentials, param
from samba.dcerpc import svcctl
binding, cache = sys.argv[1:]
lp = param.LoadParm()
creds = credentials.Credentials()
creds.guess(lp)
creds.set_kerberos_state(credentials.MUST_USE_KERBEROS)
creds.set_named_ccache(cache, credentials.SPECIFIED, lp)
scm = svcctl.svcctl(binding, lp, creds)
handle = scm.OpenSCManagerW(None, None, 0xF003F)
lock = scm.LockServiceDatabase(handle)
scm.UnlockServiceDatabase(lock)
scm.CloseServiceHandle(handle)
"""


@pytest.mark.peers("smbtorture")
@pytest.mark.parametrize(
    ("options", "level"),
    [
        ("krb5,seal", PRIVACY),
        ("krb5,sign", INTEGRITY),
        ("krb5,packet", PACKET),
        ("krb5,seal,bigendian", PRIVACY),
        ("spnego,seal", PRIVACY),
        ("spnego,sign", INTEGRITY),
        ("connect", CONNECT),
    ],
)
def test_samba_speaks_at_every_level(site: Realm, options: str, level: int) -> None:
    def kerberos() -> Acceptor:
        return KerberosAcceptor(site.keytab)

    def spnego() -> Acceptor:
        return SpnegoAcceptor(dict.fromkeys((tokens.KERBEROS_OID, MS_KERBEROS_OID), kerberos))

    with listening(minimum_level=level, acceptors={KERBEROS: kerberos, SPNEGO: spnego}) as port:
        target = f"target_hostname=scmd.test,target_principal=host/scmd.test@{REALM}"
        binding = f"ncacn_ip_tcp:127.0.0.1[{port.number},{target},{options}]"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", SAMBA, binding, site.ticket("ann")],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (done.stderr, port.refusals)
        assert [str(identity) for identity in port.identities] == [f"{REALM}\\ann"]
        assert not port.refusals


def test_calls_survive_between_our_own_ends(site: Realm) -> None:
    for auth_type in (KERBEROS, SPNEGO):
        for level in (CONNECT, PACKET, INTEGRITY, PRIVACY):
            near: Initiator = KerberosInitiator(TARGET, site.ticket("ann"))
            if auth_type == SPNEGO:
                near = SpnegoInitiator([(tokens.KERBEROS_OID, near)])
            ends = Ends(auth_type, level, terms=offering(site), mechanism=near, max_fragment=2048)
            ends.bind()
            for size in (0, 5, 5000):
                answer = ends.echo(bytes(size))
                assert isinstance(answer, client.Response)
                assert answer.stub[:size] == bytes(size)


def offering(site: Realm) -> SecurityPolicy:
    return SecurityPolicy(
        acceptors={
            KERBEROS: lambda: KerberosAcceptor(site.keytab),
            SPNEGO: lambda: SpnegoAcceptor(
                {tokens.KERBEROS_OID: lambda: KerberosAcceptor(site.keytab)}
            ),
        },
        minimum_level=CONNECT,
    )
