from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from scmd.linux.log_reader import LOG_END, read_log, read_tail


def _rotate(directory: Path) -> None:
    (directory / "7.log.1").unlink(missing_ok=True)
    (directory / "7.log").rename(directory / "7.log.1")


def test_a_service_without_output_has_an_empty_log(tmp_path: Path) -> None:
    part = read_log(tmp_path, 7, 0, 100)
    assert (part.start, part.data, part.next) == (0, b"", 0)


def test_the_end_is_the_last_bytes(tmp_path: Path) -> None:
    (tmp_path / "7.log").write_bytes(b"one\ntwo\n")
    assert read_log(tmp_path, 7, LOG_END, 4).data == b"two\n"
    assert read_log(tmp_path, 7, LOG_END, 100).data == b"one\ntwo\n"


def test_reading_on_gives_what_was_added(tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_bytes(b"one\n")
    part = read_log(tmp_path, 7, 0, 100)
    assert read_log(tmp_path, 7, part.next, 100).data == b""
    with log.open("ab") as file:
        file.write(b"two\n")
    assert read_log(tmp_path, 7, part.next, 100).data == b"two\n"


def test_a_follower_crosses_a_rotation_without_loss(tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_bytes(b"one\n")
    part = read_log(tmp_path, 7, 0, 100)
    with log.open("ab") as file:
        file.write(b"two\n")
    _rotate(tmp_path)
    log.write_bytes(b"three\n")
    part = read_log(tmp_path, 7, part.next, 100)
    assert part.data == b"two\n"
    part = read_log(tmp_path, 7, part.next, 100)
    assert part.data == b"three\n"


def test_a_follower_left_behind_goes_on_with_the_oldest_file(tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_bytes(b"one\n")
    position = read_log(tmp_path, 7, 0, 100).next
    keep = (tmp_path / "7.log").open("rb")  # so that the inode is not used again
    log.unlink()
    (tmp_path / "7.log.1").write_bytes(b"two\n")
    log.write_bytes(b"three\n")
    assert read_log(tmp_path, 7, position, 100).data == b"two\n"
    keep.close()


def test_between_two_renames_of_a_rotation_nothing_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "7.log").write_bytes(b"one\n")
    position = read_log(tmp_path, 7, 0, 100).next
    _rotate(tmp_path)
    # The next file is made with the next line.
    part = read_log(tmp_path, 7, position, 100)
    assert (part.data, part.next) == (b"", position)
    (tmp_path / "7.log.1").rename(tmp_path / "7.log.2")
    (tmp_path / "7.log").write_bytes(b"two\n")
    assert read_log(tmp_path, 7, 0, 100).data == b"one\n"
    assert read_tail(tmp_path, 7, 100) == b"one\ntwo\n"


@pytest.mark.parametrize("when", range(4))
def test_a_rotation_while_the_files_are_looked_for_costs_no_line_and_repeats_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    (tmp_path / "7.log.1").write_bytes(b"one\n")
    (tmp_path / "7.log").write_bytes(b"two\n")
    opens = 0
    real_open = os.open

    def rotate_and_open(path: Any, flags: int, mode: int = 0o777) -> int:
        nonlocal opens
        if opens == when:
            (tmp_path / "7.log.1").rename(tmp_path / "7.log.2")
            (tmp_path / "7.log").rename(tmp_path / "7.log.1")
            (tmp_path / "7.log").write_bytes(b"three\n")
        opens += 1
        return real_open(path, flags, mode)

    part = read_log(tmp_path, 7, 0, 2)
    monkeypatch.setattr(os, "open", rotate_and_open)
    data = part.data
    for _ in range(8):
        part = read_log(tmp_path, 7, part.next, 100)
        data += part.data
    assert data == b"one\ntwo\nthree\n"
