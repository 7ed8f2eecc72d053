"""A service's history as a document: one transition a line, after a line with the format.

Files, the clock and what is worth an entry are others'. A line that is no entry is passed
over when it is read: the last one may have been cut off by a crash.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from scmd.storage.documents import NOT_READABLE, to_json

FORMAT = 1
"""The version in the first line; a file of a newer one is left as it is."""


class HistoryError(ValueError):
    """A file that is no history, or one of a newer format."""


class Transition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One change of a service's state, or of what it waits for in a state."""

    time: str
    """UTC, ISO 8601 with milliseconds."""
    state: str
    cause: str
    actor: str
    """A caller's name, `SCM` or `service`."""
    origin: str = ""
    before: str = ""
    """The state before; "": the same."""
    lasted_ms: int | None = None
    """Milliseconds in the state before, where that is known."""
    process_id: int = 0
    win32_exit_code: int = 0
    service_specific_exit_code: int = 0


class _Header(msgspec.Struct, frozen=True):
    scmd_history: int


_LINES = msgspec.json.Decoder(Transition)
_HEADERS = msgspec.json.Decoder(_Header)
HEADER = msgspec.json.encode(_Header(FORMAT)) + b"\n"


def to_line(transition: Transition) -> bytes:
    """The line, newline included."""
    return to_json(transition) + b"\n"


def check_header(line: bytes) -> None:
    """HistoryError unless this is the first line of a history that can be continued."""
    try:
        header = _HEADERS.decode(line)
    except NOT_READABLE as error:
        raise HistoryError(f"not a history: {error}") from error
    if header.scmd_history > FORMAT:
        raise HistoryError(f"history format {header.scmd_history}, newer than {FORMAT}")


def sound_lines(lines: Iterable[bytes]) -> list[bytes]:
    """Those that are entries, each without its line end."""
    return [line for line in lines if _is_entry(line)]


def _is_entry(line: bytes) -> bool:
    try:
        _LINES.decode(line)
    except NOT_READABLE:
        return False
    return True
