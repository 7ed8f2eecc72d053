"""Commands under a kernel of their own: user-mode Linux, a program, with this machine's files.

What depends on how a machine mounts its cgroups can be tried there on any machine: all
controllers are in version 2, as systemd has them.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

PROGRAM = "linux.uml"
_HERE = Path(__file__).parent
_LIMIT_S = 240
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
    done = subprocess.run(
        [
            *(PROGRAM, "mem=1G", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
            *(f"FOLDER={scratch}", f"SCRIPT={script}", "con=null", "con0=null,fd:1", "quiet"),
            *("init=/bin/sh", "--", str(_HERE / "boot_kernel.sh")),
        ],
        # Its memory is a file in TMPDIR, which has to be mapped with the right to execute.
        env={**os.environ, "HOME": str(folder), "TMPDIR": "/dev/shm", "LD_PRELOAD": str(shim)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_LIMIT_S,
        check=False,
    )
    found = _STATUS.search(done.stdout)
    assert found is not None, done.stdout
    return int(found[1]), done.stdout[: found.start()]
