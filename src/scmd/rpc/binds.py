"""What the ends of a connection agree on: bind, alter_context and their answers.

[C706] 12.6.4.1 to 12.6.4.5, [MS-RPCE] 2.2.2: the bodies of these PDUs, typed, to and from bytes.
"""

from __future__ import annotations

from struct import Struct as Packer
from struct import error as StructError

from scmd.ndr.values import NULL_GUID, Guid, swap_guid
from scmd.rpc.errors import RpcError
from scmd.rpc.pdu import HEADER_SIZE, MINOR_VERSION, Frame
from scmd.vocabulary.value import Value

# p_cont_def_result_t, and the reasons of a rejection
ACCEPTANCE = 0
PROVIDER_REJECTION = 2
NEGOTIATE_ACK = 3
ABSTRACT_SYNTAX_NOT_SUPPORTED = 1
TRANSFER_SYNTAXES_NOT_SUPPORTED = 2
LOCAL_LIMIT = 3

# p_reject_reason_t of a bind_nak
NAK_NOT_SPECIFIED = 0
NAK_PROTOCOL_VERSION = 4
NAK_AUTHENTICATION_TYPE = 8
NAK_INVALID_CHECKSUM = 9
"""The security package has refused."""


class Syntax(Value):
    """An abstract or transfer syntax: 20 bytes on the wire."""

    uuid: Guid = NULL_GUID
    version: int = 0
    """Major version in the low 16 bits, minor in the high ones."""


NDR_SYNTAX = Syntax(uuid=Guid.parse("8a885d04-1ceb-11c9-9fe8-08002b104860"), version=2)
NDR64_SYNTAX = Syntax(uuid=Guid.parse("71710533-beba-4937-8319-b5dbef9ccc36"), version=1)
NO_SYNTAX = Syntax()
FEATURES_PREFIX = Guid.parse("6cb71c2c-9812-4540-0000-000000000000")[:8]
"""A transfer syntax that starts so negotiates features, not a syntax ([MS-RPCE] 3.3.1.5.3)."""
SECURITY_CONTEXT_MULTIPLEXING = 0x01
KEEP_CONNECTION_ON_ORPHAN = 0x02


class PresentationContext(Value):
    """What a client proposes: an interface and the syntaxes it can be spoken in."""

    id: int
    abstract: Syntax
    transfers: tuple[Syntax, ...]


class ContextResult(Value):
    """The answer to one `PresentationContext`."""

    result: int = ACCEPTANCE
    reason: int = 0
    transfer: Syntax = NO_SYNTAX


class Bind(Value):
    """bind and alter_context."""

    max_transmit: int
    max_receive: int
    group: int = 0
    """Association group; 0 makes one."""
    contexts: tuple[PresentationContext, ...]


class BindAck(Value):
    """bind_ack and alter_context_resp."""

    max_transmit: int
    max_receive: int
    group: int
    secondary_address: str = ""
    results: tuple[ContextResult, ...]


def encode_bind(bind: Bind, order: str) -> bytes:
    """The body of a bind or alter_context."""
    body = Packer(order + "HHIB3x").pack(
        bind.max_transmit, bind.max_receive, bind.group, len(bind.contexts)
    )
    for context in bind.contexts:
        body += Packer(order + "HBx").pack(context.id, len(context.transfers))
        body += b"".join(
            [encode_syntax(syntax, order) for syntax in (context.abstract, *context.transfers)]
        )
    return body


def decode_bind(frame: Frame) -> Bind:
    """RpcError: counts that go past the end. Whatever the padding is said to be, they count."""
    _, _, order, call_id, auth_length, raw = frame
    body = raw[: len(raw) - auth_length - 8] if auth_length else raw
    try:
        transmit, receive, group, count = Packer(order + "HHIB3x").unpack_from(body, HEADER_SIZE)
        position, contexts = HEADER_SIZE + 12, []
        for _ in range(count):
            context_id, transfers = Packer(order + "HBx").unpack_from(body, position)
            syntaxes = [
                _decode_syntax(body, position + 4 + 20 * index, order)
                for index in range(transfers + 1)
            ]
            position += 24 + 20 * transfers
            contexts.append(
                PresentationContext(
                    id=context_id, abstract=syntaxes[0], transfers=tuple(syntaxes[1:])
                )
            )
    except StructError as error:
        raise RpcError(f"a bind that is cut short: {error}", call_id) from error
    return Bind(max_transmit=transmit, max_receive=receive, group=group, contexts=tuple(contexts))


def encode_bind_ack(ack: BindAck, order: str) -> bytes:
    """The body of a bind_ack or alter_context_resp."""
    address = ack.secondary_address.encode("ascii") + b"\0" if ack.secondary_address else b""
    body = Packer(order + "HHIH").pack(ack.max_transmit, ack.max_receive, ack.group, len(address))
    body += address
    body += bytes(-len(body) & 3) + bytes((len(ack.results), 0, 0, 0))
    for result in ack.results:
        body += Packer(order + "HH").pack(result.result, result.reason)
        body += encode_syntax(result.transfer, order)
    return body


def decode_bind_ack(frame: Frame) -> BindAck:
    _, _, order, call_id, _, raw = frame
    try:
        transmit, receive, group, size = Packer(order + "HHIH").unpack_from(raw, HEADER_SIZE)
        position = HEADER_SIZE + 10
        address = raw[position : position + size].rstrip(b"\0").decode("ascii", "replace")
        position = (position + size + 3) & -4
        (count,) = Packer("B3x").unpack_from(raw, position)
        results = []
        for index in range(count):
            at = position + 4 + 24 * index
            result, reason = Packer(order + "HH").unpack_from(raw, at)
            transfer = _decode_syntax(raw, at + 4, order)
            results.append(ContextResult(result=result, reason=reason, transfer=transfer))
    except StructError as error:
        raise RpcError(f"a bind_ack that is cut short: {error}", call_id) from error
    return BindAck(
        max_transmit=transmit,
        max_receive=receive,
        group=group,
        secondary_address=address,
        results=tuple(results),
    )


def encode_bind_nak(reason: int, order: str) -> bytes:
    """The body of a bind_nak: we speak 5.0."""
    return Packer(order + "HBBB3x").pack(reason, 1, 5, MINOR_VERSION)


def decode_bind_nak(frame: Frame) -> int:
    """The reason."""
    _, _, order, _, _, raw = frame
    return int.from_bytes(raw[16:18], "little" if order == "<" else "big")


def encode_syntax(syntax: Syntax, order: str = "<") -> bytes:
    uuid = bytes(syntax.uuid) if order == "<" else swap_guid(syntax.uuid)
    return uuid + Packer(order + "I").pack(syntax.version)


def _decode_syntax(data: bytes, position: int, order: str) -> Syntax:
    uuid, version = Packer(order + "16sI").unpack_from(data, position)
    return Syntax(uuid=Guid(uuid if order == "<" else swap_guid(uuid)), version=version)
