"""What 100 running services cost when nothing happens: wake-ups of the manager."""

from __future__ import annotations

import time

import scmd
from benchmarks.scratch import context_switches, scratch_scm, status
from benchmarks.table import Row

SECONDS = 20


def measure() -> list[Row]:
    """One row: context switches a second of the manager, all its threads."""
    with scratch_scm():
        with scmd.connect() as scm:
            for number in range(100):
                scm.install(f"Program{number:03}", ["/bin/sleep", "100000"])
                scm[f"Program{number:03}"].start(wait=30)
        manager = int(status()["manager_pid"])
        time.sleep(2)
        before = context_switches(manager)
        time.sleep(SECONDS)
        rate = (context_switches(manager) - before) / SECONDS
    return [
        Row(
            "idle with 100 services: manager wake-ups",
            f"{rate:.2f}/s",
            "",
            "",
            "at most 1/s",
            rate <= 1,
        )
    ]
