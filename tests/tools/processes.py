"""`scmd` as a process of its own, for the SCM of a test."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager

from tests.client.world import World
from tests.started import started


def environment(world: World) -> dict[str, str]:
    """What leads a command to this SCM."""
    return {**os.environ, "SCMD_RUNTIME": str(world.runtime)}


def running(world: World, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """`scmd` with these arguments."""
    return started([sys.executable, "-m", "scmd.tools.main", *arguments], environment(world))
