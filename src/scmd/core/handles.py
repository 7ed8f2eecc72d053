"""Handles: open references to the SCM or a service, each with a granted mask.

The mask is fixed when the handle is opened; later changes of a descriptor do not touch it.
Handles belong to an association and end with it. What a record does when its last handle
closes is `deletion`'s.
"""

from __future__ import annotations

from enum import Enum, auto

from scmd.core.messages import AssociationId, Call, CallId, HandleId
from scmd.core.messages.commands import PrepareService
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.security.access import access_check
from scmd.security.defaults import (
    SCM_MAPPING,
    SERVICE_DESCRIPTOR,
    SERVICE_MAPPING,
)
from scmd.security.descriptor import SecurityDescriptor
from scmd.security.sid import ADMINISTRATORS
from scmd.security.token import Token
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ScmAccess, ServiceAccess, StandardAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.feed import Watcher
    from scmd.core.notify_requests import HandleRequests

MOST_OF_A_USER = 16_384
"""Handles that a user who is no administrator may have open, in all associations together."""
_MAXIMUM = int(StandardAccess.MAXIMUM_ALLOWED)


class ContextMismatch(Exception):
    """The handle is unknown, or was given to another association."""


class HandleKind(Enum):
    SCM = auto()
    SERVICE = auto()
    LOCK = auto()
    """Of the database; closed by unlocking it."""


class Handle:
    """An open reference; `record` is a service handle's."""

    __slots__ = (
        "association",
        "caller",
        "granted",
        "id",
        "kind",
        "prepared",
        "record",
        "requests",
        "waiting",
    )

    def __init__(
        self,
        id: HandleId,
        kind: HandleKind,
        call: Call,
        record: ServiceRecord | None,
        granted: int,
    ) -> None:
        self.id = id
        self.kind = kind
        self.association = call.association
        self.caller = call.caller
        """Who opened it."""
        self.record = record
        self.granted = granted
        self.prepared: PrepareService | None = None
        """Of an SCM handle: what the next service created with it is to have besides."""
        self.requests: HandleRequests | None = None
        """What `notify_requests` keeps, once it was used for one."""
        self.waiting: dict[CallId, Watcher] | None = None
        """Calls that wait for changes on it; see `feed`."""


def lookup(state: State, call: Call, id: HandleId) -> Handle:
    """The association's handle, of any kind; ContextMismatch when it has none such."""
    handle = state.handles.get(id)
    if handle is None or handle.association != call.association:
        request = state.requests.get(id)
        if request is not None and request.handle.association == call.association:
            raise Refused(Error.INVALID_HANDLE)
        raise ContextMismatch
    return handle


def scm(state: State, call: Call, id: HandleId, access: int = 0) -> None:
    """Require an SCM handle that was granted all of `access`."""
    handle = lookup(state, call, id)
    if handle.kind is not HandleKind.SCM:
        raise Refused(Error.INVALID_HANDLE)
    if access & ~handle.granted:
        raise Refused(Error.ACCESS_DENIED)


def service(state: State, call: Call, id: HandleId, access: int = 0) -> ServiceRecord:
    """The service of a service handle that was granted all of `access`."""
    handle = state.handles.get(id)
    if handle is None or handle.association != call.association:
        handle = lookup(state, call, id)
    if handle.record is None:
        raise Refused(Error.INVALID_HANDLE)
    if access & ~handle.granted:
        raise Refused(Error.ACCESS_DENIED)
    return handle.record


def grant_scm(state: State, token: Token, desired: int) -> int:
    """The mask for an SCM handle; CONNECT is asked for implicitly ([MS-SCMR] 3.1.4.15).

    The owner has it, as he has reading and writing the DACL: one that shuts everybody out must
    not be the last that was ever set.
    """
    descriptor, connect = state.scm_descriptor, int(ScmAccess.CONNECT)
    if descriptor.owner in token.sids:
        return access_check(descriptor, token, desired & ~connect, SCM_MAPPING) | connect
    return access_check(descriptor, token, desired | connect, SCM_MAPPING)


def grant_service(record: ServiceRecord, token: Token, desired: int) -> int:
    """The mask for a handle to the service, from its descriptor and this caller."""
    return access_check(descriptor(record), token, int(desired), SERVICE_MAPPING)


def grant_creator(desired: int) -> int:
    """The mask for the handle CreateService returns: as asked, without a check."""
    mapped = SERVICE_MAPPING.map(int(desired))
    if mapped & _MAXIMUM:
        mapped = mapped & ~_MAXIMUM | SERVICE_MAPPING.all
    return mapped


def descriptor(record: ServiceRecord) -> SecurityDescriptor:
    """The service's descriptor: its own, or the documented default."""
    if record.config.security is None:
        return SERVICE_DESCRIPTOR
    if record.descriptor is None:
        record.descriptor = SecurityDescriptor.from_bytes(record.config.security)
    return record.descriptor


def may_query(record: ServiceRecord, token: Token) -> bool:
    """Whether an enumeration shows the service to this caller."""
    return _may_query(descriptor(record), token)


def may_query_by(security: bytes | None, token: Token) -> bool:
    """The same of a service with this descriptor of its own, None the default one."""
    own = SERVICE_DESCRIPTOR if security is None else SecurityDescriptor.from_bytes(security)
    return _may_query(own, token)


def _may_query(own: SecurityDescriptor, token: Token) -> bool:
    try:
        access_check(own, token, int(ServiceAccess.QUERY_STATUS), SERVICE_MAPPING)
    except Refused:
        return False
    return True


def is_limited(token: Token) -> bool:
    """Whether there is a limit to what the user may have open."""
    return ADMINISTRATORS not in token.groups


def check_room(state: State, token: Token) -> None:
    """Refuse who has more handles than a single user needs: they cost memory, and last."""
    if state.handles_of.get(token.user, 0) >= MOST_OF_A_USER:
        raise Refused(Error.NOT_ENOUGH_MEMORY, "close handles first")


def open_handle(
    state: State,
    call: Call,
    record: ServiceRecord | None,
    granted: int,
    kind: HandleKind | None = None,
) -> HandleId:
    """A new handle of the call's association; without a kind, to the record or to the SCM."""
    if kind is None:
        kind = HandleKind.SCM if record is None else HandleKind.SERVICE
    id = HandleId(state.next_handle)
    state.next_handle += 1
    handle = Handle(id, kind, call, record, granted)
    state.handles[id] = handle
    token = call.caller.token
    if is_limited(token):
        state.handles_of[token.user] = state.handles_of.get(token.user, 0) + 1
    state.associations.setdefault(call.association, {})[id] = handle
    if record is not None:
        record.handles += 1
    return id


def close_handle(state: State, handle: Handle) -> None:
    """Forget a handle; its record is put up for a second look."""
    del state.handles[handle.id]
    token = handle.caller.token
    if is_limited(token):
        left = state.handles_of.pop(token.user) - 1
        if left:
            state.handles_of[token.user] = left
    owned = state.associations[handle.association]
    del owned[handle.id]
    if not owned:
        del state.associations[handle.association]
    if handle.record is not None:
        handle.record.handles -= 1
    if state.lock is not None and state.lock.handle is handle:
        state.lock = None


def owned(state: State, association: AssociationId) -> list[Handle]:
    """The association's handles, in order of opening."""
    return list(state.associations.get(association, {}).values())


def close_all(state: State, association: AssociationId) -> list[ServiceRecord]:
    """Rundown: close what the association owns; the records concerned, in order of opening."""
    closed = owned(state, association)
    for handle in closed:
        close_handle(state, handle)
    return [handle.record for handle in closed if handle.record is not None]
