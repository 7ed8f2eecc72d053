from __future__ import annotations

from pathlib import Path

import pytest

from scmd.linux.launch_numbers import LaunchNumbersError, reserve


def test_blocks_never_overlap(tmp_path: Path) -> None:
    path = tmp_path / "launches"
    assert [reserve(path, 10) for _ in range(3)] == [1, 11, 21]


def test_a_new_bound_needs_no_space(tmp_path: Path) -> None:
    path = tmp_path / "launches"
    path.write_text("scmd-launches 1\n7\n")  # as earlier versions wrote it
    assert reserve(path, 10) == 7
    before = path.stat()
    assert reserve(path, 10**12) == 17
    after = path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"12\n", b"scmd-launches 2\n5\n", b"scmd-launches 1\n-5\n", b"\xff\n"),
        b"scmd-launches 1\n" + b"9" * 5000 + b"\n",
    ],
)
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "launches"
    path.write_bytes(content)
    with pytest.raises(LaunchNumbersError, match="damaged or of a newer version"):
        reserve(path)
    assert path.read_bytes() == content


def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchNumbersError, match="missing"):
        reserve(tmp_path / "missing" / "launches")
