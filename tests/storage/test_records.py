"""Records as registry values: documented names and types, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.storage.cells import (
    Cells,
    RecordError,
    cell_of,
    cells_from_json,
    cells_to_json,
    to_base64,
    value_of,
)
from scmd.storage.records import (
    PARAMETERS,
    config_from_cells,
    config_to_cells,
    is_known_subkey,
    is_known_value,
    parameters_from_cells,
    parameters_to_cells,
    subkeys_to_cells,
)
from scmd.vocabulary.configuration import (
    FailureAction,
    FailureActions,
    ServiceConfig,
    Trigger,
    TriggerItem,
)
from scmd.vocabulary.registry import RegistryType, RegistryValue
from scmd.vocabulary.service import ActionType

DWORDS = st.integers(0, 2**32 - 1)
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
NAMES = TEXT.filter(lambda text: text != "" and not text.startswith("+"))
CONFIGS = st.builds(
    ServiceConfig,
    name=NAMES,
    display_name=TEXT,
    type=DWORDS,
    start_type=DWORDS,
    error_control=DWORDS,
    image_path=TEXT,
    load_order_group=TEXT,
    tag=DWORDS,
    # The registry has two lists, so groups come after services.
    dependencies=st.builds(
        lambda services, groups: (*services, *("+" + group for group in groups)),
        st.lists(NAMES, max_size=3),
        st.lists(NAMES, max_size=3),
    ),
    account=TEXT,
    description=TEXT,
    failure_actions=st.builds(
        FailureActions,
        reset_period_s=DWORDS,
        reboot_message=TEXT,
        command=TEXT,
        actions=st.lists(
            st.builds(FailureAction, type=st.sampled_from(ActionType), delay=DWORDS), max_size=4
        ).map(tuple),
    ),
    failure_actions_flag=st.booleans(),
    delayed_auto_start=st.booleans(),
    sid_type=st.sampled_from((0, 1, 3)),
    required_privileges=st.lists(TEXT, max_size=3).map(tuple),
    preshutdown_timeout=DWORDS,
    preferred_node=st.none() | st.integers(0, 65535),
    run_level=DWORDS,
    managed_account=st.booleans(),
    launch_protected=st.integers(0, 3),
    triggers=st.lists(
        st.builds(
            Trigger,
            type=DWORDS,
            action=DWORDS,
            subtype=st.binary(min_size=16, max_size=16),
            items=st.lists(
                st.builds(TriggerItem, type=DWORDS, data=st.binary(max_size=8)), max_size=3
            ).map(tuple),
        ),
        max_size=12,
    ).map(tuple),
    security=st.none() | st.binary(max_size=20),
)
VALUES = st.one_of(
    st.builds(RegistryValue, type=st.just(RegistryType.SZ), data=st.text()),
    st.builds(RegistryValue, type=st.just(RegistryType.EXPAND_SZ), data=st.text()),
    st.builds(RegistryValue, type=st.just(RegistryType.BINARY), data=st.binary()),
    st.builds(RegistryValue, type=st.just(RegistryType.DWORD), data=DWORDS),
    st.builds(RegistryValue, type=st.just(RegistryType.QWORD), data=st.integers(0, 2**64 - 1)),
    st.builds(
        RegistryValue, type=st.just(RegistryType.MULTI_SZ), data=st.lists(st.text()).map(tuple)
    ),
)
WEB: Cells = {"Type": (4, 16), "Start": (4, 2)}


def through_json(cells: Cells) -> Cells:
    return cells_from_json(cells_to_json(cells), "key")


@given(CONFIGS, st.booleans())
def test_a_record_goes_round(config: ServiceConfig, deleted: bool) -> None:
    cells = through_json(config_to_cells(config, deleted))
    subkeys = {path: through_json(own) for path, own in subkeys_to_cells(config).items()}
    assert config_from_cells(config.name, cells, subkeys) == (config, deleted)
    assert all(is_known_value(name) for name in cells)
    assert all(is_known_subkey(path, False) for path in subkeys)


@given(st.dictionaries(st.text(max_size=6) | st.just("AppEvents\\Start\\Pre"), VALUES))
def test_parameters_go_round(parameters: dict[str, RegistryValue]) -> None:
    documents = parameters_to_cells(parameters)
    stored = {path: through_json(cells) for path, cells in documents.items()}
    assert parameters_from_cells("Web", stored) == parameters
    assert all(is_known_subkey(path, True) for path in stored)


def test_values_have_the_documented_names_and_types() -> None:
    config = ServiceConfig(
        name="Web",
        display_name="Web server",
        start_type=2,
        image_path="/bin/x -a",
        load_order_group="Net",
        tag=3,
        dependencies=("A", "+G", "B"),
        description="d",
        failure_actions=FailureActions(
            reset_period_s=60,
            command="c",
            actions=(FailureAction(type=ActionType.RESTART, delay=1000),),
        ),
        failure_actions_flag=True,
        delayed_auto_start=True,
        sid_type=1,
        required_privileges=("SeP",),
        preshutdown_timeout=5,
        preferred_node=0,
    )
    failure_actions = bytes.fromhex(
        "3c000000 00000000 01000000 01000000 14000000 01000000 e8030000"
    )
    assert config_to_cells(config, deleted=True) == {
        "Type": (4, 0x10),
        "Start": (4, 2),
        "ErrorControl": (4, 1),
        "Tag": (4, 3),
        "ImagePath": (2, "/bin/x -a"),
        "DisplayName": (1, "Web server"),
        "Group": (1, "Net"),
        "ObjectName": (1, "LocalSystem"),
        "Description": (1, "d"),
        "FailureActionsOnNonCrashFailures": (4, 1),
        "DelayedAutostart": (4, 1),
        "ServiceSidType": (4, 1),
        "RequiredPrivileges": (7, ["SeP"]),
        "PreshutdownTimeout": (4, 5),
        "PreferredNode": (4, 0),
        "DependOnService": (7, ["A", "B"]),
        "DependOnGroup": (7, ["G"]),
        "FailureActions": (3, to_base64(failure_actions)),
        "FailureCommand": (1, "c"),
        "DeleteFlag": (4, 1),
    }


def test_subkeys_have_the_documented_names() -> None:
    trigger = Trigger(type=1, action=2, subtype=b"0" * 16, items=(TriggerItem(type=2, data=b"x"),))
    config = ServiceConfig(name="Web", security=b"sd", triggers=(trigger,))
    assert subkeys_to_cells(config) == {
        "Security": {"Security": (3, to_base64(b"sd"))},
        "TriggerInfo\\0": {
            "Type": (4, 1),
            "Action": (4, 2),
            "GUID": (3, to_base64(b"0" * 16)),
            "DataType0": (4, 2),
            "Data0": (3, to_base64(b"x")),
        },
    }
    parameters = {"A": RegistryValue.of("x"), "AppEvents\\Start\\Pre": RegistryValue.of(1)}
    assert parameters_to_cells(parameters) == {
        PARAMETERS: {"A": (1, "x")},
        "Parameters\\AppEvents\\Start": {"Pre": (4, 1)},
    }


def test_what_is_absent_has_the_documented_default() -> None:
    config, deleted = config_from_cells("Web", WEB, {})
    assert config == ServiceConfig(name="Web", display_name="Web", start_type=2)
    assert not deleted


def test_unknown_values_and_subkeys_are_passed_over() -> None:
    cells: Cells = {**WEB, "LaunchProtected": (4, 1), "Odd": (99, "x")}
    config, _ = config_from_cells("Web", cells, {"Enum": {"0": (1, "x")}})
    assert config.start_type == 2


def test_names_of_values_are_known_in_any_case() -> None:
    config, _ = config_from_cells("Web", {"TYPE": (4, 16), "start": (4, 4)}, {})
    assert config.start_type == 4


def test_both_kinds_of_string_are_taken() -> None:
    cells: Cells = {**WEB, "ImagePath": (1, "a"), "ObjectName": (2, "b")}
    config, _ = config_from_cells("Web", cells, {})
    assert (config.image_path, config.account) == ("a", "b")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"Start": (4, 2)}, r"Services\\Web: value Type is missing"),
        ({"Type": (4, 16)}, r"Services\\Web: value Start is missing"),
        ({**WEB, "Start": (1, "2")}, r"Services\\Web: value Start has type 1, expected REG_DWORD"),
        ({**WEB, "Tag": (4, -1)}, "value Tag is malformed"),
        ({**WEB, "Tag": (4, 2**32)}, "value Tag is malformed"),
        ({**WEB, "Tag": (4, "x")}, "value Tag is malformed"),
        ({**WEB, "DependOnService": (1, "A")}, "value DependOnService has type 1"),
        ({**WEB, "DependOnGroup": (7, "A")}, "value DependOnGroup is malformed"),
        ({**WEB, "FailureActions": (3, "%")}, "value FailureActions is not base64"),
        ({**WEB, "FailureActions": (3, to_base64(b"x"))}, "FailureActions has 1 bytes"),
        (
            {**WEB, "FailureActions": (3, to_base64(b"\0" * 12 + b"\1" + b"\0" * 7))},
            "FailureActions has 20 bytes for 1 actions",
        ),
        (
            {**WEB, "FailureActions": (3, to_base64(b"\0" * 12 + b"\1" + b"\0" * 7 + b"\7" * 8))},
            "an action of type",
        ),
    ],
)
def test_errors_name_key_and_value(cells: Cells, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        config_from_cells("Web", cells, {})


@pytest.mark.parametrize(
    ("subkeys", "message"),
    [
        ({"Security": {"Security": (1, "x")}}, r"Web\\Security: value Security has type 1"),
        ({"TriggerInfo\\0": {}}, "value GUID has type"),
        ({"TriggerInfo\\3": {"GUID": (3, to_base64(b"x"))}}, r"TriggerInfo\\3: value GUID has 1"),
        ({"TriggerInfo\\3": {"GUID": (3, to_base64(b"x" * 16))}}, "value Type is missing"),
    ],
)
def test_errors_name_the_subkey(subkeys: dict[str, Cells], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        config_from_cells("Web", WEB, subkeys)


def test_malformed_parameters_name_key_and_value() -> None:
    with pytest.raises(RecordError, match=r"Web\\Parameters\\A: value B is malformed"):
        parameters_from_cells("Web", {"Parameters\\A": {"B": (99, "x")}})
    wrong = RegistryValue(type=RegistryType.DWORD, data="x")
    with pytest.raises(RecordError, match="value A: DWORD cannot hold 'x'"):
        parameters_to_cells({"A": wrong})


@given(VALUES)
def test_a_value_goes_round(value: RegistryValue) -> None:
    assert value_of(through_json({"a": cell_of(value)})["a"], "key", "a") == value


def test_lone_surrogates_are_kept() -> None:
    cells: Cells = {"a\udc00": (1, "x\ud800")}
    assert through_json(cells) == {"a\udc00": (1, "x\ud800")}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a": 1}', '{"a": [1, null]}', '{"a": [true, 1]}', '{"a": [1]}']
)
def test_a_document_that_is_none_is_an_error_with_its_key(text: str) -> None:
    with pytest.raises(RecordError, match="the key"):
        cells_from_json(text, "the key")
