"""NTLMv2: the specification's figures, other implementations, and everything that is refused."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.rpc.security import ntlm_messages as messages
from scmd.rpc.security import ntlm_session as keys
from scmd.rpc.security.md4 import md4, nt_hash
from scmd.rpc.security.ntlm_acceptor import OFFERED, NtlmAcceptor, ServerNames
from scmd.rpc.security.ntlm_initiator import Credentials, NtlmInitiator
from scmd.rpc.security.provider import SecurityError
from tests.rpc.security.accounts import NAMES, NOW, PASSWORD, World, initiator

# [MS-NLMP] 4.2.1 and 4.2.4.
SERVER_CHALLENGE = bytes.fromhex("0123456789abcdef")
CLIENT_CHALLENGE = bytes.fromhex("aaaaaaaaaaaaaaaa")
RANDOM_KEY = b"\x55" * 16
PAIRS = {
    messages.AV_NETBIOS_DOMAIN: "Domain".encode("utf-16-le"),
    messages.AV_NETBIOS_COMPUTER: "Server".encode("utf-16-le"),
}


def test_md4_is_that_of_rfc_1320() -> None:
    assert md4(b"").hex() == "31d6cfe0d16ae931b73c59d7e0c089c0"
    assert md4(b"abc").hex() == "a448017aaf21d8525fc10ae87aa6729d"
    assert md4(b"1234567890" * 8).hex() == "e33b4ddc9c38f2199c3e7b164fcc0536"


@given(st.text(max_size=100))
def test_an_nt_hash_is_what_impacket_makes_of_a_password(password: str) -> None:
    from impacket.ntlm import compute_nthash

    assert nt_hash(password) == compute_nthash(password)


def test_the_figures_of_the_specification() -> None:
    assert nt_hash("Password").hex() == "a4f49c406510bdcab6824ee7c30fd852"
    key = keys.response_key(nt_hash("Password"), "User", "Domain")
    assert key.hex() == "0c868a403bfd7a93a3001ef22ef02e3f"
    temp = messages.encode_client_challenge(
        messages.ClientChallenge(timestamp=0, challenge=CLIENT_CHALLENGE, pairs=PAIRS)
    )
    proof = keys.proof(key, SERVER_CHALLENGE, temp)
    assert proof.hex() == "68cd0ab851e51c96aabc927bebef6a1c"
    base = keys.base_key(key, proof)
    assert base.hex() == "8de40ccadbc14a82f15cb0ad0de95ca3"
    assert keys.rc4(base, RANDOM_KEY).hex() == "c5dad2544fc9799094ce1ce90bc9d03e"


def test_the_sealed_message_of_the_specification() -> None:
    near = keys.NtlmMechanism()
    near._establish(RANDOM_KEY, is_server=False, exchanged=True)
    sealed, signature = near.seal(b"", "Plaintext".encode("utf-16-le"), b"")
    assert sealed.hex() == "54e50165bf1936dc996020c1811b0f06fb5f"
    assert signature.hex() == "010000007fb38ec5c55d497600000000"


def established(
    near: NtlmInitiator | None = None, far: NtlmAcceptor | None = None
) -> tuple[NtlmInitiator, NtlmAcceptor]:
    near, far = near or initiator(), far or World().acceptor()
    negotiate = near.step(b"")
    assert negotiate is not None
    challenge = far.step(negotiate)
    assert challenge is not None
    authenticate = near.step(challenge)
    assert authenticate is not None
    assert far.step(authenticate) is None
    return near, far


def test_both_ends_agree() -> None:
    near, far = established()
    assert near.is_done()
    assert far.is_done()
    assert near.session_key == far.session_key
    assert (far.identity.user, far.identity.domain) == ("ann", "HOST")


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.binary(max_size=50)), max_size=8))
def test_what_is_signed_or_sealed_arrives(sent: list[tuple[bool, bool, bytes]]) -> None:
    near, far = established()
    for to_server, sealing, body in sent:
        out, into = (near, far) if to_server else (far, near)
        if sealing:
            sealed, signature = out.seal(b"head", body, b"tail")
            assert into.unseal(b"head", sealed, b"tail", signature) == body
        else:
            into.verify(b"head", body, b"tail", out.sign(b"head", body, b"tail"))


@pytest.mark.parametrize("user", ["ANN", "Ann"])
def test_the_case_of_a_user_name_is_of_no_importance(user: str) -> None:
    _, far = established(initiator(user))
    assert far.identity.user == "ann"


@pytest.mark.parametrize("near", [initiator(password="wrong"), initiator("bob"), initiator("Ann ")])
def test_wrong_passwords_and_unknown_users_are_told_the_same(near: NtlmInitiator) -> None:
    with pytest.raises(SecurityError, match="the user name or the password is wrong"):
        established(near)


def test_nobody_has_the_hash_that_stands_for_unknown_users() -> None:
    """It is as good as a password, and known."""
    credentials = Credentials(user="bob", domain="", nt_hash=bytes(16))
    near = NtlmInitiator(credentials, randomness=bytes(range(24)), now=NOW)
    with pytest.raises(SecurityError, match="the user name or the password is wrong"):
        established(near)


class Unpromising(NtlmInitiator):
    """A client that says something of itself, and not that there is a MIC."""

    def _client_challenge(self, challenge: messages.Challenge) -> tuple[bytes, bool]:
        pairs = messages.decode_pairs(challenge.target_info)
        pairs[messages.AV_FLAGS] = (1).to_bytes(4, "little")
        client = messages.ClientChallenge(timestamp=NOW, challenge=bytes(8), pairs=pairs)
        return messages.encode_client_challenge(client), True


@pytest.mark.parametrize(
    ("mic", "is_fine"), [(None, True), (bytes(16), True), (bytes(15) + b"\1", False)]
)
def test_a_mic_that_was_not_promised_has_to_be_right_if_there_is_one(
    mic: bytes | None, is_fine: bool
) -> None:
    credentials = Credentials(user="ann", domain="", nt_hash=nt_hash(PASSWORD))
    near = Unpromising(credentials, randomness=bytes(range(24)), now=NOW)
    far = World().acceptor()
    answer = near.step(far.step(near.step(b"") or b"") or b"") or b""
    if mic is not None:
        answer = messages.encode_authenticate(messages.decode_authenticate(answer).replace(mic=mic))
    if is_fine:
        assert far.step(answer) is None
        assert far.is_done()
    else:
        with pytest.raises(SecurityError, match="wrong MIC"):
            far.step(answer)


def test_an_answer_to_another_challenge_proves_nothing() -> None:
    world = World()
    near, first, second = initiator(), world.acceptor(), world.acceptor()
    negotiate = near.step(b"")
    assert negotiate is not None
    challenge = first.step(negotiate)
    second.step(negotiate)
    assert challenge is not None
    authenticate = near.step(challenge)
    assert authenticate is not None
    with pytest.raises(SecurityError, match="wrong"):
        second.step(authenticate)
    first.step(authenticate)
    with pytest.raises(SecurityError, match="after the last one"):
        first.step(authenticate)


# What a client may not do ---------------------------------------------------------------------


def tampered(change: object, *, at_negotiate: bool = False) -> None:
    """An exchange whose third (or first) message passes through `change`."""
    near, far = initiator(), World().acceptor()
    negotiate = near.step(b"")
    assert negotiate is not None
    assert callable(change)
    challenge = far.step(change(negotiate) if at_negotiate else negotiate)
    assert challenge is not None
    authenticate = near.step(challenge)
    assert authenticate is not None
    far.step(authenticate if at_negotiate else change(authenticate))


def replaced(**changes: object) -> object:
    def change(token: bytes) -> bytes:
        message = messages.decode_authenticate(token)
        return messages.encode_authenticate(message.replace(**changes))

    return change


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nt_response": bytes(24)}, "NTLMv1"),
        ({"nt_response": b""}, "NTLMv1"),
        ({"nt_response": b"", "lm_response": bytes(24), "user": ""}, "anonymous"),
        ({"flags": messages.ANONYMOUS | 0xE2888215}, "anonymous"),
        ({"flags": 0xE2888215 & ~messages.EXTENDED_SESSION_SECURITY}, "does without"),
        ({"flags": 0xE2888215 & ~messages.KEY_128}, "does without"),
        ({"encrypted_key": bytes(15)}, "another size"),
        ({"encrypted_key": bytes(16)}, "wrong MIC"),
        ({"mic": bytes(16)}, "wrong MIC"),
        ({"mic": bytes(15) + b"\1"}, "wrong MIC"),
        ({"workstation": "OTHER"}, "wrong MIC"),
    ],
)
def test_a_changed_answer_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SecurityError, match=reason):
        tampered(replaced(**changes))


def test_a_mic_that_was_cut_out_is_missed() -> None:
    def cut(token: bytes) -> bytes:
        message = messages.decode_authenticate(token)
        whole = messages.encode_authenticate(message)
        head, payload = bytearray(whole[:64]), whole[88:]
        for field in range(12, 60, 8):
            offset = struct.unpack_from("<I", head, field + 4)[0]
            struct.pack_into("<I", head, field + 4, offset - 24)
        return bytes(head) + payload

    with pytest.raises(SecurityError, match="MIC is missing"):
        tampered(cut)


@pytest.mark.parametrize(
    "flag", [messages.EXTENDED_SESSION_SECURITY, messages.KEY_128, messages.UNICODE, messages.NTLM]
)
def test_a_weaker_offer_is_refused(flag: int) -> None:
    def weaken(token: bytes) -> bytes:
        flags = messages.decode_negotiate(token) & ~flag
        return token[:12] + flags.to_bytes(4, "little") + token[16:]

    with pytest.raises(SecurityError, match="does without"):
        World().acceptor().step(weaken(initiator().step(b"") or b""))


def test_a_changed_offer_is_noticed_by_the_mic() -> None:
    def drop_exchange(token: bytes) -> bytes:
        flags = messages.decode_negotiate(token) & ~messages.KEY_56
        return token[:12] + flags.to_bytes(4, "little") + token[16:]

    with pytest.raises(SecurityError, match="wrong MIC"):
        tampered(drop_exchange, at_negotiate=True)


@pytest.mark.parametrize("flag", [messages.EXTENDED_SESSION_SECURITY, messages.KEY_128])
def test_a_client_gives_a_weaker_server_no_response(flag: int) -> None:
    near, far = initiator(), World().acceptor()
    challenge = far.step(near.step(b"") or b"")
    assert challenge is not None
    weaker = messages.decode_challenge(challenge)
    weaker = weaker.replace(flags=weaker.flags & ~flag)
    with pytest.raises(SecurityError, match="does without"):
        near.step(messages.encode_challenge(weaker))


# Lockout, secrets ------------------------------------------------------------------------------


def test_guessing_locks_the_guesser_out_and_nobody_else() -> None:
    world = World()
    for _ in range(3):
        with pytest.raises(SecurityError, match="is wrong"):
            established(initiator(password="guess"), world.acceptor())
    with pytest.raises(SecurityError, match="locked out"):
        established(initiator(), world.acceptor())
    established(initiator(), world.acceptor(origin="10.0.0.8"))
    world.clock += world.lockout.policy.lock
    established(initiator(), world.acceptor())


def test_the_right_password_forgives_what_failed_before() -> None:
    world = World()
    for _ in range(2):
        for _ in range(2):
            with pytest.raises(SecurityError, match="is wrong"):
                established(initiator(password="guess"), world.acceptor())
        established(initiator(), world.acceptor())


def test_no_secret_is_shown() -> None:
    near = initiator()
    secret = nt_hash(PASSWORD)
    account = World().find("ann")
    shown = [repr(near), repr(near._credentials), repr(account), repr(World().acceptor())]
    for text in shown:
        assert PASSWORD not in text
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text
    with pytest.raises(SecurityError) as refused:
        established(initiator(password="guess"))
    assert "guess" not in str(refused.value)


# Hostile bytes -------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 3))
def test_no_bytes_do_more_than_be_refused(data: bytes, stage: int) -> None:
    if stage:
        data = messages.SIGNATURE + stage.to_bytes(4, "little") + data
    for receive in (World().acceptor().step, second_of(World().acceptor()), second_of(initiator())):
        try:
            receive(data)
        except SecurityError:
            continue


def second_of(end: NtlmAcceptor | NtlmInitiator) -> Callable[[bytes], bytes | None]:
    end.step(initiator().step(b"") or b"" if isinstance(end, NtlmAcceptor) else b"")
    return end.step


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_each_byte_of_the_last_message_counts_or_is_refused(at: int, value: int) -> None:
    near, far = initiator(), World().acceptor()
    challenge = far.step(near.step(b"") or b"")
    assert challenge is not None
    token = bytearray(near.step(challenge) or b"")
    if at >= len(token) or token[at] == value:
        return
    token[at] = value
    with pytest.raises(SecurityError):
        far.step(bytes(token))


@pytest.mark.parametrize(
    "pairs",
    [b"", b"\1\0\xff\xff", b"\1\0\4\0abcd", b"\1\0\0\0" * 100, b"\0\0\1\0"],
)
def test_target_information_without_its_end_is_refused(pairs: bytes) -> None:
    with pytest.raises(SecurityError, match="no end"):
        messages.decode_pairs(pairs)


# Other implementations -----------------------------------------------------------------------


def test_impacket_is_accepted() -> None:
    from impacket import ntlm

    far = World().acceptor()
    type1 = ntlm.getNTLMSSPType1("CLIENT", "", signingRequired=True, use_ntlmv2=True)
    challenge = far.step(type1.getData())
    assert challenge is not None
    type3, key = ntlm.getNTLMSSPType3(type1, challenge, "ann", PASSWORD, "", use_ntlmv2=True)
    far.step(type3.getData())
    assert far.session_key == key
    flags = type3["flags"]
    signing = ntlm.SIGNKEY(flags, key)
    sealing = ntlm.SEALKEY(flags, key)
    from Cryptodome.Cipher import ARC4

    stream = ARC4.new(sealing).encrypt
    sealed, signature = ntlm.SEAL(flags, signing, sealing, b"headbodytail", b"body", 0, stream)
    assert far.unseal(b"head", sealed, b"tail", signature.getData()) == b"body"


def test_impacket_without_ntlmv2_is_refused() -> None:
    from impacket import ntlm

    far = World().acceptor()
    type1 = ntlm.getNTLMSSPType1("CLIENT", "", signingRequired=True, use_ntlmv2=False)
    challenge = far.step(type1.getData())
    assert challenge is not None
    type3, _ = ntlm.getNTLMSSPType3(type1, challenge, "ann", PASSWORD, "", use_ntlmv2=False)
    with pytest.raises(SecurityError, match="NTLMv1"):
        far.step(type3.getData())


def test_without_a_key_exchange_signatures_are_not_encrypted() -> None:
    """[MS-NLMP] 3.4.4.2; the key is then what the password and the challenge make of it."""
    from impacket import ntlm

    far = World().acceptor()
    type1 = ntlm.getNTLMSSPType1("CLIENT", "", signingRequired=True, use_ntlmv2=True)
    type1["flags"] &= ~messages.KEY_EXCHANGE
    challenge = far.step(type1.getData())
    assert challenge is not None
    assert not messages.decode_challenge(challenge).flags & messages.KEY_EXCHANGE
    type3, key = ntlm.getNTLMSSPType3(type1, challenge, "ann", PASSWORD, "", use_ntlmv2=True)
    far.step(type3.getData())
    assert far.session_key == key
    for number in range(2):
        count = number.to_bytes(4, "little")
        signing = ntlm.SIGNKEY(type3["flags"], key)
        checksum = hmac.digest(signing, count + b"headbodytail", "md5")[:8]
        far.verify(b"head", b"body", b"tail", b"\1\0\0\0" + checksum + count)


def test_what_nobody_knows_is_not_offered() -> None:
    negotiate = (initiator().step(b"") or b"")[:12] + b"\xff" * 4 + bytes(24)
    offered = messages.decode_challenge(World().acceptor().step(negotiate) or b"").flags
    ours = messages.TARGET_INFO | messages.REQUEST_TARGET | messages.TARGET_TYPE_SERVER
    assert offered == OFFERED | ours


def test_the_count_of_messages_begins_again_after_the_last() -> None:
    near, far = established()
    assert near._keys is not None
    assert far._keys is not None
    near._keys[1].count = far._keys[2].count = 0xFFFF_FFFF
    for count in (b"\xff" * 4, bytes(4)):
        signature = near.sign(b"", b"body", b"")
        assert signature[12:] == count
        far.verify(b"", b"body", b"", signature)


def test_pyspnego_is_accepted() -> None:
    import spnego

    near = spnego.client("ann", PASSWORD, protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    far = World().acceptor()
    far.step(near.step(far.step(near.step() or b"")) or b"")
    assert near.complete
    assert far.session_key == near.session_key
    wrapped = near.wrap(b"hello").data
    assert far.unseal(b"", wrapped[16:], b"", wrapped[:16]) == b"hello"
    sealed, signature = far.seal(b"", b"answer", b"")
    assert near.unwrap(signature + sealed).data == b"answer"


def test_pyspnego_accepts_us(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spnego

    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text(f"ELSEWHERE:ann:{PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    far = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    near = initiator()
    far.step(near.step(far.step(near.step(b"")) or b""))
    assert far.complete
    assert far.client_principal == "ELSEWHERE\\ann"
    sealed, signature = near.seal(b"", b"hello", b"")
    assert far.unwrap(signature + sealed).data == b"hello"
    near.verify(b"", b"answer", b"", far.sign(b"answer"))


def test_names_are_told_as_they_are() -> None:
    far = World().acceptor(names=ServerNames(computer="BÜRO", dns_computer="büro.example"))
    challenge = messages.decode_challenge(far.step(initiator().step(b"") or b"") or b"")
    pairs = messages.decode_pairs(challenge.target_info)
    assert challenge.target_name == "BÜRO"
    assert pairs[messages.AV_DNS_COMPUTER].decode("utf-16-le") == "büro.example"
    assert pairs[messages.AV_TIMESTAMP] == NOW.to_bytes(8, "little")
    assert NAMES.domain.encode("utf-16-le") == pairs[messages.AV_NETBIOS_DOMAIN]


def test_a_server_may_send_flags_of_any_size() -> None:
    near = initiator()
    challenge = messages.decode_challenge(World().acceptor().step(near.step(b"") or b"") or b"")
    pairs = {**messages.decode_pairs(challenge.target_info), messages.AV_FLAGS: b"\xff" * 8}
    strange = challenge.replace(target_info=messages.encode_pairs(pairs))
    answer = messages.decode_authenticate(near.step(messages.encode_challenge(strange)) or b"")
    told = messages.decode_client_challenge(answer.nt_response[16:]).pairs
    assert told[messages.AV_FLAGS] == b"\xff" * 4
