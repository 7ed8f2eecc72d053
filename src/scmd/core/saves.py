"""Saves: nothing is true until it is durable.

A change goes out as an effect and is applied when the shell reports RecordSaved, or leaves
no trace on SaveFailed. Meanwhile the record and the names it is about to take are
reserved: a command that needs them waits and is looked at again when the outcome is
known. Saves of different records are independent; many may be out at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scmd.core import feed
from scmd.core.changes import ChangeKind
from scmd.core.messages import AssociationId, Parameters, SaveId, ServiceId
from scmd.core.messages.effects import RemoveRecord, SaveControl, SaveRecord
from scmd.core.messages.events import SaveFailed
from scmd.core.records import Save, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue


class MustWait(Exception):
    """The command needs what a pending save has reserved."""

    def __init__(self, save: Save) -> None:
        super().__init__(save.id)
        self.save = save


def require_idle(record: ServiceRecord) -> None:
    """Raise MustWait while a change of the record is on its way."""
    if record.save is not None:
        raise MustWait(record.save)


def require_free(state: State, *keys: str) -> None:
    """Raise MustWait while a pending save is about to take one of these name keys."""
    for key in keys:
        save = state.reserved.get(key)
        if save is not None:
            raise MustWait(save)


def save_record(
    state: State,
    record: ServiceRecord | None,
    id: ServiceId,
    config: ServiceConfig,
    *,
    saved: Callable[[], None],
    failed: Callable[[Error], None],
    parameters: Parameters | None = None,
    deleted: bool = False,
    names: tuple[str, ...] = (),
) -> Save:
    """Send a record out; `saved` or `failed` is called with the outcome."""
    if record is None:
        kind = ChangeKind.CREATED
    elif deleted:
        kind = ChangeKind.MARKED
    else:
        kind = ChangeKind.CONFIG if parameters is None else ChangeKind.PARAMETERS
    feed.intend(state, kind, id, config)
    save = _begin(state, record, id, config, names, saved, failed)
    state.emit(SaveRecord(save.id, id, config, parameters, deleted))
    return save


def remove_record(
    state: State,
    record: ServiceRecord,
    saved: Callable[[], None],
    failed: Callable[[Error], None],
) -> None:
    """Send a removal out."""
    feed.intend(state, ChangeKind.DELETED, record.id, record.config)
    save = _begin(state, record, record.id, None, (), saved, failed)
    state.emit(RemoveRecord(save.id, record.id))


def save_control(
    state: State,
    values: Mapping[str, RegistryValue | None],
    saved: Callable[[], None],
    failed: Callable[[Error], None],
) -> Save:
    """Send SCM-wide values out."""
    save = _begin(state, None, ServiceId(0), None, (), saved, failed)
    state.emit(SaveControl(save.id, values))
    return save


def _begin(
    state: State,
    record: ServiceRecord | None,
    id: ServiceId,
    config: ServiceConfig | None,
    names: tuple[str, ...],
    saved: Callable[[], None],
    failed: Callable[[Error], None],
) -> Save:
    save = Save(SaveId(state.next_save), record, id, config, names, saved, failed)
    state.next_save += 1
    state.saves[save.id] = save
    for name in names:
        state.reserved[name] = save
    if record is not None:
        record.save = save
    return save


def record_saved(state: State, id: SaveId) -> None:
    save = _end(state, id)
    if save is not None:
        save.saved()


def save_failed(state: State, event: SaveFailed) -> None:
    save = _end(state, event.save)
    if save is not None:
        save.failed(event.error)


def association_ended(state: State, association: AssociationId) -> None:
    """A creation that is still on its way gives no handle to this association any more."""
    for save in state.saves.values():
        if save.association == association:
            save.association = None


def _end(state: State, id: SaveId) -> Save | None:
    save = state.saves.pop(id, None)
    if save is not None:
        feed.outcome_known(state, save.service)
        if save.record is not None:
            save.record.save = None
        for name in save.names:
            del state.reserved[name]
        state.commands.extend(save.waiting)
    return save
