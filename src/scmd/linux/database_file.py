"""The database's file: opening, checking, creating and migrating it.

A file that is damaged, foreign or newer than this program is refused and left exactly as
it is; only a missing file is created. A migration runs in one transaction after a backup
copy was made beside the file. Reading and writing records is `database.py`'s.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from scmd.linux import durable

FORMAT = 1
"""`user_version` of a file as this program writes it."""
APPLICATION_ID = 0x53434D44
"""`application_id`: "SCMD"."""

Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: Mapping[int, Migration] = {}
"""By the format they start from; each leads to the next one."""

_MISSING = (
    "{} is missing, and services of it run: put a copy there. To begin with an empty database, stop"
    " this SCM, and its services with it"
)
_ROOM = 64 * 1024
"""Bytes; with less even opening may fail, for the files beside the database."""
_MAGIC = b"SQLite format 3\0"
_SCHEMA = """
CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parent INTEGER REFERENCES keys (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    cells TEXT NOT NULL DEFAULT '{}',
    UNIQUE (parent, name_key)
);
CREATE TABLE records (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key INTEGER NOT NULL UNIQUE REFERENCES keys (id) ON DELETE CASCADE
);
CREATE VIEW registry (path, name, type, data) AS
WITH RECURSIVE paths (id, path) AS (
    SELECT id, name FROM keys WHERE parent IS NULL
    UNION ALL
    SELECT keys.id, paths.path || '\\' || keys.name FROM keys JOIN paths ON keys.parent = paths.id
)
SELECT paths.path, cell.key, json_extract(cell.value, '$[0]'), json_extract(cell.value, '$[1]')
FROM paths JOIN keys ON keys.id = paths.id, json_each(keys.cells) AS cell;
INSERT INTO keys (id, parent, name, name_key) VALUES
    (1, NULL, 'SYSTEM', 'SYSTEM'),
    (2, 1, 'CurrentControlSet', 'CURRENTCONTROLSET'),
    (3, 2, 'Services', 'SERVICES'),
    (4, 2, 'Control', 'CONTROL');
"""
SERVICES_KEY = 3
CONTROL_KEY = 4


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what to do. Nothing was changed."""


def open_file(
    path: Path,
    *,
    create: bool = True,
    format: int = FORMAT,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> sqlite3.Connection:
    """A connection to the checked, current database at `path`; `create` makes a missing one.

    The connection may be used by one other thread than this one. DatabaseError: the file is
    damaged, not a database of scmd, newer than `format`, or cannot be opened.
    """
    try:
        if not os.path.lexists(path):
            if not create:
                raise DatabaseError(_MISSING.format(path))
            _create(path, format)
        _check_header(path, format)
        _check_contents(path, format)
        connection = connect(path)
        try:
            _migrate(connection, path, format, migrations)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(_out_of_space(path) or advice(path, str(error))) from error
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings that make a commit durable; transactions are explicit."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_header(path: Path, format: int) -> None:
    """Look at bytes only, so that nothing is touched."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        header = os.read(descriptor, 100)
    finally:
        os.close(descriptor)
    if not header:
        raise DatabaseError(advice(path, "the file is empty"))
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise DatabaseError(advice(path, "it is not a SQLite database"))
    _check_format(path, int.from_bytes(header[60:64], "big"), format)


def _check_contents(path: Path, format: int) -> None:
    """Look through the whole file on a connection that cannot write."""
    reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        if reader.execute("PRAGMA application_id").fetchone()[0] not in (0, APPLICATION_ID):
            raise DatabaseError(advice(path, "it is another program's database"))
        _check_format(path, reader.execute("PRAGMA user_version").fetchone()[0], format)
        found = [row[0] for row in reader.execute("PRAGMA quick_check(3)")]
        if found != ["ok"]:
            raise DatabaseError(advice(path, "; ".join(found).replace("\n", " ")))
        tables = {row[0] for row in reader.execute("SELECT name FROM sqlite_schema")}
        if not {"keys", "records"} <= tables:
            raise DatabaseError(advice(path, "it has no tables of scmd"))
    finally:
        reader.close()


def _check_format(path: Path, found: int, format: int) -> None:
    if found > format:
        raise DatabaseError(
            f"{path} has format {found}; this scmd knows formats up to {format}. It was left"
            " as it is: start a newer scmd, or move it aside"
        )


def _create(path: Path, format: int) -> None:
    """A complete database under its name, or none: an empty file is always a damaged one."""
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise DatabaseError(advice(path, "the file is missing, its write-ahead log is not"))
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(unfinished, isolation_level=None)
    try:
        # What is interrupted is begun anew, so that nothing has to be rolled back.
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA}"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {format}; COMMIT"
        )
    finally:
        connection.close()
    os.replace(unfinished, path)
    durable.sync_folder(path.parent)


def _migrate(
    connection: sqlite3.Connection, path: Path, format: int, migrations: Mapping[int, Migration]
) -> None:
    """Bring an older file up to `format`: a backup copy, then one transaction."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == format:
        return
    if found < 1:
        raise DatabaseError(advice(path, "it has no format that scmd has ever written"))
    copy = path.with_name(f"{path.name}.format{found}")
    _back_up(connection, copy)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in range(found, format):
            migrations[step](connection)
        connection.execute(f"PRAGMA user_version = {format}")
        connection.execute("COMMIT")
    except Exception as error:
        connection.execute("ROLLBACK")
        raise DatabaseError(
            f"{path} could not be brought from format {found} to {format}: {error!r}. It was"
            f" left as it is; a copy is {copy}"
        ) from error


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    """A complete copy under its final name, or none at all."""
    unfinished = copy.with_name(copy.name + ".new")
    unfinished.unlink(missing_ok=True)
    target = sqlite3.connect(unfinished)
    try:
        connection.backup(target)
    finally:
        target.close()
    os.chmod(unfinished, 0o600)
    os.replace(unfinished, copy)


def _out_of_space(path: Path) -> str:
    """Why nothing can be opened on a full disk, where SQLite says "disk I/O error"; else ""."""
    if not path.parent.is_dir():
        return ""
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize >= _ROOM:
        return ""
    return (
        f"{path} cannot be opened: its disk is full. Nothing was changed: make room and start again"
    )


def advice(path: Path, what: str) -> str:
    """Why the database cannot be used, and what to do about it."""
    return (
        f"{path} cannot be used: {what}. It was left as it is: restore a copy over it"
        f" (without {path.name}-wal), or salvage it with `sqlite3 {path.name} .recover`,"
        " or move it aside to begin with an empty database"
    )
