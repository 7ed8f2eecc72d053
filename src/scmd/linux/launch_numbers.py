"""Launch numbers: a bound on disk that no number given out so far has reached.

A manager takes a block of numbers before it gives out the first of them, so a crash
costs numbers and never repeats one. The file holds its format and the bound, whose digits
are always as many: a new bound takes the place of the old one in the same block of the disk,
which a full disk allows.
"""

from __future__ import annotations

import os
from pathlib import Path

from scmd.linux import durable
from scmd.vocabulary.numbers import decimal

BLOCK = 1_000_000
"""Numbers a manager may give out between two writes: more than it starts in its life."""
_FORMAT = "scmd-launches 1"
_DIGITS = 20


class LaunchNumbersError(Exception):
    """The file cannot be read or written; the text says what to do."""


def reserve(path: Path, block: int = BLOCK) -> int:
    """The first number of a fresh block. Durable when it returns."""
    first = _bound(path)
    content = f"{_FORMAT}\n{first + block:0{_DIGITS}}\n".encode()
    try:
        if path.exists() and path.stat().st_size == len(content):
            with path.open("r+b", buffering=0) as file:
                file.write(content)
                os.fsync(file.fileno())
        else:
            durable.replace(path, content)
    except OSError as failed:
        raise LaunchNumbersError(f"{path} cannot be written: {failed.strerror}") from failed
    return first


def _bound(path: Path) -> int:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return 1
    except OSError as failed:
        raise LaunchNumbersError(f"{path} cannot be read: {failed.strerror}") from failed
    bound = decimal(lines[1]) if len(lines) == 2 and lines[0] == _FORMAT else None
    if bound is None:
        raise LaunchNumbersError(
            f"{path} is damaged or of a newer version: expected {_FORMAT!r} and a number. "
            "No service may be running; then it can be removed."
        )
    return bound
