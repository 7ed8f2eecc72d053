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
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from queue import SimpleQueue

from scmd.core import control_values
from scmd.core.messages import SaveId, ServiceId, Settings, StoredService
from scmd.core.messages.effects import RemoveRecord, SaveControl, SaveRecord
from scmd.linux import database_file
from scmd.linux.database_file import CONTROL_KEY, DatabaseError, connect
from scmd.linux.database_rows import (
    name_of,
    read_subkeys,
    read_tree,
    remove_record,
    save_control,
    save_record,
    stored_service,
)
from scmd.storage import records
from scmd.storage.cells import RecordError, cells_from_json, value_of
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue

__all__ = ["Change", "Database", "DatabaseError", "Done", "SaveControl"]

Done = Callable[[SaveId, Error], None]
"""Told once, on the writer thread, what became of a change: SUCCESS means it is durable."""

log = logging.getLogger("scmd.manager")

MAX_GROUP = 512
"""Most changes in one transaction."""


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
        self._files = {
            file: os.stat(file) for file in (path, Path(f"{path}-wal")) if os.path.lexists(file)
        }
        self._connection = connection
        self._commit = commit
        self._queue: SimpleQueue[tuple[Change, Done] | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="database", daemon=True)
        self._closed = False
        self._is_missed = False
        """The file is not where it was, and that was said."""
        self.problems: tuple[str, ...] = ()
        """What was passed over when reading: what makes no sense; it is kept in the file."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = True,
        commit: Callable[[sqlite3.Connection], None] = sqlite3.Connection.commit,
    ) -> Database:
        """Check and open the database; start the writer.

        `create` makes it when it is missing. `commit` is what makes a transaction durable; tests
        slow it down or let it fail.
        DatabaseError: the file is damaged, foreign or newer; it was left as it is.
        """
        database = cls(path, database_file.open_file(path, create=create), commit)
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
            rows = read_tree(connection, CONTROL_KEY)
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
        host = Settings(
            first_launch=first_launch,
            first_service=self.first_free_number(),
            single_user=single_user,
            environment=dict(environment or {}),
        )
        return control_values.settings_from(self.control_values(), host)

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
        subkeys = read_subkeys(connection)
        loaded: list[StoredService] = []
        problems: list[str] = []
        rows = connection.execute(
            "SELECT number, key, name, cells FROM records JOIN keys ON keys.id = key"
            " ORDER BY number"
        )
        for number, key, name, text in rows:
            try:
                loaded.append(
                    stored_service(ServiceId(number), name_of(name), text, subkeys.get(key, ()))
                )
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
        if isinstance(outcomes, Error):
            if len(group) > 1:
                for single in group:
                    self._write_group([single])
                return
            outcomes = [outcomes]
        for (change, done), outcome in zip(group, outcomes, strict=True):
            done(change.save, outcome)

    def _transaction(self, changes: list[Change]) -> list[Error] | Error:
        """What became of each change; or why nothing of them could be committed."""
        connection = self._connection
        if not self._is_in_place():
            return Error.WRITE_FAULT
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply_alone(change) for change in changes]
            self._commit(connection)
        except (sqlite3.Error, OSError) as error:
            if connection.in_transaction:
                connection.rollback()
            return win32_error(error)
        return outcomes

    def _is_in_place(self) -> bool:
        """SQLite would write to a file that was removed, and nobody would ever read it."""
        try:
            found = all(os.path.samestat(os.stat(file), it) for file, it in self._files.items())
        except OSError:
            found = False
        if not found and not self._is_missed:
            log.error(
                "%s or its -wal was removed or replaced: no change is saved; put it back or, for"
                " another, scmd upgrade",
                self._path,
            )
        self._is_missed = not found
        return found

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
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (ENOSPC, EDQUOT):
        return Error.DISK_FULL
    return Error.WRITE_FAULT


def _apply(connection: sqlite3.Connection, change: Change) -> None:
    if isinstance(change, SaveRecord):
        save_record(connection, change)
    elif isinstance(change, RemoveRecord):
        remove_record(connection, change.service)
    else:
        save_control(connection, change.values)
