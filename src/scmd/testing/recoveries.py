"""What must hold of failure actions, judged from the event log and the status changes.

Books of their own: the count, the last failure and the restart that is due for each
service. What happened while a manager died is taken from its journal, as the next one does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from scmd.core import instances
from scmd.core.event_ids import EventId
from scmd.core.memory import Memory, ServiceMemory
from scmd.core.messages import ControlId, ServiceId
from scmd.core.messages.commands import ControlService, KillService
from scmd.core.messages.effects import (
    LogEvent,
    SendControl,
    ServiceDeleted,
    StatusChanged,
    WriteJournal,
)
from scmd.core.messages.events import ControlAnswered, Shutdown
from scmd.core.recovery import WORDS
from scmd.testing.runs import Hears
from scmd.vocabulary.service import INFINITE, ActionType, Control, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

_ACTIONS = {words: type for type, words in WORDS.items()}
_STOPPING = (Control.STOP, Control.SHUTDOWN, Control.PRESHUTDOWN)
_ENDED_WITH_ERROR = (EventId.EXITED_WITH_ERROR, EventId.EXITED_WITH_SPECIFIC_ERROR)


class Recoveries:
    """The checker of recovery in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.failures: dict[ServiceId, tuple[int, int]] = {}
        """How often each has failed, and when last."""
        self._counting: dict[ServiceId, tuple[int, int]] = {}
        """What the events of the present message make of it."""
        self._journaled: dict[ServiceId, tuple[int, int]] = {}
        """What the journal says since."""
        self._silent: set[ServiceId] = set()
        """Who has failed, and no event has given the count yet."""
        self.due: dict[ServiceId, int] = {}
        """When a restart has to come, at the latest."""
        self.asked: set[ServiceId] = set()
        """Asked to stop, and not started since."""
        self.restarts: dict[ServiceId, deque[int]] = {}
        """When each was restarted last."""
        self.seen = 0
        """How many restarts there were."""
        self._stops: dict[ControlId, ServiceId] = {}

    def hears(self) -> Hears:
        return {
            Shutdown: lambda _: self.due.clear(),
            ControlService: self._controlled,
            KillService: self._is_to_stop,
            ControlAnswered: self._answered,
            LogEvent: self._logged,
            StatusChanged: self._changed,
            SendControl: self._sent,
            WriteJournal: self._written,
            ServiceDeleted: self._deleted,
        }

    def _controlled(self, command: ControlService) -> None:
        if command.control == Control.STOP:
            self._is_to_stop(command)

    def _is_to_stop(self, command: ControlService | KillService) -> None:
        known = self.world.scm.state.handles.get(command.service)
        if known is not None and known.record is not None:
            self.due.pop(known.record.id, None)

    def _answered(self, answer: ControlAnswered) -> None:
        service = self._stops.pop(answer.control, None)
        if answer.error and service is not None:
            self.asked.discard(service)

    def _sent(self, request: SendControl) -> None:
        if request.code in _STOPPING:
            self.asked.add(request.service)
            self._stops[request.control] = request.service

    def _written(self, effect: WriteJournal) -> None:
        for entry in effect.entries:
            if isinstance(entry, ServiceMemory):
                self._journaled[ServiceId(entry.service)] = _counted_in(entry)

    def _deleted(self, effect: ServiceDeleted) -> None:
        self.due.pop(effect.service, None)
        self.failures.pop(effect.service, None)
        self._journaled.pop(effect.service, None)

    def _logged(self, event: LogEvent) -> None:
        service = event.service
        if service is None:
            return
        if event.event_id in (EventId.DIED_ACTION_FOLLOWS, EventId.DIED):
            self._counted(service, int(event.strings[1]))
        elif event.event_id in _ENDED_WITH_ERROR:
            record = self.world.scm.state.records[service]
            if record.config.failure_actions_flag and not record.stop_asked:
                self._silent.add(service)
        if event.event_id == EventId.KILLED:
            self.asked.add(service)
        elif event.event_id == EventId.DIED_ACTION_FOLLOWS:
            self._follows(service, event)
        elif event.event_id == EventId.ACTION_FAILED:
            self.due.pop(service, None)

    # Counting ----------------------------------------------------------------------------

    def _next(self, service: ServiceId, before: tuple[int, int]) -> tuple[int, int]:
        """The count after one more failure now, and its instant."""
        count, when = before
        record = self.world.scm.state.records[service]
        configured = record.config.failure_actions
        endless = configured.reset_period_s == INFINITE or not configured.actions
        quiet = self.world.now - when >= configured.reset_period_s * 1_000 and not endless
        return (0 if quiet else count) + 1, self.world.now

    def _counted(self, service: ServiceId, count: int) -> None:
        """An event says how often it has failed; the failure is the next one that is known."""
        known = self._counting.get(service, self.failures.get(service, (0, 0)))
        self._counting[service] = expected = self._next(service, known)
        assert count == expected[0], (
            f"service {service} has failed {expected[0]} times, not {count}"
        )
        self._silent.discard(service)

    def _check_counts(self) -> None:
        """What is remembered is what was counted; a failure without an event may come last.

        That is one of a service that ended with an error, or of a restart, when no action is taken.
        """
        for service in set(self._counting) - set(self._journaled):
            same = self._counting[service] == self.failures.get(service)
            assert same, f"a failure of service {service} was not remembered"
        for service in self._silent - set(self._journaled):
            assert self._is_unchanged(service), f"a failure of service {service} was not counted"
        for service, found in self._journaled.items():
            known = self._counting.get(service, self.failures.get(service, (0, 0)))
            more = self._next(service, known) if service in self.world.scm.state.records else known
            if service in self._silent:
                assert found == more, f"service {service}: counted {found}, not {more}"
            else:
                assert found in (known, more), f"service {service}: counted {found} after {known}"
            self.failures[service] = found
        self._journaled.clear()
        self._counting.clear()
        self._silent.clear()

    def _is_unchanged(self, service: ServiceId) -> bool:
        """One more failure makes no difference: the same count, at the same instant."""
        known = self.failures.get(service, (0, 0))
        return self._next(service, known) == known

    def _follows(self, service: ServiceId, event: LogEvent) -> None:
        """The action is the one for this count, with at least its delay."""
        _, count, delay, words = event.strings
        actions = self.world.disk[service].config.failure_actions.actions
        expected = actions[min(int(count), len(actions)) - 1]
        type = _ACTIONS[words.partition(" (")[0]]
        assert type == expected.type, f"failure {count} of service {service} is not for {words}"
        assert int(delay) >= expected.delay, f"service {service}: {delay} is too soon"
        assert service not in self.asked, f"service {service} was asked to stop, yet: {words}"
        if type == ActionType.RESTART:
            self.due[service] = self.world.now + int(delay)

    def _changed(self, change: StatusChanged) -> None:
        service = change.service
        if change.cause == "asked to stop":
            self.asked.add(service)
        elif change.cause == "stops its instances":
            state = self.world.scm.state
            for member in instances.members(state, state.records[service]):
                self.due.pop(member.id, None)
        if change.status.state != ServiceState.START_PENDING:
            return
        due = self.due.pop(service, None)
        attempt = self.world.scm.state.records[service].attempt
        if attempt is None or not attempt.restart:  # A template's may be over already.
            self.asked.discard(service)
            return
        assert service not in self.asked, f"restarted {change.name}, which was asked to stop"
        if due is not None:
            assert self.world.now >= due, f"restarted {change.name} at {self.world.now}, not {due}"
            self._restarted(service)

    def _restarted(self, service: ServiceId) -> None:
        """A crash loop comes to rest."""
        self.seen += 1
        settings = self.world.settings
        times = self.restarts.setdefault(service, deque())
        times.append(self.world.now)
        while times[0] <= self.world.now - settings.crash_loop_period:
            times.popleft()
        assert len(times) <= 2 * settings.crash_loop_limit, f"service {service} is in a crash loop"

    def after_message(self) -> None:
        """No restart is overdue: it was begun, found begun, or given up with an event."""
        if self._journaled or self._silent or self._counting:
            self._check_counts()
        for service, due in list(self.due.items()) if self.due else ():
            state = self.world.scm.state
            record = state.records[service]
            # A template that stops counts it now: its AppInstances have changed.
            stops = record.stop_asked and instances.template_of(state, record) is not None
            if record.status.state != ServiceState.STOPPED or state.shutdown is not None or stops:
                del self.due[service]
                continue
            assert self.world.now <= due, f"service {service} was to be restarted at {due}"

    def manager_died(self, entries: Iterable[Memory]) -> None:
        """What the journal says; what is overdue by then is due when a new one comes."""
        self._stops.clear()
        self._counting.clear()
        self._journaled.clear()
        self._silent.clear()
        self.failures.clear()
        self.due.clear()
        self.asked.clear()
        for entry in entries:
            if not isinstance(entry, ServiceMemory) or entry.service not in self.world.disk:
                continue
            service = ServiceId(entry.service)
            if entry.stop_asked:
                self.asked.add(service)
            self.failures[service] = _counted_in(entry)
            known = entry.recovery
            if known is None:
                continue
            if known.due is not None and known.action == ActionType.RESTART:
                self.due[service] = known.due

    def manager_is_back(self) -> None:
        now = self.world.now
        self.due = {service: max(due, now) for service, due in self.due.items()}


def _counted_in(entry: ServiceMemory) -> tuple[int, int]:
    return entry.failures, entry.recovery.failed_at if entry.recovery is not None else 0
