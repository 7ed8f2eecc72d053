"""Crash bundles on disk: numbered, the newest few of each service, gone with the record."""

from __future__ import annotations

from pathlib import Path

from scmd.linux import crash_files


def write(folder: Path, service: int) -> int:
    return crash_files.write(folder, service, lambda number: b"%d/%d" % (service, number), keep=3)


def test_the_newest_few_are_kept_and_numbers_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "crashes"
    assert crash_files.read(folder, 1) == b""
    assert [write(folder, 1) for _ in range(5)] == [1, 2, 3, 4, 5]
    write(folder, 11)
    assert [crash_files.read(folder, 1, age) for age in range(4)] == [b"1/5", b"1/4", b"1/3", b""]
    assert crash_files.read(folder, 11) == b"11/1"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "1-5.json").stat().st_mode & 0o777 == 0o600


def test_bundles_go_with_their_record(tmp_path: Path) -> None:
    for service in (1, 2, 11):
        write(tmp_path, service)
    (tmp_path / "1-9.json.new").write_bytes(b"unfinished")
    (tmp_path / "notes").write_bytes(b"mine")
    assert crash_files.read(tmp_path, 1) == b"1/1"
    crash_files.remove(tmp_path, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"2-1.json", "11-1.json", "notes"}
    crash_files.retain(tmp_path, {2})
    assert {path.name for path in tmp_path.iterdir()} == {"2-1.json", "notes"}
    crash_files.retain(tmp_path / "none", ())
    crash_files.remove(tmp_path / "none", 1)
