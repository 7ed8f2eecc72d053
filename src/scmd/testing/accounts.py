"""What must hold of explanations: causes, actors and durations, failures, answers to why.

Books of their own, but for the statuses, which are the checkers'. A manager that died has
taken along what it had not journaled; that is not held against the next one.
"""

from __future__ import annotations

from collections.abc import Iterable

from scmd.core import instances
from scmd.core.findings import Code
from scmd.core.memory import Memory, ServiceMemory
from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import Command, ExplainService, KillService
from scmd.core.messages.effects import Reply, ServiceDeleted, ServiceFailed, StatusChanged
from scmd.core.records import ServiceRecord
from scmd.core.why import Explanation
from scmd.testing.runs import Hears
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import PENDING_STATES, ServiceState
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.checkers import Checkers

_ACTORS = ("SCM", "service", "root", "guest", "first", "second")
_ASIDE = {Code.ODD_REPORT, Code.MARKED_FOR_DELETE, Code.NEXT_FAILURE}


class Accounts:
    """The checker of what the SCM says of its services in one world."""

    def __init__(self, checkers: Checkers) -> None:
        self.world = checkers.world
        self.checkers = checkers
        self.since: dict[ServiceId, int] = {}
        self.told: dict[ServiceId, ServiceStatus] = {}
        """The status that was announced last."""
        self.failed: set[ServiceId] = set()
        """Whose failure has been announced since their last start."""
        self.killed: set[ServiceId] = set()
        """Killed by a client since their last start."""
        self.died: set[ServiceId] = set()
        """Whose process has gone without a word."""

    def manager_died(self, entries: Iterable[Memory]) -> None:
        known = [entry for entry in entries if isinstance(entry, ServiceMemory)]
        accounts = {ServiceId(entry.service): entry.account for entry in known}
        self.killed = {id for id, account in accounts.items() if account and account.killed}
        self.since = {
            id: account.since
            for id, account in accounts.items()
            if account is not None and account.since is not None
        }
        self.failed.clear()
        self.died.clear()
        self.told.clear()

    def after_message(self) -> None:
        untold = self.died - self.failed - self.killed
        assert not untold or self.checkers.shutting_down, "a death that nobody was told of"
        self.died.clear()

    def hears(self) -> Hears:
        return {
            StatusChanged: self._changed,
            ServiceFailed: self._failed,
            ServiceDeleted: lambda effect: self.since.pop(effect.service, None),
        }

    def replied(self, command: Command, reply: Reply) -> None:
        if isinstance(command, ExplainService) and reply.error == 0:
            assert isinstance(reply.result, Explanation)
            self._explained(command.service, reply.result)
        if isinstance(command, KillService) and reply.error == 0:
            record = self._record(command.service)
            killed = [record]
            if record.id in self.checkers.templates.gathered:
                killed += instances.members(self.world.scm.state, record)
            self.killed |= {one.id for one in killed if not one.is_stopped}

    def _record(self, handle: HandleId) -> ServiceRecord:
        record = self.world.scm.state.handles[handle].record
        assert record is not None
        return record

    def _changed(self, change: StatusChanged) -> None:
        """Each change says why and on whose account, and how long the state before lasted."""
        service = change.service
        self.told[service] = change.status
        assert change.cause
        assert change.actor.name in _ACTORS, change.actor
        if change.status.state == change.before:
            assert change.lasted is None
            return
        if service in self.since:
            assert change.lasted == self.world.now - self.since[service]
        self.since[service] = self.world.now
        if change.status.state == ServiceState.STOPPED:
            if change.status.win32_exit_code == Error.PROCESS_ABORTED:
                self.died.add(service)
        elif change.before == ServiceState.STOPPED:
            self.after_message()
            self.failed.discard(service)
            self.killed.discard(service)

    def _failed(self, failure: ServiceFailed) -> None:
        assert failure.status == self.told.get(failure.service, failure.status)
        assert failure.status.state == ServiceState.STOPPED
        assert failure.status.win32_exit_code, "a failure without an error"
        assert failure.service not in self.failed, "announced twice"
        assert failure.service not in self.killed, "killed on request is no failure"
        self.failed.add(failure.service)

    def _explained(self, handle: HandleId, answer: Explanation) -> None:
        """What is not at rest is explained, and every holder of a marked service is named."""
        record, handles = self._record(handle), self.world.scm.state.handles.values()
        assert answer.state == ServiceState(record.status.state).name
        codes = {finding.code for finding in answer.findings if not finding.depth}
        if record.status.state in PENDING_STATES or record.is_stopped:
            assert codes - _ASIDE, "nothing is explained"
        others = sum(other.record is record for other in handles) - 1
        assert sum(holder.handles for holder in answer.holders) == others
        assert answer.marked_for_delete == (Code.MARKED_FOR_DELETE in codes)
