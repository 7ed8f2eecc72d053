from __future__ import annotations

import errno
import logging
import os
import random
import shutil
from pathlib import Path

import pytest

from scmd.examples.content_sync import MARK, NotAPair, Pair, content_sync, signature
from tests.examples.conftest import Start

LOG = logging.getLogger(__name__)


class Folders:
    """The two folders, with a clock of their own: no two writes have one time."""

    def __init__(self, folder: Path) -> None:
        self.left, self.right = folder / "left", folder / "right"
        self.time_ns = 1_000_000_000_000_000_000
        self.round()

    def round(self, is_over: bool = False) -> None:
        Pair(self.left, self.right).synchronize(lambda: is_over, LOG)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.time_ns += 1_000_000_000
        os.utime(path, ns=(self.time_ns, self.time_ns))

    def contents(self) -> dict[str, str]:
        """What both hold, which is the same."""
        left, right = contents(self.left), contents(self.right)
        assert left == right
        return left


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(MARK)
    }


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_new_files_go_both_ways(folders: Folders) -> None:
    folders.write(folders.left / "deep" / "a", "a")
    folders.write(folders.right / "b", "b")
    folders.round()
    assert folders.contents() == {"deep/a": "a", "b": "b"}


def test_a_change_and_a_deletion_travel(folders: Folders) -> None:
    for name in ("changed", "deleted", "left alone"):
        folders.write(folders.left / name, name)
    folders.round()
    folders.write(folders.right / "changed", "news")
    (folders.left / "deleted").unlink()
    folders.round()
    assert folders.contents() == {"changed": "news", "left alone": "left alone"}


def test_both_changed_keeps_both(folders: Folders) -> None:
    folders.write(folders.left / "a.txt", "old")
    folders.round()
    folders.write(folders.left / "a.txt", "from left")
    folders.write(folders.right / "a.txt", "from right, later")
    folders.round()
    expected = {"a.txt": "from right, later", "a (conflict 1).txt": "from left"}
    assert folders.contents() == expected
    folders.round()
    assert folders.contents() == expected


def test_the_next_conflict_gets_the_next_number(folders: Folders) -> None:
    for number in ("1", "2"):
        folders.write(folders.right / "a", "right " + number)
        folders.write(folders.left / "a", "left " + number)
        folders.round()
    assert folders.contents() == {
        "a": "left 2",
        "a (conflict 1)": "right 1",
        "a (conflict 2)": "right 2",
    }


def test_the_same_news_on_both_sides_are_no_conflict(folders: Folders) -> None:
    folders.write(folders.left / "a", "same")
    folders.write(folders.right / "a", "same")
    folders.round()
    assert folders.contents() == {"a": "same"}


@pytest.mark.parametrize(("changed", "deleted"), [("left", "right"), ("right", "left")])
def test_a_change_wins_over_a_deletion(folders: Folders, changed: str, deleted: str) -> None:
    folders.write(folders.left / "a", "old")
    folders.round()
    folders.write(getattr(folders, changed) / "a", "news")
    (getattr(folders, deleted) / "a").unlink()
    folders.round()
    assert folders.contents() == {"a": "news"}


def test_a_folder_that_is_not_mounted_deletes_nothing(folders: Folders, tmp_path: Path) -> None:
    folders.write(folders.left / "a", "a")
    folders.round()
    folders.right.rename(tmp_path / "unmounted")
    with pytest.raises(NotAPair):
        folders.round()
    folders.right.mkdir()
    with pytest.raises(NotAPair):
        folders.round()
    assert contents(folders.left) == {"a": "a"}


def test_a_folder_that_came_back_from_a_backup_does_not_win(folders: Folders) -> None:
    folders.write(folders.left / "a", "old")
    folders.round()
    saved = {path: path.read_bytes() for path in folders.left.iterdir()}
    times = signature(folders.left / "a")
    folders.write(folders.right / "a", "new")
    folders.round()
    for path, data in saved.items():
        path.write_bytes(data)
    assert times is not None
    os.utime(folders.left / "a", ns=(times[1], times[1]))
    folders.round()
    assert folders.contents() == {"a": "new"}


def test_a_file_written_since_the_scan_is_left_for_the_next_round(folders: Folders) -> None:
    folders.write(folders.left / "a", "old")
    folders.round()
    folders.write(folders.left / "a", "from left")
    pair = Pair(folders.left, folders.right)
    scanned = (signature(folders.left / "a"), signature(folders.right / "a"))
    folders.write(folders.right / "a", "meanwhile")
    with pytest.raises(BlockingIOError):
        pair.reconcile("a", scanned)
    folders.round()
    assert sorted(folders.contents().values()) == ["from left", "meanwhile"]


def test_a_file_that_was_written_since_the_scan_is_not_deleted(folders: Folders) -> None:
    folders.write(folders.left / "a", "old")
    folders.round()
    (folders.left / "a").unlink()
    pair = Pair(folders.left, folders.right)
    scanned = signature(folders.right / "a")
    folders.write(folders.right / "a", "meanwhile")
    with pytest.raises(BlockingIOError):
        pair.reconcile("a", (None, scanned))
    folders.round()
    assert folders.contents() == {"a": "meanwhile"}


def test_a_link_in_the_way_is_kept(folders: Folders) -> None:
    (folders.right / "a").symlink_to("nowhere")
    folders.write(folders.left / "a", "a")
    folders.write(folders.left / "b", "b")
    folders.round()
    assert (folders.right / "a").is_symlink()
    assert contents(folders.right) == {"b": "b"}


def test_a_file_against_a_folder_of_that_name_stops_nothing_else(folders: Folders) -> None:
    folders.write(folders.left / "a", "file")
    folders.write(folders.right / "a" / "inner", "inner")
    folders.write(folders.right / "b", "b")
    folders.round()
    assert contents(folders.left) == {"a": "file", "b": "b"}
    assert contents(folders.right) == {"a/inner": "inner", "b": "b"}


def test_a_pair_that_is_nested_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAPair):
        Pair(tmp_path, tmp_path / "inner")


@pytest.mark.parametrize("damage", ["[]", "", '{"identity": "x"}', "null", "{"])
def test_a_damaged_mark_stops_the_round_and_is_named(
    start: Start, folders: Folders, damage: str
) -> None:
    (folders.left / MARK).write_text(damage)
    (folders.right / "new").touch()
    host = start(content_sync, Left=str(folders.left), Right=str(folders.right))
    assert host.entry(f"{folders.left / MARK} is damaged")
    assert not (folders.left / "new").exists()
    assert host.stop().win32_exit_code == 0


def test_a_copy_that_fails_leaves_no_part_of_it(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(source: object, target: Path, **options: object) -> None:
        target.write_bytes(bytes(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    (folders.left / "big").touch()
    monkeypatch.setattr(shutil, "copy2", fill)
    folders.round()
    assert [path.name for path in folders.right.iterdir()] == [MARK]


def test_a_round_that_was_stopped_is_finished_by_the_next(folders: Folders) -> None:
    folders.write(folders.left / "a", "a")
    folders.round(is_over=True)
    assert contents(folders.right) == {}
    folders.round()
    assert folders.contents() == {"a": "a"}


def test_a_crash_before_the_mark_was_written_makes_no_conflict(folders: Folders) -> None:
    folders.write(folders.left / "a", "a")
    marks = {folder: (folder / MARK).read_bytes() for folder in (folders.left, folders.right)}
    folders.round()
    for folder, mark in marks.items():
        (folder / MARK).write_bytes(mark)
    folders.round()
    assert folders.contents() == {"a": "a"}


@pytest.mark.parametrize("seed", range(30))
def test_no_text_is_ever_lost_unless_it_was_replaced_or_deleted(tmp_path: Path, seed: int) -> None:
    """Random work on both sides: each side's latest text is still somewhere, and all is alike."""
    chance = random.Random(seed)
    folders = Folders(tmp_path)
    for step in range(25):
        wanted: set[str] = set()
        written: set[Path] = set()
        for _ in range(chance.randrange(4)):
            path = chance.choice((folders.left, folders.right)) / chance.choice("abc")
            if chance.random() < 0.3 and path.exists() and path not in written:
                path.unlink()
            elif path not in written:
                text = f"text {step} {len(wanted)}"
                folders.write(path, text)
                written.add(path)
                wanted.add(text)
        folders.round()
        assert wanted <= set(folders.contents().values())


def test_the_service_synchronizes_at_start_and_at_control_200(start: Start, tmp_path: Path) -> None:
    left, right = tmp_path / "left", tmp_path / "right"
    left.mkdir()
    (left / "a").write_text("a")
    host = start(content_sync, Left=str(left), Right=str(right), IntervalSeconds=3600)
    host.entry("copied: ")
    (right / "b").write_text("b")
    host.control(200)
    host.entry("copied: ")
    assert (left / "b").read_text() == "b"
    assert host.stop().win32_exit_code == 0


def test_the_service_says_that_folders_are_no_pair(start: Start, tmp_path: Path) -> None:
    host = start(content_sync, Left=str(tmp_path), Right=str(tmp_path / "inner"))
    host.entry("one holds the other")
