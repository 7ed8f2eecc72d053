"""The server's end of a DCE/RPC connection: bytes in, events and bytes out.

One object a connection. `receive_data` gives events; the owner answers a `BindRequested`
with `accept_bind` or `refuse_bind`, and each `Request` with `respond` or `fault`, in any
order and at any time; `data_to_send` has what is to be written. A peer that breaks the
protocol gets a fault and `is_closing` becomes true: send what there is, then close.

Association groups are numbered by the owner. Who may call what, and who somebody is, comes of a
`SecurityPolicy`: an `Authenticated` event tells of each security context that was established,
and each request says in which one it came. `agreement` knows what binds have settled: what the
numbers of presentation contexts mean, and the security contexts.
"""

from __future__ import annotations

from scmd.ndr.structure import BIG_ENDIAN
from scmd.rpc import binds, pdu
from scmd.rpc.agreement import Agreement
from scmd.rpc.assembly import Assemblies, Partial
from scmd.rpc.errors import (
    ACCESS_DENIED,
    PROTOCOL_ERROR,
    SECURITY_PACKAGE_ERROR,
    TOO_BUSY,
    UNKNOWN_INTERFACE,
    OtherVersion,
    RpcError,
)
from scmd.rpc.events import (
    Authenticated,
    AuthenticationRefused,
    BindRequested,
    CallCancelled,
    ProtocolViolated,
    Request,
)
from scmd.rpc.mgmt import Statistics
from scmd.rpc.security.acceptance import Acceptance, Refusal
from scmd.rpc.security.provider import (
    TRUSTED_TRANSPORT,
    SecurityError,
    SecurityPolicy,
)
from scmd.rpc.security.verification import Agreed, CallHeader, agrees, may_disagree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from scmd.rpc.agreement import Answer
    from scmd.rpc.events import ServerEvent
    from scmd.rpc.interface import Interface
    from scmd.rpc.security.protection import Protection

MAX_STUB = 4 * 1024 * 1024
"""Of one request, and of all unfinished requests of a connection together."""
MAX_CALLS = 4096
"""Unanswered calls of one connection; more are answered "too busy"."""
REMOTE_FRAGMENT = 5840
LOCAL_FRAGMENT = 65528
OLD_CALL_WINDOW = 150
"""How far behind a stray fragment of a call that was given up may be."""


class ServerConnection:
    """Speaks `interfaces` with one client, on the terms of `policy`.

    `max_fragment` bounds what is sent and announced; the client's own limits count too.
    `secondary_address` is the TCP port in decimal or the pipe's name; "" on a unix socket.
    """

    def __init__(
        self,
        interfaces: Iterable[Interface],
        *,
        secondary_address: str = "",
        max_fragment: int = REMOTE_FRAGMENT,
        policy: SecurityPolicy = TRUSTED_TRANSPORT,
        statistics: Statistics | None = None,
    ) -> None:
        self.is_closing = False
        self.group = 0
        """The association group, once the bind was accepted."""
        self._agreement = Agreement(interfaces, policy, max_fragment)
        self._acceptance = self._agreement.acceptance
        self._contexts = self._agreement.presentation.by_id
        self._open_interfaces = policy.open_interfaces
        self._agreed: dict[tuple[Protection, int], Agreed] = {}
        self._secondary_address = secondary_address
        self._statistics = statistics or Statistics()
        self._framer = pdu.Framer()
        self.outgoing: list[bytes] = []
        """The PDUs that `data_to_send` will hand out."""
        self._bind: Answer | None = None
        self._is_bound = False
        self._calls: dict[int, tuple[int, str, Protection | None]] = {}
        self._silent: set[int] = set()
        self._assemblies = Assemblies()
        self._last_call = 0
        self._events: list[ServerEvent] = []
        """What the bytes that are being heard mean, so far."""

    # In ---------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """What the peer's bytes mean. Never raises; nothing more comes once closing."""
        if self._is_bound and self._acceptance is None and not self.is_closing:
            request = self._plain_request(data)
            if request is not None:
                return [request]
        events = self._events = []
        try:
            frames = self._framer.frames(data)
            self._statistics.received += len(frames)
            for frame in frames:
                if self.is_closing:
                    return events
                if frame[0] == pdu.REQUEST:
                    self._request(frame)
                else:
                    self._other(frame)
            if self._framer.error is not None and not self.is_closing:
                raise self._framer.error
        except OtherVersion as error:
            self._send_nak(error.call_id, "<", binds.NAK_PROTOCOL_VERSION)
            events.append(ProtocolViolated(str(error)))
        except RpcError as error:
            events.append(self._violated(error))
        return events

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are handed out once."""
        outgoing = self.outgoing
        if not outgoing:
            return b""
        self._statistics.sent += len(outgoing)
        data = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
        outgoing.clear()
        return data

    # Answers ----------------------------------------------------------------------------

    def accept_bind(self, group: int) -> None:
        """Answer the bind; `group` is the association group's number, not 0."""
        bind, self._bind = self._bind, None
        assert bind is not None, "no bind is waiting"
        self._is_bound = True
        self.group = group
        self.outgoing.append(bind.encode(group, self._secondary_address))

    def refuse_bind(self, reason: int = 0) -> None:
        """Refuse the bind (an unknown group: reason 0) and close."""
        bind, self._bind = self._bind, None
        assert bind is not None, "no bind is waiting"
        self._send_nak(bind.frame[3], bind.frame[2], reason)

    def respond(self, call_id: int, stub: bytes) -> None:
        """Answer a request; `stub` in the request's form. Nothing is sent for orphans."""
        context_id, order, security = self._calls.pop(call_id)
        if self._silent and call_id in self._silent:
            self._silent.discard(call_id)
            return
        encode = pdu.encode_call if security is None else security.encode_call
        self.outgoing.append(
            encode(pdu.RESPONSE, order, call_id, context_id, 0, stub, self._agreement.max_fragment)
        )

    def fault(self, call_id: int, status: int, *, did_not_execute: bool = False) -> None:
        """Answer a request with a fault; `status` is never 0."""
        assert status, "a fault with status 0 is no fault"
        context_id, order, _ = self._calls.pop(call_id)
        if call_id in self._silent:
            self._silent.discard(call_id)
            return
        self._send_fault(order, call_id, context_id, status, did_not_execute)

    @property
    def open_calls(self) -> int:
        """Requests that were handed out and not answered yet."""
        return len(self._calls)

    # Requests ---------------------------------------------------------------------------

    def _plain_request(self, data: bytes) -> Request | None:
        """The short way of what most calls are; None: `data` has to go the long one."""
        plain = self._framer.plain_call(data, pdu.PLAIN_REQUEST)
        if plain is None:
            return None
        call_id, context_id, opnum, stub = plain
        context, calls = self._contexts.get(context_id), self._calls
        if (
            context is None
            or call_id in calls
            or len(calls) >= MAX_CALLS
            or self._assemblies.by_call
        ):
            return None
        statistics = self._statistics
        statistics.received += 1
        statistics.calls += 1
        self._last_call = call_id
        calls[call_id] = (context_id, "<", None)
        return Request(call_id, context_id, context[0], opnum, stub, context[1], None, None)

    def _request(self, frame: pdu.Frame) -> None:
        _, flags, order, call_id, auth_length, _ = frame
        if not self._is_bound:
            raise RpcError("a request before a bind was accepted", call_id)
        security = None
        if self._acceptance is not None:
            opened = self._opened(self._acceptance, frame)
            if opened is None:
                return
            frame, security = opened
        elif auth_length:
            raise RpcError("authentication that was never negotiated", call_id)
        context_id, opnum, stub, object_uuid = pdu.decode_call(frame)
        if flags & pdu.WHOLE != pdu.WHOLE:
            part = Partial(context_id, opnum, object_uuid, security)
            whole = self._assemble(flags, order, call_id, part, stub)
            if whole is None:
                return
            stub, object_uuid = bytes(whole.stub), whole.object
        elif call_id in self._calls or call_id in self._assemblies:
            raise RpcError(f"call {call_id} is already being executed", call_id)
        context = self._contexts.get(context_id)
        if self._acceptance is not None or context is None or len(self._calls) >= MAX_CALLS:
            context = self._admitted(order, call_id, context_id, security)
            if context is None:
                return
        if security is not None:
            agreed = self._agreed.get((security, context_id)) or self._agree(security, context_id)
            if may_disagree(stub, agreed) and not agrees(
                stub, agreed, CallHeader(order, call_id, context_id, opnum)
            ):
                self._send_fault(order, call_id, context_id, ACCESS_DENIED, True)
                return
        self._last_call = call_id
        self._statistics.calls += 1
        self._calls[call_id] = (context_id, order, security)
        if flags & pdu.MAYBE:
            self._silent.add(call_id)
        interface, form = context
        if order == ">":
            form |= BIG_ENDIAN
        self._events.append(
            Request(call_id, context_id, interface, opnum, stub, form, object_uuid, security)
        )

    def _opened(
        self, acceptance: Acceptance, frame: pdu.Frame
    ) -> tuple[pdu.Frame, Protection | None] | None:
        """The request without its protection; None: it was forged, and the end has come."""
        try:
            return acceptance.admit(frame)
        except SecurityError as error:
            status = error.status if isinstance(error, Refusal) else SECURITY_PACKAGE_ERROR
            self._send_fault(frame[2], frame[3], pdu.context_of(frame), status, False)
            self._events.append(self._distrusted(error))
            return None

    def _admitted(
        self, order: str, call_id: int, context_id: int, security: Protection | None
    ) -> tuple[Interface, int] | None:
        """The presentation context, or None when the call was answered by a fault."""
        context = self._contexts.get(context_id)
        if context is None:
            status = UNKNOWN_INTERFACE
        elif len(self._calls) >= MAX_CALLS:
            status = TOO_BUSY
        elif (
            self._acceptance is None
            or self._acceptance.permits(security)
            or context[0] in self._open_interfaces
        ):
            return context
        else:
            status = ACCESS_DENIED
            who = self._acceptance.speaker(security)
            text = f"calls without the proof or the protection that is demanded, by {who}"
            self._events.append(AuthenticationRefused(text))
        self._last_call = call_id
        self._send_fault(order, call_id, 0 if context is None else context_id, status, True)
        return None

    def _agree(self, security: Protection, context_id: int) -> Agreed:
        """What verification trailers are held against, from a presentation context's first call."""
        agreed = self._agreed[security, context_id] = Agreed(
            self._agreement.presentation.syntaxes[context_id],
            header_signing=security.header_signing,
        )
        return agreed

    def _assemble(
        self, flags: int, order: str, call_id: int, part: Partial, stub: bytes
    ) -> Partial | None:
        """Take a fragment; the whole call with its last one."""
        assemblies = self._assemblies
        if flags & pdu.FIRST_FRAGMENT:
            if call_id in self._calls or call_id in assemblies:
                raise RpcError(f"call {call_id} is already being executed", call_id)
            if self._admitted(order, call_id, part.context_id, part.security) is None:
                return None
            assemblies.begin(call_id, part)
        elif call_id not in assemblies:
            if 0 <= self._last_call - call_id < OLD_CALL_WINDOW:
                return None
            raise RpcError(f"a later fragment of call {call_id}, which never began", call_id)
        assemblies.add(call_id, part, stub)
        if assemblies.size > MAX_STUB or len(assemblies) > MAX_CALLS:
            self._give_up(call_id)
            self._send_fault(order, call_id, part.context_id, ACCESS_DENIED, True)
            return None
        return assemblies.take(call_id) if flags & pdu.LAST_FRAGMENT else None

    def _give_up(self, call_id: int) -> None:
        """Of a request that was not whole yet; what else comes of it is passed over."""
        if self._assemblies.take(call_id) is not None:
            self._last_call = max(self._last_call, call_id)

    # Everything else --------------------------------------------------------------------

    def _other(self, frame: pdu.Frame) -> None:
        kind, _, _, call_id, _, _ = frame
        if kind == pdu.BIND:
            self._bind_requested(frame)
        elif kind == pdu.ALTER_CONTEXT and self._is_bound:
            self._alter(frame)
        elif kind == pdu.AUTH_3 and self._is_bound and self._acceptance is not None:
            trailer = pdu.auth_trailer(frame)
            if trailer is None:
                raise RpcError("an rpc_auth_3 without a token", call_id)
            try:
                self._acceptance.finish(trailer)
            except Refusal as error:
                self._events.append(AuthenticationRefused(str(error)))
            self._tell_established()
        elif kind in (pdu.CO_CANCEL, pdu.ORPHANED) and self._is_bound:
            self._cancel(call_id, kind == pdu.ORPHANED)
        else:
            raise RpcError(f"a PDU of type {kind} is out of place", call_id)

    def _bind_requested(self, frame: pdu.Frame) -> None:
        order, call_id = frame[2:4]
        try:
            if self._is_bound or self._bind is not None:
                raise RpcError("a second bind", call_id)
            self._bind = self._agreement.answer(frame)
        except RpcError as error:
            self._send_nak(call_id, order, binds.NAK_NOT_SPECIFIED)
            self._events.append(ProtocolViolated(str(error)))
            return
        except Refusal as error:
            self._send_nak(call_id, order, error.nak)
            self._events.append(self._distrusted(error))
            return
        self._events.append(BindRequested(call_id, self._bind.group))
        self._tell_established()

    def _alter(self, frame: pdu.Frame) -> None:
        try:
            answer = self._agreement.answer(frame)
        except RpcError as error:
            self._events.append(self._violated(error, did_not_execute=True))
            return
        except Refusal as error:
            self._send_fault(frame[2], frame[3], 0, error.status, True)
            self._events.append(self._distrusted(error))
            return
        self._tell_established()
        self.outgoing.append(answer.encode(self.group, ""))

    def _tell_established(self) -> None:
        if self._acceptance is not None:
            for context, identity in self._acceptance.established():
                self._events.append(Authenticated(context, identity))

    def _cancel(self, call_id: int, is_orphaned: bool) -> None:
        if is_orphaned:
            self._give_up(call_id)
        if call_id in self._calls:
            if is_orphaned:
                self._silent.add(call_id)
            self._events.append(CallCancelled(call_id, is_orphaned))

    # Out --------------------------------------------------------------------------------

    def _send_nak(self, call_id: int, order: str, reason: int) -> None:
        body = binds.encode_bind_nak(reason, order)
        self.outgoing.append(pdu.encode(pdu.BIND_NAK, pdu.WHOLE, order, call_id, body))
        self.is_closing = True

    def _send_fault(
        self, order: str, call_id: int, context_id: int, status: int, did_not_execute: bool
    ) -> None:
        flags = pdu.DID_NOT_EXECUTE if did_not_execute else 0
        self.outgoing.append(pdu.encode_fault(order, call_id, context_id, status, flags))

    def _violated(self, error: RpcError, *, did_not_execute: bool = False) -> ProtocolViolated:
        self._send_fault("<", error.call_id, 0, PROTOCOL_ERROR, did_not_execute)
        self.is_closing = True
        self._assemblies.clear()
        return ProtocolViolated(str(error))

    def _distrusted(self, error: SecurityError) -> AuthenticationRefused:
        self.is_closing = True
        self._assemblies.clear()
        return AuthenticationRefused(str(error))
