"""Saves: nothing is true until it is saved, and nothing is lost on the way."""

from __future__ import annotations

import pytest

from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    EnumServices,
    OpenService,
    QueryConfig,
    QueryParameters,
    SetParameters,
)
from scmd.core.messages.events import RecordSaved, SaveFailed
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel
from tests.core.bench import Bench
from tests.core.test_database import creation


def test_a_creation_is_not_there_until_it_is_saved() -> None:
    bench = Bench()
    bench.saving = False
    command = creation(bench)
    bench.tell(command)
    assert not bench.answered(command)
    assert bench.error(OpenService(bench.call(), bench.handle, "New", 4)) == 1060
    [save] = bench.pending_saves
    bench.tell(RecordSaved(save.save))
    assert bench.replies[command.call.id].error == 0
    assert bench.open("New")


def test_a_creation_that_cannot_be_saved_leaves_no_trace() -> None:
    bench = Bench()
    bench.saving = False
    command = creation(bench)
    bench.tell(command)
    bench.tell(SaveFailed(bench.pending_saves[0].save, Error.DISK_FULL))
    assert bench.replies[command.call.id].error == 112
    assert not bench.scm.state.records
    bench.saving = True
    assert bench.error(creation(bench)) == 0


@pytest.mark.parametrize(("fails", "error"), [(False, 1073), (True, 0)])
def test_a_second_creation_waits_for_the_first(fails: bool, error: int) -> None:
    bench = Bench()
    bench.saving = False
    bench.tell(creation(bench))
    second = creation(bench, "NEW")
    bench.tell(second)
    assert not bench.answered(second)
    bench.saving = True
    save = bench.pending_saves[0].save
    bench.tell(SaveFailed(save, Error.WRITE_FAULT) if fails else RecordSaved(save))
    assert bench.replies[second.call.id].error == error


def test_a_display_name_on_its_way_is_reserved() -> None:
    bench = Bench()
    handle = bench.create("A")
    bench.saving = False
    bench.tell(ChangeConfig(bench.call(), handle, display_name="Shown"))
    second = creation(bench, "B", display_name="shown")
    bench.tell(second)
    assert not bench.answered(second)
    bench.saving = True
    bench.tell(RecordSaved(bench.pending_saves[0].save))
    assert bench.replies[second.call.id].error == 1078


def test_changes_of_one_record_follow_each_other_and_none_is_lost() -> None:
    bench = Bench()
    handle = bench.create()
    bench.saving = False
    first = ChangeConfig(bench.call(), handle, start_type=2)
    second = ChangeConfig2(bench.call(), handle, ConfigLevel.DESCRIPTION, "text")
    third = SetParameters(bench.call(), handle, {"X": RegistryValue.of(1)})
    for command in (first, second, third):
        bench.tell(command)
    assert bench.result(QueryConfig(bench.call(), handle)).start_type == 3
    for command in (first, second, third):
        assert not bench.answered(command)
        bench.tell(RecordSaved(bench.pending_saves.pop(0).save))
        assert bench.replies[command.call.id].error == 0
    config = bench.result(QueryConfig(bench.call(), handle))
    assert (config.start_type, config.description) == (2, "text")
    assert bench.result(QueryParameters(bench.call(), handle)) == {"X": RegistryValue.of(1)}


def test_saves_of_different_records_are_out_together() -> None:
    bench = Bench()
    handles = [bench.create(name) for name in "ABC"]
    bench.saving = False
    commands = [ChangeConfig(bench.call(), handle, start_type=2) for handle in handles]
    for command in commands:
        bench.tell(command)
    assert len(bench.pending_saves) == 3
    for save, command in zip(bench.pending_saves[::-1], commands[::-1], strict=True):
        bench.tell(RecordSaved(save.save))
        assert bench.answered(command)


def test_creations_may_be_saved_in_another_order() -> None:
    bench = Bench()
    bench.saving = False
    for name in "ABC":
        bench.tell(creation(bench, name))
    for save in bench.pending_saves[::-1]:
        bench.tell(RecordSaved(save.save))
    entries = bench.result(EnumServices(bench.call(), bench.handle, 0x30, 3))
    assert [entry.name for entry in entries] == ["A", "B", "C"]
