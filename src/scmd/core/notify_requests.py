"""Notification requests: what NotifyServiceStatusChange asks for ([MS-SCMR] 3.1.4.43 to 45).

A request is made on a handle and is over when its one notification has been fetched:

    WAITING   nothing of its mask has happened yet
    READY     it has, and waits to be fetched (GetNotifyResults)
    FETCHED   the handle may make its next request; the notify handle is only to be closed

A handle has at most one request that is not FETCHED (1242). On a service's handle a state counts
when it is *entered*. A request is ready at once when the service is in a state of its mask, unless
that very entry has been told on this handle before; so the first request tells the present
state, and the next ones what is new. States that come and go between two requests are not kept:
only the last one is seen. On the SCM's handle the names of services that come and go between two
requests are kept, up to what one answer can hold. Then the handle lags: its requests are
refused (1294), and only another handle helps.

When its service is marked for deletion a request ends: with DELETE_PENDING if it asked for that,
else with the error 1072. Drivers are not watched. A handle that is closed takes its requests
with it; whoever waited is answered 1235. Finding the requests that an event concerns costs
what there are of this service, never what there are in all.
"""

from __future__ import annotations

from enum import Enum, auto

from msgspec import Struct

from scmd.core import handles
from scmd.core.messages import Call, CallId, HandleId
from scmd.core.messages.commands import Command
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import utf16_units
from scmd.vocabulary.service import (
    HANDLE_CLOSED,
    LAST_HANDLE_CLOSED,
    STATE_BITS,
    NotifyMask,
    ScmAccess,
    ServiceAccess,
)
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.handles import Handle

SERVICE_BITS = sum(int(bit) for bit in STATE_BITS.values()) | int(NotifyMask.DELETE_PENDING)
SCM_BITS = int(NotifyMask.CREATED | NotifyMask.DELETED)
MAX_NAMES_UNITS = 65_535
"""What pszServiceNames holds, with a NUL for each name, beside its own."""
MOST_SCM_WATCHERS = 64
"""SCM handles with requests that a user who is no administrator may have: each keeps names."""
MOST_UNCLOSED = 16
"""Requests of one handle that are over and whose notify handles the client has not closed."""


# Commands -------------------------------------------------------------------------------------


class NotifyStatusChange(Command, frozen=True):
    """Result: HandleId, of the notify handle. [MS-SCMR] 3.1.4.43."""

    handle: HandleId
    mask: int
    level: int = 2


class GetNotifyResults(Command, frozen=True):
    """Result: Notification, when there is one; 1235 when there will be none. 3.1.4.44."""

    notify_handle: HandleId


class CloseNotifyHandle(Command, frozen=True):
    """Result: bool, whether its notification had come. 3.1.4.45."""

    notify_handle: HandleId


class Notification(Struct, frozen=True):
    """What a request comes to. `error` 1072: its service was marked, and nothing else happened."""

    level: int
    mask: int
    error: int
    triggered: int
    """The bits of the mask that it is about."""
    status: ServiceStatus | None = None
    names: tuple[str, ...] = ()
    """Of CREATED and DELETED: the former begin with `/`."""


# What is kept ---------------------------------------------------------------------------------


class Phase(Enum):
    WAITING = auto()
    READY = auto()
    FETCHED = auto()


class Request:
    """One request; `id` is its notify handle's number."""

    __slots__ = ("call", "handle", "id", "level", "mask", "outcome", "phase")

    def __init__(self, id: HandleId, handle: Handle, mask: int, level: int) -> None:
        self.id = id
        self.handle = handle
        self.mask = mask
        self.level = level
        self.phase = Phase.WAITING
        self.outcome: Notification | None = None
        self.call: CallId | None = None
        """Who waits for the outcome."""


class HandleRequests:
    """What a handle keeps once it was used for a request."""

    __slots__ = ("entry", "is_lagging", "mask", "names", "requests", "units")

    def __init__(self) -> None:
        self.requests: list[Request] = []
        """Those whose notify handles are open; all but the last one are FETCHED."""
        self.entry: int | None = None
        """Of a service's handle: the entry into a state that it told last."""
        self.mask = 0
        """Of an SCM handle: what was asked for last."""
        self.names: list[tuple[int, str]] = []
        """Of an SCM handle: the bits and names that the next request is about."""
        self.units = 0
        self.is_lagging = False


# Commands carried out ---------------------------------------------------------------------------


def register(state: State, command: NotifyStatusChange) -> None:
    """Make a request; it is READY at once when there is something to tell."""
    mask = command.mask
    handle = handles.lookup(state, command.call, command.handle)
    if not mask or mask & ~(SERVICE_BITS | SCM_BITS) or (mask & SERVICE_BITS and mask & SCM_BITS):
        raise Refused(Error.INVALID_PARAMETER, "the mask's bits")
    record = handle.record
    wanted = handles.HandleKind.SCM if mask & SCM_BITS else handles.HandleKind.SERVICE
    if handle.kind is not wanted:
        raise Refused(Error.INVALID_HANDLE)
    needed = ScmAccess.ENUMERATE_SERVICE if record is None else ServiceAccess.QUERY_STATUS
    if not handle.granted & needed:
        raise Refused(Error.ACCESS_DENIED)
    if record is not None and record.is_driver:
        raise Refused(Error.NOT_SUPPORTED, "drivers are not watched")
    if state.shutdown is not None:
        raise Refused(Error.SHUTDOWN_IN_PROGRESS)
    if record is not None and record.deleted:
        raise Refused(Error.SERVICE_MARKED_FOR_DELETE)
    kept = handle.requests
    if kept is not None and kept.requests and kept.requests[-1].phase is not Phase.FETCHED:
        raise Refused(Error.ALREADY_REGISTERED)
    if kept is not None and kept.is_lagging:
        raise Refused(Error.SERVICE_NOTIFY_CLIENT_LAGGING)
    if record is None and kept is None:
        _check_room(state, handle)
    request = _add(state, handle, mask, command.level)
    if record is None:
        _look_at_names(state, request)
    else:
        _look_at_state(state, request, record)
    state.reply(command.call.id, Error.SUCCESS, request.id)


def _check_room(state: State, handle: Handle) -> None:
    token = handle.caller.token
    if handles.is_limited(token):
        own = sum(other.caller.token.user == token.user for other in state.scm_watchers.values())
        if own >= MOST_SCM_WATCHERS:
            raise Refused(Error.NOT_ENOUGH_MEMORY, "close handles first")


def _add(state: State, handle: Handle, mask: int, level: int) -> Request:
    if handle.requests is None:
        handle.requests = HandleRequests()
        if handle.record is None:
            state.scm_watchers[handle.id] = handle
    kept = handle.requests
    if len(kept.requests) >= MOST_UNCLOSED:
        del state.requests[kept.requests.pop(0).id]
    kept.mask = mask
    request = Request(HandleId(state.next_handle), handle, mask, level)
    state.next_handle += 1
    kept.requests.append(request)
    state.requests[request.id] = request
    return request


def get_results(state: State, command: GetNotifyResults) -> None:
    """Answer with the notification, when it is there; one call a request."""
    request = _find(state, command.call, command.notify_handle)
    if request.phase is Phase.FETCHED or request.call is not None:
        raise Refused(Error.INVALID_HANDLE)
    request.call = command.call.id
    if request.phase is Phase.READY:
        _hand_over(state, request)
    else:
        state.blocked[command.call.id] = lambda: _abort(state, request)


def close(state: State, command: CloseNotifyHandle) -> None:
    """Cancel the request, or tidy up after it; the handle may make another one at once."""
    request = _find(state, command.call, command.notify_handle)
    fired = request.phase is not Phase.WAITING
    _end(state, request)
    assert request.handle.requests is not None
    request.handle.requests.requests.remove(request)
    state.reply(command.call.id, Error.SUCCESS, fired)


def _find(state: State, call: Call, id: HandleId) -> Request:
    request = state.requests.get(id)
    if request is None or request.handle.association != call.association:
        # It may have ended with the handle it was made on, which is no fault of the client's.
        raise Refused(Error.INVALID_HANDLE)
    return request


# What ends requests -----------------------------------------------------------------------------


def _abort(state: State, request: Request) -> None:
    """Whoever waits, waits no more; the request stays."""
    call, request.call = request.call, None
    if call is not None:
        state.blocked.pop(call, None)
        state.reply(call, Error.REQUEST_ABORTED)


def _end(state: State, request: Request) -> None:
    _abort(state, request)
    del state.requests[request.id]
    record = request.handle.record
    if record is not None and record.watchers is not None:
        record.watchers.pop(request.id, None)


def handle_closed(state: State, handle: Handle) -> int:
    """End the requests of a handle that is about to be closed; the success that this is."""
    if handle.requests is None:
        return int(Error.SUCCESS)
    for request in handle.requests.requests:
        _end(state, request)
    if handle.record is None:
        del state.scm_watchers[handle.id]
        return int(Error.SUCCESS)
    return HANDLE_CLOSED if handle.record.handles > 1 else LAST_HANDLE_CLOSED


# What is told -----------------------------------------------------------------------------------


def _trigger(state: State, request: Request, outcome: Notification) -> None:
    request.phase, request.outcome = Phase.READY, outcome
    record = request.handle.record
    if record is not None:
        assert request.handle.requests is not None
        request.handle.requests.entry = record.entry
    if request.call is not None:
        _hand_over(state, request)


def _hand_over(state: State, request: Request) -> None:
    call, outcome = request.call, request.outcome
    assert call is not None
    request.call, request.outcome, request.phase = None, None, Phase.FETCHED
    state.blocked.pop(call, None)
    state.reply(call, Error.SUCCESS, outcome)


def _bit(record: ServiceRecord) -> int:
    """The mask's bit for the state the service is in."""
    return int(STATE_BITS[record.status.state])


def _look_at_state(state: State, request: Request, record: ServiceRecord) -> None:
    bit = request.mask & _bit(record)
    assert request.handle.requests is not None
    if bit and request.handle.requests.entry != record.entry:
        _trigger(state, request, _of_service(request, record, bit))
        return
    if record.watchers is None:
        record.watchers = {}
    record.watchers[request.id] = request


def _of_service(
    request: Request, record: ServiceRecord, triggered: int, error: int = 0
) -> Notification:
    return Notification(request.level, request.mask, int(error), triggered, record.status)


def state_entered(state: State, record: ServiceRecord) -> None:
    """The service has just entered the state that its status says."""
    record.entry += 1
    if not record.watchers:
        return
    bit = _bit(record)
    outcome: Notification | None = None
    for request in [each for each in record.watchers.values() if each.mask & bit]:
        del record.watchers[request.id]
        # Who asked alike is told alike, by one object: a crowd's answer is then encoded once.
        if outcome is None or (outcome.level, outcome.mask) != (request.level, request.mask):
            outcome = _of_service(request, record, bit)
        _trigger(state, request, outcome)


def marked(state: State, record: ServiceRecord) -> None:
    """The service was marked for deletion: nothing else comes of its requests."""
    bit = int(NotifyMask.DELETE_PENDING)
    watchers, record.watchers = record.watchers or {}, None
    for request in watchers.values():
        if request.mask & bit:
            outcome = _of_service(request, record, bit)
        else:
            outcome = _of_service(request, record, 0, Error.SERVICE_MARKED_FOR_DELETE)
        _trigger(state, request, outcome)


def came_or_went(state: State, record: ServiceRecord, bit: NotifyMask) -> None:
    """A service was created or deleted; `bit` says which."""
    if record.is_driver:
        return
    name = f"/{record.config.name}" if bit is NotifyMask.CREATED else record.config.name
    entry = int(bit), name
    for handle in state.scm_watchers.values():
        kept = handle.requests
        assert kept is not None
        if kept.mask & bit and not kept.is_lagging:
            _note_name(state, kept, entry)


def _note_name(state: State, kept: HandleRequests, entry: tuple[int, str]) -> None:
    """The entry is one object for all handles that keep it: there may be thousands."""
    kept.units += utf16_units(entry[1]) + 1
    if kept.units > MAX_NAMES_UNITS:
        kept.is_lagging = True
        kept.names.clear()
        return
    kept.names.append(entry)
    last = kept.requests[-1] if kept.requests else None
    if last is not None and last.phase is Phase.WAITING:
        _look_at_names(state, last)


def _look_at_names(state: State, request: Request) -> None:
    kept = request.handle.requests
    assert kept is not None
    about = [(bit, name) for bit, name in kept.names if bit & request.mask]
    kept.names.clear()
    kept.units = 0
    if about:
        triggered = 0
        for bit, _ in about:
            triggered |= bit
        names = tuple(name for _, name in about)
        outcome = Notification(request.level, request.mask, 0, triggered, None, names)
        _trigger(state, request, outcome)
