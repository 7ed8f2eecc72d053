"""Entries of the event log, and the lines they are stored as.

A file of the log starts with a header line that carries the format's version; every
further line is one record as a JSON object. Files, rotation and the clock are
`linux/event_log.py`'s; message texts `event_messages.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from scmd.storage.documents import NOT_READABLE, sound_text, to_json

FORMAT = 1
"""The version in a header line; older files stay readable, newer ones are refused."""

MAX_STRING = 31_839
"""Characters of one insert, as ReportEvent allows; longer ones are cut."""
MAX_STRINGS_TOTAL = 61_440
MAX_STRINGS = 256

ERROR = 0x0001
WARNING = 0x0002
INFORMATION = 0x0004
AUDIT_SUCCESS = 0x0008
AUDIT_FAILURE = 0x0010
TYPE_WORDS: Mapping[int, str] = {
    0: "information",
    ERROR: "error",
    WARNING: "warning",
    INFORMATION: "information",
    AUDIT_SUCCESS: "audit success",
    AUDIT_FAILURE: "audit failure",
}
"""EVENTLOG_*_TYPE; 0 is EVENTLOG_SUCCESS."""


class EventError(ValueError):
    """A line that is no record, or a file of a format that is not known."""


class EventRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One entry, as EVENTLOGRECORD has it."""

    number: int
    """Counts from 1 over all files; never used again."""
    time: str
    """UTC, ISO 8601 with milliseconds: `2031-07-01T12:00:00.000Z`."""
    source: str
    id: int
    type: str
    """A word of TYPE_WORDS."""
    category: int = 0
    computer: str = ""
    user: str = ""
    """On whose behalf, where that is known."""
    strings: tuple[str, ...] = ()
    """The inserts %1, %2... of the message."""


class _Header(msgspec.Struct, frozen=True):
    scmd_events: int
    first: int


_RECORDS = msgspec.json.Decoder(EventRecord)
_HEADERS = msgspec.json.Decoder(_Header)
_NUMBER = b'{"number":'


def record_to_line(record: EventRecord) -> bytes:
    """The line, newline included."""
    return to_json(record) + b"\n"


def record_from_line(line: bytes) -> EventRecord:
    """The record; EventError for anything else."""
    try:
        return _RECORDS.decode(line)
    except NOT_READABLE as error:
        raise EventError(f"not an event record: {error}") from error


def number_of_line(line: bytes) -> int:
    """The record number, without decoding the rest; EventError when there is none."""
    if line.startswith(_NUMBER):
        digits = line[len(_NUMBER) : len(_NUMBER) + 21].partition(b",")[0]
        if digits.isdigit():
            return int(digits)
    raise EventError("not an event record")


def record_to_public_line(record: EventRecord, message: str) -> bytes:
    """What readers get: every field, and the message with its inserts in place."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return msgspec.json.encode({**fields, "message": message}) + b"\n"


def header_line(first: int) -> bytes:
    """The first line of a file whose records start at number `first`."""
    return msgspec.json.encode(_Header(scmd_events=FORMAT, first=first)) + b"\n"


def first_number(line: bytes) -> int:
    """The number a header line announces; EventError: no header, or a newer format's."""
    try:
        header = _HEADERS.decode(line)
    except NOT_READABLE as error:
        raise EventError(f"not an event log: {error}") from error
    if header.scmd_events > FORMAT:
        raise EventError(f"event log format {header.scmd_events}, newer than {FORMAT}")
    return header.first


def sound_strings(strings: Iterable[str]) -> tuple[str, ...]:
    """The inserts within the limits and without lone surrogates."""
    strings = tuple(strings)
    whole = "".join(strings)
    if whole.isascii() and len(whole) <= MAX_STRING and len(strings) <= MAX_STRINGS:
        return strings
    sound: list[str] = []
    left = MAX_STRINGS_TOTAL
    for text in strings:
        if len(sound) == MAX_STRINGS:
            break
        text = sound_text(text[: min(left, MAX_STRING)])
        left -= len(text)
        sound.append(text)
    return tuple(sound)
