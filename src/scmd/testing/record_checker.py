"""The checker of records, of what holds of each service between messages, and of handles."""

from __future__ import annotations

from scmd.core.hosted_runs import Stage
from scmd.core.messages import AssociationId, ServiceId
from scmd.core.state import State
from scmd.security.sid import ADMINISTRATORS
from scmd.testing.readiness_checker import LIMITED, check_run
from scmd.testing.schedule_checker import check_schedule
from scmd.vocabulary.service import PENDING_STATES
from scmd.vocabulary.status import ServiceStatus

_PENDING = frozenset(PENDING_STATES)


def check_records(state: State, told: dict[ServiceId, ServiceStatus]) -> bool:
    """Whether a one-shot program is at its work. `told`: the statuses that were announced last."""
    works = False
    for id, record in state.records.items():
        status, announced, run = record.status, told.get(id), record.run
        if status.state in _PENDING:
            armed = record.hang is not None and record.hang.at is not None
            assert armed or record.hung, f"{record.config.name} is pending without a deadline"
        if announced is not status and announced is not None:
            assert announced == status, f"{record.config.name}: a change was not told"
            told[id] = status  # The same one is compared faster.
        if run is not None:
            works = works or run.stage is Stage.WORKING
            if run.stage in LIMITED:
                check_run(record, run)
        if record.schedule is not None:
            check_schedule(state, record, record.schedule)
    return works


def check_handles(state: State, ended: AssociationId) -> None:
    """After the end of an association; those of users without a limit count for nobody."""
    counted = 0
    for handle in state.handles.values():
        assert handle.association != ended, "handles outlived their association"
        counted += ADMINISTRATORS not in handle.caller.token.groups
    assert counted == sum(state.handles_of.values()), "handles are miscounted"
