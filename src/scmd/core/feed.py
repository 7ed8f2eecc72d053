"""The feed: every change of every service, numbered, for whoever watches.

A change has the next number, and is journaled before anything else that follows from it; so the
numbers go on under the next manager, which takes the last changes up from the journal. An
*epoch* is one unbroken row of numbers: it is another one only where the journal was lost, after
a boot for instance. A place in the feed is epoch and number.

The last `changes.KEPT` are kept, fewer when their descriptors are large. Whoever asks for those
after a place gets them, or waits for the first one; who was away for too long, or comes from
another epoch, is told that it is behind and gets the services as they are now, and the place to
go on from. Of watchers of a few services only these services' changes count: nothing is lost as
long as theirs are there.

A watcher on the SCM's handle is told what its caller may see, by the descriptor that the
service had at the change. Waiting costs nothing; a change costs what there are of watchers of
its service and of everything. What a deletion or a creation on its way to the disk will come to
is not known if the manager dies: it journals that they are on their way, and the next manager
compares with what the disk has (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from scmd.core import handles
from scmd.core.changes import Change, ChangeKind, Feed, Intent
from scmd.core.messages import SCM_ITSELF, Actor, CallId, HandleId, ServiceId
from scmd.core.messages.commands import Command
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.security.token import Token
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ScmAccess, ServiceAccess, ServiceState
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.deadlines import Deadline
    from scmd.core.handles import Handle
    from scmd.vocabulary.configuration import ServiceConfig

MOST_AT_ONCE = 256
"""Changes, or services, in one answer."""
BEGINNING = 0xFFFF_FFFF_FFFF_FFFF
"""For `after`: the services as they are now, and the place to go on from."""
NO_LIMIT = 0xFFFF_FFFF
MOST_NAMES = 1_024


class WaitForChanges(Command, frozen=True):
    """Result: FeedPart. At once when there are changes after the place, else with the first one.

    On a service's handle (QUERY_STATUS) those of this service; on the SCM's (ENUMERATE_SERVICE)
    those of `names`, which need not exist, or of all.
    """

    handle: HandleId
    epoch: int
    after: int
    limit: int = NO_LIMIT
    """Milliseconds to wait; then the answer has no changes."""
    names: tuple[str, ...] = ()
    resume: int = 0
    """Not 0: the services above this record number, as an answer has said."""


class ServiceView(Struct, frozen=True):
    """A service as it is; of the whole picture that one who is behind gets."""

    id: ServiceId
    name: str
    display_name: str
    status: ServiceStatus
    marked: bool


class FeedPart(Struct, frozen=True):
    epoch: int
    number: int
    """With the epoch the place to go on from."""
    changes: tuple[Change, ...] = ()
    behind: bool = False
    """There are no changes, but `services` as they are at `number`."""
    services: tuple[ServiceView, ...] = ()
    resume: int = 0
    """Not 0: there are more services; ask with this."""


class Watcher:
    """A call that waits for changes."""

    __slots__ = ("call", "changes", "deadline", "handle", "keys", "sight")

    def __init__(
        self, call: CallId, handle: Handle, keys: tuple[str, ...] | None, sight: Sight | None
    ) -> None:
        self.call = call
        self.handle = handle
        self.keys = keys
        """None: every service."""
        self.sight = sight
        self.changes: list[Change] = []
        self.deadline: Deadline | None = None


class Sight:
    """What a caller may see, decided once for each descriptor."""

    __slots__ = ("_known", "_token")

    def __init__(self, token: Token) -> None:
        self._token = token
        self._known: dict[bytes | None, bool] = {}

    def covers(self, security: bytes | None) -> bool:
        known = self._known.get(security)
        if known is None:
            known = self._known[security] = handles.may_query_by(security, self._token)
        return known


# What happens -----------------------------------------------------------------------------------


def add(
    state: State,
    record: ServiceRecord,
    kind: ChangeKind,
    before: int = 0,
    lasted: int | None = None,
    cause: str = "",
    actor: Actor = SCM_ITSELF,
) -> None:
    """Say that the record has changed; watchers are answered when the message is worked through."""
    feed = state.feed
    config = record.config
    change = Change(
        feed.last + 1,
        kind,
        record.id,
        config.name,
        record.status,
        before or int(record.status.state),
        lasted,
        cause,
        actor,
        config.security,
    )
    record.last_change = change.number
    if kind is ChangeKind.CREATED:
        # Another service may have had its name.
        record.last_lost = feed.first - 1
    state.touched[record.id] = record
    _append(state, change)
    _tell(feed, feed.of_all, change)
    _tell(feed, feed.by_key.get(record.key), change)


def _append(state: State, change: Change) -> None:
    for lost in state.feed.keep(change):
        record = state.by_key.get(name_key(lost.name))
        if record is not None:
            record.last_lost = lost.number
    state.feed.unwritten.append(change)


def _tell(feed: Feed, watchers: dict[CallId, Watcher] | None, change: Change) -> None:
    if not watchers:
        return
    for call, watcher in watchers.items():
        if watcher.sight is None or watcher.sight.covers(change.security):
            watcher.changes.append(change)
            feed.awake[call] = watcher


def answer(state: State) -> None:
    """Answer the watchers that there is news for."""
    feed = state.feed
    awake, feed.awake = feed.awake, {}
    for watcher in awake.values():
        _answer(state, watcher)


def _answer(state: State, watcher: Watcher, error: int = 0) -> None:
    feed = state.feed
    _forget(state, watcher)
    if error:
        state.reply(watcher.call, error)
        return
    state.reply(watcher.call, Error.SUCCESS, _part(feed, watcher.changes))


def _part(feed: Feed, changes: list[Change]) -> FeedPart:
    """As many as an answer holds; what is left comes with the next one."""
    if len(changes) <= MOST_AT_ONCE:
        return FeedPart(feed.epoch, feed.last, tuple(changes))
    part = tuple(changes[:MOST_AT_ONCE])
    return FeedPart(feed.epoch, part[-1].number, part)


def _forget(state: State, watcher: Watcher) -> None:
    feed, call = state.feed, watcher.call
    state.blocked.pop(call, None)
    feed.awake.pop(call, None)
    if watcher.deadline is not None:
        watcher.deadline.cancel()
    if watcher.handle.waiting is not None:
        watcher.handle.waiting.pop(call, None)
    if watcher.keys is None:
        del feed.of_all[call]
        return
    for key in watcher.keys:
        waiting = feed.by_key[key]
        del waiting[call]
        if not waiting:
            del feed.by_key[key]


# What is asked ----------------------------------------------------------------------------------


def wait(state: State, command: WaitForChanges) -> None:
    """Answer with the changes after a place, or wait for one."""
    handle = handles.lookup(state, command.call, command.handle)
    keys, sight = _scope(handle, command)
    if command.resume or command.after == BEGINNING:
        part = _picture(state, keys, sight, command.resume)
        state.reply(command.call.id, Error.SUCCESS, part)
        return
    if _is_behind(state, command, keys):
        part = _picture(state, keys, sight, 0)
        state.reply(command.call.id, Error.SUCCESS, part)
        return
    feed = state.feed
    changes = _after(feed, command.after, keys, sight)
    if changes or not command.limit:
        state.reply(command.call.id, Error.SUCCESS, _part(feed, changes))
        return
    _begin_waiting(state, Watcher(command.call.id, handle, keys, sight), command.limit)


def _scope(handle: Handle, command: WaitForChanges) -> tuple[tuple[str, ...] | None, Sight | None]:
    """The keys of the services to be watched, None for all; and what the caller sees of them."""
    record = handle.record
    if handle.kind is handles.HandleKind.LOCK:
        raise Refused(Error.INVALID_HANDLE)
    needed = ScmAccess.ENUMERATE_SERVICE if record is None else ServiceAccess.QUERY_STATUS
    if not handle.granted & needed:
        raise Refused(Error.ACCESS_DENIED)
    if record is not None:
        if command.names:
            raise Refused(Error.INVALID_PARAMETER, "a service's handle is for this service")
        return (record.key,), None
    if len(command.names) > MOST_NAMES:
        raise Refused(Error.INVALID_PARAMETER, f"at most {MOST_NAMES} names")
    keys = tuple(dict.fromkeys(map(name_key, command.names))) or None
    return keys, Sight(command.call.caller.token)


def _is_behind(state: State, command: WaitForChanges, keys: tuple[str, ...] | None) -> bool:
    feed = state.feed
    if command.epoch != feed.epoch or command.after > feed.last:
        return True
    if command.after >= feed.first - 1:
        return False
    # What is gone matters only if it was about these services.
    if keys is None:
        return True
    records = [state.by_key.get(key) for key in keys]
    return any(record is None or record.last_lost > command.after for record in records)


def _after(
    feed: Feed, after: int, keys: tuple[str, ...] | None, sight: Sight | None
) -> list[Change]:
    """The changes after a number, oldest first; it costs as much as there are, of any service."""
    found: list[Change] = []
    for change in reversed(feed.kept):
        if change.number <= after:
            break
        wanted = keys is None or name_key(change.name) in keys
        if wanted and (sight is None or sight.covers(change.security)):
            found.append(change)
    found.reverse()
    return found


def _picture(
    state: State, keys: tuple[str, ...] | None, sight: Sight | None, resume: int
) -> FeedPart:
    if keys is None:
        records: Iterable[ServiceRecord] = state.records.values()
    else:
        named = [state.by_key[key] for key in keys if key in state.by_key]
        records = sorted(named, key=lambda record: record.id)
    found: list[ServiceView] = []
    for record in records:
        if record.id <= resume or not (sight is None or sight.covers(record.config.security)):
            continue
        if len(found) == MOST_AT_ONCE:
            return FeedPart(state.feed.epoch, state.feed.last, (), True, tuple(found), found[-1].id)
        config = record.config
        view = ServiceView(
            record.id, config.name, config.display_name, record.status, record.deleted
        )
        found.append(view)
    return FeedPart(state.feed.epoch, state.feed.last, (), True, tuple(found))


def _begin_waiting(state: State, watcher: Watcher, limit: int) -> None:
    feed, call = state.feed, watcher.call
    if watcher.keys is None:
        feed.of_all[call] = watcher
    else:
        for key in watcher.keys:
            feed.by_key.setdefault(key, {})[call] = watcher
    if watcher.handle.waiting is None:
        watcher.handle.waiting = {}
    watcher.handle.waiting[call] = watcher
    state.blocked[call] = lambda: _answer(state, watcher, Error.REQUEST_ABORTED)
    if limit != NO_LIMIT:
        watcher.deadline = state.after(
            limit, lambda: _answer(state, watcher), "a watcher's patience"
        )


def handle_closed(state: State, handle: Handle) -> None:
    """Answer those that wait on a handle that is about to be closed."""
    for watcher in list((handle.waiting or {}).values()):
        _answer(state, watcher, Error.REQUEST_ABORTED)


# Across the death of a manager --------------------------------------------------------------------


def intend(state: State, kind: ChangeKind, service: ServiceId, config: ServiceConfig) -> None:
    """A change of the record is on its way to the disk."""
    intent = Intent(kind, service, config.name, config.security)
    state.feed.intents[service] = intent
    state.feed.unwritten_intents.append(intent)


def outcome_known(state: State, service: ServiceId) -> None:
    """The change has reached the disk, or never will."""
    state.feed.intents.pop(service, None)


def resume(
    state: State,
    epoch: int,
    changes: Iterable[Change],
    intents: Iterable[Intent],
    last: Mapping[ServiceId, int | None],
) -> None:
    """Go on with an earlier manager's numbers, and say what the disk has that it has not said.

    Of a changed configuration that is not known: it may be said once too often. `last` has the
    numbers of services' last changes; who is not there had none. None: an older manager's journal.
    """
    feed = state.feed
    feed.epoch = epoch
    for change in changes:
        feed.keep(change)
        record = state.records.get(change.service)
        if record is not None:
            record.last_change = change.number
    is_said = bool(last) and None not in last.values()
    for record in state.records.values():
        number = last.get(record.id, 0) if is_said else None
        record.last_change = max(record.last_change, number or 0)
        record.last_lost = feed.first - 1 if number is None else min(number, feed.first - 1)
    for intent in intents:
        record = state.records.get(intent.service)
        match intent.kind:
            case ChangeKind.DELETED:
                if record is None:
                    _say_gone(state, intent)
            case ChangeKind.MARKED:
                if record is not None and record.deleted:
                    add(state, record, intent.kind)
            case _:
                if record is not None:
                    add(state, record, intent.kind)


def _say_gone(state: State, intent: Intent) -> None:
    """Nobody waits yet."""
    change = Change(
        state.feed.last + 1,
        intent.kind,
        intent.service,
        intent.name,
        ServiceStatus(),
        int(ServiceState.STOPPED),
        security=intent.security,
    )
    _append(state, change)
