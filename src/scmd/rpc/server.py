"""The server's end of a DCE/RPC connection: bytes in, events and bytes out.

One object a connection. `receive_data` gives events; the owner answers a `BindRequested`
with `accept_bind` or `refuse_bind`, and each `Request` with `respond` or `fault`, in any
order and at any time; `data_to_send` has what is to be written. A peer that breaks the
protocol gets a fault and `is_closing` becomes true: send what there is, then close.

Association groups are numbered by the owner. Authentication is not spoken yet: a bind that
asks for it is refused with "authentication type not recognised".
"""

from __future__ import annotations

from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.rpc import pdu
from scmd.rpc.errors import ACCESS_DENIED, PROTOCOL_ERROR, TOO_BUSY, UNKNOWN_INTERFACE, RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scmd.ndr.values import Guid
    from scmd.rpc.interface import Interface

MAX_STUB = 4 * 1024 * 1024
"""Of one request, and of all unfinished requests of a connection together."""
MAX_CONTEXTS = 256
MAX_CALLS = 1024
"""Unanswered calls of one connection; more are answered "too busy"."""
REMOTE_FRAGMENT = 5840
LOCAL_FRAGMENT = 65528
MIN_FRAGMENT = 2048
OLD_CALL_WINDOW = 150
"""How far behind a stray fragment of a call that was given up may be."""


class BindRequested:
    """A first bind: answer with `accept_bind(group)` or `refuse_bind(reason)`."""

    __slots__ = ("call_id", "group")

    def __init__(self, call_id: int, group: int) -> None:
        self.call_id = call_id
        self.group = group
        """The association group to join; 0: make one."""


class Request:
    """A whole request. `form` is what the operation's codecs take, in both directions."""

    __slots__ = ("call_id", "context_id", "form", "interface", "object", "opnum", "stub")

    def __init__(
        self,
        call_id: int,
        context_id: int,
        interface: Interface,
        opnum: int,
        stub: bytes,
        form: int,
        object: Guid | None,
    ) -> None:
        self.call_id = call_id
        self.context_id = context_id
        self.interface = interface
        self.opnum = opnum
        self.stub = stub
        self.form = form
        self.object = object


class CallCancelled:
    """The client asks to cancel a call; `is_orphaned`: it will not read the answer either."""

    __slots__ = ("call_id", "is_orphaned")

    def __init__(self, call_id: int, is_orphaned: bool) -> None:
        self.call_id = call_id
        self.is_orphaned = is_orphaned


class ProtocolViolated:
    """The peer broke the protocol; the last event of a connection."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


if TYPE_CHECKING:
    ServerEvent = BindRequested | Request | CallCancelled | ProtocolViolated


class _Assembly:
    """A request whose last fragment has not come yet."""

    __slots__ = ("context_id", "object", "opnum", "stub")

    def __init__(self, context_id: int, opnum: int, object: Guid | None) -> None:
        self.context_id = context_id
        self.opnum = opnum
        self.object = object
        self.stub = bytearray()


class ServerConnection:
    """Speaks `interfaces` with one client.

    `max_fragment` bounds what is sent and announced; the client's own limits count too.
    `secondary_address` is the TCP port in decimal or the pipe's name; "" on a unix socket.
    """

    def __init__(
        self,
        interfaces: Iterable[Interface],
        *,
        secondary_address: str = "",
        max_fragment: int = REMOTE_FRAGMENT,
    ) -> None:
        self.is_closing = False
        self.group = 0
        """The association group, once the bind was accepted."""
        self._interfaces = {(i.uuid, i.major): i for i in interfaces}
        self._secondary_address = secondary_address
        self._max_fragment = max_fragment
        self._framer = pdu.Framer()
        self._outgoing: list[bytes] = []
        self._bind: tuple[int, str, int, list[pdu.ContextResult]] | None = None
        self._is_bound = False
        self._contexts: dict[int, tuple[Interface, int]] = {}
        self._calls: dict[int, tuple[int, str]] = {}
        self._silent: set[int] = set()
        self._assemblies: dict[int, _Assembly] = {}
        self._assembled = 0
        self._last_call = 0

    # In ---------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """What the peer's bytes mean. Never raises; nothing more comes once closing."""
        events: list[ServerEvent] = []
        try:
            for frame in self._framer.frames(data):
                if self.is_closing:
                    return events
                if frame[0] == pdu.REQUEST:
                    self._request(frame, events)
                else:
                    self._other(frame, events)
            if self._framer.error is not None and not self.is_closing:
                raise self._framer.error
        except RpcError as error:
            events.append(self._violated(error))
        return events

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are handed out once."""
        outgoing = self._outgoing
        if not outgoing:
            return b""
        data = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
        outgoing.clear()
        return data

    # Answers ----------------------------------------------------------------------------

    def accept_bind(self, group: int) -> None:
        """Answer the bind; `group` is the association group's number, not 0."""
        assert self._bind is not None, "no bind is waiting"
        call_id, order, flags, results = self._bind
        self._bind = None
        self._is_bound = True
        self.group = group
        self._send_ack(pdu.BIND_ACK, call_id, order, flags, results, self._secondary_address)

    def refuse_bind(self, reason: int = 0) -> None:
        """Refuse the bind (an unknown group: reason 0) and close."""
        assert self._bind is not None, "no bind is waiting"
        call_id, order, _, _ = self._bind
        self._bind = None
        self._send_nak(call_id, order, reason)

    def respond(self, call_id: int, stub: bytes) -> None:
        """Answer a request; `stub` in the request's form. Nothing is sent for orphans."""
        context_id, order = self._calls.pop(call_id)
        if self._silent and call_id in self._silent:
            self._silent.discard(call_id)
            return
        self._outgoing.append(
            pdu.encode_call(pdu.RESPONSE, order, call_id, context_id, 0, stub, self._max_fragment)
        )

    def fault(self, call_id: int, status: int, *, did_not_execute: bool = False) -> None:
        """Answer a request with a fault; `status` is never 0."""
        assert status, "a fault with status 0 is no fault"
        context_id, order = self._calls.pop(call_id)
        if call_id in self._silent:
            self._silent.discard(call_id)
            return
        self._send_fault(order, call_id, context_id, status, did_not_execute)

    @property
    def open_calls(self) -> int:
        """Requests that were handed out and not answered yet."""
        return len(self._calls)

    # Requests ---------------------------------------------------------------------------

    def _request(self, frame: pdu.Frame, events: list[ServerEvent]) -> None:
        _, flags, order, call_id, auth_length, _ = frame
        if not self._is_bound:
            raise RpcError("a request before a bind was accepted", call_id)
        if auth_length:
            raise RpcError("authentication that was never negotiated", call_id)
        context_id, opnum, stub, object_uuid = pdu.decode_call(frame)
        if flags & pdu.WHOLE != pdu.WHOLE:
            assembly = self._assemble(flags, order, call_id, context_id, opnum, stub, object_uuid)
            if assembly is None:
                return
            stub, object_uuid = bytes(assembly.stub), assembly.object
        elif call_id in self._calls or call_id in self._assemblies:
            raise RpcError(f"call {call_id} is already being executed", call_id)
        context = self._admitted(order, call_id, context_id)
        if context is None:
            return
        self._last_call = call_id
        self._calls[call_id] = (context_id, order)
        if flags & pdu.MAYBE:
            self._silent.add(call_id)
        interface, form = context
        if order == ">":
            form |= BIG_ENDIAN
        events.append(Request(call_id, context_id, interface, opnum, stub, form, object_uuid))

    def _admitted(self, order: str, call_id: int, context_id: int) -> tuple[Interface, int] | None:
        """The presentation context, or None when the call was answered by a fault."""
        context = self._contexts.get(context_id)
        if context is None:
            self._last_call = call_id
            self._send_fault(order, call_id, context_id, UNKNOWN_INTERFACE, True)
        elif len(self._calls) >= MAX_CALLS:
            self._last_call = call_id
            self._send_fault(order, call_id, context_id, TOO_BUSY, True)
            return None
        return context

    def _assemble(
        self,
        flags: int,
        order: str,
        call_id: int,
        context_id: int,
        opnum: int,
        stub: bytes,
        object_uuid: Guid | None,
    ) -> _Assembly | None:
        """Take a fragment; the whole call with its last one."""
        if flags & pdu.FIRST_FRAGMENT:
            if call_id in self._calls or call_id in self._assemblies:
                raise RpcError(f"call {call_id} is already being executed", call_id)
            if self._admitted(order, call_id, context_id) is None:
                return None
            self._assemblies[call_id] = _Assembly(context_id, opnum, object_uuid)
        assembly = self._assemblies.get(call_id)
        if assembly is None:
            if 0 <= self._last_call - call_id < OLD_CALL_WINDOW:
                return None
            raise RpcError(f"a later fragment of call {call_id}, which never began", call_id)
        if (context_id, opnum) != (assembly.context_id, assembly.opnum):
            raise RpcError(f"the fragments of call {call_id} differ", call_id)
        assembly.stub += stub
        self._assembled += len(stub)
        if self._assembled > MAX_STUB or len(self._assemblies) > MAX_CALLS:
            self._give_up(call_id)
            self._last_call = max(self._last_call, call_id)
            self._send_fault(order, call_id, context_id, ACCESS_DENIED, True)
            return None
        if not flags & pdu.LAST_FRAGMENT:
            return None
        self._give_up(call_id)
        return assembly

    def _give_up(self, call_id: int) -> None:
        assembly = self._assemblies.pop(call_id, None)
        if assembly is not None:
            self._assembled -= len(assembly.stub)

    # Everything else --------------------------------------------------------------------

    def _other(self, frame: pdu.Frame, events: list[ServerEvent]) -> None:
        kind, flags, order, call_id, auth_length, _ = frame
        if kind == pdu.BIND and not self._is_bound and self._bind is None:
            self._bind_requested(frame, events)
        elif kind == pdu.ALTER_CONTEXT and self._is_bound:
            if auth_length:
                raise RpcError("authentication that was never negotiated", call_id)
            bind = pdu.decode_bind(frame)
            results = self._negotiate(bind.contexts)
            self._send_ack(pdu.ALTER_CONTEXT_RESPONSE, call_id, order, flags, results, "")
        elif kind in (pdu.CO_CANCEL, pdu.ORPHANED) and self._is_bound:
            self._cancel(call_id, kind == pdu.ORPHANED, events)
        else:
            raise RpcError(f"a PDU of type {kind} is out of place", call_id)

    def _bind_requested(self, frame: pdu.Frame, events: list[ServerEvent]) -> None:
        _, flags, order, call_id, auth_length, _ = frame
        if auth_length:
            self._send_nak(call_id, order, pdu.NAK_AUTHENTICATION_TYPE)
            return
        bind = pdu.decode_bind(frame)
        if not bind.contexts or not flags & pdu.FIRST_FRAGMENT or not flags & pdu.LAST_FRAGMENT:
            self._send_nak(call_id, order, pdu.NAK_PROTOCOL_VERSION)
            return
        proposed = min(bind.max_transmit or 0xFFFF, bind.max_receive or 0xFFFF)
        self._max_fragment = max(MIN_FRAGMENT, min(self._max_fragment, proposed)) & -8
        self._bind = (call_id, order, flags, self._negotiate(bind.contexts))
        events.append(BindRequested(call_id, bind.group))

    def _negotiate(self, contexts: Sequence[pdu.PresentationContext]) -> list[pdu.ContextResult]:
        """One result a context, in order; an interface is accepted in one syntax only."""
        taken: set[Interface] = set()
        results = []
        for context in contexts:
            first = context.transfers[0].uuid if context.transfers else b""
            if first.startswith(pdu.FEATURES_PREFIX):
                asked = int.from_bytes(first[8:16], "little")
                granted = asked & pdu.KEEP_CONNECTION_ON_ORPHAN
                results.append(pdu.ContextResult(result=pdu.NEGOTIATE_ACK, reason=granted))
            else:
                results.append(self._negotiate_one(context, taken))
        return results

    def _negotiate_one(
        self, context: pdu.PresentationContext, taken: set[Interface]
    ) -> pdu.ContextResult:
        abstract = context.abstract
        interface = self._interfaces.get((abstract.uuid, abstract.version & 0xFFFF))
        if interface is None or abstract.version >> 16 > interface.minor:
            return _rejected(pdu.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        for transfer in context.transfers:
            if transfer in (pdu.NDR_SYNTAX, pdu.NDR64_SYNTAX) and interface not in taken:
                if len(self._contexts) >= MAX_CONTEXTS and context.id not in self._contexts:
                    return _rejected(pdu.LOCAL_LIMIT)
                taken.add(interface)
                form = NDR64 if transfer == pdu.NDR64_SYNTAX else 0
                self._contexts[context.id] = (interface, form)
                return pdu.ContextResult(transfer=transfer)
        return _rejected(pdu.TRANSFER_SYNTAXES_NOT_SUPPORTED)

    def _cancel(self, call_id: int, is_orphaned: bool, events: list[ServerEvent]) -> None:
        if is_orphaned:
            self._give_up(call_id)
        if call_id in self._calls:
            if is_orphaned:
                self._silent.add(call_id)
            events.append(CallCancelled(call_id, is_orphaned))

    # Out --------------------------------------------------------------------------------

    def _send_ack(
        self,
        kind: int,
        call_id: int,
        order: str,
        flags: int,
        results: list[pdu.ContextResult],
        secondary_address: str,
    ) -> None:
        ack = pdu.BindAck(
            max_transmit=self._max_fragment,
            max_receive=self._max_fragment,
            group=self.group,
            secondary_address=secondary_address,
            results=tuple(results),
        )
        answer = pdu.WHOLE | (flags & pdu.MULTIPLEX)
        body = pdu.encode_bind_ack(ack, order)
        self._outgoing.append(pdu.encode(kind, answer, order, call_id, body))

    def _send_nak(self, call_id: int, order: str, reason: int) -> None:
        body = pdu.encode_bind_nak(reason, order)
        self._outgoing.append(pdu.encode(pdu.BIND_NAK, pdu.WHOLE, order, call_id, body))
        self.is_closing = True

    def _send_fault(
        self, order: str, call_id: int, context_id: int, status: int, did_not_execute: bool
    ) -> None:
        flags = pdu.DID_NOT_EXECUTE if did_not_execute else 0
        self._outgoing.append(pdu.encode_fault(order, call_id, context_id, status, flags))

    def _violated(self, error: RpcError) -> ProtocolViolated:
        self._send_fault("<", error.call_id, 0, PROTOCOL_ERROR, False)
        self.is_closing = True
        self._assemblies.clear()
        return ProtocolViolated(str(error))


def _rejected(reason: int) -> pdu.ContextResult:
    return pdu.ContextResult(result=pdu.PROVIDER_REJECTION, reason=reason)
