"""What a run says about tests that this machine cannot run; CI must not miss them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
MARKERS = "[pytest]\nmarkers =\n    root: x\n    peers: x\n"
TESTS = """
import pytest

@pytest.mark.peers("no-such-program")
def test_one(): ...

@pytest.mark.peers("sh", "no-such-program")
def test_two(): ...

@pytest.mark.peers("sh")
def test_three(): ...
"""


WAYS = pytest.mark.parametrize(
    "options", [(), ("-p", "xdist.plugin", "-n", "1")], ids=["alone", "distributed"]
)


def run(folder: Path, tests: str, *options: str, **environment: str) -> tuple[int, str]:
    """A pytest run with our conftest and no plugins but those asked for: exit status, last line."""
    shutil.copy(CONFTEST, folder)
    (folder / "pytest.ini").write_text(MARKERS)
    (folder / "test_it.py").write_text(tests)
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=base | environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout.strip().splitlines()[-1]


@WAYS
def test_the_last_line_says_what_is_skipped_and_why(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    status, last = run(tmp_path, TESTS, *options)
    assert status == 0
    assert last.startswith("Skipped 2 tests: 2 needs the program no-such-program")


@WAYS
def test_in_ci_a_skip_fails_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, last = run(tmp_path, TESTS, *options, SCMD_NO_SKIPS="1")
    assert status == 1
    assert last.startswith("Skipped 2 tests, which fails this run: ")


def test_nothing_is_said_when_nothing_is_skipped(tmp_path: Path) -> None:
    status, last = run(tmp_path, "def test_one(): ...", SCMD_NO_SKIPS="1")
    assert status == 0
    assert "1 passed" in last
