"""Queries of the database: masks, filters, pages, order, names."""

from __future__ import annotations

from typing import Any

from scmd.core.messages import Settings
from scmd.core.messages.commands import (
    ChangeConfig,
    EnumDependents,
    EnumServices,
    GetDisplayName,
    GetKeyName,
)
from tests.core.bench import Bench


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
