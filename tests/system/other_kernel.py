"""Commands under a kernel of their own: user-mode Linux, a program, with this machine's files.

What depends on how a machine mounts its cgroups can be tried there on any machine: all
controllers are in version 2, as systemd has them.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

PROGRAM = "linux.uml"
_HERE = Path(__file__).parent
_LIMIT_S = 240
_MEMORY = 768 << 20
_ROOT = ("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro")
_STATUS = re.compile(r"^exit status (\d+)\r?$", re.MULTILINE)


def run(folder: Path, commands: str) -> tuple[int, str]:
    """Boot, have a shell run the commands as root, power off; exit status and all they said.

    `folder` is theirs to write to, and empty for them; nothing else of this machine is.
    """
    shim, script, scratch = folder / "shim.so", folder / "script.sh", folder / "scratch"
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-o", shim, _HERE / "kernel_shim.c"], check=True
    )
    script.write_text(commands)
    scratch.mkdir()
    with subprocess.Popen(
        [
            *(PROGRAM, f"mem={_MEMORY >> 20}M", *_ROOT),
            *(f"FOLDER={scratch}", f"SCRIPT={script}", "con=null", "con0=null,fd:1", "quiet"),
            *("init=/bin/sh", "--", str(_HERE / "boot_kernel.sh")),
        ],
        env={**os.environ, "HOME": str(folder), "TMPDIR": _memory(folder), "LD_PRELOAD": str(shim)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as kernel:
        try:
            said, _ = kernel.communicate(timeout=_LIMIT_S)
        except BaseException:
            # Its processes would outlive it.
            os.killpg(kernel.pid, signal.SIGKILL)
            raise
    found = _STATUS.search(said)
    assert found is not None, said
    return int(found[1]), said[: found.start()]


def run_tests(folder: Path, module: ModuleType) -> str:
    """Run a file of tests there, none of which may fail or skip; pytest's last line."""
    commands = f"""
        cd {Path(__file__).parents[2]}
        export PYTHONDONTWRITEBYTECODE=1 SCMD_NO_SKIPS=1
        exec {sys.executable} -m pytest -p no:cacheprovider -q --color=no {module.__file__}
    """
    status, said = run(folder, commands)
    assert status == 0, said
    return said.splitlines()[-1]


def _memory(folder: Path) -> str:
    """Where its memory is a file; in memory, if there is room."""
    fits = os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > _MEMORY
    return "/dev/shm" if fits else str(folder)
