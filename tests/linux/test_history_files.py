"""Histories on disk: bounded, repaired, never somebody else's file, gone with the record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scmd.linux.history_files import HistoryFiles
from scmd.storage.history import HEADER, HistoryError, Transition, to_line


def entry(number: int) -> bytes:
    return to_line(Transition(time=f"{number}", state="RUNNING", cause="x", actor="SCM"))


def lines(*numbers: int) -> list[bytes]:
    return [entry(number)[:-1] for number in numbers]


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "history"
        self.problems: list[str] = []
        self.files = HistoryFiles(self.folder, self.problems.append, keep=5)

    def path(self, service: int = 1) -> Path:
        return self.folder / f"{service}.jsonl"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.files.close()


def test_what_was_appended_is_read_oldest_first(store: Store) -> None:
    assert store.files.read(1) == []
    for number in range(3):
        store.files.append(1, entry(number))
    store.files.append(2, entry(9))
    assert store.files.read(1) == lines(0, 1, 2)
    assert store.files.read(2) == lines(9)
    assert store.path().read_bytes().startswith(HEADER)
    assert store.path().stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_only_the_newest_are_kept(store: Store) -> None:
    for number in range(100):
        store.files.append(1, entry(number))
    assert store.files.read(1) == lines(*range(95, 100))
    assert store.path().read_bytes().count(b"\n") <= 11


def test_it_goes_on_after_a_restart(store: Store, tmp_path: Path) -> None:
    for number in range(9):
        store.files.append(1, entry(number))
    store.files.flush()
    second = Store(tmp_path)
    for number in range(9, 12):
        second.files.append(1, entry(number))
    assert second.files.read(1) == lines(*range(7, 12))
    assert store.path().read_bytes().count(b"\n") <= 11
    second.files.close()


@pytest.mark.parametrize("left", [b"", HEADER[:5], HEADER, HEADER + entry(0)[:9]])
def test_what_a_crash_left_is_repaired(store: Store, left: bytes) -> None:
    store.folder.mkdir()
    store.path().write_bytes(left)
    store.files.append(1, entry(1))
    assert store.files.read(1) == lines(1)
    assert store.path().read_bytes() == HEADER + entry(1)
    assert not store.problems


@pytest.mark.parametrize("left", [b"", HEADER[:5]])
def test_what_was_begun_on_a_full_disk_can_be_read(store: Store, left: bytes) -> None:
    store.folder.mkdir()
    store.path().write_bytes(left)
    assert store.files.read(1) == []
    assert not store.problems


@pytest.mark.parametrize("other", [b'{"scmd_history":99}\nnew\n', b"my notes\n"])
def test_a_file_that_is_not_ours_is_left_as_it_is(store: Store, other: bytes) -> None:
    store.folder.mkdir()
    store.path().write_bytes(other)
    store.files.append(1, entry(1))
    store.files.append(1, entry(2))
    with pytest.raises(HistoryError):
        store.files.read(1)
    assert store.path().read_bytes() == other
    assert len(store.problems) == 1


def test_a_removed_record_takes_its_history_along(store: Store) -> None:
    for service in (1, 2, 3):
        store.files.append(service, entry(service))
    store.files.remove(1)
    assert store.files.read(1) == []
    store.files.remove(1)
    (store.folder / "notes").write_text("mine")
    store.files.retain({2})
    store.files.flush()
    assert {path.name for path in store.folder.iterdir()} == {"2.jsonl", "notes"}
    assert not store.problems


@pytest.mark.parametrize("remove", [shutil.rmtree, lambda folder: (folder / "1.jsonl").unlink()])
def test_a_history_that_was_removed_is_begun_anew(
    store: Store, remove: Callable[[Path], None]
) -> None:
    store.files.append(1, entry(1))
    assert store.files.read(1) == lines(1)
    remove(store.folder)
    store.files.append(1, entry(2))
    store.files.append(2, entry(3))
    assert (store.files.read(1), store.files.read(2)) == (lines(2), lines(3))
    assert store.path().read_bytes().startswith(HEADER)
    assert store.problems == []


def test_what_cannot_be_written_is_said_once_and_does_not_end_it(store: Store) -> None:
    store.path().mkdir(parents=True)
    for _ in range(3):
        store.files.append(1, entry(1))
    store.files.append(2, entry(2))
    assert store.files.read(2) == lines(2)
    assert len(store.problems) == 1
    store.files.append(1, entry(1))
    store.files.flush()
    assert len(store.problems) == 2
