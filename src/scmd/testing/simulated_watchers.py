"""Watchers of the simulated world: they check what they are told as they are told it.

One follows the feed of all changes and keeps its place across deaths of the manager. It holds
the feed to its word: each number is one higher than the last, each change of a service's state
begins at the state that the one before has led to, what it was told is in the end what is true,
and every status that the core announced is there. Others make notification requests at random
and hold them to a model of the contract: told at once if the service is in a state of the mask
and this entry has not been told on this handle, else with the next entry, and only once.

They have a source of chance of their own, so that worlds tell the same stories without them.
"""

from __future__ import annotations

from collections import deque

from scmd.core.changes import REMEMBERED, ChangeKind
from scmd.core.feed import BEGINNING, FeedPart, WaitForChanges
from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import CloseHandle, Command, OpenScm, OpenService
from scmd.core.messages.effects import Effect, Reply, StatusChanged
from scmd.core.notify_requests import (
    CloseNotifyHandle,
    GetNotifyResults,
    Notification,
    NotifyStatusChange,
)
from scmd.core.records import BUILT_IN_IMAGE
from scmd.testing.simulated_clients import NAMES
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import STATE_BITS, NotifyMask, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

STATES = sum(int(bit) for bit in STATE_BITS.values())
MARKED = int(NotifyMask.DELETE_PENDING)
MOST_HANDLES = 4


class Watched:
    """A service handle, and what is known of the requests made on it."""

    def __init__(self, handle: HandleId, service: ServiceId) -> None:
        self.handle = handle
        self.service = service
        self.told: int | None = None
        """The entry into a state that it was told last."""
        self.mask = 0
        """Of the request that waits; 0: none does."""
        self.notify: HandleId | None = None
        self.due: tuple[int, int] | None = None
        """The bit and error that it must be told."""
        self.due_entry = 0
        """The entry into a state that this is about."""


class Watchers(Visitors):
    """The watchers of one world; in most worlds there are none."""

    NUMBER, SALT, SHARE = 1, 0x5EED, 0.3

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._scm: HandleId | None = None
        self._place = (0, BEGINNING)
        self._states: dict[ServiceId, int] = {}
        """By the feed."""
        self._gone: set[ServiceId] = set()
        self._announced: deque[tuple[ServiceId, int, int]] = deque()
        """What StatusChanged said and the feed has not yet."""
        self._entries: dict[ServiceId, int] = {}
        self._watched: list[Watched] = []

    # What they do ----------------------------------------------------------------------------

    def _act(self) -> None:
        if self._scm is None:
            self._ask(OpenScm(self._call(), None, 0xF003F))
            return
        roll = self.random.random()
        if roll < 0.5:
            self._follow()
        elif roll < 0.9:
            self._request()
        elif self._watched and roll < 0.95:
            self._close(self.random.choice(self._watched))

    def _follow(self, limit: int | None = None) -> None:
        if self._scm is None or any(isinstance(c, WaitForChanges) for c in self._asked.values()):
            return
        if limit is None:
            limit = self.random.choice((0, 0, 50, 5_000, 0xFFFF_FFFF))
        self._ask(WaitForChanges(self._call(), self._scm, *self._place, limit))

    def _request(self) -> None:
        assert self._scm is not None
        free = [watched for watched in self._watched if not watched.mask]
        if not free:
            if len(self._watched) < MOST_HANDLES:
                name = self.random.choice(NAMES)
                self._ask(OpenService(self._call(), self._scm, name, 0x4))
            return
        watched = self.random.choice(free)
        if watched.notify is not None and self.random.random() < 0.8:
            self._ask(CloseNotifyHandle(self._call(), watched.notify))
            watched.notify = None
            return
        mask = self.random.choice((STATES, MARKED | 0x9, 0x1, 0x8, 0x7E, STATES | MARKED))
        self._ask(NotifyStatusChange(self._call(), watched.handle, mask))

    def _close(self, watched: Watched) -> None:
        self._watched.remove(watched)
        self._ask(CloseHandle(self._call(), watched.handle))

    # What they hear --------------------------------------------------------------------------

    def _heard(self, command: Command, reply: Reply) -> None:
        match command:
            case OpenScm():
                assert isinstance(reply.result, int)
                self._scm = HandleId(reply.result)
            case OpenService():
                self._opened(reply)
            case WaitForChanges():
                self._followed(reply)
            case NotifyStatusChange():
                self._registered(command, reply)
            case GetNotifyResults():
                self._notified(command, reply)

    def _opened(self, reply: Reply) -> None:
        if reply.error == 0:
            assert isinstance(reply.result, int)
            record = self.world.scm.state.handles[HandleId(reply.result)].record
            assert record is not None
            self._watched.append(Watched(HandleId(reply.result), record.id))

    def _of(self, handle: HandleId) -> Watched:
        return next(w for w in self._watched if handle in (w.handle, w.notify))

    # Requests --------------------------------------------------------------------------------

    def _registered(self, command: NotifyStatusChange, reply: Reply) -> None:
        watched = self._of(command.handle)
        record = self.world.scm.state.records[watched.service]
        if record.deleted:
            assert reply.error in (Error.SERVICE_MARKED_FOR_DELETE, Error.SHUTDOWN_IN_PROGRESS)
            return
        if reply.error:
            assert reply.error == Error.SHUTDOWN_IN_PROGRESS, f"refused with {reply.error}"
            return
        assert isinstance(reply.result, int)
        watched.mask, watched.notify = command.mask, HandleId(reply.result)
        bit = int(STATE_BITS[ServiceState(record.status.state)])
        entry = self._entries.get(watched.service, 0)
        if command.mask & bit and watched.told != entry:
            watched.due, watched.due_entry = (bit, 0), entry
        ask = GetNotifyResults(self._call(), watched.notify)
        self._asked[ask.call.id] = ask
        self.world.later(0, lambda: self._fetch(ask))

    def _fetch(self, ask: GetNotifyResults) -> None:
        if self.world.down or ask.call.id not in self._asked:
            return
        if any(ask.notify_handle == watched.notify for watched in self._watched):
            self.world.tell(ask)
        else:
            # Its handle was closed before.
            del self._asked[ask.call.id]

    def _notified(self, command: GetNotifyResults, reply: Reply) -> None:
        if reply.error:
            assert reply.error == Error.REQUEST_ABORTED, f"no notification: {reply.error}"
            return
        watched = self._of(command.notify_handle)
        assert isinstance(reply.result, Notification)
        told = reply.result
        assert watched.due is not None, f"told of {told.triggered:#x} without a reason"
        assert (told.triggered, told.error) == watched.due, f"{told}, not {watched.due}"
        watched.due, watched.mask = None, 0
        watched.told = watched.due_entry
        self.seen.add("marked" if told.error else "notified")

    def _entered(self, service: ServiceId, state: int) -> None:
        self._entries[service] = self._entries.get(service, 0) + 1
        bit = int(STATE_BITS[ServiceState(state)])
        for watched in self._watched:
            if watched.service == service and watched.mask & bit and watched.due is None:
                watched.due, watched.due_entry = (bit, 0), self._entries[service]

    def marked(self, service: ServiceId) -> None:
        """The core has made a mark durable."""
        for watched in self._watched:
            if watched.service == service and watched.mask and watched.due is None:
                asked = watched.mask & MARKED
                watched.due = (MARKED, 0) if asked else (0, int(Error.SERVICE_MARKED_FOR_DELETE))
                watched.due_entry = self._entries.get(service, 0)

    # The feed --------------------------------------------------------------------------------

    def effect(self, effect: Effect) -> None:
        """What the core announces, as an independent witness."""
        if not self.are_there:
            return
        if isinstance(effect, StatusChanged):
            state = int(effect.status.state)
            self._announced.append((effect.service, effect.before, state))
            if effect.before != state:
                self._entered(effect.service, state)

    def after_message(self) -> None:
        """Who was to be told and waits for it has been told by now."""
        if not self.are_there or self.world.down:
            return
        for watched in self._watched:
            if watched.due is not None and watched.notify is not None:
                request = self.world.scm.state.requests.get(watched.notify)
                told = request is None or request.call is None or not self._waits(watched.notify)
                assert told, f"{watched.service} was not told {watched.due}"

    def _waits(self, notify: HandleId) -> bool:
        asked = self._asked.values()
        return any(isinstance(c, GetNotifyResults) and c.notify_handle == notify for c in asked)

    def _followed(self, reply: Reply) -> None:
        if reply.error:
            assert reply.error == Error.REQUEST_ABORTED
            return
        part = reply.result
        assert isinstance(part, FeedPart)
        epoch, after = self._place
        if part.behind:
            excusable = after in (BEGINNING, 0) or part.number - after > REMEMBERED
            assert excusable, f"behind at {after}, of {part.number}"
            self._states = {view.id: int(view.status.state) for view in part.services}
            self._announced.clear()
            self.seen.add("picture")
        else:
            assert part.epoch == epoch, "another epoch without a word"
            numbers = [change.number for change in part.changes]
            assert numbers == list(range(after + 1, after + 1 + len(numbers))), (
                f"after {after} came {numbers}"
            )
            assert part.number == after + len(numbers), f"{part.number} after {numbers}"
            for change in part.changes:
                self._learn(change.kind, change.service, change.before, int(change.status.state))
        self._place = part.epoch, part.number

    def _learn(self, kind: ChangeKind, service: ServiceId, before: int, state: int) -> None:
        self.seen.add(str(kind))
        assert service not in self._gone, f"service {service} changed after its deletion"
        known = self._states.get(service)
        match kind:
            case ChangeKind.CREATED:
                assert known is None, f"service {service} was created twice"
            case ChangeKind.DELETED:
                self._gone.add(service)
                self._states.pop(service, None)
                return
            case ChangeKind.STATUS:
                assert known == before, f"service {service} left {before}, was in {known}"
                change = service, before, state
                stored = self.world.disk.get(service)
                if stored is not None and stored.config.image_path == BUILT_IN_IMAGE:
                    pass  # Those that are the SCM's own are announced to nobody else.
                elif self._announced and self._announced[0] == change:
                    self._announced.popleft()
                else:
                    # What a manager journaled and died before announcing is in the feed too.
                    assert self.world.manager.deaths, f"{change} was not announced"
        self._states[service] = state

    # Deaths and the end ------------------------------------------------------------------------

    def cut_off(self) -> None:
        """The manager has died; the place in the feed is kept."""
        super().cut_off()
        self._watched.clear()
        self._entries.clear()
        self._scm = None

    def finish(self) -> None:
        """The world is at rest: hear the last changes, and compare."""
        if not self.are_there or self.world.down:
            return
        if self._scm is None:
            self._ask(OpenScm(self._call(), None, 0xF003F))
        waiting = any(isinstance(c, WaitForChanges) for c in self._asked.values())
        if not waiting:
            for _ in range(100):
                before = self._place
                self._follow(0)
                if self._place == before:
                    break
        if self._place[1] != BEGINNING and not waiting:
            records = self.world.scm.state.records
            true = {id: int(record.status.state) for id, record in records.items()}
            assert self._states == true, f"the feed says {self._states}, true is {true}"
            assert not self._announced, f"the feed has not said {list(self._announced)}"
