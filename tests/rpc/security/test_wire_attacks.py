"""An attacker on the wire, who changes, drops, repeats, reorders, cuts, injects and downgrades.

Whatever is done to the PDUs of either direction, the server hears the calls that were made, in
order and without a gap, up to where it notices, and the client gets their answers or none. Real
NTLM, alone and inside SPNEGO; what an attacker can always do, cut the connection, is no failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.rpc import client, events, pdu, server
from scmd.rpc.errors import RpcError
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.provider import (
    INTEGRITY,
    NTLM,
    PACKET,
    PRIVACY,
    SPNEGO,
    Acceptor,
    Initiator,
    SecurityPolicy,
)
from scmd.rpc.security.spnego import SpnegoAcceptor
from scmd.rpc.security.spnego_tokens import NTLM_OID
from tests.rpc.ends import ECHO, OTHER
from tests.rpc.security.accounts import World, initiator
from tests.rpc.security.spnego_initiator import SpnegoInitiator

Attack = Callable[[list[bytes]], list[bytes]]
"""What becomes of the PDUs that are on their way; each exactly as it was cut from the stream."""


def acceptors(world: World) -> dict[int, Callable[[], Acceptor]]:
    return {
        NTLM: world.acceptor,
        SPNEGO: lambda: SpnegoAcceptor({NTLM_OID: world.acceptor}),
    }


def mechanism(auth_type: int) -> Initiator:
    return initiator() if auth_type == NTLM else SpnegoInitiator([(NTLM_OID, initiator())])


class Line:
    """Both ends, and the attacker between them."""

    def __init__(self, auth_type: int, level: int, minimum_level: int, attack: Attack) -> None:
        self.near = client.ClientConnection(
            security=Initiation(mechanism(auth_type), auth_type, level)
        )
        policy = SecurityPolicy(acceptors=acceptors(World()), minimum_level=minimum_level)
        self.far = server.ServerConnection([ECHO, OTHER], policy=policy, max_fragment=2048)
        self.attack = attack
        self.heard: list[tuple[int, bytes]] = []
        self.answered: list[tuple[int, bytes]] = []
        self.is_accepted = False

    def send(self, data: bytes) -> None:
        """One round: to the server, its answers back, and what they lead to."""
        while data:
            for event in self.far.receive_data(self._attacked(data)):
                if isinstance(event, events.BindRequested):
                    self.far.accept_bind(7)
                elif isinstance(event, events.Request):
                    self.heard.append((event.opnum, event.stub))
                    self.far.respond(event.call_id, b"to " + event.stub)
            back = self.far.data_to_send()
            for answer in self.near.receive_data(self._attacked(back)):
                self.is_accepted |= isinstance(answer, client.BindAccepted)
                if isinstance(answer, client.Response):
                    self.answered.append((answer.call_id, answer.stub))
            data = self.near.data_to_send()

    def _attacked(self, data: bytes) -> bytes:
        pdus, position = [], 0
        while position < len(data):
            length = int.from_bytes(data[position + 8 : position + 10], "little")
            pdus.append(data[position : position + length])
            position += length
        return b"".join(self.attack(pdus))


def converse(line: Line, stubs: Iterable[bytes]) -> None:
    """Bind and call, with the calls' numbers as their opnums; then judge what arrived."""
    sent: list[tuple[int, bytes]] = []
    calls: dict[int, bytes] = {}
    try:
        line.send(line.near.bind([ECHO, OTHER]))
        for opnum, stub in enumerate(stubs):
            if not line.is_accepted:
                break
            call_id, data = line.near.call(ECHO, opnum, stub)
            sent.append((opnum, stub))
            calls[call_id] = stub
            line.send(data)
            if len(line.answered) <= opnum:
                # No answer, or a fault: faults are not protected. Who waits sends no more.
                break
    except RpcError:
        pass
    assert len(line.heard) <= len(sent)
    for (opnum, heard), (expected, stub) in zip(line.heard, sent, strict=False):
        assert opnum == expected
        assert heard.startswith(stub)
    for call_id, answer in line.answered:
        assert answer.startswith(b"to " + calls[call_id])


class Scripted:
    """Does one thing to each PDU, as a script says."""

    def __init__(self, script: list[tuple[str, int, int]]) -> None:
        self._script = iter(script)
        self._seen: list[bytes] = []

    def __call__(self, pdus: list[bytes]) -> list[bytes]:
        out: list[bytes] = []
        for data in pdus:
            deed, at, value = next(self._script, ("pass", 0, 0))
            self._seen.append(data)
            match deed:
                case "change":
                    changed = bytearray(data)
                    changed[at % len(data)] ^= value
                    out.append(bytes(changed))
                case "drop":
                    pass
                case "repeat":
                    out += [data, data]
                case "recall":
                    out += [self._seen[at % len(self._seen)], data]
                case "swap":
                    out.insert(max(0, len(out) - 1), data)
                case "cut":
                    out.append(data[: at % len(data)])
                case _:
                    out.append(data)
        return out


deeds = st.tuples(
    st.sampled_from(["pass", "pass", "pass", "change", "drop", "repeat", "recall", "swap", "cut"]),
    st.integers(0, 3000),
    st.integers(1, 255),
)


@settings(deadline=None, max_examples=150)
@given(
    auth_type=st.sampled_from([NTLM, SPNEGO]),
    level=st.sampled_from([PACKET, INTEGRITY, PRIVACY]),
    script=st.lists(deeds, max_size=14),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=4),
)
def test_no_attack_makes_anything_else_arrive(
    auth_type: int, level: int, script: list[tuple[str, int, int]], sizes: list[int]
) -> None:
    line = Line(auth_type, level, level, Scripted(script))
    converse(line, [bytes((number,)) * size for number, size in enumerate(sizes)])


@pytest.mark.parametrize("level", [PACKET, INTEGRITY, PRIVACY])
@pytest.mark.parametrize("deed", ["change", "drop", "repeat", "recall", "swap", "cut"])
def test_no_single_deed_makes_anything_else_arrive(deed: str, level: int) -> None:
    """Each deed at each PDU of a conversation, at places spread over the PDU."""
    for auth_type in (NTLM, SPNEGO):
        for which in range(14):
            for at in (2, 9, 25, 41):
                script = [("pass", 0, 0)] * which + [(deed, at, 0x41)]
                line = Line(auth_type, level, level, Scripted(script))
                converse(line, [b"one" * 10, bytes(3000), b"three" * 10])


@settings(deadline=None, max_examples=100)
@given(
    which=st.integers(3, 8),
    at=st.integers(0, 200),
    value=st.integers(1, 255),
    level=st.sampled_from([INTEGRITY, PRIVACY]),
)
def test_any_changed_byte_of_a_call_is_noticed(which: int, at: int, value: int, level: int) -> None:
    """The exchange takes three PDUs; what follows is a call, its answer, a call..."""
    script = [("pass", 0, 0)] * which + [("change", at, value)]
    line = Line(NTLM, level, level, Scripted(script))
    converse(line, [b"stub"] * 3)
    before, is_answer = divmod(which - 3, 2)
    assert len(line.heard) == before + is_answer
    assert len(line.answered) == before


def test_without_an_attack_everything_arrives() -> None:
    for auth_type in (NTLM, SPNEGO):
        line = Line(auth_type, PRIVACY, PRIVACY, list)
        converse(line, [b"one", bytes(5000), b"three"])
        assert len(line.answered) == 3


# Downgrades ------------------------------------------------------------------------------------


def rewriting(kind: int, change: Callable[[bytearray], None]) -> Attack:
    """Changes the PDUs of one type."""

    def attack(pdus: list[bytes]) -> list[bytes]:
        out = []
        for data in pdus:
            changed = bytearray(data)
            if data[2] == kind:
                change(changed)
            out.append(bytes(changed))
        return out

    return attack


def level_of(data: bytearray) -> int:
    """Where the auth_level stands."""
    return len(data) - int.from_bytes(data[10:12], "little") - 7


@pytest.mark.parametrize("auth_type", [NTLM, SPNEGO])
@pytest.mark.parametrize("minimum_level", [1, PRIVACY])
def test_a_lowered_level_is_noticed(auth_type: int, minimum_level: int) -> None:
    def lower(data: bytearray) -> None:
        data[level_of(data)] = 2

    line = Line(auth_type, PRIVACY, minimum_level, rewriting(pdu.BIND, lower))
    converse(line, [b"secret"])
    assert line.heard == []


@pytest.mark.parametrize("minimum_level", [1, PRIVACY])
def test_authentication_that_was_cut_out_is_missed(minimum_level: int) -> None:
    def cut(data: bytearray) -> None:
        size = int.from_bytes(data[10:12], "little") + 8
        del data[-size:]
        data[8:12] = len(data).to_bytes(2, "little") + bytes(2)

    line = Line(NTLM, PRIVACY, minimum_level, rewriting(pdu.BIND, cut))
    converse(line, [b"secret"])
    assert line.heard == []


def test_header_signing_that_was_taken_away_is_noticed() -> None:
    def clear(data: bytearray) -> None:
        data[3] &= ~pdu.HEADER_SIGNING

    line = Line(NTLM, PRIVACY, PRIVACY, rewriting(pdu.BIND, clear))
    converse(line, [b"one"])
    # The client's verification trailer says that it had asked for it.
    assert line.heard == []
    line = Line(NTLM, PRIVACY, PRIVACY, rewriting(pdu.BIND_ACK, clear))
    converse(line, [b"one"])
    # NTLM signs headers all the same.
    assert len(line.answered) == 1


def test_an_interface_that_was_exchanged_in_the_bind_is_noticed() -> None:
    """Presentation context 0 is made to mean the other interface, which no PDU shows later."""

    def exchange(data: bytearray) -> None:
        at = data.find(ECHO.uuid)
        other = data.find(OTHER.uuid)
        data[at : at + 20], data[other : other + 20] = (
            data[other : other + 20],
            data[at : at + 20],
        )

    line = Line(NTLM, PRIVACY, PRIVACY, rewriting(pdu.BIND, exchange))
    converse(line, [b"one"])
    assert line.heard == []


def test_a_call_slipped_in_without_protection_is_refused() -> None:
    slipped = pdu.encode_call(pdu.REQUEST, "<", 50, 0, 9, b"evil", 2048)

    def attack(pdus: list[bytes]) -> list[bytes]:
        return [part for data in pdus for part in ((slipped, data) if data[2] == 0 else (data,))]

    line = Line(NTLM, PRIVACY, PRIVACY, attack)
    converse(line, [b"one", b"two"])
    assert b"evil" not in [stub for _, stub in line.heard]
