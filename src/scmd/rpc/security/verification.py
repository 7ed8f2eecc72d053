"""The verification trailer: what a client believes was agreed, inside what it signs.

[MS-RPCE] 2.2.2.13. It stands behind a request's arguments and lets the server notice that somebody
on the way has changed the bind, whose PDUs nothing protects.
"""

from __future__ import annotations

from struct import Struct as Packer
from struct import error as StructError

from scmd.rpc import pdu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = bytes.fromhex("8ae3137102f43671")
BITMASK_1 = 1
PRESENTATION_CONTEXT = 2
HEADER_2 = 3
END = 0x4000
MUST_PROCESS = 0x8000
CLIENT_SIGNS_HEADERS = 0x01
LOOK_BACK = 1024
"""A trailer lies in a stub's last bytes; nothing further in front is looked at."""

_COMMAND = Packer("<HH")
_HEADER_2 = Packer("<BBH4sIHH")
_COMMON = SIGNATURE + _COMMAND.pack(BITMASK_1, 4) + CLIENT_SIGNS_HEADERS.to_bytes(4, "little")


class Agreed:
    """What was agreed of a presentation context, and the trailer that clients usually say so by."""

    __slots__ = ("header_signing", "syntaxes", "usual")

    def __init__(self, syntaxes: bytes, *, header_signing: bool) -> None:
        self.syntaxes = syntaxes
        """Abstract and transfer syntax, 40 bytes."""
        self.header_signing = header_signing
        self.usual = b"".join((_COMMON, _COMMAND.pack(PRESENTATION_CONTEXT | END, 40), syntaxes))


class CallHeader:
    """What else a trailer may say of its call."""

    __slots__ = ("call_id", "context_id", "opnum", "order")

    def __init__(self, order: str, call_id: int, context_id: int, opnum: int) -> None:
        self.order = order
        self.call_id = call_id
        self.context_id = context_id
        self.opnum = opnum

    def encode(self) -> bytes:
        return _HEADER_2.pack(
            pdu.REQUEST, 0, 0, pdu.DREP[self.order], self.call_id, self.context_id, self.opnum
        )


def append(stub: bytes, agreed: Agreed, header: CallHeader) -> bytes:
    """The stub with a trailer. Of the call it tells where its header is not signed."""
    padded = stub + bytes(-len(stub) & 3)
    if agreed.header_signing:
        return padded + agreed.usual
    return b"".join(
        (
            padded,
            _COMMON,
            _COMMAND.pack(PRESENTATION_CONTEXT, 40),
            agreed.syntaxes,
            _COMMAND.pack(HEADER_2 | END, _HEADER_2.size),
            header.encode(),
        )
    )


def may_disagree(stub: bytes, agreed: Agreed) -> bool:
    """False: there is no trailer, or the usual one. Most calls need no closer look."""
    at = stub.rfind(SIGNATURE, -LOOK_BACK)
    return at >= 0 and not (agreed.header_signing and stub[at:] == agreed.usual)


def agrees(stub: bytes, agreed: Agreed, header: CallHeader) -> bool:
    """False: the stub has a trailer, and it says something else or more than we understand."""
    at = stub.rfind(SIGNATURE, -LOOK_BACK)
    if at < 0 or at & 3:
        return True
    try:
        commands = list(_commands(stub, at + len(SIGNATURE)))
    except StructError:
        # The arguments happen to contain the signature.
        return True
    return all(_is_so(command, value, agreed, header) for command, value in commands)


def _commands(stub: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    while True:
        command, length = _COMMAND.unpack_from(stub, position)
        position += 4
        if position + length > len(stub):
            raise StructError("a command past the end")
        yield command & ~END, stub[position : position + length]
        position += length
        if command & END:
            return


def _is_so(command: int, value: bytes, agreed: Agreed, header: CallHeader) -> bool:
    kind = command & ~MUST_PROCESS
    if kind == BITMASK_1:
        claims = int.from_bytes(value, "little") & CLIENT_SIGNS_HEADERS
        return len(value) == 4 and (not claims or agreed.header_signing)
    if kind == PRESENTATION_CONTEXT:
        return value == agreed.syntaxes
    if kind == HEADER_2:
        return value == header.encode()
    return not command & MUST_PROCESS
