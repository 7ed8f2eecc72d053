from __future__ import annotations

from pathlib import Path

import pytest

from scmd.linux.launch_numbers import LaunchNumbersError, reserve


def test_blocks_never_overlap(tmp_path: Path) -> None:
    path = tmp_path / "launches"
    assert [reserve(path, 10) for _ in range(3)] == [1, 11, 21]


@pytest.mark.parametrize("content", ["", "12\n", "scmd-launches 2\n5\n", "scmd-launches 1\n-5\n"])
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "launches"
    path.write_text(content)
    with pytest.raises(LaunchNumbersError, match="damaged or of a newer version"):
        reserve(path)
    assert path.read_text() == content


def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchNumbersError, match="missing"):
        reserve(tmp_path / "missing" / "launches")
