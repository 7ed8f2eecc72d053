"""Deletion: a record is marked at first, and removed when nothing holds it any more.

A record marked for delete lives until it is stopped and its last handle is closed; its name stays
taken until the removal is durable. [MS-SCMR] 3.1.4.3.
"""

from __future__ import annotations

from scmd.core import database, feed, handles, locks, notify_requests, saves, validation
from scmd.core.changes import ChangeKind
from scmd.core.messages import CallId
from scmd.core.messages.commands import DeleteService
from scmd.core.messages.effects import ServiceDeleted
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import NotifyMask, ServiceAccess, StartType


def delete_service(state: State, command: DeleteService) -> None:
    """Mark for delete, durably: Start becomes DISABLED ([MS-SCMR] 3.1.4.3)."""
    right = int(ServiceAccess.DELETE)
    record = handles.service(state, command.call, command.service, right)
    database.refuse_in_shutdown(state)
    locks.refuse_change(state, command.call)
    validation.check_not_built_in(record)
    saves.require_idle(record)
    if record.deleted:
        raise Refused(Error.SERVICE_MARKED_FOR_DELETE)
    config = record.config.replace(start_type=int(StartType.DISABLED))

    def saved() -> None:
        record.deleted = True
        database.apply(state, record, config)
        feed.add(state, record, ChangeKind.MARKED)
        notify_requests.marked(state, record)
        state.reply(command.call.id, Error.SUCCESS)
        state.changed.append(record)

    saves.save_record(
        state,
        record,
        record.id,
        config,
        deleted=True,
        saved=saved,
        failed=lambda error: state.reply(command.call.id, error),
    )


def remove_if_over(
    state: State, record: ServiceRecord, call: CallId | None = None, success: int = 0
) -> bool:
    """Remove a record that is marked, stopped and closed; whether its removal is now under way.

    `call` is answered with this success when it has ended, whatever the disk said: the handle
    is closed, and a record whose removal failed stays marked.
    """
    if not record.deleted or record.handles or record.save is not None:
        return False
    if not record.is_stopped or record.attempt is not None or record.launch is not None:
        return False
    if state.records.get(record.id) is not record:
        return False
    saves.remove_record(
        state,
        record,
        saved=lambda: _removed(state, record, call, success),
        failed=lambda error: state.reply(call, success),
    )
    return True


def _removed(state: State, record: ServiceRecord, call: CallId | None, success: int) -> None:
    database.take_out(state, record)
    state.emit(ServiceDeleted(record.id, record.config.name))
    feed.add(state, record, ChangeKind.DELETED)
    notify_requests.came_or_went(state, record, NotifyMask.DELETED)
    state.reply(call, success)
    state.changed.append(record)
