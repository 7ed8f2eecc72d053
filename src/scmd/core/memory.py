"""What must survive a manager that dies: the live state, as entries of the runtime journal.

The records are in the database; here is what is true of them now. Whenever the SCM has
worked through a message, `Journal.changes` says what differs from what was written last, and
that goes out as the *first* effect. So the journal is never behind the world: an effect
that was carried out has been announced; one that was announced and not carried out is
repeated, or dropped, by `adoption`, which reads the entries again.

Instants are on the machine's monotonic clock, which outlives a manager. Not kept, because
they end with the connections: handles, calls, who waits for an answer.
"""

from __future__ import annotations

from collections import deque
from operator import attrgetter

from msgspec import Struct

from scmd.core import recovery, reloads, schedules, shutdown
from scmd.core.changes import KEPT, Change, Feed, Intent
from scmd.core.messages import LaunchId, ServiceId
from scmd.core.records import (
    AttemptPhase,
    Launch,
    LaunchKind,
    ServiceRecord,
    StartRequest,
    never_started,
)
from scmd.core.recovery import RecoveryMemory
from scmd.core.shutdown import NoticeMemory, ShutdownMemory, ShutdownOrder
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from scmd.core.state import State


class AccountMemory(Struct, frozen=True):
    """Why a service is in its state; who brought that about, and who asked for what goes on."""

    cause: str
    changed_by: tuple[str, str]
    since: int | None
    asked_by: tuple[str, str] | None
    killed: bool


class ServiceMemory(Struct, frozen=True):
    """What is true of a service. The last entry of each service counts."""

    service: int
    status: tuple[int, ...]
    """The fields of `ServiceStatus` in their order."""
    launch: int = 0
    """The process it runs in or is being started in; 0: none."""
    attempt: tuple[str, ...] | None = None
    """It is being started with these arguments."""
    launching: bool = False
    """Its attempt has begun to start something of its own."""
    stage: str = ""
    """Of a hosted program's run, a `hosted_runs.Stage`; "" without one."""
    hook: int = 0
    """The launch of the hook that the run waits for."""
    deadline: int | None = None
    """When the run's stage is to end."""
    failures: int = 0
    hung: bool = False
    restart: bool = False
    """It is being started because it has failed."""
    started_at: int = 0
    stop_asked: bool = False
    recovery: RecoveryMemory | None = None
    health: tuple[tuple[str, str], ...] | None = None
    """Of a hosted program's run: what it is asked, and was told when it was launched.

    None: not written by the first versions, which cannot read it either.
    """
    process_exit: int | None = None
    essential: bool = False
    account: AccountMemory | None = None
    reloading: int | None = None
    """Since when a hosted program reads its configuration again, by its own word."""
    said: str = ""
    """The last STATUS it gave."""
    notice: NoticeMemory | None = None
    """What it was told about the shutdown."""
    schedule: tuple[int | None, int | None] | None = None
    """Of a scheduled service: when it is due, and the time that came last."""
    completed: bool = False
    tried: tuple[int, ...] = ()
    """What its attempt has seen starting: down again, it has failed or done its work."""
    named: int = 0
    """The process that it has named as its main one, until the keeper has answered."""
    last_change: int | None = None
    """The number of its last change in the feed; 0: there was none, as of one without an entry."""


class LaunchMemory(Struct, frozen=True):
    """What is true of a launch. The last entry of each launch counts."""

    launch: int
    kind: str
    owner: int
    phase: str
    process_id: int = 0
    cause: str = ""
    share_key: str | None = None
    account: str = ""
    services: tuple[int, ...] = ()
    table: tuple[str, ...] = ()
    """Of a process that takes further services: those it implements."""
    starting: int = 0
    """The service whose start has been sent and not answered."""
    drained: bool = False
    without: tuple[str, ...] = ()


class LaunchOver(Struct, frozen=True):
    """The exit of a launch has been dealt with; the keeper may still hold it."""

    launch: int


class AutoStartMemory(Struct, frozen=True):
    """The automatic starts have begun; these are still to come."""

    batches: tuple[tuple[int, ...], ...] = ()
    """The next one last."""
    delayed: tuple[int, ...] = ()
    deadline: int | None = None
    """When the delayed ones are due, once that is known."""
    accepted: bool = False
    """The boot was accepted by NotifyBootConfigStatus."""


class ChangeMemory(Struct, frozen=True):
    """A change of the feed; see `changes.Change`."""

    epoch: int
    number: int
    kind: str
    service: int
    name: str
    status: tuple[int, ...]
    before: int
    lasted: int | None
    cause: str
    actor: tuple[str, str]
    security: bytes | None = None


class IntentMemory(Struct, frozen=True):
    """A change of a record is on its way to the disk; the last entry of each service counts."""

    epoch: int
    kind: str
    service: int
    name: str
    security: bytes | None = None


Known = ServiceMemory | LaunchMemory | LaunchOver | AutoStartMemory | ShutdownOrder | ShutdownMemory
Memory = Known | ChangeMemory | IntentMemory


class Journal:
    """What has been written, and what differs from it by now."""

    def __init__(self) -> None:
        self._services: dict[ServiceId, ServiceMemory] = {}
        self._launches: dict[LaunchId, LaunchMemory] = {}
        self._auto_start: tuple[int, int, int | None, bool] | None = None
        self._shutdown: tuple[shutdown.Phase, int, int | None] | None = None

    def is_due(self, state: State) -> bool:
        """Whether `changes` may have something to say."""
        if state.touched or state.touched_launches:
            return True
        if state.feed.unwritten or state.feed.unwritten_intents:
            return True
        # A step of a shutdown may be about nobody.
        return state.shutdown is not None or _auto_start_key(state) != self._auto_start

    def changes(self, state: State) -> tuple[Memory, ...]:
        """Entries for what was touched and is not as it was written; they count as written."""
        changed = _news(state.feed)
        launches, records = state.touched_launches, state.touched
        state.touched_launches, state.touched = {}, {}
        for record in records.values():
            if record.launch is not None:
                launches[record.launch.id] = None
        for id in launches:
            launch = state.launches.get(id)
            if launch is not None:
                records[launch.owner.id] = launch.owner
                self._look_at_launch(launch, changed)
            elif self._launches.pop(id, None) is not None:
                changed.append(LaunchOver(id))
        for record in records.values():
            self._look_at_record(state, record, changed)
        self._look_at_auto_start(state, changed)
        self._look_at_shutdown(state, changed)
        return tuple(changed)

    def _look_at_launch(self, launch: Launch, changed: list[Memory]) -> None:
        memory = launch_memory(launch)
        if memory != self._launches.get(launch.id):
            self._launches[launch.id] = memory
            changed.append(memory)

    def _look_at_record(self, state: State, record: ServiceRecord, changed: list[Memory]) -> None:
        if state.records.get(record.id) is not record:
            self._services.pop(record.id, None)
            return
        memory = service_memory(record)
        written = self._services.get(record.id)
        if memory != written and (written is not None or not _is_untouched(record)):
            self._services[record.id] = memory
            changed.append(memory)

    def _look_at_auto_start(self, state: State, changed: list[Memory]) -> None:
        key = _auto_start_key(state)
        if key != self._auto_start:
            self._auto_start = key
            changed.extend(_auto_start_memory(state))

    def _look_at_shutdown(self, state: State, changed: list[Memory]) -> None:
        key = shutdown.memory_key(state)
        if key != self._shutdown:
            order, now = _shutdown_memory(state)
            changed.extend((now,) if self._shutdown is not None else (order, now))
            self._shutdown = key


def snapshot(state: State) -> tuple[Known, ...]:
    """Everything there is to remember of services and launches, for a journal written anew."""
    services = [
        service_memory(record) for record in state.records.values() if not _is_untouched(record)
    ]
    launches = [launch_memory(launch) for launch in state.launches.values()]
    return (*services, *launches, *_auto_start_memory(state), *_shutdown_memory(state))


def _shutdown_memory(state: State) -> tuple[Known, ...]:
    """What stays the same, and how far it is; nothing when there is none."""
    run = state.shutdown
    return () if run is None else (run.order, shutdown.memory(run))


def snapshot_of_feed(feed: Feed) -> tuple[Memory, ...]:
    """What belongs to it of the feed."""
    changes = [change_memory(feed.epoch, change) for change in feed.remembered()]
    return (*changes, *(_intent_memory(feed.epoch, each) for each in feed.intents.values()))


def _news(feed: Feed) -> list[Memory]:
    """What the journal has not got yet of the feed."""
    if not feed.unwritten and not feed.unwritten_intents:
        return []
    news: list[Memory] = [change_memory(feed.epoch, change) for change in feed.unwritten]
    news += [_intent_memory(feed.epoch, intent) for intent in feed.unwritten_intents]
    feed.unwritten.clear()
    feed.unwritten_intents.clear()
    return news


def latest(entries: Iterable[Memory]) -> tuple[Memory, ...]:
    """The entries that count, of a journal in the order it was written."""
    services: dict[int, Memory] = {}
    launches: dict[int, Memory] = {}
    others: dict[type, Memory] = {}
    changes: deque[Memory] = deque(maxlen=KEPT)
    intents: dict[int, Memory] = {}
    for entry in entries:
        if isinstance(entry, ChangeMemory):
            changes.append(entry)
            intent = intents.get(entry.service)
            if isinstance(intent, IntentMemory) and intent.kind == entry.kind:
                del intents[entry.service]
        elif isinstance(entry, ServiceMemory):
            services[entry.service] = entry
        elif isinstance(entry, LaunchMemory):
            launches[entry.launch] = entry
        elif isinstance(entry, LaunchOver):
            launches.pop(entry.launch, None)
        elif isinstance(entry, IntentMemory):
            intents[entry.service] = entry
        else:
            others[type(entry)] = entry
    known = (*services.values(), *launches.values(), *others.values())
    return (*known, *changes, *intents.values())


def _is_untouched(record: ServiceRecord) -> bool:
    """It was never started, nor changed: there is nothing that the database does not know."""
    return (
        not record.last_change
        and record.attempt is None
        and record.launch is None
        and not record.failures
        and record.schedule is None
        and record.status == never_started(record.config.type)
    )


def change_memory(epoch: int, change: Change) -> ChangeMemory:
    return ChangeMemory(
        epoch,
        change.number,
        str(change.kind),
        change.service,
        change.name,
        _fields(change.status),
        change.before,
        change.lasted,
        change.cause,
        (change.actor.name, change.actor.origin),
        change.security,
    )


def _intent_memory(epoch: int, intent: Intent) -> IntentMemory:
    return IntentMemory(epoch, str(intent.kind), intent.service, intent.name, intent.security)


_numbers = attrgetter(*ServiceStatus._fields[2:])


def _fields(status: ServiceStatus) -> tuple[int, ...]:
    return (int(status.type), int(status.state), *_numbers(status))


def service_memory(record: ServiceRecord) -> ServiceMemory:
    attempt, run = record.attempt, record.run
    deadline = run.deadline if run is not None else None
    return ServiceMemory(
        record.id,
        _fields(record.status),
        record.launch.id if record.launch is not None else 0,
        attempt.arguments if attempt is not None else None,
        attempt is not None and attempt.phase is AttemptPhase.LAUNCHING,
        run.stage._name_ if run is not None else "",
        run.hook.id if run is not None and run.hook is not None else 0,
        deadline.at if deadline is not None else None,
        record.failures,
        record.hung,
        attempt is not None and attempt.restart,
        record.started_at,
        record.stop_asked,
        recovery.memory(record),
        run.watch.memory() if run is not None else (),
        record.process_exit,
        record.essential,
        _account_memory(record),
        reloads.since(run),
        run.watch.text if run is not None else "",
        shutdown.notice_memory(record),
        schedules.memory(record),
        record.completed,
        tuple(sorted(attempt.tried)) if attempt is not None else (),
        run.named if run is not None else 0,
        record.last_change,
    )


def _account_memory(record: ServiceRecord) -> AccountMemory | None:
    by, asked = record.changed_by, record.actor
    if not record.cause and asked is None:
        return None
    return AccountMemory(
        record.cause,
        (by.name, by.origin),
        record.since,
        None if asked is None else (asked.name, asked.origin),
        record.killed,
    )


def launch_memory(launch: Launch) -> LaunchMemory:
    # What `name` of a member reads, by two calls.
    kind, phase = launch.kind._name_, launch.phase._name_
    if launch.kind is not LaunchKind.PROTOCOL:
        return LaunchMemory(
            launch.id,
            kind,
            launch.owner.id,
            phase,
            launch.process_id,
            launch.cause,
            without=launch.without,
        )
    current = launch.current
    starting = isinstance(current, StartRequest) and current.attempt is not None
    return LaunchMemory(
        launch.id,
        kind,
        launch.owner.id,
        phase,
        launch.process_id,
        launch.cause,
        launch.share_key,
        launch.account,
        tuple(launch.services),
        tuple(sorted(launch.table)) if launch.share_key is not None else (),
        current.record.id if starting and current is not None else 0,
        launch.drained,
        launch.without,
    )


def _auto_start_key(state: State) -> tuple[int, int, int | None, bool] | None:
    """Another one whenever the entry is another one."""
    run = state.auto_start
    if run is None:
        return None
    at = None if run.deadline is None else run.deadline.at
    return len(run.batches), len(run.delayed), at, state.boot_accepted


def _auto_start_memory(state: State) -> tuple[Known, ...]:
    run = state.auto_start
    if run is None:
        return ()
    return (
        AutoStartMemory(
            tuple(tuple(record.id for record in batch) for batch in run.batches),
            tuple(record.id for record in run.delayed),
            None if run.deadline is None else run.deadline.at,
            state.boot_accepted,
        ),
    )
