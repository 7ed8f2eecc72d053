"""Many requests: 10,000 services with a request each, on a hundred connections, and many changes.

A thousand of the services change in turns, at 1,000 changes a second, however soon the watcher asks
again: what it misses then is a change that came before its next request. The watcher is one
Python process, which has to keep up beside the SCM.
"""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tests.system.crowd import Crowd
from tests.system.machine import Machine, finished

from benchmarks.scratch import ran_us, say
from benchmarks.table import Row

SERVICES, CHANGING = 10_000, 1_000
CHANGES, RATE, AT_ONCE = 10_000, 1_000, 10
COST_US = 1_000
PATIENCE_S = 60.0


class Tally:
    """How many changes were told."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def hear(self, index: int, state: int) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify()

    def wait(self, wanted: int) -> None:
        """Until there are so many, or nobody would wait any longer."""
        with self._changed:
            self._changed.wait_for(lambda: self.count >= wanted, PATIENCE_S)


def measure() -> list[Row]:
    """Changes told of those that there were, and what the manager spends on one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scmd-bench-")))
        machine = stack.enter_context(finished(Machine(folder)))
        crowd = stack.enter_context(Crowd(machine, SERVICES, CHANGING))
        stack.enter_context(machine.as_environment())
        tally = Tally()
        for watcher in crowd.watch(tally.hear):
            stack.callback(watcher.close)
            watcher.settle()
        say(f"{crowd.requests():,} requests are outstanding; {CHANGING:,} services start")
        crowd.start()
        tally.wait(CHANGING)
        manager = int(str(machine.scm.status()["manager_pid"]))
        say(f"{CHANGES:,} changes")
        before, spent = tally.count, ran_us(manager)
        rate = _change(crowd)
        tally.wait(before + CHANGES)
        told, cost = tally.count - before, (ran_us(manager) - spent) / CHANGES
    return [
        Row(
            f"changes told, {SERVICES:,} services, a request each",
            f"{told:,} at {rate:,.0f}/s",
            f"there were {CHANGES:,}",
            f"{told / CHANGES:.3f}",
            "all, 1,000/s",
            told == CHANGES and rate > 0.98 * RATE,
        ),
        Row(
            "  manager's CPU a change, with its request",
            f"{cost:.0f} us",
            "",
            "",
            f"under {COST_US} us",
            cost < COST_US,
        ),
    ]


def _change(crowd: Crowd) -> float:
    """All changes, each service's in turns; how many a second there were."""
    began = time.monotonic()
    for index in range(0, CHANGES, AT_ONCE):
        time.sleep(max(0.0, began + index / RATE - time.monotonic()))
        crowd.change(*range(index % CHANGING, index % CHANGING + AT_ONCE))
    return CHANGES / (time.monotonic() - began)
