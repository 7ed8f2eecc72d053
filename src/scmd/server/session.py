"""Sessions: one connection each, from the client's bytes to what is asked, and back.

`Session.receive` takes bytes; `Session.next` gives, one at a time, what is to be done: a
`Command` for the core, a `HostRequest` for the host, bytes to send, or `Close`. The owner
hands each `Reply` to `Sessions.answer`, at once or much later, and asks the session it gets
for its next output. Whoever does not ask for more, because the client does not take what it
was sent, makes the session wait; `is_backed_up` then says not to read from that client.

Whose calls they are is settled here too: a connection begins as its `Caller`; of each security
context that `rpc` says was established an output asks who that is, by the end point's `Terms`, and
the calls made in it wait until `identified` has been told.

At most `MAX_PENDING` calls of one connection are in work at a time, beside those that wait
for something that may never happen (`ServedOperation.blocks`). Calls whose connection ends stay
with the core, which answers them, to nobody; it is told of those that could wait for ever, and
so it is when the client cancels one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from scmd.core.messages import CONTEXT_MISMATCH, AssociationId, Call, Caller, CallId
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded, CallsAbandoned
from scmd.ndr.errors import NdrError
from scmd.ndr.structure import Structure
from scmd.rpc.errors import ACCESS_DENIED, OPERATION_RANGE
from scmd.rpc.events import (
    Authenticated,
    AuthenticationRefused,
    BindRequested,
    CallCancelled,
    Request,
)
from scmd.rpc.interface import Interface
from scmd.rpc.mgmt import MGMT, Statistics
from scmd.rpc.security.protection import Protection
from scmd.rpc.security.provider import TRUSTED_TRANSPORT, Identity, SecurityPolicy
from scmd.rpc.server import LOCAL_FRAGMENT, ServerConnection
from scmd.scmd_interface.operations import SCMD
from scmd.server.associations import Associations
from scmd.server.handles import ContextHandles, ForeignHandle
from scmd.server.host_requests import HostRequest
from scmd.server.mgmt_server import Management
from scmd.server.resume import ResumeIndexes
from scmd.server.scmd_server import SCMD_OPERATIONS
from scmd.server.steps import Fault, ServedOperation, Steps, Work
from scmd.server.svcctl_server import SVCCTL_OPERATIONS
from scmd.svcctl.interface import SVCCTL

MAX_PENDING = 64
"""Calls of one connection that are in work at the same time; the next ones wait."""

Interfaces = Mapping[Interface, Mapping[int, ServedOperation]]
INTERFACES: Interfaces = {
    SVCCTL: SVCCTL_OPERATIONS,
    SCMD: SCMD_OPERATIONS,
}


Found = Callable[[Caller | None], None]


def _nobody(identity: Identity, found: Found) -> None:
    found(None)


def _unheard(message: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one connection is taken. Made by the end point that accepted it."""

    policy: SecurityPolicy = TRUSTED_TRANSPORT
    find_caller: Callable[[Identity, Found], None] = _nobody
    """Finds out who an authenticated identity is here, and tells it at once or later; None:
    nobody, its calls are denied."""
    refused: Callable[[str], None] = _unheard
    """Told of each refused authentication, for the audit."""
    machine: Hashable = None
    """Whose association groups it may join: the client's address. None: its caller's own."""
    secondary_address: str = ""
    max_fragment: int = LOCAL_FRAGMENT
    interfaces: Interfaces | None = None
    """What is spoken there; None: `Sessions.interfaces`."""


LOCAL = Terms()
"""The unix socket: the caller is who the kernel says, and nobody else."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection once everything before has been sent."""


Output = Command | HostRequest | CallsAbandoned | Authenticated | bytes | Close
_CLOSE = Close()


class _Pending(Work):
    """A call in work: whose it is, and the steps that wait for a reply."""

    __slots__ = ("request", "served", "session", "steps")
    session: Session
    request: Request
    served: ServedOperation
    steps: Steps[Structure]


class Sessions:
    """All connections of one SCM instance; `nonce` as in `ContextHandles`."""

    def __init__(self, nonce: bytes) -> None:
        self.handles = ContextHandles(nonce)
        self.resume = ResumeIndexes()
        self.associations = Associations()
        self.statistics = Statistics()
        self.interfaces = self.with_management(INTERFACES)
        """The SCM's own."""
        self.pending: dict[CallId, _Pending] = {}
        """The calls that wait for a reply."""
        self.last_call = 0
        """The highest number of a call; no two of an instance have the same."""
        self._last_response: tuple[Structure | None, int, bytes] = (None, 0, b"")

    def open(self, caller: Caller, terms: Terms = LOCAL) -> Session:
        """A session for a connection of this caller; who else may speak on it say the terms."""
        return Session(self, caller, terms)

    def with_management(self, interfaces: Interfaces, principal: str = "") -> Interfaces:
        """An end point's interfaces and mgmt, which tells of them."""
        management = Management(interfaces, self.statistics, principal)
        return {**interfaces, MGMT: management.operations()}

    def answer(self, reply: Reply) -> Session | None:
        """Carry a call on with the reply it was owed.

        The session that may have output now; None when its connection is over.
        """
        pending = self.pending.pop(reply.call, None)
        if pending is None:
            return None
        pending.session.advance(pending, reply)
        return pending.session

    @property
    def calls(self) -> int:
        """Calls that wait for a reply."""
        return len(self.pending)

    def encoded(self, served: ServedOperation, response: Structure, form: int) -> bytes:
        """A response's bytes; of the object that was the last one they are still there."""
        last, last_form, stub = self._last_response
        form |= served.charset
        if response is not last or form != last_form:
            stub = response.encode(form)
            self._last_response = response, form, stub
        return stub

    def drop(self, calls: set[CallId]) -> None:
        """Forget calls whose connection is over; their steps end here."""
        for call in calls:
            pending = self.pending.pop(call, None)
            if pending is not None:
                pending.steps.close()


class Session:
    """One connection's conversation. Made by `Sessions.open`."""

    def __init__(self, sessions: Sessions, caller: Caller, terms: Terms) -> None:
        self.caller = caller
        self.terms = terms
        self._sessions = sessions
        self._interfaces = terms.interfaces or sessions.interfaces
        self._connection = ServerConnection(
            self._interfaces,
            secondary_address=terms.secondary_address,
            max_fragment=terms.max_fragment,
            policy=terms.policy,
            statistics=sessions.statistics,
        )
        self._group: int | None = None
        self._identities: dict[Protection | None, tuple[AssociationId, Caller] | None] = {}
        self._waiting: deque[Request] = deque()
        self._outputs: deque[Output] = deque()
        self._in_work: set[CallId] = set()
        self._blocked: dict[int, CallId] = {}
        """Calls that may wait for ever, by the client's numbers."""
        self._cancelled: set[int] = set()
        """Calls that were cancelled before they were begun."""
        self._is_closing = False
        """The end was told; nothing is sent any more."""
        self._is_over = False
        self._is_refused = False

    def receive(self, data: bytes) -> None:
        """Take what the client sent; ask `next` afterwards. Never raises."""
        if self._is_over:
            return
        for event in self._connection.receive_data(data):
            if type(event) is Request:
                self._waiting.append(event)
            elif type(event) is BindRequested:
                self._bind(event)
            elif type(event) is Authenticated:
                self._outputs.append(event)
            elif type(event) is AuthenticationRefused:
                self._refused(event.message)
            elif type(event) is CallCancelled:
                self._cancel(event.call_id)
            # A violation of the protocol shows in `is_closing`.
        if self._connection.is_closing:
            self._waiting.clear()

    def next(self) -> Output | None:
        """What is to be done next; None: nothing until the session is told something.

        `Authenticated` is to be answered by `identified`.
        """
        connection, outputs = self._connection, self._outputs
        while True:
            if outputs:
                return outputs.popleft()
            if self._is_closing or self._is_over:
                return None
            if connection.outgoing:
                return connection.data_to_send()
            if connection.is_closing:
                self._is_closing = True
                return _CLOSE
            if not self._waiting or len(self._in_work) >= MAX_PENDING:
                return None
            request = self._waiting[0]
            if request.security not in self._identities:
                return None  # Who makes it is being found out.
            self._waiting.popleft()
            self._begin(request)
            if request.call_id in self._cancelled:
                self._cancelled.discard(request.call_id)
                self._cancel(request.call_id)

    def identified(self, event: Authenticated, caller: Caller | None) -> None:
        """Who that is; None: nobody here. Ask `next` afterwards."""
        if self._is_over:
            return
        if caller is None:
            self._refused(f"{event.identity} has no account here")
        if self._group is not None:
            self._identify(event.context, caller)

    @property
    def is_backed_up(self) -> bool:
        """Requests have been read that cannot be begun yet: read no more for now."""
        return bool(self._waiting)

    def closed(self) -> tuple[AssociationEnded | CallsAbandoned, ...]:
        """The connection is over. Events for the core: what ended with it."""
        if self._is_over:
            return ()
        self._is_over = True
        self._waiting.clear()
        self._outputs.clear()
        blocked = tuple(self._blocked.values())
        self._sessions.drop(self._in_work.union(blocked))
        self._in_work.clear()
        self._blocked.clear()
        events: list[AssociationEnded | CallsAbandoned] = []
        if blocked:
            events.append(CallsAbandoned(blocked))
        if self._group is not None:
            ended = self._sessions.associations.leave(self._group)
            events += [AssociationEnded(association) for association in ended]
        return tuple(events)

    # A call's life ---------------------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        sessions = self._sessions
        identity = self._identities[request.security]
        if identity is None:
            self._fault(request, ACCESS_DENIED)
            return
        served = self._interfaces[request.interface].get(request.opnum)
        if served is None:
            self._connection.fault(request.call_id, OPERATION_RANGE, did_not_execute=True)
            return
        try:
            form = request.form | served.charset
            arguments = served.operation.request.decode(request.stub, form)
        except NdrError as error:
            self._fault(request, error.status)
            return
        sessions.last_call += 1
        call = Call(CallId(sessions.last_call), *identity)
        pending = _Pending(call, sessions.handles, sessions.resume, served.charset)
        pending.session = self
        pending.request = request
        pending.served = served
        pending.steps = served.perform(pending, arguments)
        self._step(pending, None)

    def advance(self, pending: _Pending, reply: Reply) -> None:
        """Carry a call of this session on. For `Sessions`."""
        if pending.served.blocks:
            self._blocked.pop(pending.request.call_id, None)
        else:
            self._in_work.discard(pending.call.id)
        if reply.error == CONTEXT_MISMATCH:
            pending.steps.close()
            self._fault(pending.request, CONTEXT_MISMATCH)
        else:
            self._step(pending, reply)

    def _step(self, pending: _Pending, reply: Reply | None) -> None:
        """Run the steps up to their next question, response or fault."""
        try:
            asked = pending.steps.send(reply)  # type: ignore[arg-type] # None begins them
        except StopIteration as stop:
            self._respond(pending, stop.value)
        except ForeignHandle:
            self._fault(pending.request, CONTEXT_MISMATCH)
        except (Fault, NdrError) as fault:
            self._fault(pending.request, fault.status)
        else:
            number = pending.call.id
            self._sessions.pending[number] = pending
            self._outputs.append(asked)
            if pending.served.blocks:
                self._blocked[pending.request.call_id] = number
            else:
                self._in_work.add(number)

    def _cancel(self, number: int) -> None:
        """Only a call that waits can be ended; any other is carried out, as it cannot be undone."""
        call = self._blocked.get(number)
        if call is not None:
            self._outputs.append(CallsAbandoned((call,)))
        elif any(request.call_id == number for request in self._waiting):
            self._cancelled.add(number)

    def _respond(self, pending: _Pending, response: Structure) -> None:
        request = pending.request
        try:
            stub = self._sessions.encoded(pending.served, response, request.form)
        except NdrError as error:
            # What the core knows and the wire cannot say, such as a text past its range.
            self._fault(request, error.status)
            return
        self._connection.respond(request.call_id, stub)

    def _fault(self, request: Request, status: int) -> None:
        self._connection.fault(request.call_id, status)

    # The connection --------------------------------------------------------------------------

    def _bind(self, event: BindRequested) -> None:
        machine = self.terms.machine
        owner = self.caller.token if machine is None else machine
        group = self._sessions.associations.join(event.group, owner)
        if group is None:
            self._connection.refuse_bind()
            return
        self._group = group
        self._identify(None, self.caller)
        self._connection.accept_bind(group)

    def _refused(self, reason: str) -> None:
        """For the audit, once a connection: what is refused afterwards follows from it."""
        if not self._is_refused:
            self._is_refused = True
            self.terms.refused(reason)

    def _identify(self, context: Protection | None, caller: Caller | None) -> None:
        """Remember whose calls come in this context, and in which of the core's associations."""
        if caller is None:
            self._identities[context] = None
            return
        assert self._group is not None, "a caller before the bind"
        association = self._sessions.associations.association(self._group, caller.token)
        self._identities[context] = (association, caller)
