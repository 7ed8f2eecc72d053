"""Cells: the values of one registry key as a JSON document.

A document maps value names to `[type, data]` with the REG_* number and data as JSON has
it: a string, an integer, base64 for REG_BINARY, a list for REG_MULTI_SZ. One document is
one row of the database, so that ten thousand services load in a blink. What a value means
is `records.py`'s.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

import msgspec

from scmd.vocabulary.registry import RegistryType, RegistryValue

CellData = str | int | list[str]
Cell = tuple[int, CellData]
Cells = dict[str, Cell]

_DECODER = msgspec.json.Decoder(Cells)
_TYPES = {int(type): type for type in RegistryType}
_SHAPES: Mapping[int, type] = {
    RegistryType.SZ: str,
    RegistryType.EXPAND_SZ: str,
    RegistryType.BINARY: str,
    RegistryType.DWORD: int,
    RegistryType.MULTI_SZ: list,
    RegistryType.QWORD: int,
}
_LIMITS: Mapping[int, int] = {RegistryType.DWORD: 2**32, RegistryType.QWORD: 2**64}


class RecordError(ValueError):
    """A stored document that does not say what it should; the text names key and value."""


def cells_to_json(cells: Mapping[str, Cell]) -> str:
    """The document's text. Lone surrogates are kept as JSON escapes."""
    try:
        return msgspec.json.encode(cells).decode()
    except UnicodeEncodeError:
        return json.dumps(cells)


def cells_from_json(text: str, key: str) -> Cells:
    """The document; RecordError names the key when it is none."""
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise RecordError(f"{key}: not a registry key's values: {error}") from error
    except (msgspec.DecodeError, UnicodeEncodeError):
        pass
    try:
        return msgspec.convert(json.loads(text), Cells)
    except (ValueError, msgspec.ValidationError) as error:
        raise RecordError(f"{key}: not a registry key's values: {error}") from error


def cell_of(value: RegistryValue) -> Cell:
    """The cell of a value; RecordError when the data is not of the value's type."""
    data: object = value.data
    if isinstance(data, bytes):
        data = to_base64(data) if value.type == RegistryType.BINARY else None
    elif isinstance(data, tuple):
        data = list(data)
    cell = (int(value.type), data)
    if not is_sound(cell):
        raise RecordError(f"{value.type.name} cannot hold {value.data!r}")
    return cell  # type: ignore[return-value] # is_sound looked


def value_of(cell: Cell, key: str, name: str) -> RegistryValue:
    """The value of a cell; RecordError names key and value when it is malformed."""
    number, data = cell
    type = _TYPES.get(number)
    if (type is RegistryType.SZ or type is RegistryType.EXPAND_SZ) and isinstance(data, str):
        return RegistryValue(type=type, data=data)
    if type is None or not is_sound(cell):
        raise RecordError(f"{key}: value {name} is malformed (type {number}: {data!r:.80})")
    if type is RegistryType.BINARY:
        return RegistryValue(type=type, data=binary(cell, key, name))
    if type is RegistryType.MULTI_SZ:
        return RegistryValue(type=type, data=tuple(data))  # type: ignore[arg-type] # is_sound
    return RegistryValue(type=type, data=data)  # type: ignore[arg-type] # is_sound looked


def is_sound(cell: tuple[int, object]) -> bool:
    """Whether the data has the shape and range of its type."""
    number, data = cell
    if not isinstance(data, _SHAPES.get(number, ())):
        return False
    return not isinstance(data, int) or 0 <= data < _LIMITS[number]


def to_base64(data: bytes) -> str:
    """REG_BINARY data as a cell holds it."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def binary(cell: Cell, key: str, name: str) -> bytes:
    """The bytes of a REG_BINARY cell; RecordError when it is none."""
    number, data = cell
    try:
        if number == RegistryType.BINARY and isinstance(data, str):
            return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise RecordError(f"{key}: value {name} is not base64: {error}") from error
    raise RecordError(f"{key}: value {name} has type {number}, expected REG_BINARY")
