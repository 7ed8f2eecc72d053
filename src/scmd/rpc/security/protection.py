"""Protection: what an established security context does to each request and response.

A fragment is header, stub and padding to 16, sec_trailer (8 bytes), signature. At packet and
integrity level the signature covers all of it or, when the ends have not agreed on header signing
and the mechanism does not insist, the body alone; at privacy level the body is encrypted too.
[MS-RPCE] 2.2.2.11 and 3.3.1.5.2. At connect level nothing is covered.
"""

from __future__ import annotations

from scmd.rpc import pdu
from scmd.rpc.security.provider import CONNECT, PRIVACY, SecurityError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.rpc.security.provider import Mechanism

ALIGNMENT = 16
TRAILER_SIZE = 8
_ZEROS = tuple(bytes(size) for size in range(ALIGNMENT))


class Protection:
    """One established context. `header_signing`: both ends have agreed on it."""

    __slots__ = (
        "_covers_headers",
        "_seal",
        "_sign",
        "_signature_size",
        "_unseal",
        "_verify",
        "auth_type",
        "context_id",
        "header_signing",
        "level",
    )

    def __init__(
        self,
        mechanism: Mechanism,
        auth_type: int,
        level: int,
        context_id: int,
        *,
        header_signing: bool,
    ) -> None:
        self.auth_type = auth_type
        self.level = level
        self.context_id = context_id
        self.header_signing = header_signing
        # An established mechanism does not change: nothing is asked of it again for each PDU.
        self._covers_headers = header_signing or mechanism.covers_headers
        self._signature_size = 0
        if level > CONNECT:
            self._signature_size = mechanism.signature_size(level == PRIVACY)
        self._sign, self._verify = mechanism.sign, mechanism.verify
        self._seal, self._unseal = mechanism.seal, mechanism.unseal

    def encode_call(
        self,
        kind: int,
        order: str,
        call_id: int,
        context_id: int,
        last: int,
        stub: bytes,
        max_fragment: int,
    ) -> bytes:
        """As `pdu.encode_call`, each fragment protected."""
        if self.level <= CONNECT:
            return pdu.encode_call(kind, order, call_id, context_id, last, stub, max_fragment)
        size = self._signature_size
        room = (max_fragment - pdu.CALL_HEADER_SIZE - TRAILER_SIZE - size) & -ALIGNMENT
        whole = len(stub)
        if whole <= room:
            return b"".join(
                self._fragment(kind, pdu.WHOLE, order, call_id, context_id, last, stub, whole)
            )
        pieces: list[bytes] = []
        for start in range(0, whole, room):
            flags = pdu.FIRST_FRAGMENT if start == 0 else 0
            if start + room >= whole:
                flags |= pdu.LAST_FRAGMENT
            body = stub[start : start + room]
            pieces += self._fragment(
                kind, flags, order, call_id, context_id, last, body, whole - start
            )
        return b"".join(pieces)

    def _fragment(
        self,
        kind: int,
        flags: int,
        order: str,
        call_id: int,
        context_id: int,
        last: int,
        body: bytes,
        hint: int,
    ) -> tuple[bytes, bytes, bytes, bytes]:
        """Header, body, trailer and signature as they are sent."""
        pad = -len(body) & (ALIGNMENT - 1)
        if pad:
            body += _ZEROS[pad]
        size = self._signature_size
        length = pdu.CALL_HEADER_SIZE + len(body) + TRAILER_SIZE + size
        head = pdu.call_header(kind, flags, order, length, size, call_id, hint, context_id, last)
        tail = pdu.security_trailer_bytes(order, self.auth_type, self.level, pad, self.context_id)
        signed_head, signed_tail = (head, tail) if self._covers_headers else (b"", b"")
        if self.level == PRIVACY:
            body, token = self._seal(signed_head, body, signed_tail)
        else:
            token = self._sign(signed_head, body, signed_tail)
        return head, body, tail, token

    def open(self, frame: pdu.Frame, trailer: pdu.SecurityTrailer) -> pdu.Frame:
        """The PDU without its protection; SecurityError: it is not what the peer sent next."""
        kind, flags, order, call_id, _, raw = frame
        auth_type, level, pad, _, at = trailer
        if auth_type != self.auth_type or level != self.level:
            raise SecurityError("a PDU of another authentication type or level than was agreed")
        start = pdu.CALL_HEADER_SIZE
        if kind == pdu.REQUEST and flags & pdu.OBJECT:
            start += 16
        end = at - pad
        if end < start:
            raise SecurityError("a PDU with more padding than body")
        if self.level <= CONNECT:
            return kind, flags, order, call_id, 0, raw[:end]
        head, body, tail, token = raw[:start], raw[start:at], raw[at : at + 8], raw[at + 8 :]
        body = self._uncover(head, body, tail, token)
        return kind, flags, order, call_id, 0, head + body[: end - start]

    def _uncover(self, head: bytes, body: bytes, tail: bytes, token: bytes) -> bytes:
        """The plain body."""
        if not self._covers_headers:
            head = tail = b""
        if self.level == PRIVACY:
            return self._unseal(head, body, tail, token)
        self._verify(head, body, tail, token)
        return body
