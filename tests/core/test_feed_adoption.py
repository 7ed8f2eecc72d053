"""The feed across the death of a manager: its numbers go on, and what is told is told once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from scmd.core.changes import KEPT_BYTES, REMEMBERED_BYTES, Change, ChangeKind
from scmd.core.memory import ChangeMemory, Memory, ServiceMemory
from scmd.core.messages import ServiceId, Settings, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    CreateService,
    DeleteService,
    SetParameters,
)
from scmd.core.messages.events import Adopted
from scmd.security.sddl import descriptor_from_sddl
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel
from tests.core.bench import Bench
from tests.core.feed_reader import Reader, kinds


@pytest.fixture
def bench() -> Bench:
    return Bench()


def successor(bench: Bench, *stored: StoredService, journal: list[Memory] | None = None) -> Bench:
    """The next manager, with what the first one has journaled."""
    entries = tuple(bench.journal if journal is None else journal)
    return Bench(stored, Settings(first_launch=5_000, epoch=2), first=Adopted(entries, ()))


def stored(id: int, name: str, deleted: bool = False) -> StoredService:
    return StoredService(ServiceId(id), ServiceConfig(name=name, image_path="/x"), {}, deleted)


def test_the_numbers_go_on_under_the_next_manager(bench: Bench) -> None:
    reader = Reader(bench)
    bench.create("A")
    bench.create("B")
    after = successor(bench, stored(1, "A"), stored(2, "B"))
    reader.bench, reader.handle = after, after.handle
    part = reader.read()
    assert not part.behind
    assert kinds(part) == [(ChangeKind.CREATED, "A"), (ChangeKind.CREATED, "B")]
    service = after.open("A")
    after.start(service)
    (change,) = reader.read().changes
    assert change.number == 3


@pytest.mark.parametrize("is_older", [False, True])
def test_who_watches_a_quiet_service_is_not_behind_for_what_others_did(
    bench: Bench, is_older: bool
) -> None:
    """Though the next manager knows only the last changes of the others."""
    quiet, busy, _ = (bench.create(name) for name in ("Quiet", "Busy", "Never"))
    bench.running(quiet)
    readers = {name: Reader(bench, name) for name in ("Quiet", "Busy", "Never", "Missing")}
    bench.running(busy)
    bench.scm.state.feed.kept = deque(bench.scm.state.feed.kept, maxlen=1)
    after = successor(
        bench,
        *(stored(number, name) for number, name in enumerate(("Quiet", "Busy", "Never"), 1)),
        journal=[without_number(entry) if is_older else entry for entry in bench.scm.memory()],
    )
    behind = {}
    for name, reader in readers.items():
        reader.bench, reader.handle = after, after.handle
        behind[name] = reader.read().behind
    assert behind == {"Quiet": is_older, "Busy": True, "Never": is_older, "Missing": True}


def test_large_descriptors_are_kept_of_few_changes(bench: Bench) -> None:
    """Or memory and journal would hold thousands of copies of what has 60 KiB here."""
    entries = "(A;;0xf01ff;;;SY)(A;;0xf01ff;;;BA)" + 3_000 * "(A;;CC;;;WD)"
    large = descriptor_from_sddl(f"D:{entries}").to_bytes()
    other = bench.create("Other")
    service = bench.create("Large", security=large)
    readers = {name: Reader(bench, name) for name in ("Other", "Large")}
    bench.ask(ChangeConfig2(bench.call(), other, ConfigLevel.DESCRIPTION, "before"))
    for number in range(KEPT_BYTES // len(large) + 1):
        bench.ask(ChangeConfig2(bench.call(), service, ConfigLevel.DESCRIPTION, str(number)))
    assert descriptor_bytes(bench.scm.state.feed.kept) <= KEPT_BYTES
    journaled = [entry for entry in bench.scm.memory() if isinstance(entry, ChangeMemory)]
    assert descriptor_bytes(journaled) <= REMEMBERED_BYTES
    assert journaled[-1].number == bench.scm.state.feed.last
    for reader in readers.values():
        assert reader.read().behind
        assert not reader.read().behind

    after = successor(bench, stored(1, "Other"), stored(2, "Large"))
    kept = after.scm.state.feed.kept
    assert descriptor_bytes(kept) <= KEPT_BYTES
    assert kept[-1].number == bench.scm.state.feed.last
    for reader in readers.values():
        reader.bench, reader.handle = after, after.handle
        assert not reader.read().behind
    after.ask(ChangeConfig2(after.call(), after.open("Other"), ConfigLevel.DESCRIPTION, "after"))
    assert kinds(readers["Other"].read()) == [(ChangeKind.CONFIG, "Other")]


def descriptor_bytes(changes: Iterable[Change | ChangeMemory]) -> int:
    return sum(len(change.security or b"") for change in changes)


def without_number(entry: Memory) -> Memory:
    """As an older manager has written it."""
    return replace(entry, last_change=None) if isinstance(entry, ServiceMemory) else entry


def test_without_a_journal_another_epoch_begins(bench: Bench) -> None:
    reader = Reader(bench)
    bench.create("A")
    after = successor(bench, stored(1, "A"), journal=[])
    reader.bench, reader.handle = after, after.handle
    assert reader.read().behind


@pytest.mark.parametrize("reached", [False, True])
@pytest.mark.parametrize("what", ["created", "config", "parameters", "delete_pending", "deleted"])
def test_a_change_that_was_on_its_way_is_told_if_the_disk_has_it(
    bench: Bench, what: str, reached: bool
) -> None:
    if what != "created":
        service = bench.create("A")
    if what == "deleted":
        bench.ask(DeleteService(bench.call(), service))
    reader = Reader(bench)
    bench.saving = False
    match what:
        case "created":
            config = ServiceConfig(name="A", image_path="/x")
            bench.tell(CreateService(bench.call(), bench.handle, config, 0))
        case "config":
            bench.tell(ChangeConfig(bench.call(), service, start_type=2))
        case "parameters":
            bench.tell(SetParameters(bench.call(), service, {"P": RegistryValue.of(1)}))
        case "delete_pending":
            bench.tell(DeleteService(bench.call(), service))
        case "deleted":
            bench.tell(CloseHandle(bench.call(), service))
    exists = reached if what == "created" else not (what == "deleted" and reached)
    marked = what == "deleted" or (what == "delete_pending" and reached)
    after = successor(bench, *([stored(1, "A", marked)] if exists else []))
    reader.bench, reader.handle = after, after.handle
    told = [change.kind for change in reader.read().changes if change.kind == what]
    # What a configuration was is not known: it may be said in vain, and not be missed. A
    # removal that did not come about is made up for.
    certain = what in ("config", "parameters", "deleted")
    assert len(told) == (1 if reached or certain else 0)


def test_what_has_been_told_is_not_told_again_by_the_next_manager(bench: Bench) -> None:
    reader = Reader(bench)
    service = bench.create("A")
    bench.ask(ChangeConfig(bench.call(), service, start_type=2))
    bench.ask(DeleteService(bench.call(), service))
    first = kinds(reader.read())
    assert len(first) == 3
    after = successor(bench, stored(1, "A", deleted=True))
    reader.bench, reader.handle = after, after.handle
    told = [kind for kind, _ in kinds(reader.read())]
    assert set(told) <= {ChangeKind.DELETED}
