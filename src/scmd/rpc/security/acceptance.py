"""Acceptance: the security contexts of one connection, at the server's end.

A bind or alter_context with a token begins a context or carries one on; rpc_auth_3 ends one
without an answer. There may be many, by auth_context_id, whether or not their multiplexing was
negotiated ([MS-RPCE] 3.3.1.5.4): Windows does not insist, and there are clients that rely on it. A
context that failed stays, so that what uses it is refused.
"""

from __future__ import annotations

from scmd.rpc import binds, pdu
from scmd.rpc.errors import ACCESS_DENIED, UNSUPPORTED_LEVEL
from scmd.rpc.security.protection import Protection
from scmd.rpc.security.provider import (
    CALL,
    CONNECT,
    LEVEL_NONE,
    PACKET,
    PRIVACY,
    SecurityError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.rpc.security.provider import Acceptor, Identity, SecurityPolicy

MAX_SECURITY_CONTEXTS = 64
"""Of one connection. Windows takes 2000 ([MS-RPCE] 3.3.3.4.3); nobody was seen to use ten."""


class Refusal(SecurityError):
    """A leg or a PDU is refused: how a bind is told, and how everything else is."""

    def __init__(
        self, message: str, nak: int = binds.NAK_INVALID_CHECKSUM, status: int = ACCESS_DENIED
    ) -> None:
        super().__init__(message)
        self.nak = nak
        self.status = status


class _Context:
    """A security context on its way, or established, or failed (neither half is left)."""

    __slots__ = ("acceptor", "auth_type", "header_signing", "level", "protection")

    def __init__(
        self, acceptor: Acceptor, auth_type: int, level: int, *, header_signing: bool
    ) -> None:
        self.acceptor: Acceptor | None = acceptor
        self.auth_type = auth_type
        self.level = level
        self.header_signing = header_signing
        self.protection: Protection | None = None


class Acceptance:
    """The contexts. What they establish is given out by `established`, once each."""

    def __init__(self, policy: SecurityPolicy) -> None:
        self._policy = policy
        self._contexts: dict[int, _Context] = {}
        self._established: list[tuple[Protection, Identity]] = []
        self._has_failed = False
        self._header_signing = False

    def established(self) -> list[tuple[Protection, Identity]]:
        """The contexts established since the last time."""
        found, self._established = self._established, []
        return found

    def agree_on_headers(self, *, is_asked: bool) -> bool:
        """Whether a bind or alter_context, before its token, is told that headers are signed.

        That is the connection's, not a context's: of all its contexts or, if it was not asked
        before the first of them, of none.
        """
        if is_asked and not self._contexts:
            self._header_signing = True
        return is_asked and self._header_signing

    def step(self, trailer: pdu.AuthTrailer) -> pdu.AuthTrailer:
        """Take a bind's or alter_context's token; what its answer carries. Raises Refusal."""
        context = self._contexts.get(trailer.context_id)
        if context is None:
            context = self._begin(trailer)
        token = self._carry_on(context, trailer)
        return trailer.replace(token=token or b"", pad_length=0)

    def finish(self, trailer: pdu.AuthTrailer) -> None:
        """Take rpc_auth_3's token. Refusal is not told now: it shows at the first call."""
        context = self._contexts.get(trailer.context_id)
        if context is None:
            self._has_failed = True
            raise Refusal("rpc_auth_3 for a security context that was not begun")
        self._carry_on(context, trailer)
        if context.protection is None:
            raise self._fail(context, "rpc_auth_3 does not finish its security context")

    def admit(self, frame: pdu.Frame) -> tuple[pdu.Frame, Protection | None]:
        """A request without its protection, and the context it came in; None: in none.

        Refusal: it must not be carried out. Nothing that follows can be trusted then.
        """
        if self._has_failed:
            raise Refusal("authentication has failed", status=ACCESS_DENIED)
        if not frame[4]:
            return frame, self._implied()
        trailer = pdu.security_trailer(frame)
        context = self._contexts.get(trailer[3])
        if context is None or context.protection is None:
            raise Refusal("a call in a security context that was not established")
        return context.protection.open(frame, trailer), context.protection

    def permits(self, protection: Protection | None) -> bool:
        """Whether the policy lets calls through at this context's level."""
        level = LEVEL_NONE if protection is None else protection.level
        return (PACKET if level == CALL else level) >= self._policy.minimum_level

    def speaker(self, protection: Protection | None) -> str:
        """Who calls in this context, for the audit."""
        acceptor = None if protection is None else self._contexts[protection.context_id].acceptor
        return "nobody known" if acceptor is None else str(acceptor.identity)

    def _implied(self) -> Protection | None:
        """The context of a call that names none: the only one, if its level covers nothing."""
        if len(self._contexts) != 1:
            return None
        (context,) = self._contexts.values()
        return context.protection if context.level <= CONNECT else None

    def _begin(self, trailer: pdu.AuthTrailer) -> _Context:
        if not CONNECT <= trailer.level <= PRIVACY:
            raise Refusal(
                f"there is no authentication level {trailer.level}",
                binds.NAK_NOT_SPECIFIED,
                UNSUPPORTED_LEVEL,
            )
        begin = self._policy.acceptors.get(trailer.type)
        if begin is None:
            raise Refusal(
                f"authentication type {trailer.type} is not spoken", binds.NAK_AUTHENTICATION_TYPE
            )
        if len(self._contexts) >= MAX_SECURITY_CONTEXTS:
            raise Refusal("too many security contexts")
        try:
            acceptor = begin()
        except SecurityError as error:
            # A mechanism that is offered and does not work here, as without a keytab.
            raise Refusal(str(error)) from error
        context = _Context(
            acceptor,
            trailer.type,
            trailer.level,
            header_signing=self._header_signing and trailer.level > CONNECT,
        )
        self._contexts[trailer.context_id] = context
        return context

    def _carry_on(self, context: _Context, trailer: pdu.AuthTrailer) -> bytes | None:
        acceptor = context.acceptor
        if acceptor is None or context.protection is not None:
            raise self._fail(context, "a token for a security context that needs none")
        if (trailer.type, trailer.level) != (context.auth_type, context.level):
            raise self._fail(context, "authentication type or level have changed on the way")
        try:
            token = acceptor.step(trailer.token)
        except SecurityError as error:
            raise self._fail(context, str(error)) from error
        if acceptor.is_done():
            context.protection = Protection(
                acceptor,
                context.auth_type,
                context.level,
                trailer.context_id,
                header_signing=context.header_signing,
            )
            self._established.append((context.protection, acceptor.identity))
        return token

    def _fail(self, context: _Context, message: str) -> Refusal:
        context.acceptor = None
        context.protection = None
        self._has_failed = True
        return Refusal(message)
