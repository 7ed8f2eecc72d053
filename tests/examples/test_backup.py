from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import pytest

from scmd.examples import archives as program
from scmd.examples.archives import archives_of, last_manifest, restore
from scmd.examples.backup import Backup, Check, backup
from tests.examples.conftest import Start


def no_check() -> None:
    """Never ends a backup."""


class Folders:
    """A source with three files, and a target."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target, self.restored = (
            folder / name for name in ("source", "target", "restored")
        )
        (self.source / "deep" / "er").mkdir(parents=True)
        (self.source / "a").write_bytes(b"a" * 3_000_000)
        (self.source / "deep" / "b").write_text("b")
        (self.source / "deep" / "er" / "c").write_text("")

    def back_up(self, full_every: int = 24, check: Check = no_check) -> Path | None:
        return Backup(self.source, self.target, full_every, check).run()

    def assert_restored(self) -> None:
        assert restore(self.target, self.restored) == []
        assert contents(self.restored) == contents(self.source)


def contents(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def members(archive: Path | None) -> set[str]:
    assert archive is not None
    with zipfile.ZipFile(archive) as opened:
        return set(opened.namelist()) - {"MANIFEST.json"}


def test_the_first_archive_holds_everything_and_restores(folders: Folders) -> None:
    (folders.source / "a").chmod(0o640)
    archive = folders.back_up()
    assert members(archive) == {"files/a", "files/deep/b", "files/deep/er/c"}
    folders.assert_restored()


def test_the_next_archive_holds_only_what_changed(folders: Folders) -> None:
    folders.back_up()
    (folders.source / "deep" / "b").write_text("changed")
    (folders.source / "new").write_text("new")
    (folders.source / "a").unlink()
    assert members(folders.back_up()) == {"files/deep/b", "files/new"}
    folders.assert_restored()


def test_a_file_that_goes_away_meanwhile_keeps_no_other_from_being_saved(folders: Folders) -> None:
    def check() -> None:
        """Called while "a" is read; "deep/b" was seen, and comes next."""
        if list(folders.target.glob("*.partial")):
            (folders.source / "deep" / "b").unlink(missing_ok=True)

    assert members(folders.back_up(check=check)) == {"files/a", "files/deep/er/c"}
    folders.assert_restored()
    assert folders.back_up() is None


def test_nothing_changed_makes_no_archive(folders: Folders) -> None:
    folders.back_up()
    assert folders.back_up() is None
    assert len(archives_of(folders.target)) == 1


def test_a_deletion_alone_makes_an_archive(folders: Folders) -> None:
    folders.back_up()
    (folders.source / "a").unlink()
    assert members(folders.back_up()) == set()
    folders.assert_restored()


def test_each_stop_in_the_middle_leaves_no_archive_and_the_next_run_makes_it(
    folders: Folders,
) -> None:
    class Stop(Exception):
        pass

    def stop_at(step: int) -> Check:
        steps = iter(range(step))

        def check() -> None:
            if next(steps, None) is None:
                raise Stop

        return check

    for step in range(1000):
        try:
            folders.back_up(check=stop_at(step))
        except Stop:
            assert list(folders.target.iterdir()) == []
        else:
            assert step > 5
            break
    folders.assert_restored()


def test_what_a_killed_backup_left_is_removed(folders: Folders) -> None:
    folders.target.mkdir()
    (folders.target / "backup-000001-full.partial").write_text("torn")
    folders.back_up()
    assert [path.name for path in folders.target.iterdir()] == ["backup-000001-full.zip"]
    folders.assert_restored()


def test_full_archives_come_at_intervals_and_old_ones_go(folders: Folders) -> None:
    for number in range(7):
        (folders.source / "a").write_text(str(number))
        folders.back_up(full_every=3)
    assert [path.stem for path in archives_of(folders.target)] == [
        "backup-000004-full",
        "backup-000005-part",
        "backup-000006-part",
        "backup-000007-full",
    ]
    folders.assert_restored()


def test_after_a_damaged_archive_everything_is_saved_again(folders: Folders) -> None:
    archive = folders.back_up()
    assert archive is not None
    archive.write_bytes(archive.read_bytes()[:100])
    assert last_manifest([archive]) is None
    assert members(folders.back_up()) == {"files/a", "files/deep/b", "files/deep/er/c"}
    folders.assert_restored()


def test_what_was_in_a_removed_archive_is_saved_again(folders: Folders) -> None:
    first = folders.back_up()
    (folders.source / "new").touch()
    folders.back_up()
    assert first is not None
    first.unlink()
    assert restore(folders.target, folders.restored) == ["a", "deep/b", "deep/er/c"]
    assert members(folders.back_up()) == {
        f"files/{name}" for name in ("a", "deep/b", "deep/er/c", "new")
    }
    folders.assert_restored()


def test_the_way_back_is_a_command(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: Path) -> object:
        monkeypatch.setattr("sys.argv", ["archives", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            program.main()
        return ended.value.code

    assert "no archive" in str(command(folders.target, folders.restored))
    assert "usage" in str(command(folders.target))
    folders.back_up()
    assert command(folders.target, folders.restored) is None
    assert contents(folders.restored) == contents(folders.source)
    (folders.source / "new").touch()
    folders.back_up()
    archives_of(folders.target)[0].unlink()
    assert str(command(folders.target, folders.restored)).splitlines()[0] == "lost: a"


def test_a_folder_is_not_saved_into_itself(folders: Folders) -> None:
    with pytest.raises(OSError, match="cannot hold its own backup"):
        Backup(folders.source, folders.source, 24, no_check).run()


def test_what_cannot_be_read_is_left_out_and_named(
    start: Start, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = [str(folders.source / name) for name in ("a", "deep/er")]
    scan = os.scandir

    def scandir(path: str) -> object:
        if str(path) in closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed)
    monkeypatch.setattr(os, "scandir", scandir)
    host = start(backup, Source=str(folders.source), Target=str(folders.target))
    assert [host.entry("Left out").partition(": ")[2] for _ in closed] == closed
    assert members(archives_of(folders.target)[0]) == {"files/deep/b"}


def test_a_target_within_the_source_does_not_save_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("file")
    for text in ("one", "two"):
        (tmp_path / "file").write_text(text)
        archive = Backup(tmp_path, tmp_path / "backups", 24, no_check).run()
        assert members(archive) == {"files/file"}


def test_links_sockets_and_any_bytes_as_names_are_coped_with(folders: Folders) -> None:
    (folders.source / "link").symlink_to("nowhere")
    os.mkfifo(folders.source / "fifo")
    (folders.source / os.fsdecode(b"\xff")).write_text("bytes")
    folders.back_up()
    assert contents(folders.source).keys() > {"a"}
    restore(folders.target, folders.restored)
    assert (folders.restored / os.fsdecode(b"\xff")).read_text() == "bytes"
    assert not (folders.restored / "link").exists()


def test_contents_that_do_not_reach_the_archive_are_noticed(folders: Folders) -> None:
    class Torn(Backup):
        def digest(self, source, copy=len):  # type: ignore[no-untyped-def] # as the one it takes the place of
            return super().digest(source, lambda data: copy(data[1:]))

    with pytest.raises(OSError, match="did not reach"):
        Torn(folders.source, folders.target, 24, no_check).run()
    assert archives_of(folders.target) == []


def test_the_service_makes_one_at_start_and_one_at_control_200(
    start: Start, folders: Folders
) -> None:
    host = start(backup, Source=str(folders.source), Target=str(folders.target))
    host.entry("backup-000001-full.zip")
    (folders.source / "a").write_text("changed")
    host.control(200)
    host.entry("backup-000002-part.zip")
    assert host.stop().win32_exit_code == 0
    folders.assert_restored()


def test_the_service_goes_on_when_the_source_is_missing(start: Start, folders: Folders) -> None:
    missing = folders.source.with_name("missing")
    host = start(backup, Source=str(missing), Target=str(folders.target))
    host.entry("No backup of")
    missing.mkdir()
    (missing / "file").touch()
    host.control(200)
    host.entry("backup-000001-full.zip")
