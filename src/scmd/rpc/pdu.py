"""Connection-oriented DCE/RPC PDUs ([C706] 12.6.4, [MS-RPCE] 2.2.2): typed, to and from bytes.

Framing, requests, responses, faults, and the authentication that follows any of them; what is
agreed on at first is `binds`'s. `order` is "<" or ">", a PDU's own byte order. Which PDU may
come when is `client`'s and `server`'s.
"""

from __future__ import annotations

from struct import Struct as Packer

from scmd.ndr.values import Guid, swap_guid
from scmd.rpc.errors import OtherVersion, RpcError
from scmd.vocabulary.value import Value

REQUEST = 0
RESPONSE = 2
FAULT = 3
BIND = 11
BIND_ACK = 12
BIND_NAK = 13
ALTER_CONTEXT = 14
ALTER_CONTEXT_RESPONSE = 15
AUTH_3 = 16
SHUTDOWN = 17
CO_CANCEL = 18
ORPHANED = 19

FIRST_FRAGMENT = 0x01
LAST_FRAGMENT = 0x02
WHOLE = FIRST_FRAGMENT | LAST_FRAGMENT
HEADER_SIGNING = 0x04
"""On binds and their answers; on other PDUs the bit says that a cancel is pending."""
MULTIPLEX = 0x10
DID_NOT_EXECUTE = 0x20
MAYBE = 0x40
OBJECT = 0x80

HEADER_SIZE = 16
CALL_HEADER_SIZE = 24
"""Of requests (without object UUID), responses and, with the status, faults."""
_FAULT_SIZE = 32
DREP = {"<": b"\x10\0\0\0", ">": b"\0\0\0\0"}
"""The data representation labels of both byte orders."""
MINOR_VERSION = 0
_HEADERS = {"<": Packer("<BBBB4sHHI"), ">": Packer(">BBBB4sHHI")}
_CALLS = {"<": Packer("<BBBB4sHHIIHH"), ">": Packer(">BBBB4sHHIIHH")}
PLAIN_REQUEST = bytes((5, MINOR_VERSION, REQUEST, WHOLE)) + DREP["<"]
PLAIN_RESPONSE = bytes((5, MINOR_VERSION, RESPONSE, WHOLE)) + DREP["<"]
_REST = Packer("<HHIIHH")
"""Of a call's header, what follows these eight bytes."""
_CALL_ENDS = {"<": Packer("<HH"), ">": Packer(">HH")}
_FAULTS = {"<": Packer("<BBBB4sHHIIHBBII"), ">": Packer(">BBBB4sHHIIHBBII")}
_TRAILERS = {"<": Packer("<BBBBI"), ">": Packer(">BBBBI")}

Frame = tuple[int, int, str, int, int, bytes]
"""Type, flags, order, call id, length of the authentication token, the whole PDU."""
SecurityTrailer = tuple[int, int, int, int, int]
"""auth_type, auth_level, padding, auth_context_id, and where in the PDU it stands."""


class Framer:
    """Cuts a byte stream into PDUs; keeps at most one incomplete PDU (64 KiB)."""

    __slots__ = ("_pending", "error")

    def __init__(self) -> None:
        self._pending = bytearray()
        self.error: RpcError | None = None
        """Set for good at the first header that is none; what came before it is returned."""

    def plain_call(self, data: bytes, beginning: bytes) -> tuple[int, int, int, bytes] | None:
        """Call id, context id, opnum and stub, if `data` is nothing but one call in one piece.

        `beginning` is PLAIN_REQUEST or PLAIN_RESPONSE: little endian, unprotected, no object, as
        most are. Anything else is left for `frames`.
        """
        if data[:8] != beginning or len(data) < CALL_HEADER_SIZE or self._pending:
            return None
        length, auth_length, call_id, _, context_id, opnum = _REST.unpack_from(data, 8)
        if length != len(data) or auth_length:
            return None
        return call_id, context_id, opnum, data[CALL_HEADER_SIZE:]

    def frames(self, data: bytes) -> list[Frame]:
        """The PDUs that are complete now."""
        if self._pending:
            self._pending += data
            if not self._is_complete():
                return []
            data = bytes(self._pending)
            self._pending.clear()
        frames: list[Frame] = []
        position, size = 0, len(data)
        while size - position >= HEADER_SIZE and self.error is None:
            order = "<" if data[position + 4] == 0x10 else ">"
            version, minor, kind, flags, drep, length, auth_length, call_id = _HEADERS[
                order
            ].unpack_from(data, position)
            if not _is_header(version, minor, drep):
                refusal = OtherVersion if kind == BIND and _is_order(drep) else RpcError
                header = data[position : position + 8].hex()
                self.error = refusal(f"not a DCE/RPC 5.0 PDU: {header}", call_id)
                return frames
            if length < HEADER_SIZE + (auth_length + 8 if auth_length else 0):
                text = f"a PDU of {length} bytes with {auth_length} of authentication"
                self.error = RpcError(text, call_id)
                return frames
            end = position + length
            if size < end:
                break
            frames.append((kind, flags, order, call_id, auth_length, data[position:end]))
            position = end
        if position < size:
            self._pending += data[position:]
        return frames

    def _is_complete(self) -> bool:
        if len(self._pending) < HEADER_SIZE:
            return False
        order = "<" if self._pending[4] == 0x10 else ">"
        version, minor, _, _, drep, length, *_ = _HEADERS[order].unpack_from(self._pending)
        # What is no header is for `frames` to say, now: its length means nothing.
        return not _is_header(version, minor, drep) or len(self._pending) >= length


def _is_header(version: int, minor: int, drep: bytes) -> bool:
    return version == 5 and minor <= 1 and _is_order(drep)


def _is_order(drep: bytes) -> bool:
    return drep[0] in (0x00, 0x10)


class AuthTrailer(Value):
    """sec_trailer and the token behind it ([MS-RPCE] 2.2.2.11)."""

    type: int
    level: int
    pad_length: int = 0
    context_id: int
    token: bytes

    def __repr__(self) -> str:
        return f"<auth type {self.type} level {self.level}, {len(self.token)} bytes>"


def encode(kind: int, flags: int, order: str, call_id: int, body: bytes) -> bytes:
    """A PDU without authentication."""
    length = HEADER_SIZE + len(body)
    return (
        _HEADERS[order].pack(5, MINOR_VERSION, kind, flags, DREP[order], length, 0, call_id) + body
    )


def encode_secured(
    kind: int, flags: int, order: str, call_id: int, body: bytes, trailer: AuthTrailer
) -> bytes:
    """A PDU that carries a token: of a bind, of its answers, or rpc_auth_3."""
    pad = -len(body) & 3
    token = trailer.token
    length = HEADER_SIZE + len(body) + pad + 8 + len(token)
    return b"".join(
        (
            _HEADERS[order].pack(
                5, MINOR_VERSION, kind, flags, DREP[order], length, len(token), call_id
            ),
            body,
            bytes(pad),
            security_trailer_bytes(order, trailer.type, trailer.level, pad, trailer.context_id),
            token,
        )
    )


def security_trailer_bytes(
    order: str, auth_type: int, level: int, pad: int, context_id: int
) -> bytes:
    """sec_trailer as it stands before its token."""
    return _TRAILERS[order].pack(auth_type, level, pad, 0, context_id)


def call_header(
    kind: int,
    flags: int,
    order: str,
    length: int,
    auth_length: int,
    call_id: int,
    hint: int,
    context_id: int,
    last: int,
) -> bytes:
    """The first 24 bytes of a request or response; `last` as for `encode_call`."""
    return _CALLS[order].pack(
        5, 0, kind, flags, DREP[order], length, auth_length, call_id, hint, context_id, last
    )


def encode_call(
    kind: int,
    order: str,
    call_id: int,
    context_id: int,
    last: int,
    stub: bytes,
    max_fragment: int,
    extra_flags: int = 0,
) -> bytes:
    """The fragments of a request (`last` is its opnum) or response (`last` is 0), as one string."""
    pack, drep, size = _CALLS[order].pack, DREP[order], len(stub)
    room = (max_fragment - CALL_HEADER_SIZE) & -8
    if size <= room:
        length = CALL_HEADER_SIZE + size
        return (
            pack(5, 0, kind, WHOLE | extra_flags, drep, length, 0, call_id, size, context_id, last)
            + stub
        )
    fragments = []
    for start in range(0, size, room):
        part = stub[start : start + room]
        flags = extra_flags | (FIRST_FRAGMENT if start == 0 else 0)
        if start + room >= size:
            flags |= LAST_FRAGMENT
        length = CALL_HEADER_SIZE + len(part)
        left = size - start
        fragments.append(pack(5, 0, kind, flags, drep, length, 0, call_id, left, context_id, last))
        fragments.append(part)
    return b"".join(fragments)


def decode_call(frame: Frame) -> tuple[int, int, bytes, Guid | None]:
    """Context id, opnum (of a response: nothing), stub and object of a request or response."""
    kind, flags, order, call_id, auth_length, raw = frame
    start = CALL_HEADER_SIZE
    end = len(raw) - _trailer_size(frame) if auth_length else len(raw)
    object_uuid = None
    if kind == REQUEST and flags & OBJECT:
        start += 16
        uuid = raw[CALL_HEADER_SIZE:start]
        object_uuid = Guid(uuid if order == "<" else swap_guid(uuid))
    if end < start:
        raise RpcError("a call PDU shorter than its header", call_id)
    context_id, last = _CALL_ENDS[order].unpack_from(raw, CALL_HEADER_SIZE - 4)
    return context_id, last, raw[start:end], object_uuid


def context_of(frame: Frame) -> int:
    """The presentation context that a call PDU names; of one that is too short any number."""
    return int.from_bytes(frame[5][20:22], "little" if frame[2] == "<" else "big")


def encode_fault(
    order: str, call_id: int, context_id: int, status: int, extra_flags: int = 0
) -> bytes:
    return _FAULTS[order].pack(
        5,
        0,
        FAULT,
        WHOLE | extra_flags,
        DREP[order],
        _FAULT_SIZE,
        0,
        call_id,
        _FAULT_SIZE,
        context_id,
        0,
        0,
        status,
        0,
    )


def decode_fault(frame: Frame) -> int:
    """The status."""
    _, _, order, call_id, _, raw = frame
    if len(raw) < 28:
        raise RpcError("a fault without a status", call_id)
    return int.from_bytes(raw[24:28], "little" if order == "<" else "big")


def security_trailer(frame: Frame) -> SecurityTrailer:
    """The sec_trailer of a PDU that has one."""
    _, _, order, call_id, auth_length, raw = frame
    start = len(raw) - auth_length - 8
    kind, level, pad, _, context_id = _TRAILERS[order].unpack_from(raw, start)
    if pad > start - HEADER_SIZE:
        raise RpcError("more authentication padding than body", call_id)
    return kind, level, pad, context_id, start


def auth_trailer(frame: Frame) -> AuthTrailer | None:
    """The authentication trailer, if there is one."""
    if not frame[4]:
        return None
    kind, level, pad, context_id, start = security_trailer(frame)
    return AuthTrailer(
        type=kind, level=level, pad_length=pad, context_id=context_id, token=frame[5][start + 8 :]
    )


def _trailer_size(frame: Frame) -> int:
    return 8 + frame[4] + security_trailer(frame)[2] if frame[4] else 0
