"""The database's file: damaged, foreign, newer and older ones, kills and torn copies."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from scmd.core.messages import SaveId, StoredService
from scmd.linux import database_file
from scmd.linux.database import Database, DatabaseError
from scmd.vocabulary.errors import Error
from tests.linux.database_writer import RECORDS, save_of

KILLS = 100
TORN_COPIES = 150


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


def ignore(save: SaveId, error: Error) -> None:
    pass


def fill(path: Path, saves: int = 60) -> None:
    database = Database.open(path)
    for number in range(saves):
        database.submit(save_of(number), ignore)
    database.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(path: Path) -> str:
    """The refusal's text, after looking that the file was left as it was."""
    before = digest(path)
    with pytest.raises(DatabaseError) as refusal:
        Database.open(path)
    assert digest(path) == before
    return str(refusal.value)


def numbers(path: Path) -> dict[int, int]:
    """The last save of each record, after looking that every record is whole."""
    database = Database.open(path)
    stored: list[StoredService] = database.load()
    assert database.problems == ()
    database.close()
    found: dict[int, int] = {}
    for service in stored:
        number = int(service.config.description)
        assert service.parameters["Sub\\Number"].data == number
        assert service.id == number % RECORDS + 1
        found[int(service.id)] = number
    return found


# Refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"hello, world" * 100, id="text"),
        pytest.param(lambda data: data[:50], id="cut in the header"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut in half"),
        pytest.param(lambda data: data[:4096] + b"\0" * (len(data) - 4096), id="zeroed"),
        pytest.param(lambda data: data[:100] + b"\xff" * 8000 + data[8100:], id="overwritten"),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(path: Path, damage: object) -> None:
    fill(path)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    text = refused(path)
    assert "registry.db" in text
    assert "left as it is" in text
    assert "restore a copy" in text


def test_damage_anywhere_is_refused_or_leaves_whole_records(path: Path) -> None:
    fill(path, 400)
    data = path.read_bytes()
    random_source = random.Random(7)
    for _ in range(40):
        position = random_source.randrange(len(data))
        length = random_source.choice((1, 16, 4096))
        noise = random_source.randbytes(length)
        path.write_bytes(data[:position] + noise + data[position + length :])
        try:
            database = Database.open(path)
        except DatabaseError:
            continue
        try:
            database.load()
        except DatabaseError:
            pass
        finally:
            database.close()


def test_an_empty_file_is_refused(path: Path) -> None:
    path.touch()
    assert "the file is empty" in refused(path)
    path.unlink()
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").connection.close()
    assert "no tables of scmd" in refused(path)


def test_a_log_without_its_file_is_refused(path: Path) -> None:
    log = path.with_name("registry.db-wal")
    log.write_bytes(b"x" * 100)
    with pytest.raises(DatabaseError, match="write-ahead log"):
        Database.open(path)
    assert not path.exists()
    assert log.read_bytes() == b"x" * 100


def test_another_programs_database_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (a)")
    other.close()
    assert "no tables of scmd" in refused(path)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA application_id = 17")
    other.close()
    assert "another program's" in refused(path)


def test_a_newer_format_is_refused_untouched(path: Path) -> None:
    fill(path, 5)
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA user_version = {database_file.FORMAT + 1}")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    text = refused(path)
    assert f"format {database_file.FORMAT + 1}" in text
    assert "newer scmd" in text


def test_a_newer_format_that_is_only_in_the_log_is_refused(path: Path, tmp_path: Path) -> None:
    fill(path, 5)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA user_version = 99")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("registry.db", "registry.db-wal"):
        shutil.copy(tmp_path / name, copy / name)
    writer.close()
    log = digest(copy / "registry.db-wal")
    assert "format 99" in refused(copy / "registry.db")
    assert digest(copy / "registry.db-wal") == log


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="No such file"):
        Database.open(tmp_path / "nowhere" / "registry.db")


# Creation and migration -------------------------------------------------------------------


def test_a_creation_that_was_interrupted_is_begun_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)
        with pytest.raises(Killed):
            Database.open(path)
    assert [each.name for each in path.parent.iterdir()] == ["registry.db.new"]
    path.with_name("registry.db.new").write_bytes(b"half a database")
    Database.open(path).close()
    assert numbers(path) == {}
    assert [each.name for each in path.parent.iterdir()] == ["registry.db"]


def add_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE added (a)")


def fail(connection: sqlite3.Connection) -> None:
    add_table(connection)
    raise RuntimeError("no luck")


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    finally:
        connection.close()


def test_an_older_format_is_migrated_after_a_copy_was_made(path: Path) -> None:
    fill(path)
    before = numbers(path)
    migrations = {1: add_table, 2: lambda connection: None}
    connection = database_file.open_file(path, format=3, migrations=migrations)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 3
    connection.close()
    assert "added" in tables(path)
    copy = path.with_name("registry.db.format1")
    assert "added" not in tables(copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert numbers(copy) == before


def test_a_full_disk_is_named_and_no_repair_is_advised(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)
    free = SimpleNamespace(f_bavail=0, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda folder: free)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", raising(sqlite3.OperationalError("disk I/O error")))
        assert refused(path).endswith("is full. Nothing was changed: make room and start again")
    free.f_bavail = 1000
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", raising(sqlite3.OperationalError("disk I/O error")))
        assert "disk I/O error. It was left as it is" in refused(path)


def raising(error: Exception) -> Callable[..., object]:
    def call(*arguments: object, **options: object) -> object:
        raise error

    return call


def test_a_format_that_never_was_is_refused_without_a_copy(path: Path) -> None:
    fill(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(DatabaseError, match=r"no format that scmd has ever written.*move it aside"):
        database_file.open_file(path)
    assert not path.with_name("registry.db.format0").exists()


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    fill(path)
    before = numbers(path)
    with pytest.raises(DatabaseError, match=r"from format 1 to 3.*no luck"):
        database_file.open_file(path, format=3, migrations={1: lambda _: None, 2: fail})
    assert "added" not in tables(path)
    assert numbers(path) == before


# Kills and torn copies --------------------------------------------------------------------


def after_saves(count: int) -> dict[int, int]:
    """The last save of each record after saves 0 to count - 1."""
    return {number % RECORDS + 1: number for number in range(count)}


def saves_in(path: Path) -> int:
    """How many saves a database holds, after looking that these are all the first ones."""
    found = numbers(path)
    count = max(found.values(), default=-1) + 1
    assert found == after_saves(count)
    return count


def test_what_was_reported_survives_kills_at_random_points(path: Path) -> None:
    source = random.Random(5)
    with Writers(path) as writers:
        saves = 0
        for _ in range(KILLS):
            reported = writers.write_until_killed(saves, source.randrange(1, 30))
            assert reported == list(range(saves, saves + len(reported)))
            saves_there = saves_in(path)
            assert saves_there >= saves + len(reported)
            saves = saves_there


class Writers:
    """Processes that save records, each killed in the middle of it."""

    def __init__(self, path: Path, watch: Sequence[str] = ()) -> None:
        self._server = subprocess.Popen(
            [*watch, sys.executable, "-m", "tests.linux.database_writer", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.communicate(timeout=30)

    def write_until_killed(self, first: int, lines: int) -> list[int]:
        """Kill a writer after it reported so many saves; all that it reported."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(b"%d\n" % first)
        self._server.stdin.flush()
        writer = int(self._server.stdout.readline())
        reported = [int(self._server.stdout.readline()) for _ in range(lines)]
        os.kill(writer, signal.SIGKILL)
        while (line := self._server.stdout.readline()) != b"end\n":
            reported.append(int(line))
        return reported


def test_a_torn_log_reopens_to_a_state_that_was(path: Path, tmp_path: Path) -> None:
    whole, log = _copies_with_a_log(path)
    torn = tmp_path / "torn" / "registry.db"
    torn.parent.mkdir()
    source = random.Random(11)
    seen = set()
    for _ in range(TORN_COPIES):
        for old in torn.parent.iterdir():
            old.unlink()
        garbage = source.randbytes(source.choice((0, 0, 100, 5000)))
        torn.write_bytes(whole)
        torn.with_name("registry.db-wal").write_bytes(
            log[: source.randrange(len(log) + 1)] + garbage
        )
        seen.add(saves_in(torn))
    assert min(seen) < 20
    assert len(seen) > 10


def _copies_with_a_log(path: Path) -> tuple[bytes, bytes]:
    """A database and its write-ahead log, with 60 saves in commits of their own."""
    Database.open(path).close()
    database = Database.open(path)
    for number in range(60):
        told = threading.Event()
        database.submit(save_of(number), lambda save, error, told=told: told.set())  # type: ignore[misc] # a default binds the loop's event
        assert told.wait(30)
    files = path.read_bytes(), path.with_name("registry.db-wal").read_bytes()
    database.close()
    return files


@pytest.mark.peers("strace")
def test_the_disk_has_answered_before_a_save_is_reported(path: Path, tmp_path: Path) -> None:
    """Watched at the system calls: log written, log synced, only then the report."""
    fill(path, 1)
    trace = tmp_path / "trace"
    watch = ["strace", "-f", "-y", "-e", "trace=pwrite64,fdatasync,fsync,write", "-o", str(trace)]
    with Writers(path, watch) as writers:
        writers.write_until_killed(1, 30)
    synced, reports = False, []
    for line in trace.read_text().splitlines():
        if "sync" in line:
            # A call that another thread interrupts is two lines, `unfinished` and `resumed`.
            synced = line.endswith(" = 0")
        elif "pwrite64(" in line:
            synced = False
        elif " write(1<" in line:
            reports.append(synced)
    own_pid, *saves = reports
    assert not own_pid
    assert len(saves) >= 30
    assert all(saves[:30])
