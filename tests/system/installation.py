"""The installed `scmd` command, and one that other users can run too.

An environment may lie in a folder that is closed to others. For the tests that are other users
there is then a copy of it, made once by each test process.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

NOBODY = 65534
_SCRIPT = """\
#!{python}
import sys
from scmd.tools.main import main
sys.exit(main())
"""


@functools.cache
def command() -> tuple[str, ...]:
    """How this environment's scmd is run."""
    program = Path(sys.executable).with_name("scmd")
    return (str(program),) if program.exists() else (sys.executable, "-m", "scmd.tools.main")


@functools.cache
def public_command() -> tuple[str, ...]:
    """How everybody runs scmd; the test skips where there is no Python that others can run."""
    if _works_for_others(*command(), "--version"):
        return command()
    folder = Path(tempfile.mkdtemp(prefix="scmd-public-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    subprocess.run([_public_python(), "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for package in ("scmd", "msgspec"):
        found = importlib.util.find_spec(package)
        assert found is not None
        assert found.origin is not None
        shutil.copytree(Path(found.origin).parent, packages / package)
    # Others cannot write there what they have compiled.
    subprocess.run([folder / "bin" / "python", "-m", "compileall", "-q", packages], check=True)
    program = folder / "bin" / "scmd"
    program.write_text(_SCRIPT.format(python=folder / "bin" / "python"))
    program.chmod(0o755)
    return (str(program),)


def _public_python() -> str:
    version = "{}.{}".format(*sys.version_info)
    same = f"import sqlite3, sys; sys.exit(not sys.version.startswith('{version}.'))"
    for python in (sys._base_executable, f"/usr/bin/python{version}", "/usr/bin/python3"):  # type: ignore[attr-defined] # CPython has it
        if _works_for_others(python, "-I", "-c", same):
            return str(python)
    pytest.skip(f"needs a Python {version} that other users can run")


def _works_for_others(*arguments: str) -> bool:
    try:
        done = subprocess.run(
            arguments,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
        )
    except OSError:
        return False
    return done.returncode == 0
