"""The client's end of a DCE/RPC connection: bytes in, events and bytes out.

`bind` and `call` give the bytes to send; `receive_data` gives events, `Response` and `Fault`
carrying the number of the call they answer. Several calls may be under way. What breaks the
protocol raises `RpcError`, after which the connection is of no use.

With an `Initiation` the connection authenticates itself: `BindAccepted` then comes when both ends
are proved, and in between, and with it, `data_to_send` has more for the server.
"""

from __future__ import annotations

from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.rpc import binds, pdu
from scmd.rpc.errors import RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from scmd.rpc.interface import Interface
    from scmd.rpc.security.initiation import Initiation

MAX_STUB = 4 * 1024 * 1024
MAX_FRAGMENT = 65528
"""What this end proposes; the server's limit counts too."""


class BindAccepted:
    """bind_ack or alter_context_resp. `refused` are the interfaces the server does not speak."""

    __slots__ = ("group", "refused", "secondary_address")

    def __init__(self, group: int, refused: tuple[Interface, ...], secondary_address: str) -> None:
        self.group = group
        self.refused = refused
        self.secondary_address = secondary_address


class BindRefused:
    """bind_nak with its reason, or a fault while binding with its status."""

    __slots__ = ("reason", "status")

    def __init__(self, reason: int, status: int = 0) -> None:
        self.reason = reason
        self.status = status


class Response:
    """The answer to a call, for the operation's `decode_response(stub, form)`."""

    __slots__ = ("call_id", "form", "stub")

    def __init__(self, call_id: int, stub: bytes, form: int) -> None:
        self.call_id = call_id
        self.stub = stub
        self.form = form


class Fault:
    """The call was not carried out; see `errors.win32_error`."""

    __slots__ = ("call_id", "status")

    def __init__(self, call_id: int, status: int) -> None:
        self.call_id = call_id
        self.status = status


if TYPE_CHECKING:
    ClientEvent = BindAccepted | BindRefused | Response | Fault


class ClientConnection:
    """Speaks to one server. `form` (NDR64, BIG_ENDIAN) is how this end encodes."""

    def __init__(
        self,
        *,
        form: int = 0,
        max_fragment: int = MAX_FRAGMENT,
        security: Initiation | None = None,
    ) -> None:
        self.form = form
        """Give it to `encode_request`."""
        self.is_bound = False
        self._order = ">" if form & BIG_ENDIAN else "<"
        self._max_fragment = max_fragment
        self._security = security
        self._accepted: BindAccepted | None = None
        self._outgoing = b""
        self._framer = pdu.Framer()
        self._next_call = 1
        self._context_ids: dict[Interface, int] = {}
        self._proposed: dict[int, list[tuple[int, Interface]]] = {}
        self._next_context = 0
        self._calls: dict[int, Interface] = {}
        self._partial: dict[int, bytearray] = {}
        self._partial_size = 0

    @property
    def _transfer(self) -> binds.Syntax:
        return binds.NDR64_SYNTAX if self.form & NDR64 else binds.NDR_SYNTAX

    def bind(self, interfaces: Sequence[Interface], group: int = 0) -> bytes:
        """The first PDU; `group` joins an association group of this server."""
        return self._propose(pdu.BIND, interfaces, group)

    def alter_context(self, interfaces: Sequence[Interface]) -> bytes:
        """Ask for further interfaces on a bound connection; answered by `BindAccepted`."""
        return self._propose(pdu.ALTER_CONTEXT, interfaces, 0)

    def call(self, interface: Interface, opnum: int, stub: bytes) -> tuple[int, bytes]:
        """The call's number and the bytes to send. RpcError: the interface was not accepted."""
        context_id = self._context_ids.get(interface)
        if context_id is None:
            raise RpcError(f"{interface.name} is not bound on this connection")
        call_id = self._next_call
        self._next_call = call_id % 0xFFFF_FFFF + 1
        self._calls[call_id] = interface
        security = self._security
        if security is None:
            return call_id, pdu.encode_call(
                pdu.REQUEST, self._order, call_id, context_id, opnum, stub, self._max_fragment
            )
        if security.protection is None:
            raise RpcError("authentication is not complete")
        syntaxes = binds.encode_syntax(_syntax(interface)) + binds.encode_syntax(self._transfer)
        stub = security.verify(stub, self._order, call_id, context_id, opnum, syntaxes)
        return call_id, security.protection.encode_call(
            pdu.REQUEST, self._order, call_id, context_id, opnum, stub, self._max_fragment
        )

    def data_to_send(self) -> bytes:
        """What authentication has to send after `receive_data`; handed out once."""
        data, self._outgoing = self._outgoing, b""
        return data

    def abandon(self, call_id: int) -> bytes:
        """The PDU that says the answer is not wanted any more; it will be dropped."""
        del self._calls[call_id]
        self._drop_partial(call_id)
        return pdu.encode(pdu.ORPHANED, pdu.WHOLE, self._order, call_id, b"")

    def cancel(self, call_id: int) -> bytes:
        """The PDU that asks for an early end of a call; it is answered all the same."""
        return pdu.encode(pdu.CO_CANCEL, pdu.WHOLE, self._order, call_id, b"")

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """What the server's bytes mean; an incomplete answer gives nothing yet."""
        if self._security is None:
            plain = self._framer.plain_call(data, pdu.PLAIN_RESPONSE)
            if plain is not None and plain[0] in self._calls and not self._partial:
                del self._calls[plain[0]]
                return [Response(plain[0], plain[3], self.form & NDR64)]
        events: list[ClientEvent] = []
        for frame in self._framer.frames(data):
            kind = frame[0]
            if kind == pdu.RESPONSE:
                self._response(frame, events)
            elif kind == pdu.FAULT:
                self._fault(frame, events)
            elif kind in (pdu.BIND_ACK, pdu.ALTER_CONTEXT_RESPONSE):
                self._bind_answered(frame, events)
            elif kind == pdu.BIND_NAK:
                events.append(BindRefused(binds.decode_bind_nak(frame)))
            elif kind != pdu.SHUTDOWN:
                raise RpcError(f"the server sent a PDU of type {kind}", frame[3])
        if self._framer.error is not None:
            raise self._framer.error
        return events

    def _propose(self, kind: int, interfaces: Sequence[Interface], group: int) -> bytes:
        numbered = list(enumerate(interfaces, self._next_context))
        self._next_context += len(numbered)
        trailer = None
        if self._security is not None and kind == pdu.BIND:
            trailer = self._security.begin()
        return self._offer(kind, numbered, group, trailer)

    def _offer(
        self,
        kind: int,
        numbered: list[tuple[int, Interface]],
        group: int,
        trailer: pdu.AuthTrailer | None,
    ) -> bytes:
        contexts = tuple(
            binds.PresentationContext(
                id=context_id, abstract=_syntax(interface), transfers=(self._transfer,)
            )
            for context_id, interface in numbered
        )
        call_id = self._next_call
        self._next_call += 1
        self._proposed[call_id] = numbered
        limit = self._max_fragment
        bind = binds.Bind(max_transmit=limit, max_receive=limit, group=group, contexts=contexts)
        body = binds.encode_bind(bind, self._order)
        flags = pdu.WHOLE | pdu.MULTIPLEX
        if trailer is None or self._security is None:
            return pdu.encode(kind, flags, self._order, call_id, body)
        flags |= self._security.bind_flags
        return pdu.encode_secured(kind, flags, self._order, call_id, body, trailer)

    def _bind_answered(self, frame: pdu.Frame, events: list[ClientEvent]) -> None:
        """Carry authentication on, if there is any; the event comes when it is done."""
        numbered = self._proposed.get(frame[3], [])
        accepted = self._bind_accepted(frame)
        security = self._security
        if security is not None and security.protection is None:
            accepted = self._accepted = self._accepted or accepted
            further = security.carry_on(frame)
            if further is not None:
                kind, trailer = further
                if kind == pdu.ALTER_CONTEXT:
                    self._outgoing += self._offer(kind, numbered, 0, trailer)
                else:
                    flags = pdu.WHOLE | security.bind_flags
                    self._outgoing += pdu.encode_secured(
                        kind, flags, self._order, frame[3], bytes(4), trailer
                    )
            if security.protection is None:
                return
        events.append(accepted)

    def _bind_accepted(self, frame: pdu.Frame) -> BindAccepted:
        call_id = frame[3]
        proposed = self._proposed.pop(call_id, None)
        ack = binds.decode_bind_ack(frame)
        if proposed is None or len(ack.results) != len(proposed):
            raise RpcError("the server answered a bind that was not sent", call_id)
        refused = []
        for (context_id, interface), result in zip(proposed, ack.results, strict=True):
            if result.result == binds.ACCEPTANCE:
                self._context_ids[interface] = context_id
            else:
                refused.append(interface)
        if not self.is_bound:
            self._max_fragment = max(1432, min(self._max_fragment, ack.max_receive))
        self.is_bound = True
        return BindAccepted(ack.group, tuple(refused), ack.secondary_address)

    def _response(self, frame: pdu.Frame, events: list[ClientEvent]) -> None:
        _, flags, order, call_id, _, _ = frame
        if self._security is not None:
            # Whoever waits for it or not: the next signature counts this PDU too.
            frame = self._security.check(frame)
        if call_id not in self._calls:
            if 0 < call_id < self._next_call:
                return
            raise RpcError(f"an answer to call {call_id}, which was not made", call_id)
        stub = pdu.decode_call(frame)[2]
        if flags & pdu.WHOLE != pdu.WHOLE:
            whole = self._assemble(flags, call_id, stub)
            if whole is None:
                return
            stub = whole
        del self._calls[call_id]
        form = (self.form & NDR64) | (BIG_ENDIAN if order == ">" else 0)
        events.append(Response(call_id, stub, form))

    def _assemble(self, flags: int, call_id: int, stub: bytes) -> bytes | None:
        if flags & pdu.FIRST_FRAGMENT:
            self._drop_partial(call_id)
            self._partial[call_id] = bytearray()
        partial = self._partial.get(call_id)
        if partial is None:
            raise RpcError(f"the answer to call {call_id} lacks its beginning", call_id)
        partial += stub
        self._partial_size += len(stub)
        if self._partial_size > MAX_STUB:
            raise RpcError("an answer of more than 4 MiB", call_id)
        if not flags & pdu.LAST_FRAGMENT:
            return None
        whole = bytes(partial)
        self._drop_partial(call_id)
        return whole

    def _drop_partial(self, call_id: int) -> None:
        self._partial_size -= len(self._partial.pop(call_id, b""))

    def _fault(self, frame: pdu.Frame, events: list[ClientEvent]) -> None:
        call_id = frame[3]
        status = pdu.decode_fault(frame)
        self._drop_partial(call_id)
        if self._calls.pop(call_id, None) is not None:
            events.append(Fault(call_id, status))
        elif self._proposed.pop(call_id, None) is not None:
            events.append(BindRefused(0, status))
        elif not 0 < call_id < self._next_call:
            raise RpcError(f"the server found fault with the connection: 0x{status:08X}", call_id)


def _syntax(interface: Interface) -> binds.Syntax:
    # Minor version 0 is spoken by every server; what it lacks it refuses operation by operation.
    return binds.Syntax(uuid=interface.uuid, version=interface.major)
