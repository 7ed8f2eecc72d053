"""Content synchronization: keeps two folders the same, in both directions.

Parameters:
    Left, Right      the folders (default ~/Shared and ~/Shared-copy)
    IntervalSeconds  time between rounds (default 10); control 200 makes one at once

A file that was created, changed or deleted on one side since the last round is so on the other.
Nothing is lost when both sides changed: the newer file keeps the name, the other one stays
beside it as "name (conflict N).ext", and a change wins over a deletion. A file is looked at
again just before it is replaced or deleted. Each folder carries `.scmd-sync`; where that is
missing from a folder that had it (a disk that is not mounted), nothing is done at all.
"""

from __future__ import annotations

import filecmp
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from itertools import count
from pathlib import Path
from stat import S_ISREG
from typing import Any

import scmd

MARK = ".scmd-sync"
PARTIAL = ".scmd-sync-partial"
Signature = tuple[int, int] | None  # size, and time of last change in ns; None: no such file


class NotAPair(Exception):
    """A folder is not the one that was synchronized before: deletions would spread."""


def signature(path: Path) -> Signature:
    status = path.lstat() if os.path.lexists(path) else None
    return (status.st_size, status.st_mtime_ns) if status and S_ISREG(status.st_mode) else None


def sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def must_be(path: Path, expected: Signature) -> None:
    if signature(path) != expected or (expected is None and os.path.lexists(path)):
        raise BlockingIOError(f"{path} was changed during the round")


def scan(folder: Path) -> dict[str, Signature]:
    """The regular files below a folder, by relative path. OSError: not all could be listed."""
    found: dict[str, Signature] = {}
    folders = [folder]
    for parent in folders:
        for entry in os.scandir(parent):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.name not in (MARK, PARTIAL) and (about := signature(path)):
                found[str(path.relative_to(folder))] = about
    return found


def read_mark(folder: Path) -> dict[str, Any]:
    """{}: there is none. ValueError: it is damaged."""
    try:
        mark = json.loads((folder / MARK).read_bytes())
        return {"identity": mark["identity"], "round": mark["round"], "common": mark["common"]}
    except FileNotFoundError:
        return {}
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / MARK} is damaged") from error


class Pair:
    """Two folders, and the signatures that each file had in both when they were last the same."""

    def __init__(self, left: Path, right: Path) -> None:
        """NotAPair, OSError, ValueError: they cannot be synchronized, for now."""
        self.folders = (left, right)
        if left.is_relative_to(right) or right.is_relative_to(left):
            raise NotAPair(f"{left} and {right}: one holds the other")
        self.common: dict[str, tuple[Signature, Signature]] = {}
        self.identity, self.round = str(uuid.uuid4()), 0
        marks = [read_mark(folder) for folder in self.folders]
        if marks[0].get("identity") != marks[1].get("identity"):
            raise NotAPair(f"{left} and {right} are not a pair; without {MARK} they begin anew")
        if not any(marks):
            for folder in self.folders:
                folder.mkdir(parents=True, exist_ok=True)
            self.save()
            return
        # The older mark counts: a folder that came back from a backup must not win.
        marks.sort(key=lambda mark: int(mark["round"]))
        self.identity, self.round = marks[0]["identity"], marks[1]["round"]
        self.common = {p: (tuple(a), tuple(b)) for p, (a, b) in marks[0]["common"].items()}

    def save(self) -> None:
        self.round += 1
        mark = {"identity": self.identity, "round": self.round, "common": self.common}
        for folder in self.folders:
            (folder / PARTIAL).write_text(json.dumps(mark))
            sync(folder / PARTIAL)
            os.replace(folder / PARTIAL, folder / MARK)

    def synchronize(self, is_over: Callable[[], bool], log: logging.Logger) -> None:
        """One round. `is_over` is asked between files, and may end it early."""
        before = dict(self.common)
        left, right = (scan(folder) for folder in self.folders)
        try:
            for path in sorted(left.keys() | right.keys() | before.keys()):
                if is_over():
                    break
                try:
                    if done := self.reconcile(path, (left.get(path), right.get(path))):
                        log.info("%s", done)
                except OSError as error:
                    log.warning("Not synchronized: %s: %s", path, error)
        finally:
            if self.common != before:
                self.save()

    def reconcile(self, path: str, now: tuple[Signature, Signature]) -> str:
        """Makes a path the same on both sides; says what was done, if anything."""
        was = self.common.get(path, (None, None))
        if now == (None, None):
            del self.common[path]
        changed = [now[side] != was[side] for side in (0, 1)]
        if now == (None, None) or not any(changed):
            return ""
        if now[0] and now[1] and all(changed):
            if filecmp.cmp(self.folders[0] / path, self.folders[1] / path, shallow=False):
                self.common[path] = now
                return ""
            return self.keep_both(path, newer=0 if now[0][1] >= now[1][1] else 1)
        # One side has the news; where it is deleted here and changed there, the change has.
        side = 0 if (changed[0] and now[0]) or not changed[1] else 1
        return (self.copy if now[side] else self.delete)(path, side, now[1 - side])

    def keep_both(self, path: str, newer: int) -> str:
        stem, suffix = os.path.splitext(path)
        names = (f"{stem} (conflict {number}){suffix}" for number in count(1))
        other = next(n for n in names if not any(os.path.lexists(f / n) for f in self.folders))
        os.rename(self.folders[1 - newer] / path, self.folders[1 - newer] / other)
        self.copy(other, 1 - newer, None)
        self.copy(path, newer, None)
        return f"conflict: {path}; the older one is now {other}"

    def copy(self, path: str, side: int, expected: Signature) -> str:
        """Replaces the file of the other side, which was `expected`, all at once."""
        source, target = self.folders[side] / path, self.folders[1 - side] / path
        partial = target.with_name(PARTIAL)
        target.parent.mkdir(parents=True, exist_ok=True)
        before = signature(source)
        try:
            shutil.copy2(source, partial, follow_symlinks=False)
            sync(partial)
            must_be(source, before)
            must_be(target, expected)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        pair = (before, signature(target))
        self.common[path] = (pair[side], pair[1 - side])
        return f"copied: {source} to {target}"

    def delete(self, path: str, side: int, expected: Signature) -> str:
        """Deletes on the other side what is no longer on this one."""
        target = self.folders[1 - side] / path
        must_be(target, expected)
        target.unlink()
        del self.common[path]
        return f"deleted: {target}"


@scmd.service("ContentSync", display="Content Synchronization", description="Two folders alike.")
def content_sync(svc: scmd.ServiceContext) -> None:
    svc.ready()
    synchronize(svc)
    while not svc.wait(max(1, int(svc.parameters.get("IntervalSeconds", 10)))):
        synchronize(svc)


@content_sync.on(200)
def synchronize(svc: scmd.ServiceContext) -> None:
    left = Path(svc.parameters.get("Left", "~/Shared")).expanduser()
    right = Path(svc.parameters.get("Right", "~/Shared-copy")).expanduser()
    try:
        Pair(left, right).synchronize(lambda: svc.stopping, svc.log)
    except (NotAPair, OSError, ValueError) as error:
        svc.log.error("%s", error)


if __name__ == "__main__":
    content_sync.main()
