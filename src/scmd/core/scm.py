"""The SCM as one object: messages in, effects out.

`handle` takes a command or an event, `expire` the passing of time; both return effects to
be done in their order. Time is an argument, in whole milliseconds of a monotonic clock.
What a message sets off is worked through here, queue by queue, until nothing is left to
look at; what the parts decide stands in their modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from scmd.core import (
    adoption,
    announcements,
    attempts,
    auto_start,
    boot,
    built_in,
    commands,
    database,
    deletion,
    essential,
    feed,
    handles,
    hosting,
    instances,
    launch_events,
    launches,
    mains,
    processes,
    recovery,
    requests,
    saves,
    schedules,
    shutdown,
    starting,
    status,
)
from scmd.core.built_in import SmbFrontChanged
from scmd.core.memory import Journal, Known, Memory, snapshot, snapshot_of_feed
from scmd.core.messages import LaunchId, ServiceId, Settings, StoredService
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import AnyEffect, ForgetLaunch, Reply, WriteJournal
from scmd.core.messages.events import (
    Adopted,
    AssociationEnded,
    AutoStart,
    CallsAbandoned,
    ChannelClosed,
    ClockRead,
    ControlAnswered,
    DispatcherConnected,
    Event,
    HandlerRegistered,
    LaunchFailed,
    LineSeen,
    ProbeAnswered,
    ProcessExited,
    ProcessFollowed,
    ProcessStarted,
    RecordSaved,
    SaveFailed,
    Shutdown,
    StartAnswered,
    StatusReported,
)
from scmd.core.notifications import ProcessNotified
from scmd.core.records import LaunchKind, ServiceRecord
from scmd.core.state import State


class Scm:
    """One service control manager, without its hands."""

    def __init__(self, stored: Iterable[StoredService], settings: Settings) -> None:
        self.state = State(settings)
        """For tests and diagnosis; nobody else changes it."""
        self._journal = Journal()
        database.load(self.state, stored)

    def counts(self, now: int = 0) -> dict[str, int]:
        """How much there is of what: for `scmd status`. `now`: if later than the last message."""
        state = self.state
        now = max(now, state.now)
        return {
            "services": len(state.records),
            "running": sum(not record.is_stopped for record in state.records.values()),
            "failed": sum(map(recovery.is_failed, state.records.values())),
            "recovering": sum(record.is_recovering for record in state.records.values()),
            "overdue": sum(bool(status.overdue(r, now)) for r in state.records.values()),
            "launches": len(state.launches),
            "handles": len(state.handles),
            "notification_requests": len(state.requests),
        }

    def memory(self) -> tuple[Memory, ...]:
        """All that the runtime journal has to say, to write it anew."""
        return (*snapshot(self.state), *snapshot_of_feed(self.state.feed))

    def state_memory(self) -> tuple[Known, ...]:
        """The same without the feed's changes and intents."""
        return snapshot(self.state)

    def service_with(self, own_id: int) -> str | None:
        """The name of the service whose uid and gid this number is."""
        record = self.state.by_own_id.get(own_id)
        return None if record is None else record.config.name

    def hosts(self, launch: LaunchId, service: ServiceId) -> bool:
        """Whether this run of a process is running this service now."""
        record = self.state.records.get(service)
        return record is not None and record.launch is not None and record.launch.id == launch

    def is_starting(self, launch: LaunchId) -> bool:
        """Whether its process was asked for, and ProcessStarted or LaunchFailed is to come."""
        found = self.state.launches.get(launch)
        return found is not None and not found.process_id

    def handle(self, message: Command | Event, now: int) -> list[AnyEffect]:
        """Take a message in; what is to be done because of it, in order."""
        state = self.state
        if now > state.now:
            state.now = now
        if isinstance(message, Command):
            commands.perform(state, message)
        else:
            launch = getattr(message, "launch", None)
            if launch is not None:
                state.touched_launches[launch] = None
            _event(state, message)
        return self._settle()

    def next_deadline(self) -> int | None:
        """When to call `expire`, on the clock of `now`; None: not before the next message."""
        return self.state.deadlines.next()

    def expire(self, now: int) -> list[AnyEffect]:
        """Do what is due by now."""
        state = self.state
        if now > state.now:
            state.now = now
        while (deadline := state.deadlines.pop_due(state.now)) is not None:
            deadline.action()
            self._work()
        return self._settle()

    def _settle(self) -> list[AnyEffect]:
        state = self.state
        self._work()
        if state.settings.ends_with_essential:
            _end_with_essential(state)
        if state.shutdown is not None:
            shutdown.look(state)
            self._work()
        if state.feed.awake:
            feed.answer(state)
        effects, state.effects = state.effects, []
        if len(effects) != 1 or type(effects[0]) is not Reply:
            _touch(state, effects)
        if self._journal.is_due(state):
            entries = self._journal.changes(state)
            if entries:
                effects.insert(0, WriteJournal(entries))
        return effects

    def _work(self) -> None:
        """Empty the queues: failures, what changed, the starts it allows, waiting commands."""
        state = self.state
        while True:
            if state.failures:
                recovery.look(state, *state.failures.popleft())
            elif state.changed:
                record = state.changed.popleft()
                state.touched[record.id] = record
                attempts.wake(state, record)
                instances.look(state, record)
                boot.look(state, record)
                auto_start.look(state, record)
                deletion.remove_if_over(state, record)
            elif state.work:
                attempt = state.work.popleft()
                state.touched[attempt.record.id] = attempt.record
                starting.advance(state, attempt)
            elif state.commands:
                commands.perform(state, state.commands.popleft())
            else:
                return


def _end_with_essential(state: State) -> None:
    """Shut down when one of the services that changed was essential and has ended."""
    for record in list(state.touched.values()):
        if state.shutdown is None and essential.has_ended(state, record):
            _shut_down(state, record)


def _shut_down(state: State, ended: ServiceRecord | None = None) -> None:
    recovery.cancel(state)
    schedules.cancel(state)
    shutdown.begin(state, ended)


def _touch(state: State, effects: list[AnyEffect]) -> None:
    """What effects are about has changed."""
    for effect in effects:
        if type(effect) is Reply:
            continue
        launch = getattr(effect, "launch", None)
        if launch is not None:
            state.touched_launches[launch] = None
            continue
        record = state.records.get(getattr(effect, "service", None) or ServiceId(0))
        if record is not None:
            state.touched[record.id] = record


# Events ---------------------------------------------------------------------------------------


def _event(state: State, event: Event) -> None:
    match event:
        case (
            StatusReported()
            | DispatcherConnected()
            | ChannelClosed()
            | StartAnswered()
            | ControlAnswered()
            | HandlerRegistered()
        ):
            _protocol_event(state, event)
        case RecordSaved(save=save):
            saves.record_saved(state, save)
        case SaveFailed():
            saves.save_failed(state, event)
        case AssociationEnded(association=association):
            saves.association_ended(state, association)
            for handle in handles.owned(state, association):
                commands.let_go(state, handle)
            state.changed.extend(handles.close_all(state, association))
        case CallsAbandoned(calls=calls):
            for call in calls:
                answer = state.blocked.get(call)
                if answer is not None:
                    answer()
        case Adopted():
            adoption.adopt(state, event)
        case AutoStart():
            built_in.begin(state)
            auto_start.begin(state)
            schedules.begin(state)
        case SmbFrontChanged():
            built_in.front_changed(state, event)
        case ClockRead():
            schedules.clock_read(state, event)
        case Shutdown():
            _shut_down(state)
        case LaunchFailed() | ProcessStarted() | ProcessExited():
            _process_event(state, event)
        case ProcessNotified():
            announcements.notified(state, event)
        case ProbeAnswered():
            hosting.probed(state, event)
        case ProcessFollowed():
            mains.followed(state, event)
        case LineSeen():
            hosting.line_seen(state, event)
        case _:
            raise AssertionError(f"no such event: {type(event).__name__}")


def _process_event(state: State, event: LaunchFailed | ProcessStarted | ProcessExited) -> None:
    launch = state.launches.get(event.launch)
    if launch is None:
        if isinstance(event, ProcessExited) and event.launch in state.strays:
            state.strays.discard(event.launch)
            state.emit(ForgetLaunch(event.launch))
        return
    match event:
        case ProcessStarted(process_id=process_id):
            launches.note_missing_limits(state, launch, event)
            launch_events.started(state, launch, process_id)
        case LaunchFailed(error=error, detail=detail):
            if not launch.process_id:
                launch_events.failed(state, launch, error, detail)
        case ProcessExited():
            essential.note_exit(launch, event)
            launch.exit = event
            launches.note_out_of_memory(state, launch, event)
            launch_events.exited(state, launch, event)
        case _:
            assert_never(event)


def _protocol_event(
    state: State,
    event: StatusReported
    | DispatcherConnected
    | ChannelClosed
    | StartAnswered
    | ControlAnswered
    | HandlerRegistered,
) -> None:
    """Of a process that speaks the control protocol, if it is still on the books."""
    launch = state.launches.get(event.launch)
    if launch is None or launch.kind is not LaunchKind.PROTOCOL:
        return
    match event:
        case StatusReported():
            processes.reported(state, launch, event)
        case DispatcherConnected():
            processes.connected(state, launch, event)
        case ChannelClosed():
            processes.channel_closed(state, launch)
        case StartAnswered():
            requests.start_answered(state, launch, event)
        case ControlAnswered():
            requests.control_answered(state, launch, event)
        case HandlerRegistered():
            requests.handler_registered(launch, event)
        case _:
            assert_never(event)
