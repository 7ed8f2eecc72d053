"""Lockers of the simulated world: they hold the database lock to its contract.

Three callers, one of them without the right to lock, take, ask about, release and abandon the
lock. At most one holds it; it is reported with its owner and age; it ends when it is unlocked, and
with its holder's association; no other handle releases it. In some worlds it has effect: then
nobody starts a service while it is held, and nobody but the holder changes the database. They keep
their books by what they have asked and been answered alone, and by what the clients are.

They have a source of chance of their own, so that what they do is drawn apart from the rest.
"""

from __future__ import annotations

from msgspec.structs import replace

from scmd.core.locks import SCM_OWNER, LockDatabase, LockStatus, QueryLock, UnlockDatabase
from scmd.core.messages import CONTEXT_MISMATCH, AssociationId, Call, Caller, HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    Command,
    CreateService,
    DeleteService,
    OpenScm,
    OpenService,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import (
    Effect,
    LaunchProcess,
    RemoveRecord,
    Reply,
    SaveRecord,
    StatusChanged,
)
from scmd.core.messages.events import AssociationEnded
from scmd.core.object_security import SetSecurity
from scmd.security.token import unix_token
from scmd.testing.simulated_clients import GUEST, NAMES
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ScmAccess, ServiceAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

_ASKING = int(ScmAccess.CONNECT | ScmAccess.QUERY_LOCK_STATUS)
_LOCKING = _ASKING | int(ScmAccess.LOCK)
_ADMINISTRATOR = unix_token(0, [0], administrator=True)
CALLERS = (
    (Caller(_ADMINISTRATOR, "first", "simulation"), _LOCKING),
    (Caller(_ADMINISTRATOR, "second", "simulation"), _LOCKING),
    (GUEST, _ASKING),
)
_CHANGES = (
    ChangeConfig | ChangeConfig2 | CreateService | DeleteService | SetParameters | SetSecurity
)
_USES = _CHANGES | StartService
_CONSEQUENCES = LaunchProcess | RemoveRecord | SaveRecord | StatusChanged
_USING = int(ServiceAccess.START | ServiceAccess.CHANGE_CONFIG)


class Locker:
    """One caller, its association and its handles."""

    def __init__(self, caller: Caller, access: int, association: AssociationId) -> None:
        self.caller = caller
        self.access = access
        self.association = association
        self.scm: HandleId | None = None
        self.old_lock: HandleId | None = None
        """A lock that it has had on this association."""
        self.service: HandleId | None = None
        """One that it may start and change."""


class Lockers(Visitors):
    """The lockers of one world; in most worlds there are none."""

    NUMBER, SALT, SHARE = 2, 0x10CC, 0.2

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._lockers = [Locker(*who, self._new_association()) for who in CALLERS]
        self._holder: tuple[Locker, HandleId, int] | None = None
        """Who has the lock, its handle, and since when."""
        # Who meddles with built-in services expects to be kept from nothing.
        self.has_effect = self.are_there and seed % 2 == 1 and not world.built_ins.are_there

    # What they do ----------------------------------------------------------------------------

    def _act(self) -> None:
        if self.random.random() < 0.5:
            return
        locker = self.random.choice(self._lockers)
        if locker.scm is None:
            self._ask_now(OpenScm(self._call_of(locker), None, locker.access))
        elif self.random.random() < 0.1:
            self._disconnect(locker)
        elif self.has_effect and self.random.random() < 0.25:
            self._ask(self._use(locker, locker.scm))
        else:
            self._ask_now(self._draw(locker, locker.scm))

    def _draw(self, locker: Locker, scm: HandleId) -> Command:
        call, roll = self._call_of(locker), self.random.random()
        held = self._holder[1] if self._holder is not None else None
        if roll < 0.35:
            return LockDatabase(call, scm)
        if roll < 0.7:
            return QueryLock(call, scm)
        if roll < 0.75:
            return UnlockDatabase(call, scm)
        if roll < 0.8 and self._holder is not None and self._holder[0] is locker:
            return CloseHandle(call, self._holder[1])
        return UnlockDatabase(call, held or locker.old_lock or scm)

    def _use(self, locker: Locker, scm: HandleId) -> Command:
        """The lock may keep it from this."""
        call = self._call_of(locker)
        if locker.service is None:
            return OpenService(call, scm, self.random.choice(NAMES), _USING)
        if self.random.random() < 0.5:
            return StartService(call, locker.service)
        return ChangeConfig(call, locker.service)

    def _call_of(self, locker: Locker) -> Call:
        return replace(self._call(locker.caller), association=locker.association)

    def _ask_now(self, command: Command) -> None:
        self._ask(command)
        if not self.world.down:
            assert command.call.id not in self._asked, f"not answered at once: {command}"

    def _disconnect(self, locker: Locker) -> None:
        """Its lock goes with it."""
        ended, locker.association = locker.association, self._new_association()
        locker.scm = locker.old_lock = locker.service = None
        if self._holder is not None and self._holder[0] is locker:
            self._holder = None
            self.seen.add("abandoned")
        self.world.tell(AssociationEnded(ended))

    # What they hear --------------------------------------------------------------------------

    def _heard(self, command: Command, reply: Reply) -> None:
        asking = command.call.association
        locker = next((each for each in self._lockers if each.association == asking), None)
        if locker is None:
            return  # It has waited for the answer, and gone.
        match command:
            case OpenScm():
                assert isinstance(reply.result, int), f"not opened: {reply.error}"
                locker.scm = HandleId(reply.result)
            case LockDatabase():
                self._locked(locker, reply)
            case QueryLock():
                self._told(reply)
            case UnlockDatabase(lock=lock):
                self._unlocked(locker, lock, reply)
            case OpenService():
                if isinstance(reply.result, int):
                    locker.service = HandleId(reply.result)
            case CloseHandle():
                if reply.error == 0:
                    self._holder = None

    def _locked(self, locker: Locker, reply: Reply) -> None:
        if not locker.access & ScmAccess.LOCK:
            assert reply.error == Error.ACCESS_DENIED, "locked by a guest"
            self.seen.add("denied")
        elif reply.error:
            # The SCM itself holds it during the automatic starts.
            assert reply.error == Error.SERVICE_DATABASE_LOCKED, f"not locked: {reply.error}"
            assert self._holder or self.world.auto_started, "locked by nobody"
            self.seen.add("refused")
        else:
            assert isinstance(reply.result, int)
            assert self._holder is None, "two hold the lock"
            locker.old_lock = HandleId(reply.result)
            self._holder = locker, locker.old_lock, self.world.now
            self.seen.add("locked")

    def _told(self, reply: Reply) -> None:
        told = reply.result
        assert isinstance(told, LockStatus), f"not told: {reply.error}"
        if self._holder is None:
            free = not told.owner or (told.owner == SCM_OWNER and self.world.auto_started)
            assert free, f"held by {told.owner}, who has released it"
            self.seen.add("the SCM's" if told.owner else "free")
            return
        locker, _, since = self._holder
        expected = LockStatus(locker.caller.name, (self.world.now - since) // 1_000)
        assert told == expected, f"the lock is {told}, not {expected}"
        self.seen.add("held")

    def _unlocked(self, locker: Locker, lock: HandleId, reply: Reply) -> None:
        if lock == locker.scm:
            assert reply.error == Error.INVALID_SERVICE_LOCK, f"no lock: {reply.error}"
        elif self._holder is not None and self._holder[:2] == (locker, lock):
            assert reply.error == 0, f"not unlocked: {reply.error}"
            self._holder = None
            self.seen.add("unlocked")
        else:
            assert reply.error == CONTEXT_MISMATCH, f"another's lock or an old one: {reply.error}"
            self.seen.add("not one's own")

    # What the lock keeps them and others from ----------------------------------------------------

    def effect(self, effect: Effect) -> None:
        asked = self.world.checkers.message
        if isinstance(effect, Reply) and effect.error == Error.SERVICE_DATABASE_LOCKED:
            if isinstance(asked, Command) and asked.call.id == effect.call:
                is_right = isinstance(asked, LockDatabase) or self._keeps_from(asked)
            else:  # It had to wait, for the disk.
                is_right = self.has_effect and self._holder is not None
            assert is_right, f"the lock keeps from {asked}"
            self.seen.add("kept out" if not isinstance(asked, LockDatabase) else "refused")
        elif isinstance(asked, _USES) and self._keeps_from(asked):
            was_done = isinstance(effect, Reply) and not effect.error
            assert not was_done, f"not kept from {asked}"
            assert not isinstance(effect, _CONSEQUENCES), f"not kept from {asked}"

    def _keeps_from(self, asked: Command) -> bool:
        """Whether the lock keeps the caller from this."""
        if not self.has_effect or self._holder is None or not isinstance(asked, _USES):
            return False
        own = asked.call.association == self._holder[0].association
        return not own or isinstance(asked, StartService)

    # Deaths and the end ------------------------------------------------------------------------

    def cut_off(self) -> None:
        """The manager has died, and the lock with it."""
        super().cut_off()
        self._holder = None
        for locker in self._lockers:
            locker.association = self._new_association()
            locker.scm = locker.old_lock = locker.service = None

    def leave(self) -> None:
        if self.are_there:
            for locker in self._lockers:
                self._disconnect(locker)
            assert self.world.scm.state.lock is None, "the database is left locked"
