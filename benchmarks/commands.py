"""How long a whole `scmd sc query NAME` takes, against the bare interpreter."""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import scmd
from benchmarks.scratch import SCMD, scratch_scm
from benchmarks.table import Row

ROUNDS = 60


def measure() -> list[Row]:
    """One row: the ratio of the medians, the two commands taken in turn."""
    interpreter = os.path.realpath(sys.executable)
    with scratch_scm():
        with scmd.connect() as scm:
            scm.install("Probe", ["/bin/sleep", "1000"])
        query = [str(SCMD), "sc", "query", "Probe"]
        bare = [interpreter, "-I", "-S", "-c", "pass"]
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            times[0].append(_wall(query))
            times[1].append(_wall(bare))
    ours, peer = (statistics.median(series[5:]) * 1000 for series in times)
    return [
        Row(
            "scmd sc query NAME, whole command",
            f"{ours:.1f} ms",
            f"{Path(interpreter).name} -I -S -c pass: {peer:.1f} ms",
            f"{ours / peer:.2f} x",
            "at most 4 x",
            ours / peer <= 4,
        )
    ]


def _wall(command: list[str]) -> float:
    begin = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    child = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)]
    )
    os.close(null)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"{command} ended with status {status}")
    return time.perf_counter() - begin
