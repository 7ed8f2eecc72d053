"""What a removed record has written goes; nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from scmd.linux.log_removal import remove_log, remove_strays

NAMES = ("7.log", "7.log.1", "7.log.2", "17.log", "77.log.1", "7.log.gz", "notes", "x7.log")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_text("line\n")
    return tmp_path


def left(logs: Path) -> set[str]:
    return {path.name for path in logs.iterdir()}


def test_one_records_files_go(logs: Path) -> None:
    remove_log(logs, 7)
    assert left(logs) == set(NAMES) - {"7.log", "7.log.1", "7.log.2"}
    remove_log(logs, 7)


def test_files_of_no_record_go(logs: Path) -> None:
    remove_strays(logs, (7, 8))
    assert left(logs) == set(NAMES) - {"17.log", "77.log.1"}


def test_without_a_directory_there_is_nothing_to_remove(tmp_path: Path) -> None:
    remove_strays(tmp_path / "none", ())
    remove_log(tmp_path / "none", 1)
