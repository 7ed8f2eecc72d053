"""The database: what is refused, with which error, and that nothing is true until saved."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core.messages import ServiceId, Settings, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    CreateService,
    DeleteService,
    EnumDependents,
    EnumServices,
    FailureActionsChange,
    GetDisplayName,
    GetKeyName,
    OpenScm,
    OpenService,
    QueryConfig,
    QueryParameters,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import RemoveRecord, SaveRecord, ServiceCreated, ServiceDeleted
from scmd.core.messages.events import ProcessExited, RecordSaved, SaveFailed, Shutdown
from scmd.vocabulary.configuration import FailureAction, ServiceConfig, Trigger, TriggerItem
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel
from tests.core.bench import ALL, GUEST, Bench


def creation(bench: Bench, name: str = "New", **fields: Any) -> CreateService:
    fields.setdefault("image_path", "/bin/x")
    given = {key: fields.pop(key) for key in ("assign_tag", "account_unknown") if key in fields}
    config = ServiceConfig(name=name, **fields)
    return CreateService(bench.call(), bench.handle, config, ALL, **given)


# Create ---------------------------------------------------------------------------------------

ILLEGAL_NAMES = ("", "a/b", "a\\b", "x" * 257, "a\0b", "\ud800", "a,b")


@pytest.mark.parametrize("name", ILLEGAL_NAMES)
def test_illegal_names_are_123_however_the_name_is_used(name: str) -> None:
    bench = Bench()
    assert bench.error(creation(bench, name)) == 123
    assert bench.error(OpenService(bench.call(), bench.handle, name, 4)) == 123
    assert bench.error(GetDisplayName(bench.call(), bench.handle, name)) == 123


@pytest.mark.parametrize("name", ["..", "a b", "ß", "İ", "ı", "€" * 256, "\x1b[31m", "*"])
def test_odd_but_legal_names(name: str) -> None:
    bench = Bench()
    handle = bench.create(name)
    assert bench.result(QueryConfig(bench.call(), handle)).name == name
    assert bench.error(creation(bench, name)) == 1073


ILLEGAL_CONFIGURATIONS: tuple[tuple[dict[str, Any], int], ...] = (
    *[({"type": type}, 87) for type in (0, 0x30, 0x100, 0x101, 0x50, 4, 8, 0x11, 0x1000)],
    *[({"start_type": start}, 87) for start in (0, 1, 5, 0xFFFFFFFF)],
    *[({"error_control": value}, 87) for value in (4, 0xFFFFFFFF)],
    ({"image_path": ""}, 87),
    ({"image_path": "x\0"}, 87),
    ({"image_path": "x" * 32768}, 87),
    ({"type": 0x110, "account": "somebody"}, 87),
    ({"display_name": "x" * 257}, 123),
    ({"load_order_group": "x" * 257}, 87),
    ({"dependencies": ("",)}, 87),
    ({"dependencies": ("+",)}, 87),
    ({"dependencies": ("a/b",)}, 87),
    ({"dependencies": tuple(f"name{number:04}" for number in range(260))}, 87),
    ({"account": " "}, 1057),
    ({"account": "ann", "account_unknown": True}, 1057),
    ({"load_order_group": "G", "delayed_auto_start": True}, 87),
    ({"assign_tag": True}, 87),
    ({"preferred_node": 1, "type": 0x20}, 87),
    ({"security": b"nonsense"}, 1338),
)


@pytest.mark.parametrize(("fields", "error"), ILLEGAL_CONFIGURATIONS)
def test_illegal_configurations_are_refused_without_trace(
    fields: dict[str, Any], error: int
) -> None:
    bench = Bench()
    assert bench.error(creation(bench, **fields)) == error
    assert not bench.found(SaveRecord)
    assert not bench.scm.state.records


@pytest.mark.parametrize("type", [0x10, 0x20, 0x110, 0x120, 1, 2])
def test_legal_types(type: int) -> None:
    bench = Bench()
    assert bench.error(creation(bench, type=type)) == 0


@pytest.mark.parametrize("start", [0, 1])
def test_drivers_may_start_with_the_system_and_cannot_be_started(start: int) -> None:
    bench = Bench()
    handle = bench.create(type=1, start_type=start)
    assert bench.error(StartService(bench.call(), handle)) == 1058


def test_checks_come_in_the_order_seen_on_windows() -> None:
    bench = Bench()
    bench.create("New")
    assert bench.error(creation(bench, "a/b", type=0)) == 123
    assert bench.error(creation(bench, "new", type=0)) == 87
    assert bench.error(creation(bench, "new", display_name="new")) == 1073


def test_names_compare_without_case() -> None:
    bench = Bench()
    bench.create("Web", display_name="The Web")
    bench.create("Mail")
    assert bench.error(creation(bench, "WEB")) == 1073
    assert bench.error(creation(bench, "x", display_name="the web")) == 1078
    assert bench.error(creation(bench, "x", display_name="MAIL")) == 1078
    assert bench.error(creation(bench, "the web")) == 1078
    assert bench.open("weB")
    assert bench.error(OpenService(bench.call(), bench.handle, "The Web", 4)) == 1060


def test_what_is_left_out_gets_its_default() -> None:
    bench = Bench()
    config = bench.result(QueryConfig(bench.call(), bench.create("Web", account="")))
    assert (config.display_name, config.account) == ("Web", "LocalSystem")


def test_single_user_knows_one_account() -> None:
    bench = Bench(settings=Settings(single_user=True))
    assert bench.error(creation(bench, account="root")) == 1057
    assert bench.error(creation(bench, account=".\\localsystem")) == 0


def test_creation_without_the_right_is_5_before_all_else() -> None:
    bench = Bench()
    handle = bench.result(OpenScm(bench.call(), None, 1))
    config = ServiceConfig(name="a/b", image_path="")
    assert bench.error(CreateService(bench.call(), handle, config, 0)) == 5


def test_tags_are_unique_in_their_group() -> None:
    bench = Bench()
    tags = [
        bench.result(creation(bench, f"S{n}", load_order_group=group, assign_tag=True))[1]
        for n, group in enumerate(("G", "g", "G", "H"))
    ]
    assert tags == [1, 2, 3, 1]


def test_creation_is_announced_and_logged() -> None:
    bench = Bench()
    bench.create("Web")
    assert bench.one(ServiceCreated).name == "Web"
    assert bench.events() == [7045]


def test_the_creators_handle_has_what_was_asked_for() -> None:
    bench = Bench()
    bench.create("A", access=0)
    handle = bench.create("B", access=0x10000000)
    assert bench.scm.state.handles[handle].granted == ALL


# Cycles ---------------------------------------------------------------------------------------


def test_cycles_are_1059() -> None:
    bench = Bench()
    assert bench.error(creation(bench, "Self", dependencies=("self",))) == 1059
    first = bench.create("A", dependencies=("B",))
    bench.create("B", dependencies=("+G",))
    assert bench.error(creation(bench, "C", load_order_group="g", dependencies=("a",))) == 1059
    bench.create("C", load_order_group="g")
    assert bench.error(ChangeConfig(bench.call(), first, load_order_group="G")) == 1059
    assert bench.error(ChangeConfig(bench.call(), bench.open("C"), dependencies=("A",))) == 1059
    assert bench.error(creation(bench, "D", load_order_group="H", dependencies=("+H",))) == 1059


def test_changes_on_their_way_count_for_cycles() -> None:
    bench = Bench()
    one, two = bench.create("A"), bench.create("B")
    bench.saving = False
    bench.tell(ChangeConfig(bench.call(), one, dependencies=("B",)))
    assert bench.error(ChangeConfig(bench.call(), two, dependencies=("A",))) == 1059


# Change ---------------------------------------------------------------------------------------


def test_a_change_that_keeps_everything_succeeds_and_saves_nothing() -> None:
    bench = Bench()
    handle = bench.create()
    assert bench.error(ChangeConfig(bench.call(), handle)) == 0
    assert not bench.found(SaveRecord)


ILLEGAL_CHANGES: tuple[tuple[dict[str, Any], int], ...] = (
    ({"type": 1}, 87),
    ({"type": 0x30}, 87),
    ({"start_type": 0}, 87),
    ({"start_type": 9}, 87),
    ({"error_control": 4}, 87),
    ({"image_path": ""}, 87),
    ({"assign_tag": True}, 87),
    ({"display_name": "x" * 257}, 87),
    ({"display_name": "other"}, 1078),
    ({"display_name": "Shown"}, 1078),
    ({"account": " "}, 1057),
    ({"account": "ann", "account_unknown": True}, 1057),
    ({"dependencies": ("A",)}, 1059),
)


@pytest.mark.parametrize(("fields", "error"), ILLEGAL_CHANGES)
def test_illegal_changes_are_refused_without_trace(fields: dict[str, Any], error: int) -> None:
    bench = Bench()
    handle = bench.create("A")
    bench.create("Other", display_name="Shown")
    before = bench.result(QueryConfig(bench.call(), handle))
    assert bench.error(ChangeConfig(bench.call(), handle, **fields)) == error
    assert not bench.found(SaveRecord)
    assert bench.result(QueryConfig(bench.call(), handle)) == before


def test_a_display_name_may_be_the_services_own_key_name() -> None:
    bench = Bench()
    handle = bench.create("A", display_name="Shown")
    assert bench.error(ChangeConfig(bench.call(), handle, display_name="a")) == 0
    assert bench.result(GetKeyName(bench.call(), bench.handle, "A")) == "A"
    assert bench.error(GetKeyName(bench.call(), bench.handle, "Shown")) == 1060


def test_a_change_of_the_start_type_is_logged() -> None:
    bench = Bench()
    handle = bench.create()
    bench.tell(ChangeConfig(bench.call(), handle, start_type=2))
    assert bench.events() == [7040]


def test_leaving_a_group_loses_the_tag() -> None:
    bench = Bench()
    handle = bench.create(load_order_group="G")
    assert bench.result(ChangeConfig(bench.call(), handle, assign_tag=True)) == 1
    bench.tell(ChangeConfig(bench.call(), handle, load_order_group=""))
    assert bench.result(QueryConfig(bench.call(), handle)).tag == 0


RESTART = FailureAction(type=ActionType.RESTART, delay=5)
REBOOT = FailureAction(type=ActionType.REBOOT, delay=5)

LEVELS: tuple[tuple[ConfigLevel, Any, str, Any], ...] = (
    (ConfigLevel.DESCRIPTION, "What it does", "description", "What it does"),
    (ConfigLevel.DELAYED_AUTO_START_INFO, True, "delayed_auto_start", True),
    (ConfigLevel.FAILURE_ACTIONS_FLAG, True, "failure_actions_flag", True),
    (ConfigLevel.SERVICE_SID_INFO, 3, "sid_type", 3),
    (ConfigLevel.REQUIRED_PRIVILEGES_INFO, ("SeA",), "required_privileges", ("SeA",)),
    (ConfigLevel.PRESHUTDOWN_INFO, 5, "preshutdown_timeout", 5),
    (ConfigLevel.TRIGGER_INFO, (Trigger(type=1, action=1, subtype=b"x" * 16),), "triggers", None),
    (ConfigLevel.PREFERRED_NODE, 2, "preferred_node", 2),
    (ConfigLevel.RUNLEVEL_INFO, 2, "run_level", 2),
    (ConfigLevel.MANAGED_ACCOUNT_INFO, True, "managed_account", True),
    (ConfigLevel.LAUNCH_PROTECTED, 3, "launch_protected", 3),
)


@pytest.mark.parametrize(("level", "value", "field", "expected"), LEVELS)
def test_each_level_changes_its_field(
    level: ConfigLevel, value: Any, field: str, expected: Any
) -> None:
    bench = Bench()
    handle = bench.create()
    assert bench.error(ChangeConfig2(bench.call(), handle, level, value)) == 0
    config = bench.result(QueryConfig(bench.call(), handle))
    assert getattr(config, field) == (value if expected is None else expected)


ILLEGAL_LEVELS: tuple[tuple[ConfigLevel, Any, dict[str, Any], int], ...] = (
    (ConfigLevel.DESCRIPTION, "x" * 8192, {}, 87),
    (ConfigLevel.DESCRIPTION, 3, {}, 87),
    (ConfigLevel.SERVICE_SID_INFO, 2, {}, 87),
    (ConfigLevel.REQUIRED_PRIVILEGES_INFO, ("x" * 3000,), {}, 87),
    (ConfigLevel.TRIGGER_INFO, (Trigger(type=1, action=1, subtype=b"x" * 16),) * 65, {}, 87),
    *[
        (ConfigLevel.TRIGGER_INFO, (trigger,), {}, 87)
        for trigger in (
            Trigger(type=8, action=1, subtype=b"x" * 16),
            Trigger(type=1, action=3, subtype=b"x" * 16),
            Trigger(type=1, action=1, subtype=b"x"),
            Trigger(type=1, action=1, subtype=b"x" * 16, items=(TriggerItem(type=0, data=b""),)),
            Trigger(type=1, action=1, subtype=b"x" * 16, items=(TriggerItem(type=3, data=b"ab"),)),
            Trigger(type=1, action=1, subtype=b"x" * 16, items=(TriggerItem(type=5, data=b"ab"),)),
            Trigger(
                type=1,
                action=1,
                subtype=b"x" * 16,
                items=(TriggerItem(type=1, data=bytes(1025)),),
            ),
        )
    ],
    (ConfigLevel.LAUNCH_PROTECTED, 4, {}, 87),
    (ConfigLevel.PREFERRED_NODE, 2, {"type": 0x20}, 87),
    (ConfigLevel.DELAYED_AUTO_START_INFO, True, {"load_order_group": "G"}, 87),
    (
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(1, None, None, (RESTART,)),
        {"type": 1},
        1080,
    ),
    (
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(1, None, None, (FailureAction(type=ActionType(0), delay=0),) * 1025),
        {},
        87,
    ),
)


@pytest.mark.parametrize(("level", "value", "fields", "error"), ILLEGAL_LEVELS)
def test_illegal_levels_values_are_refused(
    level: ConfigLevel, value: Any, fields: dict[str, Any], error: int
) -> None:
    bench = Bench()
    handle = bench.create(**fields)
    assert bench.error(ChangeConfig2(bench.call(), handle, level, value)) == error
    assert not bench.found(SaveRecord)


@pytest.mark.parametrize("level", [level for level in ConfigLevel if level != 9])
def test_no_value_keeps(level: ConfigLevel) -> None:
    bench = Bench()
    handle = bench.create()
    assert bench.error(ChangeConfig2(bench.call(), handle, level, None)) == 0
    assert not bench.found(SaveRecord)


def test_failure_actions_keep_what_is_not_given() -> None:
    bench = Bench()
    handle = bench.create()
    level = ConfigLevel.FAILURE_ACTIONS
    full = FailureActionsChange(60, "bye", "/bin/cmd", (RESTART,))
    bench.result(ChangeConfig2(bench.call(), handle, level, full))
    kept = FailureActionsChange(7, None, "", None)
    bench.result(ChangeConfig2(bench.call(), handle, level, kept))
    actions = bench.result(QueryConfig(bench.call(), handle)).failure_actions
    assert (actions.reset_period_s, actions.reboot_message, actions.command) == (60, "bye", "")
    assert actions.actions == (RESTART,)
    emptied = FailureActionsChange(7, None, None, ())
    bench.result(ChangeConfig2(bench.call(), handle, level, emptied))
    actions = bench.result(QueryConfig(bench.call(), handle)).failure_actions
    assert (actions.reset_period_s, actions.actions) == (0, ())


def test_failure_actions_need_rights() -> None:
    bench = Bench()
    bench.create()
    handle = bench.open("A", 2)
    change = FailureActionsChange(1, None, None, (RESTART,))
    level = ConfigLevel.FAILURE_ACTIONS
    assert bench.error(ChangeConfig2(bench.call(), handle, level, change)) == 5
    reboot = FailureActionsChange(1, None, None, (REBOOT,))
    assert bench.error(ChangeConfig2(bench.call(GUEST), handle, level, reboot)) == 5
    assert bench.error(ChangeConfig2(bench.call(), handle, level, reboot)) == 0


# Nothing is true until saved ------------------------------------------------------------------


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


# Delete ---------------------------------------------------------------------------------------


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


# Parameters -----------------------------------------------------------------------------------


def test_parameters_are_set_together_and_compare_without_case() -> None:
    bench = Bench()
    handle = bench.create()
    of = RegistryValue.of
    bench.result(SetParameters(bench.call(), handle, {"One": of(1), "Two": of("2")}))
    assert bench.one(SaveRecord).parameters == {"One": of(1), "Two": of("2")}
    bench.result(SetParameters(bench.call(), handle, {"ONE": of(3), "two": None}))
    assert bench.result(QueryParameters(bench.call(), handle)) == {"One": of(3)}


@pytest.mark.parametrize("name", ["", "x" * 16_384, "a\0b"])
def test_illegal_value_names_are_87(name: str) -> None:
    bench = Bench()
    handle = bench.create()
    values = {"Fine": RegistryValue.of(1), name: RegistryValue.of(1)}
    assert bench.error(SetParameters(bench.call(), handle, values)) == 87
    assert bench.result(QueryParameters(bench.call(), handle)) == {}


def test_a_hosted_programs_values_are_checked() -> None:
    bench = Bench()
    handle = bench.create(image_path='"/usr/lib/SRVANY.exe" -x')
    values = {"Application": RegistryValue.of("relative")}
    reply = bench.ask(SetParameters(bench.call(), handle, values))
    assert (reply.error, reply.result) == (87, "Application: expected an absolute path")
    assert bench.result(QueryParameters(bench.call(), handle)) == {}


# Queries --------------------------------------------------------------------------------------


def test_masks_are_checked() -> None:
    bench = Bench()
    handle = bench.create()
    for types, states in ((0, 3), (0x400, 3), (0x30, 0), (0x30, 4)):
        assert bench.error(EnumServices(bench.call(), bench.handle, types, states)) == 87
    assert bench.error(EnumServices(bench.call(), bench.handle, 0x133, 3)) == 0
    for states in (0, 4):
        assert bench.error(EnumDependents(bench.call(), handle, states)) == 87


def test_enumerations_filter_and_resume() -> None:
    bench = Bench(settings=Settings(group_order=("Listed",)))
    running = bench.create("A")
    bench.running(running)
    bench.create("B", load_order_group="Grp")
    bench.create("D", type=1)

    def names(types: int = 0x30, states: int = 3, **more: Any) -> list[str]:
        command = EnumServices(bench.call(), bench.handle, types, states, **more)
        return [entry.name for entry in bench.result(command)]

    assert names() == ["A", "B"]
    assert names(0x0B) == ["D"]
    assert names(states=1) == ["A"]
    assert names(states=2) == ["B"]
    assert names(group="grp") == ["B"]
    assert names(group="") == ["A"]
    assert names(group="listed") == []
    assert names(after=1) == ["B"]
    unknown = EnumServices(bench.call(), bench.handle, 0x30, 3, "unknown")
    assert bench.error(unknown) == 1060


def test_an_enumeration_shows_what_has_changed_since_the_last_one() -> None:
    bench = Bench()
    handle = bench.create("A", display_name="Before")

    def shown() -> tuple[str, int]:
        [entry] = bench.result(EnumServices(bench.call(), bench.handle, 0x30, 3))
        return entry.display_name, entry.status.state

    assert shown() == ("Before", 1)
    bench.tell(ChangeConfig(bench.call(), handle, display_name="After"))
    assert shown() == ("After", 1)
    bench.running(handle)
    assert shown() == ("After", 4)


def test_dependents_come_in_the_order_in_which_to_stop_them() -> None:
    bench = Bench()
    root = bench.create("Root", load_order_group="G")
    bench.create("Middle", dependencies=("root",))
    bench.create("Top", dependencies=("Middle", "Root"))
    bench.create("Grouped", dependencies=("+g",))
    bench.create("Other")
    found = bench.result(EnumDependents(bench.call(), root, 3))
    names = [entry.name for entry in found]
    assert sorted(names) == ["Grouped", "Middle", "Top"]
    assert names.index("Top") < names.index("Middle")
    assert bench.result(EnumDependents(bench.call(), root, 1)) == ()


def test_key_and_display_names() -> None:
    bench = Bench()
    bench.create("Key", display_name="Shown Name")
    assert bench.result(GetDisplayName(bench.call(), bench.handle, "KEY")) == "Shown Name"
    assert bench.result(GetKeyName(bench.call(), bench.handle, "shown name")) == "Key"
    assert bench.error(GetKeyName(bench.call(), bench.handle, "Key")) == 1060
    assert bench.error(GetKeyName(bench.call(), bench.handle, "")) == 123
    assert bench.error(GetDisplayName(bench.call(), bench.handle, "Shown Name")) == 1060
