"""A command as a process of its own, which a test reads line by line and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.client.world import World


def environment(world: World) -> dict[str, str]:
    """What leads a command to this SCM."""
    return {**os.environ, "SCMD_RUNTIME": str(world.runtime)}


@contextmanager
def running(world: World, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`scmd` with these arguments; killed at the end if it is still there."""
    with subprocess.Popen(
        [sys.executable, "-m", "scmd.tools.main", *arguments],
        env=environment(world),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Ctrl-C: the exit status, and what came from then on on both outputs."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    return process.returncode, out, err
