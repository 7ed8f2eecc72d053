"""SCM-wide values: documented types, and defaults for what makes no sense."""

from __future__ import annotations

import pytest

from scmd.storage import control_values
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
