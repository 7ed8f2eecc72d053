"""Data backup: puts what changed in a folder into an archive, at intervals.

Parameters:
    Source           the folder to back up (default ~/Documents)
    Target           the folder for the archives (default ~/Backups)
    IntervalMinutes  time between backups (default 60); control 200 makes one at once
    FullEvery        after so many archives comes one that holds everything (default 24); then
                     the archives before the previous full one are removed

An archive is a zip file with the files that changed and MANIFEST.json, which says for every file
which archive has it. It is written under another name, read back, compared, and only then
renamed: what is called an archive is whole. What cannot be read is left out, and that is said.
The way back: python -m scmd.examples.archives TARGET FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import scmd
from scmd.examples.archives import (
    MANIFEST,
    Entry,
    Manifest,
    archives_of,
    last_manifest,
    member_name,
)
from scmd.vocabulary.names import escaped

Files = dict[str, os.stat_result]
Check = Callable[[], object]


class Stopping(Exception):
    """The service is to stop; the backup that is going on undoes itself."""


class Backup:
    """One source and its archives. `check` is called between pieces of work; it may raise."""

    def __init__(self, source: Path, target: Path, full_every: int, check: Check) -> None:
        self.source, self.target = source.resolve(), target.resolve()
        self.full_every, self.check = full_every, check
        self.left_out: list[str] = []

    def run(self) -> Path | None:
        """The new archive; None when nothing has changed since the last."""
        if self.source == self.target:
            raise OSError(f"{self.target} cannot hold its own backup")
        self.target.mkdir(parents=True, exist_ok=True)
        for left_over in self.target.glob("backup-*.partial"):
            left_over.unlink()
        existing = archives_of(self.target)
        fulls = [index for index, path in enumerate(existing) if path.stem.endswith("-full")]
        known, now = last_manifest(existing), self.files()
        if known is not None:
            # Whose archive somebody has removed is saved again.
            known = {path: e for path, e in known.items() if self.target / e.archive in existing}
        if known is not None and now.keys() == known.keys() and not changed(now, known):
            return None
        full = known is None or not fulls or len(existing) - fulls[-1] >= self.full_every
        number = int(existing[-1].stem.split("-")[1]) + 1 if existing else 1
        archive = self.target / f"backup-{number:06}-{'full' if full else 'part'}.zip"
        self.write(archive, now, {} if full or known is None else known)
        for obsolete in existing[: fulls[-1]] if full and fulls else ():
            obsolete.unlink()
        return archive

    def files(self) -> Files:
        """The regular files that can be read. OSError: there is no such folder."""
        os.listdir(self.source)
        found: Files = {}
        for folder, folders, names in os.walk(self.source, onerror=self.leave_out):
            self.check()
            folders[:] = [name for name in folders if Path(folder, name) != self.target]
            for path in [os.path.join(folder, name) for name in names]:
                with suppress(FileNotFoundError):
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode) and not os.access(path, os.R_OK):
                        self.left_out.append(path)
                    elif stat.S_ISREG(status.st_mode):
                        found[os.path.relpath(path, self.source)] = status
        return found

    def leave_out(self, error: OSError) -> None:
        self.left_out.append(str(error.filename))

    def write(self, archive: Path, now: Files, known: Manifest) -> None:
        """The whole archive under its name, or nothing."""
        partial = archive.with_suffix(".partial")
        wanted = set(changed(now, known))
        manifest = {path: known[path] for path in now if path not in wanted}
        try:
            with zipfile.ZipFile(partial, "x", zipfile.ZIP_DEFLATED) as opened:
                for path in sorted(wanted):
                    with suppress(FileNotFoundError):  # deleted since we looked
                        manifest[path] = self.add(opened, path, now[path], archive.name)
                opened.writestr(MANIFEST, json.dumps(manifest))
            sync(partial)
            self.verify(partial, archive.name, manifest)
            partial.rename(archive)
            sync(self.target)
        finally:
            partial.unlink(missing_ok=True)

    def add(self, to: zipfile.ZipFile, path: str, was: os.stat_result, archive: str) -> Entry:
        name = member_name(path)
        with open(self.source / path, "rb") as file, to.open(name, "w", force_zip64=True) as copy:
            digest = self.digest(file, copy.write)
        return Entry(was.st_size, was.st_mtime_ns, stat.S_IMODE(was.st_mode), digest, archive)

    def verify(self, partial: Path, archive: str, manifest: Manifest) -> None:
        with zipfile.ZipFile(partial) as opened:
            for path, entry in manifest.items():
                if entry.archive == archive:
                    with opened.open(member_name(path)) as copy:
                        if self.digest(copy) != entry.sha256:
                            raise OSError(f"{path} did not reach {partial}")

    def digest(self, source: IO[bytes], copy: Callable[[bytes], object] = len) -> str:
        digest = hashlib.sha256()
        while chunk := source.read(1 << 20):
            self.check()
            digest.update(chunk)
            copy(chunk)
        return digest.hexdigest()


def changed(now: Files, known: Manifest) -> list[str]:
    """The paths whose contents are in no archive yet, judged by size and time."""
    was = {path: entry[:2] for path, entry in known.items()}
    return [path for path, is_ in now.items() if was.get(path) != (is_.st_size, is_.st_mtime_ns)]


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, have reached the disk."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@scmd.service("Backup", display="Data Backup", description="Archives what changed in a folder.")
def backup(svc: scmd.ServiceContext) -> None:
    svc.ready()
    back_up(svc)
    while not svc.wait(60 * max(1, int(svc.parameters.get("IntervalMinutes", 60)))):
        back_up(svc)


@backup.on(200)
def back_up(svc: scmd.ServiceContext) -> None:
    def check() -> None:
        if svc.stopping:
            raise Stopping

    source = Path(svc.parameters.get("Source", "~/Documents")).expanduser()
    target = Path(svc.parameters.get("Target", "~/Backups")).expanduser()
    try:
        making = Backup(source, target, int(svc.parameters.get("FullEvery", 24)), check)
        if archive := making.run():
            svc.log.info("%s is in %s", source, archive)
            for path in making.left_out:
                svc.log.warning("Left out, for lack of access: %s", escaped(path))
    except Stopping:
        svc.log.info("The backup of %s was interrupted; the next start makes it", source)
    except (OSError, zipfile.BadZipFile) as error:
        svc.log.error("No backup of %s: %s", source, error)


if __name__ == "__main__":
    backup.main()
