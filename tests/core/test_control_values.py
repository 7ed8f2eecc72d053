"""SCM-wide values: documented types, and defaults for what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import control_values
from scmd.core.messages import Settings
from scmd.vocabulary.errors import Refused
from scmd.vocabulary.registry import RegistryType, RegistryValue


def test_tag_orders_are_counted_words() -> None:
    values = {
        "GroupOrderList\\Base": RegistryValue.of(bytes((2, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9))),
        "grouporderlist\\Short": RegistryValue.of(bytes((9, 0, 0, 0, 1, 1, 0, 0))),
        "GroupOrderList\\Empty": RegistryValue.of(b""),
        "GroupOrderList\\Text": RegistryValue.of("1"),
        "GroupOrderList\\": RegistryValue.of(b""),
        "ServiceGroupOrder\\List": RegistryValue.of(b""),
    }
    assert control_values.tag_order(values) == {"BASE": (7, 1), "SHORT": (257,), "EMPTY": ()}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 20_000),
        (RegistryValue.of("5000"), 5000),
        (RegistryValue.of(7), 7),
        (RegistryValue.of("soon"), 20_000),
        (RegistryValue.of("-1"), 20_000),
        (RegistryValue.of(""), 20_000),
        (RegistryValue.of("٣"), 20_000),
        (RegistryValue.of(b"\1"), 20_000),
        (RegistryValue.of(2**40), 20_000),
    ],
)
def test_numbers(value: RegistryValue | None, expected: int) -> None:
    values = {} if value is None else {control_values.KILL_TIMEOUT: value}
    assert control_values.number(values, control_values.KILL_TIMEOUT, 20_000) == expected


def test_the_group_order_is_a_list_of_strings() -> None:
    order = RegistryValue.of(["Base", "Net"])
    assert control_values.group_order({control_values.GROUP_ORDER: order}) == ("Base", "Net")
    assert control_values.group_order({}) == ()
    wrong = RegistryValue(type=RegistryType.SZ, data="Base")
    assert control_values.group_order({control_values.GROUP_ORDER: wrong}) == ()


def test_texts() -> None:
    name = control_values.REBOOT_COMMAND
    assert control_values.text({name: RegistryValue.of("/sbin/reboot")}, name) == "/sbin/reboot"
    assert control_values.text({name: RegistryValue.of(1)}, name) == ""
    assert control_values.text({}, name) == ""


def test_what_is_in_force_comes_from_the_values() -> None:
    values = {
        "ServicesPipeTimeout": RegistryValue.of(7),
        "AutoStartDelay": RegistryValue.of("3"),
        "VirtualAccountBase": RegistryValue.of(5000),
        "VirtualAccountCount": RegistryValue.of(10),
        "LockHasEffect": RegistryValue.of(1),
        "Other": RegistryValue.of("kept"),
    }
    made = control_values.settings_from(values, Settings(single_user=True, pipe_timeout=1))
    assert (made.pipe_timeout, made.auto_start_delay, made.single_user) == (7, 3000, True)
    assert (made.own_ids, made.lock_has_effect) == (range(5000, 5010), True)
    assert made.stored == values
    assert control_values.settings_from({}, made).pipe_timeout == Settings().pipe_timeout


@pytest.mark.parametrize(("base", "count"), [(0, 10), (999, 10), (2**32 - 5, 10)])
def test_a_range_with_numbers_of_others_counts_as_the_default(base: int, count: int) -> None:
    values = {
        "VirtualAccountBase": RegistryValue.of(base),
        "VirtualAccountCount": RegistryValue.of(count),
    }
    assert control_values.settings_from(values, Settings()).own_ids == Settings().own_ids


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ServicesPipeTimeout", 0),
        ("ServicesPipeTimeout", "soon"),
        ("waittokillservicetimeout", 86_400_001),
        ("AutoStartDelay", ("1",)),
        ("LockHasEffect", 2),
        ("VirtualAccountBase", 999),
        ("RebootCommand", "reboot"),
        ("RebootCommand", 5),
        ("ServiceGroupOrder\\List", "Base"),
        ("PreshutdownOrder", 1),
        ("GroupOrderList\\Base", b"\1\0\0\0"),
        ("GroupOrderList\\Base", "1"),
        ("GroupOrderList\\", b"\0\0\0\0"),
        ("GroupOrderList\\a\\b", b"\0\0\0\0"),
        ("Nonsense", 1),
    ],
)
def test_what_is_set_is_checked(name: str, data: Any) -> None:
    with pytest.raises(Refused) as refused:
        control_values.check(name, RegistryValue.of(data))
    assert refused.value.error == 87
    assert name in refused.value.detail


def test_every_setting_takes_its_own_default() -> None:
    for setting in control_values.SETTINGS:
        shown = setting.shown(Settings())
        if isinstance(shown, list):
            shown = tuple(shown)
        if not isinstance(shown, dict):
            control_values.check(setting.name, RegistryValue.of(shown))  # type: ignore[arg-type] # a value
    control_values.check("grouporderlist\\base", RegistryValue.of(b"\1\0\0\0\5\0\0\0"))
