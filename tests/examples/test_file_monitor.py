from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd import ServiceState
from scmd.examples.file_monitor import DEFAULT_IGNORE, FolderWatch, Mask, file_monitor
from scmd.vocabulary.service import Control
from tests.examples.conftest import Start


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[FolderWatch]:
    watch = FolderWatch(str(tmp_path), ignore=DEFAULT_IGNORE)
    yield watch
    watch.close()


def test_a_new_file_is_created_then_changed(watch: FolderWatch, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("text")
    assert watch.read() == [("created", str(path)), ("changed", str(path))]
    assert watch.read() == []


def test_a_move_is_told_from_both_ends(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    watch.read()
    (tmp_path / "a").rename(tmp_path / "b")
    assert watch.read() == [
        ("moved away", str(tmp_path / "a")),
        ("moved here", str(tmp_path / "b")),
    ]


def test_a_deletion_is_told(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    watch.read()
    (tmp_path / "a").unlink()
    assert watch.read() == [("deleted", str(tmp_path / "a"))]


def test_what_was_put_into_a_new_folder_before_it_was_watched_is_told(
    watch: FolderWatch, tmp_path: Path
) -> None:
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    assert ("created", str(inner / "file")) in watch.read()
    (inner / "later").touch()
    assert ("created", str(inner / "later")) in watch.read()


def test_a_folder_that_moved_away_is_no_longer_watched(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "folder"
    watch = FolderWatch(str(tmp_path))
    folder.rename(elsewhere)
    assert watch.read() == [("moved away", str(folder))]
    (elsewhere / "inner" / "file").touch()
    assert watch.read() == []
    watch.close()


def test_a_folder_moved_within_is_known_by_its_new_name(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    watch.read()
    (tmp_path / "old").rename(tmp_path / "new")
    watch.read()
    (tmp_path / "new" / "file").touch()
    assert ("created", str(tmp_path / "new" / "file")) in watch.read()


def test_a_watched_folder_that_is_deleted_is_told_once(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    watch.read()
    (tmp_path / "folder").rmdir()
    assert watch.read() == [("deleted", str(tmp_path / "folder"))]


def test_the_end_of_the_folder_itself_is_told_once(tmp_path: Path) -> None:
    for is_moved in (False, True):
        folder = tmp_path / f"{is_moved}"
        (folder / "inner").mkdir(parents=True)
        watch = FolderWatch(str(folder))
        if is_moved:
            folder.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(folder)
        assert watch.read()[-1] == ("gone", str(folder))
        assert watch.is_gone
        assert watch.read() == []
        watch.close()


def test_without_recursion_only_the_folder_itself_is_watched(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    watch = FolderWatch(str(tmp_path), recursive=False)
    (tmp_path / "folder" / "file").touch()
    assert watch.read() == []
    watch.close()


def test_scratch_files_of_editors_are_left_out(watch: FolderWatch, tmp_path: Path) -> None:
    for name in ("notes~", ".notes.swp", ".#notes"):
        (tmp_path / name).touch()
    assert watch.read() == []


def test_any_bytes_may_be_a_name(watch: FolderWatch, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe name")
    (tmp_path / name).touch()
    assert ("created", str(tmp_path / name)) in watch.read()


def test_lost_events_are_told(watch: FolderWatch) -> None:
    assert next(watch._understand(-1, Mask.Q_OVERFLOW, ""))[0] == "lost"


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderWatch(str(tmp_path / "missing"))


def test_the_service_writes_changes_to_the_log(start: Start, tmp_path: Path) -> None:
    host = start(file_monitor, Folder=str(tmp_path))
    (tmp_path / "new").touch()
    assert host.entry("created: ") == f"created: {tmp_path / 'new'}"
    assert host.stop().win32_exit_code == 0


def test_the_service_fails_when_its_folder_goes(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    host = start(file_monitor, Folder=str(folder))
    folder.rmdir()
    assert host.reach(ServiceState.STOPPED).win32_exit_code == 1064
    assert host.entry("gone: ") == f"gone: {folder}"


def test_a_name_makes_no_second_line_of_the_log(start: Start, tmp_path: Path) -> None:
    host = start(file_monitor, Folder=str(tmp_path))
    (tmp_path / "a\nb").touch()
    assert host.entry("created: ").endswith("a\\nb")


def test_what_happens_while_paused_is_told_at_continue(start: Start, tmp_path: Path) -> None:
    host = start(file_monitor, Folder=str(tmp_path))
    host.control(Control.PAUSE)
    host.reach(ServiceState.PAUSED)
    (tmp_path / "meanwhile").touch()
    assert host.entries.empty()
    host.control(Control.CONTINUE)
    host.entry("meanwhile")


def test_the_service_stops_while_paused(start: Start, tmp_path: Path) -> None:
    host = start(file_monitor, Folder=str(tmp_path))
    host.control(Control.PAUSE)
    host.reach(ServiceState.PAUSED)
    assert host.stop().win32_exit_code == 0
