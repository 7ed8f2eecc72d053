"""A scratch SCM for a measurement: its own directories, started and stopped as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCMD = Path(sys.executable).with_name("scmd")


@contextmanager
def scratch_scm() -> Iterator[None]:
    """A running SCM that `scmd.connect()` and the command reach through the environment."""
    with tempfile.TemporaryDirectory(prefix="scmd-bench-") as folder:
        root = Path(folder)
        os.environ["SCMD_STATE"] = str(root / "state")
        os.environ["SCMD_RUNTIME"] = str(root / "run")
        with (root / "stderr").open("wb") as stderr:
            daemon = subprocess.Popen(
                [SCMD, "run"], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            )
            assert daemon.stderr is not None
            for line in daemon.stderr:
                stderr.write(line)
                if b"ready" in line:
                    break
            else:
                raise RuntimeError("scmd run ended before it was ready")
            try:
                yield
            finally:
                daemon.terminate()
                daemon.wait(60)
                daemon.stderr.close()


def status() -> dict[str, Any]:
    """What `scmd status --json` says."""
    output = subprocess.run([SCMD, "status", "--json"], check=True, capture_output=True).stdout
    answer: dict[str, Any] = json.loads(output)
    return answer


def daemon_processes() -> list[int]:
    """Keeper, manager, logger and whatever else of scmd's own runs; not the services."""
    return own_processes(int(status()["keeper_pid"]))


def own_processes(keeper: int) -> list[int]:
    """The same of the SCM whose keeper this is, without asking it."""
    return [keeper, *(child for child in children_of(keeper) if _is_daemon(child))]


def children_of(process: int) -> list[int]:
    """The processes that are its children now."""
    return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]


def _is_daemon(process: int) -> bool:
    try:
        return b"scmd.daemon" in Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def say(progress: str) -> None:
    """What is being done now; figures go to standard output."""
    print(f"  {progress}", file=sys.stderr)


def ran_us(process: int) -> float:
    """What the process' main thread has run so far."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1000


def pss_kib(process: int) -> int:
    """Proportional set size of a process, in KiB."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {process} has no Pss")


def context_switches(process: int) -> int:
    """Voluntary and involuntary switches of all threads of a process so far."""
    total = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total
