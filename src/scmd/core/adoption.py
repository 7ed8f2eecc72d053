"""Adoption: a new manager takes over what an earlier one has left.

The journal says what the earlier one had decided, the keeper which launches there are.
Since the journal is written first, a launch that the keeper holds and the journal does not
know has been dealt with; one that the journal knows and the keeper does not was never begun.
What was in flight goes on:

    a start            what was not launched is launched, what was launched is waited for
                       anew; the request to a process is repeated, which answers 1056 when
                       it has it already: that counts as started
    a stop             a hosted program gets the signal again and keeps its limit; a
                       control to a Handler has arrived or is lost, and is never repeated
    a hook             is waited for; one that was not begun is begun
    a failure action   comes at its instant; a command that was not begun is begun
    a kill             is repeated
    a shutdown         goes on with the limits and the budget that are left; see `shutdown`
    automatic starts   go on where they were; those of this boot never begin twice
    a removal          of a record that is marked and stopped: is made up for

Callers are gone, so nobody is answered. A process that speaks the control protocol is asked to
repeat its table and last reports (SendResync) for what the earlier manager had read and not
journaled; until it says otherwise, the journal stands. What a hosted program's Parameters
say about its stop is read anew. Without a journal the keeper's word must do: a program counts
as running, a process as one that has yet to connect.
"""

from __future__ import annotations

from functools import lru_cache

from scmd.core import (
    auto_start,
    feed,
    health,
    hosted_adoption,
    hosting,
    instances,
    launch_events,
    launches,
    mains,
    processes,
    recovery,
    reloads,
    schedules,
    shutdown,
    srvany,
    status,
)
from scmd.core.changes import Change, ChangeKind, Intent
from scmd.core.essential import is_essential
from scmd.core.hosted_runs import Stage, current
from scmd.core.launches import drop
from scmd.core.memory import (
    AccountMemory,
    AutoStartMemory,
    ChangeMemory,
    IntentMemory,
    LaunchMemory,
    Memory,
    ServiceMemory,
    latest,
)
from scmd.core.messages import Actor, LaunchId, ServiceId
from scmd.core.messages.effects import KillProcess, LaunchSpec
from scmd.core.messages.events import Adopted, HeldLaunch, ProcessExited
from scmd.core.records import (
    AttemptPhase,
    Launch,
    LaunchKind,
    LaunchPhase,
    ServiceRecord,
    StartAttempt,
)
from scmd.core.shutdown import ShutdownMemory, ShutdownOrder
from scmd.core.state import State
from scmd.core.watches import Watch
from scmd.vocabulary.errors import Refused
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ServiceState, ServiceType
from scmd.vocabulary.status import ServiceStatus

SIGKILL = 9
GONE = "it was gone when a new manager came"
ADOPTED = "adopted by a new manager"


_Users = dict[LaunchId, list[ServiceRecord]]
_KINDS = {str(kind): kind for kind in ChangeKind}


def adopt(state: State, event: Adopted) -> None:
    """Take over; the state is as it was loaded, and nothing has been started yet."""
    entries = latest(event.entries)
    held = {launch.launch: launch for launch in event.held}
    services = [
        (state.records[ServiceId(entry.service)], entry)
        for entry in entries
        if isinstance(entry, ServiceMemory) and entry.service in state.records
    ]
    order = ShutdownOrder(())
    for entry in entries:
        if isinstance(entry, ShutdownOrder):
            order = entry
    for entry in entries:
        if isinstance(entry, ShutdownMemory):
            shutdown.restore(state, entry, order)
    for record, memory in services:
        _restore_record(state, record, memory)
    known = [
        (_restore_launch(state, entry), entry)
        for entry in entries
        if isinstance(entry, LaunchMemory)
    ]
    _resume_feed(state, entries)
    users: _Users = {}
    for record, memory in services:
        _connect(state, record, memory, users)
    for launch, entry in known:
        if launch is not None:
            _resume(state, launch, entry, held.pop(launch.id, None), users.get(launch.id, []))
    for stranger in held.values():
        _take_in(state, stranger)
    for record, memory in services:
        _settle(state, record, memory)
    for starts in entries:
        if isinstance(starts, AutoStartMemory):
            state.boot_accepted = starts.accepted
            auto_start.resume(state, starts.batches, starts.delayed, starts.deadline)
    shutdown.resume(state)


def _resume_feed(state: State, entries: tuple[Memory, ...]) -> None:
    """Before anything happens that is a change."""
    changes = [entry for entry in entries if isinstance(entry, ChangeMemory)]
    intents = [entry for entry in entries if isinstance(entry, IntentMemory)]
    feed.resume(
        state,
        changes[0].epoch if changes else intents[0].epoch if intents else state.feed.epoch,
        [_change(entry) for entry in changes],
        [
            Intent(_KINDS[entry.kind], ServiceId(entry.service), entry.name, entry.security)
            for entry in intents
        ],
        {
            ServiceId(entry.service): entry.last_change
            for entry in entries
            if isinstance(entry, ServiceMemory)
        },
    )


def _change(memory: ChangeMemory) -> Change:
    return Change(
        memory.number,
        _KINDS[memory.kind],
        ServiceId(memory.service),
        memory.name,
        _status(memory.status),
        memory.before,
        memory.lasted,
        memory.cause,
        Actor(*memory.actor),
        memory.security,
    )


# What the journal says ------------------------------------------------------------------------


def _restore_record(state: State, record: ServiceRecord, memory: ServiceMemory) -> None:
    """The status; a pending state gets its time again from now on."""
    restored = _status(memory.status)
    record.failures, record.started_at = memory.failures, memory.started_at
    record.stop_asked, record.process_exit = memory.stop_asked, memory.process_exit
    record.essential, record.completed = memory.essential, memory.completed
    if memory.schedule is not None:
        schedules.restore(state, record, *memory.schedule)
    if memory.recovery is not None:
        recovery.restore(state, record, memory.recovery)
    if memory.account is not None:
        _restore_account(record, memory.account)
    if memory.notice is not None and state.shutdown is not None:
        shutdown.restore_notice(state, state.shutdown, record, memory.notice)
    status.restore(state, record, restored, hung=memory.hung)
    state.touched[record.id] = record
    if memory.attempt is not None:
        record.attempt = StartAttempt(record, None, memory.attempt)
        record.attempt.restart = memory.restart
        record.attempt.tried = set(map(ServiceId, memory.tried))
        state.work.append(record.attempt)


@lru_cache(1_024)
def _status(fields: tuple[int, ...]) -> ServiceStatus:
    return ServiceStatus(**dict(zip(ServiceStatus._fields, fields, strict=False)))


def _restore_account(record: ServiceRecord, memory: AccountMemory) -> None:
    record.cause, record.changed_by = memory.cause, Actor(*memory.changed_by)
    record.since, record.killed = memory.since, memory.killed
    record.actor = None if memory.asked_by is None else Actor(*memory.asked_by)


def _restore_launch(state: State, memory: LaunchMemory) -> Launch | None:
    """The launch as it was; None when everything that it ran for has been removed."""
    users = (ServiceId(memory.owner), *map(ServiceId, memory.services))
    owner = next((state.records[id] for id in users if id in state.records), None)
    if owner is None:
        return None
    kind = LaunchKind[memory.kind]
    launch = Launch(LaunchId(memory.launch), kind, _spec(owner, kind), owner)
    launch.phase = LaunchPhase[memory.phase]
    launch.process_id = memory.process_id
    launch.cause = memory.cause
    launch.share_key, launch.account = memory.share_key, memory.account
    launch.table = frozenset(memory.table)
    launch.drained = memory.drained
    launch.without = memory.without
    for id in map(ServiceId, memory.services):
        if id in state.records:
            launch.services[id] = state.records[id]
            state.records[id].log_of = launch.owner.id
    state.launches[launch.id] = launch
    state.touched_launches[launch.id] = None
    return launch


def _spec(owner: ServiceRecord, kind: LaunchKind) -> LaunchSpec:
    """Enough of a spec for a launch that is made already."""
    return LaunchSpec(
        service=owner.id,
        name=owner.config.name,
        argv=(),
        account=owner.config.account,
        control_channel=kind is LaunchKind.PROTOCOL,
        hook=kind in (LaunchKind.HOOK, LaunchKind.COMMAND),
    )


def _connect(state: State, record: ServiceRecord, memory: ServiceMemory, users: _Users) -> None:
    """Record, attempt, run and launch know each other again; `users` says who uses a launch."""
    record.launch = state.launches.get(LaunchId(memory.launch))
    for id in (memory.launch, memory.hook):
        users.setdefault(LaunchId(id), []).append(record)
    if record.attempt is not None and memory.launching and (record.launch or memory.stage):
        record.attempt.phase = AttemptPhase.LAUNCHING
    if memory.stage:
        hook = state.launches.get(LaunchId(memory.hook))
        stage = Stage.__members__.get(memory.stage, Stage.RUNNING)
        plan, refused = _plan(state, record)
        hosted_adoption.restore(record, plan, stage, hook)
        assert record.run is not None
        record.run.refused = refused
        if memory.health is not None and stage is not Stage.PRE_HOOK:
            record.run.watch = Watch(health.restored(memory.health))
        record.run.watch.text, record.run.named = memory.said, memory.named
        if memory.reloading is not None:
            reloads.restore(state, record.run, memory.reloading)


def _plan(state: State, record: ServiceRecord) -> tuple[srvany.Plan, Refused | None]:
    """How the program is to be stopped, by its Parameters of now.

    When they are refused, the defaults, and why: no program can be launched by them.
    """
    try:
        return srvany.plan(record.id, record.config, instances.parameters_of(state, record)), None
    except Refused as refused:
        program = {"Application": RegistryValue.of("/")}
        return srvany.plan(record.id, record.config, program), refused


# What the keeper says -------------------------------------------------------------------------


def _resume(
    state: State,
    launch: Launch,
    memory: LaunchMemory,
    held: HeldLaunch | None,
    users: list[ServiceRecord],
) -> None:
    """Go on with a launch that the journal knows, as far as it has come."""
    if held is None:
        _never_begun(state, launch, users)
        return
    launch.gone = held.ended
    if launch.phase is LaunchPhase.KILLED:
        launch.process_id = held.process_id
        if launch.kind is LaunchKind.HOOK:
            hosted_adoption.resume_hook(state, launch)
        launches.resume_end(state, launch, ended=held.ended)
        return
    match launch.kind:
        case LaunchKind.PROTOCOL:
            starts = [record.attempt for record in users if record.attempt is not None]
            processes.resume(state, launch, held, starts, ServiceId(memory.starting))
        case LaunchKind.PROGRAM:
            run = current(launch)
            if not launch.process_id:
                hosting.started(state, launch, held.process_id)
            elif run is not None and held.process_id != launch.process_id:
                mains.take(state, run, launch, held.process_id)
        case LaunchKind.HOOK:
            launch.process_id = held.process_id
            hosted_adoption.resume_hook(state, launch)
        case LaunchKind.COMMAND:
            launch.process_id = held.process_id
            recovery.resume_command(state, launch)


def _never_begun(state: State, launch: Launch, users: list[ServiceRecord]) -> None:
    """The order did not reach the keeper, or could not be carried out: look at it again."""
    if launch.process_id and launch.phase is not LaunchPhase.KILLED:
        # Only with a journal that could not be written: the process was there once.
        launch.cause = GONE
        launch_events.exited(state, launch, ProcessExited(launch.id, None, SIGKILL))
        return
    drop(state, launch)
    if launch.kind is LaunchKind.COMMAND:
        recovery.repeat_command(state, launch.owner)
    for record in users:
        run = record.run
        if record.launch is launch:
            record.launch = None
            record.run = None
        elif run is not None and run.hook is launch:
            hosted_adoption.repeat_hook(state, record)
        launch.services.pop(record.id, None)
        if record.attempt is not None and record.launch is None and record.run is None:
            record.attempt.phase = AttemptPhase.WAITING


def _take_in(state: State, held: HeldLaunch) -> None:
    """A launch that the journal does not know: over, or all that is left of a lost journal."""
    if held.ended:
        state.strays.add(held.launch)
        return
    record = state.records.get(held.service)
    free = record is not None and record.launch is None and record.run is None
    if record is None or not free or held.hook or record.attempt is not None:
        state.strays.add(held.launch)
        state.emit(KillProcess(held.launch))
        return
    kind = LaunchKind.PROTOCOL if held.control_channel else LaunchKind.PROGRAM
    launch = Launch(held.launch, kind, _spec(record, kind), record)
    launch.process_id = held.process_id
    state.launches[launch.id] = record.launch = launch
    record.essential = is_essential(record.parameters)
    state.touched_launches[launch.id] = None
    if kind is LaunchKind.PROTOCOL:
        launch.services[record.id] = record
        record.log_of = launch.owner.id
        if record.config.type & ServiceType.WIN32_SHARE_PROCESS:
            launch.share_key = record.config.image_path
        processes.resume(state, launch, held, [], ServiceId(0))
        status.starting(state, record, state.settings.pipe_timeout, ADOPTED)
    else:
        hosted_adoption.take_in(state, record, _plan(state, record)[0], launch)


def _settle(state: State, record: ServiceRecord, memory: ServiceMemory) -> None:
    """The stages' own deadlines; and nothing runs without a process."""
    run = record.run
    if run is not None:
        hosted_adoption.resume(state, run, memory.deadline)
        state.changed.append(record)
    elif record.is_built_in:
        return  # `built_in` says what is true of it in this manager.
    elif record.launch is None and record.attempt is None and not record.is_stopped:
        status.died(state, record, GONE)
    if record.status.state == ServiceState.STOPPED:
        record.hung = False
