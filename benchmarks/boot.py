"""The boot of 1,000 programs in a random dependency graph of depth 20.

The peer is the same boot without dependencies: what the graph costs beyond the starts
themselves. Both are taken from the SCM's own record of the boot, in one process each.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import scmd
from benchmarks.scratch import SCMD, say
from benchmarks.table import Row
from scmd.client.calls import open_calls
from scmd.client.management import query_boot
from scmd.tools.boot_plot import critical_path, read
from scmd.vocabulary.service import ScmAccess

COUNT = 1000
DEPTH = 20
PROGRAM = ["/bin/sleep", "100000"]
MOST_NEEDED = 3
LIMIT = 1.3
ROUNDS = 3
LONGEST_BOOT_S = 60.0


def measure() -> list[Row]:
    """The best of a few boots each, in turns."""
    with tempfile.TemporaryDirectory(prefix="scmd-bench-") as folder:
        plain, graph = Path(folder, "plain"), Path(folder, "graph")
        _install(plain, depth=1)
        _install(graph, depth=DEPTH)
        boots = []
        for number in range(ROUNDS):
            boots.append((_boot(plain), _boot(graph)))
            (without, _), (took, _) = boots[-1]
            say(f"boot {number + 1}: {took} ms, without dependencies {without} ms")
    without = min(took for (took, _), _ in boots)
    took, depth = min(with_graph for _, with_graph in boots)
    return [
        Row(
            f"boot of 1,000 programs, dependencies {DEPTH} deep",
            f"{took} ms",
            f"without dependencies {without} ms",
            f"{took / without:.2f} (critical path of {depth})",
            f"at most {LIMIT}",
            took <= LIMIT * without,
        )
    ]


def _install(root: Path, depth: int) -> None:
    """1,000 automatic services; each needs up to three of the level above."""
    say(f"installing {COUNT} programs, {depth} deep")
    chance = random.Random(20)
    levels = [range(COUNT * level // depth, COUNT * (level + 1) // depth) for level in range(depth)]
    with _running(root), scmd.connect() as scm:
        for level, numbers in enumerate(levels):
            for number in numbers:
                needed: list[str] = []
                if level:
                    above = chance.sample(levels[level - 1], chance.randint(1, MOST_NEEDED))
                    needed = [_name(other) for other in above]
                scm.install(_name(number), PROGRAM, start="auto", depends=needed)


def _name(number: int) -> str:
    return f"Program{number:04}"


def _boot(root: Path) -> tuple[int, int]:
    """Milliseconds until the last one was RUNNING, and how long the critical path is."""
    with _running(root):
        end = time.monotonic() + LONGEST_BOOT_S
        with scmd.connect() as scm:
            while sum(s.name.startswith("Program") for s in scm.services(state="running")) < COUNT:
                if time.monotonic() > end:
                    raise RuntimeError(f"not everything was RUNNING after {LONGEST_BOOT_S:.0f} s")
                time.sleep(0.25)
        with open_calls() as calls:
            handle = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
            starts = read(query_boot(calls, handle))
    if len(starts) != COUNT or any(start.error for start in starts):
        raise RuntimeError("not everything was started by the boot")
    return max(start.ended or 0 for start in starts), len(critical_path(starts))


@contextmanager
def _running(root: Path) -> Iterator[None]:
    """An SCM on this folder, which keeps its database; ready."""
    root.mkdir(exist_ok=True)
    os.environ["SCMD_STATE"] = str(root / "state")
    os.environ["SCMD_RUNTIME"] = str(root / "run")
    daemon = subprocess.Popen(
        [SCMD, "run"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert daemon.stderr is not None
    with daemon.stderr as said:
        try:
            if not any("ready" in line for line in iter(said.readline, "")):
                raise RuntimeError("scmd run ended before it was ready")
            yield
        finally:
            daemon.terminate()
            daemon.wait(60)
