"""Crash bundles on disk: `<record number>-<n>.json`, the newest few of each service.

Functions that block for the disk; a caller sees to it that one service's are not written at
the same time. What is in them is `storage.crash_document`'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

KEEP = 5
"""Bundles of a service."""

_NAME = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)\.json(\.new)?")


def write(folder: Path, service: int, bundle: Callable[[int], bytes], keep: int = KEEP) -> int:
    """Write the next bundle, whose contents get its number, and drop the oldest; its number."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    numbers = _numbers(folder, service)
    number = numbers[-1] + 1 if numbers else 1
    path = folder / f"{service}-{number}.json"
    fresh = path.with_suffix(".json.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
        file.write(bundle(number))
    os.replace(fresh, path)
    for old in numbers[: max(0, len(numbers) + 1 - keep)]:
        (folder / f"{service}-{old}.json").unlink(missing_ok=True)
    return number


def read(folder: Path, service: int, age: int = 0) -> bytes:
    """The newest bundle, or the one `age` before it; empty when there is none."""
    numbers = _numbers(folder, service)
    if age >= len(numbers):
        return b""
    try:
        return (folder / f"{service}-{numbers[-1 - age]}.json").read_bytes()
    except FileNotFoundError:
        return b""


def remove(folder: Path, service: int) -> None:
    """The record is gone: all of its bundles."""
    for path, number in _bundles(folder):
        if number == service:
            path.unlink(missing_ok=True)


def retain(folder: Path, services: Collection[int]) -> None:
    """Remove the bundles of all other records."""
    kept = frozenset(services)
    for path, number in _bundles(folder):
        if number not in kept:
            path.unlink(missing_ok=True)


def _bundles(folder: Path) -> list[tuple[Path, int]]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = ((name, _NAME.fullmatch(name)) for name in names)
    return [(folder / name, int(match[1])) for name, match in found if match is not None]


def _numbers(folder: Path, service: int) -> list[int]:
    """The numbers of the service's bundles, ascending."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    matches = filter(None, map(_NAME.fullmatch, names))
    return sorted(int(m[2]) for m in matches if int(m[1]) == service and m[3] is None)
