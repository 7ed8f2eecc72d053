"""The archives of the backup example: what is in them, and the way back.

`python -m scmd.examples.archives TARGET FOLDER` restores TARGET's last state into FOLDER.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from scmd.vocabulary.names import escaped

MANIFEST = "MANIFEST.json"


class Entry(NamedTuple):
    """A file as it was, and the archive that has its contents."""

    size: int
    mtime_ns: int
    mode: int
    sha256: str
    archive: str


Manifest = dict[str, Entry]


def archives_of(target: Path) -> list[Path]:
    """Oldest first."""
    return sorted(target.glob("backup-*-*.zip"))


def last_manifest(archives: list[Path]) -> Manifest | None:
    """None: there is none, or it cannot be read, so that everything has to be saved again."""
    try:
        with zipfile.ZipFile(archives[-1]) as opened:
            return {path: Entry(*e) for path, e in json.loads(opened.read(MANIFEST)).items()}
    except (IndexError, TypeError, zipfile.BadZipFile, KeyError, ValueError):
        return None


def member_name(path: str) -> str:
    return "files/" + path.encode("utf-8", "backslashreplace").decode()


def restore(target: Path, folder: Path) -> list[str]:
    """The source as the last archive knows it, into an empty folder; what is lost with its archive.

    FileNotFoundError: there is no archive that can be read.
    """
    manifest = last_manifest(archives_of(target))
    if manifest is None:
        raise FileNotFoundError(f"{target} has no archive that can be read")
    lost = []
    for path, entry in manifest.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(target / entry.archive) as opened:
                file.write_bytes(opened.read(member_name(path)))
        except (FileNotFoundError, zipfile.BadZipFile):
            lost.append(path)
            continue
        file.chmod(entry.mode)
        os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
    return lost


def main() -> None:
    """The command; the exit status is 1 when something is lost."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m scmd.examples.archives TARGET FOLDER")
    try:
        lost = restore(Path(sys.argv[1]), Path(sys.argv[2]))
    except OSError as error:
        sys.exit(str(error))
    sys.exit("\n".join(f"lost: {escaped(path)}" for path in lost) or None)


if __name__ == "__main__":
    main()
