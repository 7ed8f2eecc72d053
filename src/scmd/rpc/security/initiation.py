"""Initiation: the security context of one connection, at the client's end.

The first token goes with the bind. Where the mechanism has more to say after the answer, NTLM
does it by rpc_auth_3, which is not answered, and everything else by alter_context.
"""

from __future__ import annotations

from scmd.rpc import pdu
from scmd.rpc.errors import RpcError
from scmd.rpc.security.protection import Protection
from scmd.rpc.security.provider import CONNECT, NTLM, PRIVACY, SecurityError
from scmd.rpc.security.verification import Agreed, CallHeader, append

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.rpc.security.provider import Initiator


class Initiation:
    """Give it to `ClientConnection`. One for each connection: it cannot be used again."""

    def __init__(
        self, mechanism: Initiator, auth_type: int, level: int = PRIVACY, *, context_id: int = 1
    ) -> None:
        assert CONNECT <= level <= PRIVACY, "there is no such level"
        self.protection: Protection | None = None
        """Once the context is established, for every call."""
        self._mechanism = mechanism
        self._auth_type = auth_type
        self._level = level
        self._context_id = context_id
        self._header_signing = False
        self._agreed: dict[int, Agreed] = {}

    @property
    def bind_flags(self) -> int:
        """What the bind and all further legs say."""
        return pdu.HEADER_SIGNING if self._level > CONNECT else 0

    def begin(self) -> pdu.AuthTrailer:
        """What the bind carries."""
        token = self._step(b"", 0)
        assert token, "a client's mechanism speaks first"
        return self._trailer(token)

    def carry_on(self, frame: pdu.Frame) -> tuple[int, pdu.AuthTrailer] | None:
        """Take the answer to a leg: type and token of the next PDU; None: there is none.

        Established when `protection` is there; rpc_auth_3 may still have to go out. RpcError: the
        server has not proved itself, or does not carry on.
        """
        token = self._token(frame)
        if frame[0] == pdu.BIND_ACK:
            self._header_signing = bool(frame[1] & self.bind_flags)
        if self._mechanism.is_done():
            # This was the answer to the last leg.
            self._establish()
            return None
        answer = self._step(token, frame[3])
        is_last = self._mechanism.is_done()
        if not answer:
            if not is_last:
                raise RpcError("the server does not carry authentication on", frame[3])
            self._establish()
            return None
        if is_last and self._auth_type == NTLM:
            self._establish()
            return pdu.AUTH_3, self._trailer(answer)
        return pdu.ALTER_CONTEXT, self._trailer(answer)

    def check(self, frame: pdu.Frame) -> pdu.Frame:
        """A response without its protection; RpcError: it is not what the server sent."""
        protection = self.protection
        if not frame[4] or protection is None:
            if self._level <= CONNECT:
                return frame
            raise RpcError("the answer is not protected", frame[3])
        try:
            return protection.open(frame, pdu.security_trailer(frame))
        except SecurityError as error:
            raise RpcError(f"the answer was changed on the way: {error}", frame[3]) from error

    def verify(
        self, stub: bytes, order: str, call_id: int, context_id: int, opnum: int, syntaxes: bytes
    ) -> bytes:
        """The stub, followed by what this end believes was agreed (`verification`)."""
        protection = self.protection
        if protection is None or protection.level <= CONNECT:
            return stub
        agreed = self._agreed.get(context_id)
        if agreed is None:
            agreed = Agreed(syntaxes, header_signing=protection.header_signing)
            self._agreed[context_id] = agreed
        return append(stub, agreed, CallHeader(order, call_id, context_id, opnum))

    def _token(self, frame: pdu.Frame) -> bytes:
        trailer = pdu.auth_trailer(frame)
        if trailer is None:
            return b""
        if self._trailer(trailer.token) != trailer.replace(pad_length=0):
            raise RpcError("the server answers for another security context", frame[3])
        return trailer.token

    def _step(self, token: bytes, call_id: int) -> bytes | None:
        try:
            return self._mechanism.step(token)
        except SecurityError as error:
            raise RpcError(f"authentication: {error}", call_id) from error

    def _establish(self) -> None:
        self.protection = Protection(
            self._mechanism,
            self._auth_type,
            self._level,
            self._context_id,
            header_signing=self._header_signing,
        )

    def _trailer(self, token: bytes) -> pdu.AuthTrailer:
        return pdu.AuthTrailer(
            type=self._auth_type, level=self._level, context_id=self._context_id, token=token
        )
