"""What takes bytes from strangers, as functions of bytes: each may only raise what it declares.

`test_targets` runs them for a moment in every test run; `scripts/fuzz` as long as one likes, led
by coverage. Each target has seeds, from which both begin.
"""

from __future__ import annotations

from collections.abc import Callable

from scmd.endpoint_mapper.operations import EPM
from scmd.ndr.errors import NdrError
from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.rpc import binds, client, events, pdu, server
from scmd.rpc.errors import RpcError
from scmd.rpc.mgmt import MGMT
from scmd.rpc.security import ntlm_messages as messages
from scmd.rpc.security import spnego_tokens as tokens
from scmd.rpc.security import verification
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.provider import CONNECT, NTLM, SPNEGO, SecurityError, SecurityPolicy
from scmd.rpc.security.spnego import SpnegoAcceptor
from scmd.scmd_interface.operations import SCMD
from scmd.svcctl import operations  # noqa: F401 # declares the rest of svcctl
from scmd.svcctl.interface import SVCCTL
from scmd.transport import pipe_auth
from tests.rpc.ends import ECHO, OTHER
from tests.rpc.security.accounts import World, initiator
from tests.rpc.security.spnego_initiator import SpnegoInitiator
from tests.transport.test_pipe_auth import REQUEST, level_8

FORMS = (0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN)
DECLARED = [
    operation
    for interface in (SVCCTL, SCMD, MGMT, EPM)
    for _, operation in sorted(interface.operations.items())
]


def server_policy() -> SecurityPolicy:
    world = World()
    return SecurityPolicy(
        acceptors={
            NTLM: world.acceptor,
            SPNEGO: lambda: SpnegoAcceptor({tokens.NTLM_OID: world.acceptor}),
        },
        minimum_level=CONNECT,
    )


def rpc_server(data: bytes) -> None:
    """The server's end: nothing is raised, whatever comes, in pieces of any size."""
    far = server.ServerConnection([ECHO, OTHER], policy=server_policy())
    size = 1 + (data[0] if data else 0)
    for start in range(1, len(data), size):
        for event in far.receive_data(data[start : start + size]):
            if isinstance(event, events.BindRequested):
                far.accept_bind(1)
            elif isinstance(event, events.Request):
                far.respond(event.call_id, event.stub)
        far.data_to_send()


def rpc_client(data: bytes) -> None:
    """The client's end, which has bound or is authenticating."""
    secured = bool(data and data[0] & 1)
    security = Initiation(initiator(), NTLM, CONNECT) if secured else None
    near = client.ClientConnection(security=security)
    near.bind([ECHO, OTHER])
    try:
        near.receive_data(data[1:])
        near.call(ECHO, 0, b"")
        near.receive_data(data[1:])
    except RpcError:
        return


def ntlm(data: bytes) -> None:
    """All three messages, and what is inside the third."""
    decoders: tuple[Callable[[bytes], object], ...] = (
        messages.decode_negotiate,
        messages.decode_challenge,
        messages.decode_authenticate,
        messages.decode_client_challenge,
        messages.decode_pairs,
    )
    for decode in decoders:
        try:
            decode(data)
        except SecurityError:
            continue


def spnego(data: bytes) -> None:
    """Both tokens, and the server's end at its first and second."""
    far = SpnegoAcceptor({tokens.NTLM_OID: World().acceptor})
    for receive in (tokens.decode_init, tokens.decode_response, far.step, far.step):
        try:
            receive(data)
        except SecurityError:
            continue


def ndr(data: bytes) -> None:
    """The first byte chooses an operation, the second a form and a direction."""
    if len(data) < 2:
        return
    operation = DECLARED[data[0] % len(DECLARED)]
    form = FORMS[data[1] & 3]
    decode = operation.decode_response if data[1] & 4 else operation.decode_request
    try:
        decode(data[2:], form)
    except NdrError:
        return


def verification_trailer(data: bytes) -> None:
    agreed = verification.Agreed(bytes(40), header_signing=True)
    verification.agrees(data, agreed, verification.CallHeader("<", 1, 0, 0))


def named_pipe_auth(data: bytes) -> None:
    """What smbd says of a pipe's user, in whatever pieces it comes."""
    try:
        size = pipe_auth.request_size(data)
        pipe_auth.decode_request(data if size is None else data[:size])
    except pipe_auth.PipeAuthError:
        return


def _bind() -> bytes:
    near = client.ClientConnection(security=Initiation(initiator(), NTLM, CONNECT))
    return near.bind([ECHO, OTHER])


_CHALLENGE = World().acceptor().step(initiator().step(b"") or b"") or b""
_AUTHENTICATE = messages.encode_authenticate(
    messages.Authenticate(
        flags=0xE2888215,
        lm_response=bytes(24),
        nt_response=bytes(16)
        + messages.encode_client_challenge(
            messages.ClientChallenge(timestamp=0, challenge=bytes(8), pairs={2: b"D\0"})
        ),
        domain="D",
        user="ann",
        workstation="W",
        encrypted_key=bytes(16),
        mic=None,
    )
)
_INIT = SpnegoInitiator([(tokens.NTLM_OID, initiator())]).step(b"") or b""

TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "rpc_server": (
        rpc_server,
        [
            b"\xff" + _bind() + pdu.encode_call(pdu.REQUEST, "<", 2, 0, 0, b"stub", 5840),
            b"\x07" + pdu.encode(pdu.ORPHANED, pdu.WHOLE, ">", 1, b""),
        ],
    ),
    "rpc_client": (
        rpc_client,
        [
            bytes(1)
            + pdu.encode(
                pdu.BIND_ACK,
                pdu.WHOLE,
                "<",
                1,
                binds.encode_bind_ack(
                    binds.BindAck(
                        max_transmit=5840,
                        max_receive=5840,
                        group=1,
                        secondary_address="135",
                        results=(binds.ContextResult(transfer=binds.NDR_SYNTAX),) * 2,
                    ),
                    "<",
                ),
            )
            + pdu.encode_fault("<", 2, 0, 5),
        ],
    ),
    "ntlm": (ntlm, [initiator().step(b"") or b"", _CHALLENGE, _AUTHENTICATE]),
    "spnego": (
        spnego,
        [
            _INIT,
            tokens.encode_response(
                tokens.ResponseToken(
                    state=1, mechanism=tokens.NTLM_OID, token=_CHALLENGE, mic=bytes(16)
                )
            ),
        ],
    ),
    "ndr": (ndr, [bytes((number, 0)) + bytes(64) for number in range(0, len(DECLARED), 7)]),
    "named_pipe_auth": (named_pipe_auth, [REQUEST, level_8()]),
    "verification_trailer": (
        verification_trailer,
        [verification.SIGNATURE + b"\1\0\4\0\1\0\0\0\2\x40\x28\0" + bytes(40)],
    ),
}
