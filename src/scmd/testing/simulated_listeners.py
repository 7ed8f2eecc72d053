"""Listeners of the simulated world: they ask on the SCM's handle which services come and go.

Each holds its handle to the contract: a request is told at once what has come and gone since the
one before and was asked for there, else the next that does, each name once and in order, the
created ones with a `/`. Another request meanwhile is refused, as are masks that no SCM handle takes
and handles without the right. Drivers are not told of.

They have a source of chance of their own, so that what they do is drawn apart from the rest.
"""

from __future__ import annotations

from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import CloseHandle, Command, OpenScm
from scmd.core.messages.effects import Effect, Reply, ServiceCreated, ServiceDeleted
from scmd.core.notify_requests import (
    CloseNotifyHandle,
    GetNotifyResults,
    Notification,
    NotifyStatusChange,
)
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import NotifyMask, ScmAccess, ServiceType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

CREATED, DELETED = int(NotifyMask.CREATED), int(NotifyMask.DELETED)
MASKS = (CREATED, DELETED, CREATED | DELETED, CREATED | DELETED)
WRONG_MASKS = {
    0: Error.INVALID_PARAMETER,
    CREATED | int(NotifyMask.RUNNING): Error.INVALID_PARAMETER,
    0x400: Error.INVALID_PARAMETER,
    int(NotifyMask.RUNNING): Error.INVALID_HANDLE,
}
MOST_HANDLES = 3
_LISTENING = int(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
_DRIVERS = int(ServiceType.KERNEL_DRIVER | ServiceType.FILE_SYSTEM_DRIVER)

Names = list[tuple[int, str]]
"""Each with the bit that it is about."""


class Listener:
    """A handle to the SCM, and what is known of the requests made on it."""

    def __init__(self, handle: HandleId, *, may: bool) -> None:
        self.handle = handle
        self.may = may
        """It was opened with the right to listen."""
        self.mask = 0
        """Of the last request."""
        self.kept: Names = []
        """What the next request is to tell."""
        self.notify: HandleId | None = None
        """Of the last request."""
        self.is_out = False
        """It has not been fetched."""
        self.due: Names = []
        """What it must tell."""

    def heard(self, bit: int, name: str) -> None:
        if self.mask & bit:
            self.kept.append((bit, name))
            if self.is_out and not self.due:
                self._fall_due()

    def asked(self, mask: int, notify: HandleId) -> None:
        self.mask, self.notify, self.is_out = mask, notify, True
        self.due = []
        self._fall_due()

    def _fall_due(self) -> None:
        """What was not asked for now is not kept for later."""
        self.due = [(bit, name) for bit, name in self.kept if bit & self.mask]
        self.kept = []


class Listeners(Visitors):
    """The listeners of one world; in most worlds there are none."""

    NUMBER, SALT, SHARE = 7, 0x115E, 0.2

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._listeners: list[Listener] = []
        self._drivers: set[ServiceId] = set()

    # What they do ----------------------------------------------------------------------------

    def _act(self) -> None:
        roll = self.random.random()
        if len(self._listeners) < MOST_HANDLES and roll < 0.2:
            access = _LISTENING if self.random.random() < 0.9 else int(ScmAccess.CONNECT)
            self._ask(OpenScm(self._call(), None, access))
        elif not self._listeners or roll < 0.4:
            return
        elif roll < 0.45:
            self._close(self.random.choice(self._listeners))
        else:
            self._listen(self.random.choice(self._listeners))

    def _listen(self, listener: Listener) -> None:
        roll = self.random.random()
        if listener.notify is not None and roll < (0.1 if listener.is_out else 0.5):
            self._ask(CloseNotifyHandle(self._call(), listener.notify))
            return
        wrong = roll > 0.95
        mask = self.random.choice([*WRONG_MASKS] if wrong else MASKS)
        self._ask(NotifyStatusChange(self._call(), listener.handle, mask))

    def _close(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self._ask(CloseHandle(self._call(), listener.handle))

    # What they hear --------------------------------------------------------------------------

    def _heard(self, command: Command, reply: Reply) -> None:
        match command:
            case OpenScm(desired_access=access):
                assert isinstance(reply.result, int)
                self._listeners.append(Listener(HandleId(reply.result), may=access == _LISTENING))
            case NotifyStatusChange():
                self._registered(command, reply)
            case GetNotifyResults():
                self._notified(command, reply)
            case CloseNotifyHandle():
                self._ended(command, reply)

    def _registered(self, command: NotifyStatusChange, reply: Reply) -> None:
        listener = next(each for each in self._listeners if each.handle == command.handle)
        expected = self._refusal(listener, command.mask)
        assert reply.error == expected, f"{command} ended with {reply.error}, not {expected}"
        if reply.error:
            self.seen.add(f"refused: {reply.error}")
            return
        assert isinstance(reply.result, int)
        notify = HandleId(reply.result)
        listener.asked(command.mask, notify)
        self.seen.add("told at once" if listener.due else "waits")
        delay = self.random.choice((0, 0, 20, 3_000))
        self.world.later(delay, lambda: self._fetch(listener, notify))

    def _refusal(self, listener: Listener, mask: int) -> int:
        if mask in WRONG_MASKS:
            return int(WRONG_MASKS[mask])
        if not listener.may:
            return int(Error.ACCESS_DENIED)
        if self.world.scm.state.shutdown is not None:
            return int(Error.SHUTDOWN_IN_PROGRESS)
        return int(Error.ALREADY_REGISTERED) if listener.is_out else 0

    def _fetch(self, listener: Listener, notify: HandleId) -> None:
        """Unless it is over by now, or the manager that it was made at is."""
        if listener in self._listeners and listener.notify == notify:
            self._ask(GetNotifyResults(self._call(), notify))

    def _notified(self, command: GetNotifyResults, reply: Reply) -> None:
        if reply.error:
            assert reply.error == Error.REQUEST_ABORTED, f"no notification: {reply.error}"
            return
        told = reply.result
        assert isinstance(told, Notification)
        listener = next(e for e in self._listeners if e.notify == command.notify_handle)
        bits = {bit for bit, _ in listener.due}
        names = tuple(f"/{name}" if bit == CREATED else name for bit, name in listener.due)
        assert names, f"told of {told.names} without a reason"
        assert told.names == names, f"told of {told.names}, not of {names}"
        assert (told.error, told.triggered) == (0, sum(bits)), f"{told} for {listener.due}"
        listener.due, listener.is_out = [], False
        self.seen.add("several" if len(names) > 1 else "created" if CREATED in bits else "deleted")

    def _ended(self, command: CloseNotifyHandle, reply: Reply) -> None:
        listener = next(e for e in self._listeners if e.notify == command.notify_handle)
        waited = listener.is_out and not listener.due
        assert (reply.error, reply.result) == (0, not waited), f"closed with {reply}"
        listener.notify, listener.is_out, listener.due = None, False, []
        self.seen.add("cancelled" if waited else "closed")

    # What happens ----------------------------------------------------------------------------

    def effect(self, effect: Effect) -> None:
        """What the core announces, as an independent witness."""
        if not isinstance(effect, ServiceCreated | ServiceDeleted):
            return
        bit = CREATED if isinstance(effect, ServiceCreated) else DELETED
        if bit == CREATED and self.world.scm.state.records[effect.service].config.type & _DRIVERS:
            self._drivers.add(effect.service)
        if effect.service not in self._drivers:
            for listener in self._listeners:
                listener.heard(bit, effect.name)

    def after_message(self) -> None:
        """Who has something to be told and waits for it has been told by now."""
        if self.world.down:
            return
        fetched = {c.notify_handle for c in self._asked.values() if isinstance(c, GetNotifyResults)}
        for listener in self._listeners:
            late = listener.due and listener.notify in fetched
            assert not late, f"{listener.notify} was not told of {listener.due}"

    def cut_off(self) -> None:
        """The manager has died, and what was asked with it."""
        super().cut_off()
        self._listeners.clear()
