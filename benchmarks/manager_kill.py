"""`kill -9` on the manager, again and again, under load: what is lost, and for how long.

200 services run and must go on; others are started, stopped and queried by clients all the time.
After each kill a new connection asks until the new manager answers. Then the clients pause
and the books are compared: what the SCM says runs, and the processes that do. The peer, now and
then, under the same load: a Python that imports what a manager is made of, and ends.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import scmd
from benchmarks.scratch import children_of, own_processes, say, scratch_scm, status
from benchmarks.table import Row
from scmd.client.scm import Scm
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.winerror import WinError

ROUNDS = 200
STEADY = 200
LOOSE = 20
CLIENTS = 4
PROGRAM = ["/bin/sleep", "100000"]
_RESTS = (ServiceState.RUNNING, ServiceState.STOPPED)
_LONGEST_REST_S = 5.0


class Load:
    """Clients that start, stop and query; `paused` holds them all between two operations."""

    def __init__(self, names: list[str]) -> None:
        self.operations = 0
        self._names = names
        self._ending = False
        self._go = threading.Event()
        self._go.set()
        self._resting = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        for thread in self._threads:
            thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._go.clear()
        for _ in self._threads:
            self._resting.acquire()
        try:
            yield
        finally:
            self._go.set()

    def _work(self, number: int) -> None:
        dice = random.Random(number)
        with scmd.connect() as scm:
            while not self._ending:
                self._act(dice, scm)
                if not self._go.is_set():
                    self._resting.release()
                    self._go.wait()

    def _act(self, dice: random.Random, scm: Scm) -> None:
        service = scm[dice.choice(self._names)]
        try:
            if dice.random() < 0.5:
                service.start(wait=False)
            else:
                service.stop(wait=False)
        except WinError:
            pass  # It runs already, or has stopped, or the manager died just now.
        for _ in range(5):
            with suppress(WinError):
                service.status  # noqa: B018 # asked for its own sake
        self.operations += 1


def measure() -> list[Row]:
    """Rows: services lost, wrong states, and how soon the new manager answers."""
    with scratch_scm():
        keeper = int(status()["keeper_pid"])
        names = [f"Loose{number:02}" for number in range(LOOSE)]
        with scmd.connect() as scm:
            for number in range(STEADY):
                scm.install(f"Steady{number:03}", PROGRAM).start(wait=False)
            for name in names:
                scm.install(name, PROGRAM)
            steady = {
                service.name: service.last_status.process_id
                for service in scm.services("running")
                if service.name.startswith("Steady")
            }
            assert len(steady) == STEADY
        lost = wrong = 0
        answers: list[float] = []
        imports: list[float] = []
        with Load(names) as load:
            for number in range(ROUNDS):
                answers.append(_kill(random.Random(number)))
                with load.paused():
                    missing, differing = _compare(keeper, steady)
                lost, wrong = lost + missing, wrong + differing
                if (number + 1) % 10 == 0:
                    imports.append(_import())
                    worst = max(answers) * 1000
                    say(f"{number + 1} kills, {lost} lost, {wrong} wrong, worst {worst:.0f} ms")
        operations = load.operations
    p50, p99 = statistics.median(answers), statistics.quantiles(answers, n=100)[98]
    bare = statistics.median(imports)
    what = f"{ROUNDS} kills of the manager, {STEADY} services, {operations:,} operations"
    return [
        Row(f"{what}: services lost", str(lost), "", "", "0", lost == 0),
        Row("  wrong states after adoption", str(wrong), "", "", "0", wrong == 0),
        Row(
            "  the new manager answers after",
            f"p50 {p50 * 1000:.0f}, p99 {p99 * 1000:.0f} ms",
            f"its modules imported: p50 {bare * 1000:.0f} ms",
            f"{p50 / bare:.2f}",
            "p99 under 1 s",
            p99 < 1,
        ),
    ]


def _kill(dice: random.Random) -> float:
    """Kill the manager at any moment; the seconds until another one answers a new client."""
    with scmd.connect() as scm:
        manager = int(str(scm.status()["manager_pid"]))
    time.sleep(dice.random() * 0.2)
    begin = time.perf_counter()
    os.kill(manager, signal.SIGKILL)
    while True:
        try:
            with scmd.connect() as scm:
                if scm.status()["manager_pid"] != manager:
                    return time.perf_counter() - begin
        except WinError:
            continue


def _import() -> float:
    """Seconds in which a Python has imported the manager's modules."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", "import scmd.daemon.manager"], check=True)
    return time.perf_counter() - begin


def _compare(keeper: int, steady: dict[str, int]) -> tuple[int, int]:
    """Steady services that are not what they were, and loose ones that are not as they are said."""
    end = time.monotonic() + _LONGEST_REST_S
    with scmd.connect() as scm:
        while True:
            found = {service.name: service.last_status for service in scm.services()}
            missing = sum(
                found[name].state != ServiceState.RUNNING
                or found[name].process_id != process_id
                or not Path(f"/proc/{process_id}").exists()
                for name, process_id in steady.items()
            )
            own, theirs = _processes_of(keeper)
            said = {s.process_id for s in found.values() if s.state == ServiceState.RUNNING}
            unsettled = sum(s.state not in _RESTS for s in found.values())
            wrong = len((said - own) ^ theirs) + unsettled
            if not wrong or time.monotonic() > end:
                return missing, wrong
            time.sleep(0.01)


def _processes_of(keeper: int) -> tuple[set[int], set[int]]:
    """The SCM's own processes, where built-in services run too, and those of other services."""
    own = set(own_processes(keeper))
    return own, set(children_of(keeper)) - own
