"""The database lock: one holder, reported with owner and age, released with its handle.

Since Vista the lock is granted and keeps nobody from anything. With the setting
`lock_has_effect` it is NT 4's: while it is held nobody starts a service, and nobody but the
holder's association changes the database (1055). While the automatic starts are under way the
SCM itself counts as the holder. [MS-SCMR] 3.1.4.4, 3.1.4.9, 3.1.4.18.
"""

from __future__ import annotations

from msgspec import Struct

from scmd.core import auto_start, handles
from scmd.core.handles import HandleKind
from scmd.core.messages import Call, HandleId
from scmd.core.messages.commands import Command
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ScmAccess

SCM_OWNER = ".\\NT Service Control Manager"


class LockDatabase(Command, frozen=True):
    """Result: HandleId of the lock. Needs SC_MANAGER_LOCK; 1055 when somebody has it."""

    scm: HandleId


class UnlockDatabase(Command, frozen=True):
    """Result: None; 1071 for a handle that is no lock."""

    lock: HandleId


class QueryLock(Command, frozen=True):
    """Result: LockStatus. Needs SC_MANAGER_QUERY_LOCK_STATUS."""

    scm: HandleId


class LockStatus(Struct, frozen=True):
    """QUERY_SERVICE_LOCK_STATUS; no owner: it is not locked."""

    owner: str = ""
    duration_s: int = 0


class DatabaseLock:
    """The lock while somebody holds it."""

    __slots__ = ("handle", "since")

    def __init__(self, handle: handles.Handle, since: int) -> None:
        self.handle = handle
        self.since = since


def lock_database(state: State, command: LockDatabase) -> None:
    handles.scm(state, command.call, command.scm, int(ScmAccess.LOCK))
    if held(state).owner:
        raise Refused(Error.SERVICE_DATABASE_LOCKED)
    id = handles.open_handle(state, command.call, None, 0, HandleKind.LOCK)
    state.lock = DatabaseLock(state.handles[id], state.now)
    state.reply(command.call.id, Error.SUCCESS, id)


def unlock_database(state: State, command: UnlockDatabase) -> None:
    try:
        handle = handles.lookup(state, command.call, command.lock)
    except Refused:  # It is a notification's.
        raise Refused(Error.INVALID_SERVICE_LOCK) from None
    if handle.kind is not HandleKind.LOCK:
        raise Refused(Error.INVALID_SERVICE_LOCK)
    handles.close_handle(state, handle)
    state.reply(command.call.id, Error.SUCCESS)


def query_lock(state: State, command: QueryLock) -> None:
    handles.scm(state, command.call, command.scm, int(ScmAccess.QUERY_LOCK_STATUS))
    state.reply(command.call.id, Error.SUCCESS, held(state))


def held(state: State) -> LockStatus:
    """Who holds the lock, and for how long."""
    if state.lock is not None:
        owner = state.lock.handle.caller.name
        return LockStatus(owner, (state.now - state.lock.since) // 1000)
    began_at = auto_start.under_way_since(state)
    if began_at is not None:
        return LockStatus(SCM_OWNER, (state.now - began_at) // 1000)
    return LockStatus()


def refuse_start(state: State) -> None:
    """1055 for everybody while the lock is held and has effect, the holder included."""
    if state.lock is not None and state.settings.lock_has_effect:
        raise Refused(Error.SERVICE_DATABASE_LOCKED)


def refuse_change(state: State, call: Call) -> None:
    """1055 for everybody but the holder, whom the lock is to give time for changes."""
    if state.lock is not None and state.lock.handle.association != call.association:
        refuse_start(state)
