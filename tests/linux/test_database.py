"""The database: what is saved is there, what is refused leaves no trace, nobody waits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scmd.core import control_values
from scmd.core.messages import SaveId, ServiceId, StoredService
from scmd.core.messages.effects import RemoveRecord, SaveRecord
from scmd.linux.database import Change, Database, DatabaseError, SaveControl, win32_error
from scmd.vocabulary.configuration import FailureActions, ServiceConfig, Trigger
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryType, RegistryValue

Commit = Callable[[sqlite3.Connection], None]


class Saver:
    """Submits changes and collects what is reported."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reported: list[tuple[SaveId, Error]] = []
        self._count = 0
        self._condition = threading.Condition()

    def submit(self, change: Change) -> None:
        self._count += 1
        self.database.submit(change, self._done)

    def save(self, change: Change) -> Error:
        self.submit(change)
        self.wait()
        return self.reported[-1][1]

    def wait(self) -> list[tuple[SaveId, Error]]:
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.reported) == self._count, 30)
        return self.reported

    def _done(self, save: SaveId, error: Error) -> None:
        with self._condition:
            self.reported.append((save, error))
            self._condition.notify_all()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database.open(path)
    yield opened
    opened.close()


def record(number: int, name: str = "", **fields: object) -> SaveRecord:
    config = ServiceConfig(name=name or f"S{number}", display_name=name or f"S{number}")
    return SaveRecord(
        save=SaveId(number),
        service=ServiceId(number),
        config=config.replace(**fields),
        parameters={},
    )


def reopened(path: Path) -> list[StoredService]:
    database = Database.open(path)
    try:
        return database.load()
    finally:
        database.close()


def test_a_new_database_is_empty_and_private(database: Database, path: Path) -> None:
    assert database.load() == []
    assert database.first_free_number() == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_record_is_back_after_a_restart(database: Database, path: Path) -> None:
    save = SaveRecord(
        save=SaveId(1),
        service=ServiceId(7),
        config=ServiceConfig(
            name="Web",
            display_name="Web server €",
            dependencies=("A", "+G"),
            failure_actions=FailureActions(reset_period_s=9),
            triggers=tuple(Trigger(type=n, action=1, subtype=b"x" * 16) for n in range(12)),
            security=b"\0\1",
        ),
        parameters={
            "Application": RegistryValue.of("/bin/x"),
            "AppEvents\\Start\\Pre": RegistryValue.of(["a", ""]),
            "AppEvents\\Exit\\Post": RegistryValue(type=RegistryType.EXPAND_SZ, data="\udc00"),
        },
        deleted=True,
    )
    assert Saver(database).save(save) is Error.SUCCESS
    database.close()
    assert save.parameters is not None
    expected = StoredService(
        id=save.service, config=save.config, parameters=save.parameters, deleted=True
    )
    assert reopened(path) == [expected]


def test_a_change_replaces_what_was_and_keeps_what_is_unknown(
    database: Database, path: Path
) -> None:
    saver = Saver(database)
    trigger = Trigger(type=1, action=1, subtype=b"x" * 16)
    saver.save(record(1, "Web", description="old", security=b"x", triggers=(trigger,)))
    with sqlite3.connect(path) as other:
        other.execute(
            "UPDATE keys SET cells = json_set(cells, '$.Odd', json('[1,\"kept\"]'))"
            " WHERE name = 'Web'"
        )
        other.execute("INSERT INTO keys (parent, name, name_key) VALUES (5, 'Enum', 'ENUM')")
    other.close()
    saver.save(record(1, "Web", start_type=4))
    assert database.load()[0].config == ServiceConfig(name="Web", display_name="Web", start_type=4)
    with sqlite3.connect(path) as other:
        rows = other.execute("SELECT name, data FROM registry WHERE path LIKE '%Services\\Web'")
        values = dict(rows)
        keys = {row[0] for row in other.execute("SELECT name FROM keys WHERE parent = 5")}
    other.close()
    assert values["Odd"] == "kept"
    assert values["Start"] == 4
    assert "Description" not in values
    assert keys == {"Enum"}


def test_parameters_that_are_none_stay(database: Database) -> None:
    saver = Saver(database)
    parameters = {"A": RegistryValue.of("x"), "B\\C": RegistryValue.of(1)}
    web = ServiceConfig(name="Web", display_name="Web")
    first = SaveRecord(save=SaveId(1), service=ServiceId(1), config=web, parameters=parameters)
    saver.save(first)
    saver.save(SaveRecord(save=SaveId(2), service=ServiceId(1), config=web))
    assert database.load()[0].parameters == parameters
    saver.save(record(1, "Web"))
    assert database.load()[0].parameters == {}


def test_a_removed_record_is_gone_and_its_number_is_never_free_again(
    database: Database, path: Path
) -> None:
    saver = Saver(database)
    saver.save(record(1))
    saver.save(record(2))
    assert saver.save(RemoveRecord(save=SaveId(3), service=ServiceId(2))) is Error.SUCCESS
    assert saver.save(RemoveRecord(save=SaveId(4), service=ServiceId(2))) is Error.SUCCESS
    database.close()
    assert [stored.id for stored in reopened(path)] == [1]
    again = Database.open(path)
    assert again.first_free_number() == 3
    assert again.settings().first_service == 3
    assert Saver(again).save(record(3, "S2")) is Error.SUCCESS
    again.close()


@pytest.mark.parametrize("name", ["..", ".", "€" * 256, "a'b\"; --", "\x1b[31m", "ß", "İ", " "])
def test_any_legal_name_is_only_a_name(database: Database, tmp_path: Path, name: str) -> None:
    assert Saver(database).save(record(1, name)) is Error.SUCCESS
    assert database.load()[0].config.name == name
    assert all(entry.name.startswith("registry.db") for entry in tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused_in_any_case(database: Database) -> None:
    saver = Saver(database)
    assert saver.save(record(1, "Größe")) is Error.SUCCESS
    assert saver.save(record(2, "GRÖßE")) is Error.SERVICE_EXISTS
    assert saver.save(record(3, "GRÖSSE")) is Error.SUCCESS
    assert [stored.id for stored in database.load()] == [1, 3]


class HeldCommits:
    """Commits that wait until they may; what comes meanwhile is one group."""

    def __init__(self) -> None:
        self.entered, self.proceed = threading.Event(), threading.Event()
        self.count = 0

    def commit(self, connection: sqlite3.Connection) -> None:
        self.entered.set()
        assert self.proceed.wait(30)
        connection.commit()
        self.count += 1


def test_a_change_that_fails_leaves_the_rest_of_its_group_alone(path: Path) -> None:
    commits = HeldCommits()
    database = Database.open(path, commit=commits.commit)
    saver = Saver(database)
    saver.submit(record(1, "First"))
    assert commits.entered.wait(30)
    bad = RegistryValue(type=RegistryType.DWORD, data="not a number")
    saver.submit(record(2))
    saver.submit(
        SaveRecord(
            save=SaveId(3),
            service=ServiceId(3),
            config=ServiceConfig(name="Bad"),
            parameters={"A": bad},
        )
    )
    saver.submit(record(4, "FIRST"))
    saver.submit(record(5))
    commits.proceed.set()
    assert saver.wait() == [
        (1, Error.SUCCESS),
        (2, Error.SUCCESS),
        (3, Error.INVALID_DATA),
        (4, Error.SERVICE_EXISTS),
        (5, Error.SUCCESS),
    ]
    assert [stored.id for stored in database.load()] == [1, 2, 5]
    assert commits.count == 2
    database.close()


def test_changes_are_committed_in_groups(path: Path) -> None:
    commits = HeldCommits()
    database = Database.open(path, commit=commits.commit)
    saver = Saver(database)
    saver.submit(record(1))
    assert commits.entered.wait(30)
    for number in range(2, 102):
        saver.submit(record(number))
    commits.proceed.set()
    assert all(error is Error.SUCCESS for _, error in saver.wait())
    assert [save for save, _ in saver.reported] == list(range(1, 102))
    assert commits.count == 2
    database.close()


def test_nothing_is_reported_before_the_commit_returned(path: Path) -> None:
    story: list[str] = []

    def commit(connection: sqlite3.Connection) -> None:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        story.append("commit starts")
        connection.commit()
        story.append("commit returned")

    database = Database.open(path, commit=commit)
    for number in range(1, 4):
        told = threading.Event()

        def done(save: SaveId, error: Error, told: threading.Event = told) -> None:
            story.append(f"{save} is {error.name}")
            told.set()

        database.submit(record(number), done)
        assert told.wait(30)
    database.close()
    expected = []
    for number in range(1, 4):
        expected += ["commit starts", "commit returned", f"{number} is SUCCESS"]
    assert story == expected


def test_a_slow_commit_blocks_neither_readers_nor_submitters(path: Path) -> None:
    Database.open(path).close()
    entered, proceed = threading.Event(), threading.Event()

    def commit(connection: sqlite3.Connection) -> None:
        entered.set()
        assert proceed.wait(30)
        connection.commit()

    database = Database.open(path, commit=commit)
    saver = Saver(database)
    saver.submit(record(1))
    assert entered.wait(30)
    # The commit hangs until `proceed`; all of this returns before it.
    saver.submit(record(2))
    assert database.load() == []
    assert database.control_values() == {}
    assert saver.reported == []
    proceed.set()
    assert saver.wait() == [(1, Error.SUCCESS), (2, Error.SUCCESS)]
    database.close()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (sqlite3.OperationalError("disk I/O error"), Error.WRITE_FAULT),
        (OSError(28, "No space left on device"), Error.DISK_FULL),
        (OSError(5, "Input/output error"), Error.WRITE_FAULT),
    ],
)
def test_a_failed_commit_is_reported_and_undone(
    path: Path, failure: Exception, error: Error
) -> None:
    failing = [True]

    def commit(connection: sqlite3.Connection) -> None:
        if failing[0]:
            raise failure
        connection.commit()

    database = Database.open(path, commit=commit)
    saver = Saver(database)
    assert saver.save(record(1, "Web")) is error
    assert database.load() == []
    failing[0] = False
    assert saver.save(record(2, "Web")) is Error.SUCCESS
    assert [stored.id for stored in database.load()] == [2]
    database.close()


def test_when_a_group_fails_each_change_gets_its_own_verdict(path: Path) -> None:
    entered, proceed = threading.Event(), threading.Event()

    def commit(connection: sqlite3.Connection) -> None:
        entered.set()
        assert proceed.wait(30)
        names = {row[0] for row in connection.execute("SELECT name FROM keys")}
        if "Doomed" in names:
            raise sqlite3.OperationalError("disk I/O error")
        connection.commit()

    database = Database.open(path, commit=commit)
    saver = Saver(database)
    saver.submit(record(1))
    assert entered.wait(30)
    for number, name in ((2, "A"), (3, "Doomed"), (4, "B")):
        saver.submit(record(number, name))
    proceed.set()
    assert saver.wait()[1:] == [
        (2, Error.SUCCESS),
        (3, Error.WRITE_FAULT),
        (4, Error.SUCCESS),
    ]
    database.close()
    assert [stored.id for stored in reopened(path)] == [1, 2, 4]


def test_a_full_database_is_error_112(path: Path) -> None:
    database = Database.open(path, commit=lambda connection: connection.commit())
    saver = Saver(database)
    saver.save(record(1))
    pages = database._connection.execute("PRAGMA page_count").fetchone()[0]
    database._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    huge = record(2, description="x" * 200_000)
    assert saver.save(huge) is Error.DISK_FULL
    assert saver.save(record(1, description="small")) is Error.SUCCESS
    database.close()
    assert [stored.config.description for stored in reopened(path)] == ["small"]


def test_nothing_is_saved_in_a_file_that_was_removed(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saver = Saver(database)
    assert saver.save(record(1)) is Error.SUCCESS
    moved = path.rename(path.with_name("moved"))
    assert [saver.save(record(2)), saver.save(record(3))] == 2 * [Error.WRITE_FAULT]
    assert len(caplog.records) == 1
    moved.rename(path)
    assert saver.save(record(2)) is Error.SUCCESS
    database.close()
    assert len(reopened(path)) == 2


def test_nothing_is_saved_without_the_file_beside_it(database: Database, path: Path) -> None:
    """SQLite's write-ahead log: what was committed last is nowhere else."""
    saver = Saver(database)
    assert saver.save(record(1)) is Error.SUCCESS
    path.with_name(f"{path.name}-wal").unlink()
    assert saver.save(record(2)) is Error.WRITE_FAULT
    database.close()
    assert [stored.id for stored in reopened(path)] == [1]


def test_a_missing_file_is_made_only_when_that_is_wanted(path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"registry\.db is missing"):
        Database.open(path, create=False)
    assert list(path.parent.iterdir()) == []


def test_close_writes_what_was_submitted(database: Database, path: Path) -> None:
    saver = Saver(database)
    for number in range(1, 51):
        saver.submit(record(number))
    database.close()
    assert len(saver.reported) == 50
    assert len(reopened(path)) == 50


def test_a_record_that_makes_no_sense_is_named_and_kept(database: Database, path: Path) -> None:
    saver = Saver(database)
    for number in (1, 2, 3):
        saver.save(record(number))
    with sqlite3.connect(path) as other:
        other.execute(
            "UPDATE keys SET cells = json_set(cells, '$.Start', json('[1,\"2\"]'))"
            " WHERE name = 'S2'"
        )
    other.close()
    assert [stored.id for stored in database.load()] == [1, 3]
    assert database.problems == (
        "SYSTEM\\CurrentControlSet\\Services\\S2: value Start has type 1, expected REG_DWORD",
    )
    assert saver.save(record(4, "S2")) is Error.SERVICE_EXISTS


def test_control_values_make_the_settings(database: Database) -> None:
    values = {
        control_values.GROUP_ORDER: RegistryValue.of(["Base", "Net"]),
        control_values.KILL_TIMEOUT: RegistryValue.of("5000"),
        control_values.PIPE_TIMEOUT: RegistryValue.of(7000),
        control_values.AUTO_START_DELAY: RegistryValue.of(10),
        control_values.RESTART_LIMIT: RegistryValue.of(3),
        control_values.RESTART_LIMIT_PERIOD: RegistryValue.of(60_000),
        control_values.REBOOT_COMMAND: RegistryValue.of("/sbin/reboot"),
        "Odd": RegistryValue.of(b"\1"),
    }
    saver = Saver(database)
    assert saver.save(SaveControl(save=SaveId(1), values=values)) is Error.SUCCESS
    assert database.control_values() == values
    settings = database.settings(first_launch=9, single_user=True)
    assert settings.group_order == ("Base", "Net")
    assert (settings.kill_timeout, settings.pipe_timeout) == (5000, 7000)
    assert (settings.auto_start_delay, settings.first_launch) == (10_000, 9)
    assert (settings.crash_loop_limit, settings.crash_loop_period) == (3, 60_000)
    assert settings.reboot_command == "/sbin/reboot"
    assert settings.single_user
    removed: dict[str, RegistryValue | None] = {"odd": None, "ServiceGroupOrder\\LIST": None}
    saver.save(SaveControl(save=SaveId(2), values=removed))
    assert set(database.control_values()) == set(values) - {"Odd", control_values.GROUP_ORDER}


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (OSError(122, "Disk quota exceeded"), Error.DISK_FULL),
        (sqlite3.OperationalError("database is locked"), Error.WRITE_FAULT),
    ],
)
def test_failures_are_win32_errors(failure: Exception, error: Error) -> None:
    assert win32_error(failure) is error
