"""The SCM database: service records and SCM-wide values, durable.

The event loop never waits for the disk. One writer thread takes what was submitted since
its last commit, makes one transaction of it, and reports only after the commit (and its
fsync) has returned. A change that fails alone is undone alone; when a whole transaction
fails, its changes are tried again one by one, so that each gets its own verdict.

What the values of a record are called is `storage.records`'s; opening and checking the
file is `database_file.py`'s; deciding what to write is the core's.
"""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from scmd.core.messages import (
    Parameters,
    RemoveRecord,
    SaveId,
    SaveRecord,
    ServiceId,
    Settings,
    StoredService,
)
from scmd.linux import database_file
from scmd.linux.database_file import CONTROL_KEY, SERVICES_KEY, DatabaseError, connect
from scmd.storage import control_values, records
from scmd.storage.cells import (
    Cells,
    RecordError,
    cell_of,
    cells_from_json,
    cells_to_json,
    value_of,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryValue

__all__ = ["Change", "Database", "DatabaseError", "Done", "SaveControl"]

Done = Callable[[SaveId, Error], None]
"""Told once, on the writer thread, what became of a change: SUCCESS means it is durable."""

MAX_GROUP = 512
"""Most changes in one transaction."""


@dataclass(frozen=True, slots=True)
class SaveControl:
    """Change SCM-wide values; names are paths below Control, None deletes."""

    save: SaveId
    values: Mapping[str, RegistryValue | None]


Change = SaveRecord | RemoveRecord | SaveControl


class Database:
    """An open database. Its methods may be called from one thread, `submit` from any."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        commit: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._path = path
        self._connection = connection
        self._commit = commit
        self._queue: SimpleQueue[tuple[Change, Done] | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="database", daemon=True)
        self._closed = False
        self.problems: tuple[str, ...] = ()
        """What was passed over when reading: what makes no sense; it is kept in the file."""
        self.commits = 0
        """Transactions committed since `open`."""

    @classmethod
    def open(
        cls, path: Path, *, commit: Callable[[sqlite3.Connection], None] = sqlite3.Connection.commit
    ) -> Database:
        """Check and open the database, creating it when missing; start the writer.

        `commit` is what makes a transaction durable; tests slow it down or let it fail.
        DatabaseError: the file is damaged, foreign or newer; it was left as it is.
        """
        database = cls(path, database_file.open_file(path), commit)
        database._writer.start()
        return database

    def submit(self, change: Change, done: Done) -> None:
        """Queue a change; changes are applied in the order submitted. Never blocks."""
        assert not self._closed, "the database is closed"
        self._queue.put((change, done))

    def close(self) -> None:
        """Write what was submitted, report it, and let go of the file."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._writer.join()
            self._connection.close()

    # Reading ------------------------------------------------------------------------------

    def load(self) -> list[StoredService]:
        """Every record, by number. What makes no sense is passed over and in `problems`."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            with self._reading() as connection:
                return self._load(connection)
        finally:
            if was_enabled:
                gc.enable()

    def first_free_number(self) -> int:
        """One more than every record number that was ever saved."""
        with self._reading() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'")
            return int((row.fetchone() or (0,))[0]) + 1

    def control_values(self) -> dict[str, RegistryValue]:
        """The SCM-wide values, by path below Control."""
        with self._reading() as connection:
            rows = _tree(connection, CONTROL_KEY)
        values: dict[str, RegistryValue] = {}
        problems: list[str] = []
        for path, text in rows:
            key = f"{records.CONTROL}\\{path}" if path else records.CONTROL
            prefix = f"{path}\\" if path else ""
            try:
                for name, cell in cells_from_json(text, key).items():
                    values[prefix + name] = value_of(cell, key, name)
            except RecordError as error:
                problems.append(str(error))
        self.problems += tuple(problem for problem in problems if problem not in self.problems)
        return values

    def settings(
        self,
        *,
        first_launch: int = 1,
        single_user: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Settings:
        """The SCM's settings: what is stored, with what only the host knows."""
        values = self.control_values()
        default = Settings()
        return Settings(
            pipe_timeout=control_values.number(
                values, control_values.PIPE_TIMEOUT, default.pipe_timeout
            ),
            kill_timeout=control_values.number(
                values, control_values.KILL_TIMEOUT, default.kill_timeout
            ),
            group_order=control_values.group_order(values),
            first_launch=first_launch,
            first_service=self.first_free_number(),
            auto_start_delay=control_values.number(
                values, control_values.AUTO_START_DELAY, default.auto_start_delay // 1000
            )
            * 1000,
            single_user=single_user,
            environment=dict(environment or {}),
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, so that reading waits for nobody's commit."""
        try:
            connection = connect(self._path)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise DatabaseError(database_file.advice(self._path, str(error))) from error

    def _load(self, connection: sqlite3.Connection) -> list[StoredService]:
        subkeys = _subkeys(connection)
        loaded: list[StoredService] = []
        problems: list[str] = []
        rows = connection.execute(
            "SELECT number, key, name, cells FROM records JOIN keys ON keys.id = key"
            " ORDER BY number"
        )
        for number, key, name, text in rows:
            try:
                loaded.append(_stored(ServiceId(number), _name(name), text, subkeys.get(key, ())))
            except RecordError as error:
                problems.append(str(error))
        self.problems = tuple(problems)
        return loaded

    # Writing, on the writer's thread ------------------------------------------------------

    def _write(self) -> None:
        closing = False
        while not closing:
            group: list[tuple[Change, Done]] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) == MAX_GROUP or self._queue.empty():
                    break
                item = self._queue.get()
            closing = item is None
            if group:
                self._write_group(group)

    def _write_group(self, group: list[tuple[Change, Done]]) -> None:
        outcomes = self._transaction([change for change, _ in group])
        if outcomes is None and len(group) > 1:
            for single in group:
                self._write_group([single])
            return
        if outcomes is None:
            outcomes = [self._failure]
        for (change, done), outcome in zip(group, outcomes, strict=True):
            done(change.save, outcome)

    def _transaction(self, changes: list[Change]) -> list[Error] | None:
        """What became of each change; None when nothing of them could be committed."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply_alone(change) for change in changes]
            self._commit(connection)
        except (sqlite3.Error, OSError) as error:
            self._failure = win32_error(error)
            if connection.in_transaction:
                connection.rollback()
            return None
        self.commits += 1
        return outcomes

    def _apply_alone(self, change: Change) -> Error:
        """Apply one change within the transaction, or leave no trace of it."""
        connection = self._connection
        connection.execute("SAVEPOINT one")
        try:
            _apply(connection, change)
        except (RecordError, sqlite3.IntegrityError, UnicodeEncodeError) as error:
            connection.execute("ROLLBACK TO one")
            return win32_error(error)
        finally:
            if connection.in_transaction:
                connection.execute("RELEASE one")
        return Error.SUCCESS


def win32_error(error: Exception) -> Error:
    """The Win32 error for a failed write."""
    if isinstance(error, sqlite3.IntegrityError):
        return Error.SERVICE_EXISTS
    if isinstance(error, (RecordError, UnicodeEncodeError)):
        return Error.INVALID_DATA
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (28, 122):
        return Error.DISK_FULL
    return Error.WRITE_FAULT


# Names of keys: TEXT, or a BLOB when they hold lone surrogates ------------------------------


def _stored_text(text: str) -> str | bytes:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _name(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


# Rows to records ----------------------------------------------------------------------------


def _subkeys(connection: sqlite3.Connection) -> dict[int, list[tuple[str, str]]]:
    """Path and document of every key below a record's key, by the id of the record's key."""
    place: dict[int, tuple[int, str]] = {
        key: (key, "") for (key,) in connection.execute("SELECT key FROM records")
    }
    found: dict[int, list[tuple[str, str]]] = {}
    # A key's id is always above its parent's, because ids are never used again.
    for id, parent, name, text in connection.execute(
        "SELECT id, parent, name, cells FROM keys WHERE parent > ? ORDER BY id", (CONTROL_KEY,)
    ):
        if parent in place:
            owner, path = place[parent]
            path = f"{path}\\{_name(name)}" if path else _name(name)
            place[id] = (owner, path)
            found.setdefault(owner, []).append((path, text))
    return found


def _stored(
    number: ServiceId, name: str, text: str, rows: Iterable[tuple[str, str]]
) -> StoredService:
    key = f"{records.SERVICES}\\{name}"
    subkeys = {path: cells_from_json(cells, f"{key}\\{path}") for path, cells in rows}
    config, deleted = records.config_from_cells(name, cells_from_json(text, key), subkeys)
    parameters: Parameters = records.parameters_from_cells(name, subkeys) if subkeys else {}
    return StoredService(id=number, config=config, parameters=parameters, deleted=deleted)


def _tree(connection: sqlite3.Connection, root: int) -> list[tuple[str, str]]:
    """Path below `root` and document of it and of every key below it."""
    paths: dict[int, str] = {root: ""}
    text = connection.execute("SELECT cells FROM keys WHERE id = ?", (root,)).fetchone()[0]
    found = [("", text)]
    for id, parent, name, cells in connection.execute(
        "SELECT id, parent, name, cells FROM keys WHERE id > ? ORDER BY id", (root,)
    ):
        if parent in paths:
            path = f"{paths[parent]}\\{_name(name)}" if paths[parent] else _name(name)
            paths[id] = path
            found.append((path, cells))
    return found


# Records to rows ----------------------------------------------------------------------------


def _apply(connection: sqlite3.Connection, change: Change) -> None:
    if isinstance(change, SaveRecord):
        _save_record(connection, change)
    elif isinstance(change, RemoveRecord):
        connection.execute(
            "DELETE FROM keys WHERE id = (SELECT key FROM records WHERE number = ?)",
            (change.service,),
        )
    else:
        _save_control(connection, change.values)


def _save_record(connection: sqlite3.Connection, change: SaveRecord) -> None:
    row = connection.execute(
        "SELECT key, cells FROM records JOIN keys ON keys.id = key WHERE number = ?",
        (change.service,),
    ).fetchone()
    if row is None:
        key, kept = _new_key(connection, SERVICES_KEY, change.config.name), Cells()
        connection.execute("INSERT INTO records VALUES (?, ?)", (change.service, key))
    else:
        key = row[0]
        own = f"{records.SERVICES}\\{change.config.name}"
        kept = {
            name: cell
            for name, cell in cells_from_json(row[1], own).items()
            if not records.is_known_value(name)
        }
    cells = {**records.config_to_cells(change.config, change.deleted), **kept}
    _set_cells(connection, key, cells)
    _replace_subkeys(connection, key, records.subkeys_to_cells(change.config), parameters=False)
    if change.parameters is not None:
        documents = records.parameters_to_cells(change.parameters)
        _replace_subkeys(connection, key, documents, parameters=True)


def _replace_subkeys(
    connection: sqlite3.Connection, key: int, documents: Mapping[str, Cells], *, parameters: bool
) -> None:
    for id, name in connection.execute(
        "SELECT id, name FROM keys WHERE parent = ?", (key,)
    ).fetchall():
        if records.is_known_subkey(_name(name), parameters):
            connection.execute("DELETE FROM keys WHERE id = ?", (id,))
    for path, cells in documents.items():
        _set_cells(connection, _key_at(connection, key, path), cells)


def _save_control(
    connection: sqlite3.Connection, values: Mapping[str, RegistryValue | None]
) -> None:
    for path, value in values.items():
        subkey, _, name = path.rpartition("\\")
        key = _key_at(connection, CONTROL_KEY, subkey) if subkey else CONTROL_KEY
        text = connection.execute("SELECT cells FROM keys WHERE id = ?", (key,)).fetchone()[0]
        cells = cells_from_json(text, f"{records.CONTROL}\\{subkey}")
        for same in [other for other in cells if name_key(other) == name_key(name)]:
            del cells[same]
        if value is not None:
            cells[name] = cell_of(value)
        _set_cells(connection, key, cells)


def _key_at(connection: sqlite3.Connection, key: int, path: str) -> int:
    """The key at a path below `key`, made when missing."""
    for name in path.split("\\"):
        row = connection.execute(
            "SELECT id FROM keys WHERE parent = ? AND name_key = ?",
            (key, _stored_text(name_key(name))),
        ).fetchone()
        key = row[0] if row is not None else _new_key(connection, key, name)
    return key


def _new_key(connection: sqlite3.Connection, parent: int, name: str) -> int:
    id = connection.execute(
        "INSERT INTO keys (parent, name, name_key) VALUES (?, ?, ?)",
        (parent, _stored_text(name), _stored_text(name_key(name))),
    ).lastrowid
    assert id is not None
    return id


def _set_cells(connection: sqlite3.Connection, key: int, cells: Cells) -> None:
    connection.execute("UPDATE keys SET cells = ? WHERE id = ?", (cells_to_json(cells), key))
