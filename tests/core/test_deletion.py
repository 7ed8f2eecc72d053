"""Deletion: who goes when, what has to be durable first, and what is left when that fails."""

from __future__ import annotations

from scmd.core.messages import ServiceId, Settings, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    DeleteService,
    EnumServices,
    OpenService,
    QueryConfig,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import RemoveRecord, SaveRecord, ServiceDeleted
from scmd.core.messages.events import ProcessExited, RecordSaved, SaveFailed, Shutdown
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ConfigLevel
from tests.core.bench import Bench
from tests.core.test_database import creation


def test_a_marked_record_goes_with_its_last_handle() -> None:
    bench = Bench()
    handle = bench.create()
    other = bench.open("A")
    assert bench.error(DeleteService(bench.call(), handle)) == 0
    assert bench.error(DeleteService(bench.call(), handle)) == 1072
    assert bench.error(ChangeConfig(bench.call(), handle)) == 1072
    assert bench.error(ChangeConfig2(bench.call(), handle, ConfigLevel.DESCRIPTION, "")) == 1072
    assert bench.error(SetParameters(bench.call(), handle, {})) == 1072
    assert bench.error(StartService(bench.call(), handle)) == 1072
    assert bench.error(creation(bench, "a")) == 1072
    config = bench.result(QueryConfig(bench.call(), other))
    assert config.start_type == 4
    assert bench.error(CloseHandle(bench.call(), handle)) == 0
    assert bench.open("A")
    assert len(bench.result(EnumServices(bench.call(), bench.handle, 0x30, 3))) == 1
    bench.tell(CloseHandle(bench.call(), other))
    assert not bench.found(RemoveRecord)


def last_close() -> tuple[Bench, CloseHandle]:
    """The last handle of a record that is marked for deletion is being closed."""
    bench = Bench()
    handle = bench.create()
    bench.result(DeleteService(bench.call(), handle))
    bench.saving = False
    close = CloseHandle(bench.call(), handle)
    bench.tell(close)
    return bench, close


def test_removal_is_durable_before_the_close_is_answered() -> None:
    bench, close = last_close()
    assert len(bench.found(RemoveRecord)) == 1
    assert not bench.answered(close)
    waiting = creation(bench, "A")
    opening = OpenService(bench.call(), bench.handle, "A", 4)
    bench.tell(waiting)
    bench.tell(opening)
    bench.saving = True
    bench.tell(RecordSaved(bench.pending_saves[0].save))
    assert bench.found(ServiceDeleted)
    assert [bench.replies[c.call.id].error for c in (close, waiting, opening)] == [0, 0, 1060]
    assert bench.one(SaveRecord).service == 2


def test_a_removal_that_fails_leaves_the_record_marked() -> None:
    bench, close = last_close()
    bench.tell(SaveFailed(bench.pending_saves.pop().save, Error.WRITE_FAULT))
    assert bench.replies[close.call.id].error == 0
    assert bench.error(creation(bench, "A")) == 1072
    again = bench.open("A")
    bench.saving = True
    assert bench.error(CloseHandle(bench.call(), again)) == 0
    assert bench.error(creation(bench, "A")) == 0


def test_a_running_service_is_removed_when_it_has_stopped() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.result(DeleteService(bench.call(), handle))
    bench.result(CloseHandle(bench.call(), handle))
    assert bench.error(creation(bench, "A")) == 1072
    record = next(iter(bench.scm.state.records.values()))
    assert record.status.state == 4
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.found(ServiceDeleted)
    assert not bench.scm.state.records


def test_a_delete_that_cannot_be_saved_marks_nothing() -> None:
    bench = Bench()
    handle = bench.create()
    bench.saving = False
    command = DeleteService(bench.call(), handle)
    bench.tell(command)
    bench.tell(SaveFailed(bench.pending_saves[0].save, Error.DISK_FULL))
    assert bench.replies[command.call.id].error == 112
    assert bench.result(QueryConfig(bench.call(), handle)).start_type == 3


def test_records_marked_before_the_scm_ended_are_removed_at_the_next_start() -> None:
    marked = StoredService(ServiceId(7), ServiceConfig(name="Old", display_name="Old"), {}, True)
    bench = Bench([marked])
    assert not bench.scm.state.records
    bench.create("New")
    assert bench.one(SaveRecord).service == 8


def test_record_numbers_start_above_those_ever_used() -> None:
    bench = Bench(settings=Settings(first_service=100))
    bench.create()
    assert bench.one(SaveRecord).service == 100


def test_nothing_is_changed_during_a_shutdown() -> None:
    bench = Bench()
    handle = bench.create()
    bench.tell(Shutdown())
    assert bench.error(creation(bench)) == 1115
    assert bench.error(ChangeConfig(bench.call(), handle)) == 1115
    assert bench.error(DeleteService(bench.call(), handle)) == 1115
    assert bench.error(StartService(bench.call(), handle)) == 1115
    assert bench.queried(handle).state == 1


def test_a_delete_waits_for_a_change_that_is_on_its_way_and_keeps_it() -> None:
    bench = Bench()
    handle = bench.create()
    bench.saving = False
    change = ChangeConfig2(bench.call(), handle, ConfigLevel.DESCRIPTION, "the first")
    delete = DeleteService(bench.call(), handle)
    bench.tell(change)
    bench.tell(delete)
    [save] = bench.pending_saves
    bench.pending_saves.clear()
    assert not bench.answered(delete)
    bench.tell(RecordSaved(save.save))
    [save] = bench.pending_saves
    assert isinstance(save, SaveRecord)
    assert (save.config.description, save.config.start_type, save.deleted) == ("the first", 4, True)
    bench.tell(RecordSaved(save.save))
    assert [bench.replies[each.call.id].error for each in (change, delete)] == [0, 0]
