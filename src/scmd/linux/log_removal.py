"""Removing the captured output of service records that are gone.

Record numbers are never given out again, so what is left of a removed record is nobody's. A
logger that still writes to a removed file writes to nothing; a file that it makes anew goes when
the next manager starts.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import count
from pathlib import Path

_NAME = re.compile(r"([1-9][0-9]*)\.log(\.[1-9][0-9]*)?")


def remove_log(directory: Path, service: int) -> None:
    """The log of this record and its rotated files; OSError: one of them cannot be removed."""
    path = directory / f"{service}.log"
    path.unlink(missing_ok=True)
    for number in count(1):
        try:
            path.with_name(f"{service}.log.{number}").unlink()
        except FileNotFoundError:
            return


def remove_strays(directory: Path, services: Collection[int]) -> None:
    """Every log but those of these records; OSError as above."""
    kept = frozenset(services)
    for path in list(directory.iterdir()) if directory.is_dir() else ():
        found = _NAME.fullmatch(path.name)
        if found is not None and int(found[1]) not in kept:
            path.unlink(missing_ok=True)
