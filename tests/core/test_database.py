"""The database: what is created and changed, what is refused, and with which error."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core.messages import Settings
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    CreateService,
    DeleteService,
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
from scmd.core.messages.effects import SaveRecord, ServiceCreated
from scmd.vocabulary.configuration import FailureAction, ServiceConfig, Trigger, TriggerItem
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel
from scmd.vocabulary.status import ServiceStatus
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
    ({"load_order_group": "a/b"}, 87),
    ({"load_order_group": "a\\b"}, 87),
    ({"dependencies": ("",)}, 87),
    ({"dependencies": ("+",)}, 87),
    ({"dependencies": ("a/b",)}, 87),
    ({"dependencies": tuple(f"name{number:04}" for number in range(260))}, 87),
    ({"account": " "}, 1057),
    ({"account": "x" * 2048}, 1057),
    ({"account": "ann\0"}, 1057),
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


def test_joining_a_group_counts_for_cycles_while_it_is_on_its_way() -> None:
    bench = Bench()
    one, two, gone = bench.create("A", dependencies=("B",)), bench.create("B"), bench.create("C")
    bench.saving = False
    bench.tell(DeleteService(bench.call(), gone))
    bench.tell(CloseHandle(bench.call(), gone))
    bench.tell(ChangeConfig(bench.call(), one, load_order_group="G"))
    assert bench.error(ChangeConfig(bench.call(), two, dependencies=("+g",))) == 1059
    bench.tell(ChangeConfig(bench.call(), two, dependencies=("+H",)))
    assert bench.one(SaveRecord).config.dependencies == ("+H",)


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


@pytest.mark.parametrize("fields", [{"start_type": 4}, {"load_order_group": "g"}])
def test_the_tag_stays_with_the_group(fields: dict[str, Any]) -> None:
    bench = Bench()
    handle = bench.create(load_order_group="G")
    assert bench.result(ChangeConfig(bench.call(), handle, assign_tag=True)) == 1
    bench.result(ChangeConfig(bench.call(), handle, **fields))
    assert bench.result(QueryConfig(bench.call(), handle)).tag == 1


def test_the_status_of_what_is_stopped_has_the_type_it_is_changed_to() -> None:
    bench = Bench()
    handle = bench.create()
    bench.result(ChangeConfig(bench.call(), handle, type=0x20))
    assert bench.status(handle) == ServiceStatus(type=0x20, win32_exit_code=1077)
    launch = bench.running(handle)
    bench.result(ChangeConfig(bench.call(), handle, type=0x10))
    assert bench.status(handle).type == 0x20
    bench.report(launch, handle, 1, 0, win32_exit_code=5)
    bench.result(ChangeConfig(bench.call(), handle, type=0x110))
    assert bench.status(handle) == ServiceStatus(type=0x110, win32_exit_code=5)


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
    (ConfigLevel.PRESHUTDOWN_INFO, 0x1_0000_0000, {}, 87),
    (ConfigLevel.PRESHUTDOWN_INFO, "x", {}, 87),
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
    (ConfigLevel.FAILURE_ACTIONS, FailureActionsChange(1, "a\0b", None, None), {}, 87),
    (ConfigLevel.FAILURE_ACTIONS, FailureActionsChange(1, None, "\ud800", None), {}, 87),
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
    bench.result(ChangeConfig2(bench.call(), handle, level, full))
    kept = FailureActionsChange(7, "", None, None)
    bench.result(ChangeConfig2(bench.call(), handle, level, kept))
    actions = bench.result(QueryConfig(bench.call(), handle)).failure_actions
    assert (actions.reboot_message, actions.command, actions.actions) == (
        "",
        "/bin/cmd",
        (RESTART,),
    )
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
