"""What one connection's ends have agreed on, at the server's end, and what a bind is answered with.

A bind and each alter_context settle it: what the numbers of presentation contexts mean
(`presentation`), which security contexts there are and whether headers are signed
(`security.acceptance`), and the bind alone how long a fragment may be.
"""

from __future__ import annotations

from dataclasses import dataclass

from scmd.rpc import binds, pdu
from scmd.rpc.presentation import PresentationContexts
from scmd.rpc.security.acceptance import Acceptance, Refusal
from scmd.rpc.security.provider import TRUSTED_TRANSPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from scmd.rpc.interface import Interface
    from scmd.rpc.security.provider import SecurityPolicy

MIN_FRAGMENT = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bind or alter_context is to be answered with."""

    frame: pdu.Frame
    flags: int
    max_fragment: int
    results: list[binds.ContextResult]
    trailer: pdu.AuthTrailer | None
    group: int
    """The association group that is asked for; 0: a new one."""

    def encode(self, group: int, secondary_address: str) -> bytes:
        """The bind_ack or alter_context_resp, as a member of this group."""
        kind, _, order, call_id, _, _ = self.frame
        ack = binds.BindAck(
            max_transmit=self.max_fragment,
            max_receive=self.max_fragment,
            group=group,
            secondary_address=secondary_address,
            results=tuple(self.results),
        )
        answer = pdu.BIND_ACK if kind == pdu.BIND else pdu.ALTER_CONTEXT_RESPONSE
        head = (answer, self.flags, order, call_id, binds.encode_bind_ack(ack, order))
        return (
            pdu.encode(*head) if self.trailer is None else pdu.encode_secured(*head, self.trailer)
        )


class Agreement:
    """`max_fragment` is the server's own limit, and that of both ends once they are bound."""

    def __init__(
        self, interfaces: Iterable[Interface], policy: SecurityPolicy, max_fragment: int
    ) -> None:
        features = binds.KEEP_CONNECTION_ON_ORPHAN
        self.acceptance: Acceptance | None = None
        """None: nobody is to be authenticated here, and no call pays for it."""
        if policy is not TRUSTED_TRANSPORT:
            features |= binds.SECURITY_CONTEXT_MULTIPLEXING
            self.acceptance = Acceptance(policy)
        self.presentation = PresentationContexts(interfaces, features)
        self.max_fragment = max_fragment

    def answer(self, frame: pdu.Frame) -> Answer:
        """Settle what a bind or alter_context proposes.

        RpcError: it makes no sense. Refusal: its token is refused, or how it is given.
        """
        kind, _, _, call_id, _, _ = frame
        bind = binds.decode_bind(frame)
        results = self.presentation.negotiate(bind.contexts, call_id)
        if kind == pdu.BIND:
            proposed = min(bind.max_transmit, bind.max_receive)
            self.max_fragment = max(MIN_FRAGMENT, min(self.max_fragment, proposed)) & -8
        flags = self._granted(frame)
        trailer = self._token(frame)
        return Answer(frame, flags, self.max_fragment, results, trailer, bind.group)

    def _granted(self, frame: pdu.Frame) -> int:
        """The flags of the answer."""
        kind, flags, *_ = frame
        granted = pdu.WHOLE
        if kind == pdu.BIND:
            granted |= flags & pdu.MULTIPLEX
        asked = flags & pdu.HEADER_SIGNING
        if self.acceptance and self.acceptance.agree_on_headers(is_asked=bool(asked)):
            granted |= asked
        return granted

    def _token(self, frame: pdu.Frame) -> pdu.AuthTrailer | None:
        """What answers its token, if it has one."""
        trailer = pdu.auth_trailer(frame)
        if trailer is None:
            return None
        if self.acceptance is None:
            raise Refusal("nobody is authenticated here", binds.NAK_AUTHENTICATION_TYPE)
        return self.acceptance.step(trailer)
