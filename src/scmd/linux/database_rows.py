"""The database's rows: one per registry key, records to rows and back.

Every function works inside the caller's transaction and leaves it to the caller, which is
`database.py`. The tables are `database_file.py`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from scmd.core.messages import Parameters, ServiceId, StoredService
from scmd.core.messages.effects import SaveRecord
from scmd.linux.database_file import CONTROL_KEY, SERVICES_KEY
from scmd.storage import records
from scmd.storage.cells import Cells, cell_of, cells_from_json, cells_to_json
from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryValue

# Names of keys: TEXT, or a BLOB when they hold lone surrogates ------------------------------


def _stored_text(text: str) -> str | bytes:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def name_of(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


# Rows to records ----------------------------------------------------------------------------


def read_subkeys(connection: sqlite3.Connection) -> dict[int, list[tuple[str, str]]]:
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
            path = f"{path}\\{name_of(name)}" if path else name_of(name)
            place[id] = (owner, path)
            found.setdefault(owner, []).append((path, text))
    return found


def stored_service(
    number: ServiceId, name: str, text: str, rows: Iterable[tuple[str, str]]
) -> StoredService:
    """The record of a key's document and its subkeys'; RecordError names key and value."""
    key = f"{records.SERVICES}\\{name}"
    subkeys = {path: cells_from_json(cells, f"{key}\\{path}") for path, cells in rows}
    config, deleted = records.config_from_cells(name, cells_from_json(text, key), subkeys)
    parameters: Parameters = records.parameters_from_cells(name, subkeys) if subkeys else {}
    return StoredService(id=number, config=config, parameters=parameters, deleted=deleted)


def read_tree(connection: sqlite3.Connection, root: int) -> list[tuple[str, str]]:
    """Path below `root` and document of it and of every key below it."""
    paths: dict[int, str] = {root: ""}
    text = connection.execute("SELECT cells FROM keys WHERE id = ?", (root,)).fetchone()[0]
    found = [("", text)]
    for id, parent, name, cells in connection.execute(
        "SELECT id, parent, name, cells FROM keys WHERE id > ? ORDER BY id", (root,)
    ):
        if parent in paths:
            path = f"{paths[parent]}\\{name_of(name)}" if paths[parent] else name_of(name)
            paths[id] = path
            found.append((path, cells))
    return found


# Records to rows ----------------------------------------------------------------------------


def remove_record(connection: sqlite3.Connection, number: ServiceId) -> None:
    """Delete a record with its Parameters; nothing happens when there is none."""
    connection.execute(
        "DELETE FROM keys WHERE id = (SELECT key FROM records WHERE number = ?)", (number,)
    )


def save_record(connection: sqlite3.Connection, change: SaveRecord) -> None:
    """Write a record; what its key holds besides is kept. RecordError: data of a wrong type."""
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
        if records.is_known_subkey(name_of(name), parameters):
            connection.execute("DELETE FROM keys WHERE id = ?", (id,))
    for path, cells in documents.items():
        _set_cells(connection, _key_at(connection, key, path), cells)


def save_control(
    connection: sqlite3.Connection, values: Mapping[str, RegistryValue | None]
) -> None:
    """Write SCM-wide values by path; None deletes. RecordError: data of a wrong type."""
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
