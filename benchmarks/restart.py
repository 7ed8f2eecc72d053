"""How soon a program that was killed runs again: failure action RESTART with delay 0.

The program is a shell script that writes its process id into a FIFO, which is the instant
that counts, and becomes `sleep`. The peer is runit (Debian package `runit`) with the same
script, killed in turn. Each lives for more than a second, since runsv holds quick ones back.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import scmd
from benchmarks.scratch import SCMD, scratch_scm
from benchmarks.table import Row

ROUNDS = 40
LIFE_S = 1.2
AIM_MS = 10.0


class Probe:
    """One program under a supervisor, and how long its restarts took."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        fifo = folder / "fifo"
        os.mkfifo(fifo)
        # For writing too, so that it never ends.
        self._fifo = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        self.script = folder / "run"
        self.script.write_text(f"#!/bin/sh\necho $$ >{fifo}\nexec sleep 100000\n")
        self.script.chmod(0o755)
        self.times_ms: list[float] = []
        self._pid = 0

    def started(self) -> None:
        """Wait until the program runs."""
        self._pid = int(os.read(self._fifo, 64))

    def kill(self) -> None:
        """Kill it and wait for the next one."""
        old, begin = self._pid, time.perf_counter()
        os.kill(old, signal.SIGKILL)
        self.started()
        self.times_ms.append((time.perf_counter() - begin) * 1000)
        assert self._pid != old

    def close(self) -> None:
        os.close(self._fifo)


def measure() -> list[Row]:
    """The median, with the 99th percentile beside it."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scmd-restart-")))
        stack.enter_context(scratch_scm())
        ours = stack.enter_context(_under_scmd(root))
        probes = [ours]
        if shutil.which("runsvdir"):
            probes.append(stack.enter_context(_under_runit(root)))
        for _ in range(ROUNDS):
            time.sleep(LIFE_S / len(probes))
            probes.append(probes.pop(0))
            probes[-1].kill()
    median = statistics.median(ours.times_ms)
    theirs = [probe for probe in probes if probe is not ours]
    return [
        Row(
            "a killed program runs again (delay 0), p50 / p99",
            _figure(ours),
            f"runit {_figure(theirs[0])}" if theirs else "runit not installed",
            f"{median / statistics.median(theirs[0].times_ms):.2f} x" if theirs else "",
            f"p50 under {AIM_MS:.0f} ms",
            median < AIM_MS,
        )
    ]


def _figure(probe: Probe) -> str:
    ordered = sorted(probe.times_ms)
    last = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    return f"{statistics.median(ordered):.1f} / {last:.1f} ms"


@contextmanager
def _under_scmd(root: Path) -> Iterator[Probe]:
    probe = Probe(root / "scmd")
    with scmd.connect() as scm:
        # No crash loop, however often it is killed.
        service = scm.install("Probe", [str(probe.script)], parameters={"AppRestartLimit": 0})
        failure = [str(SCMD), "sc", "failure", "Probe", "reset=", "0", "actions=", "restart/0"]
        subprocess.run(failure, check=True, stdout=subprocess.DEVNULL)
        service.start(wait=30)
    probe.started()
    yield probe
    probe.close()


@contextmanager
def _under_runit(root: Path) -> Iterator[Probe]:
    probe = Probe(root / "probe")
    services = root / "services"
    services.mkdir()
    (services / "probe").symlink_to(probe.script.parent)
    runsvdir = subprocess.Popen(["runsvdir", services], stderr=subprocess.DEVNULL)
    try:
        probe.started()
        yield probe
    finally:
        # SIGHUP: runsvdir ends its runsv processes too, and they their programs.
        runsvdir.send_signal(signal.SIGHUP)
        runsvdir.wait(30)
        probe.close()
