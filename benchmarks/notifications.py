"""Notifications: how soon a watcher knows what a service has reported, and what watching costs.

A service reports PAUSED and RUNNING in turns, each time a byte comes by its FIFO; when it called
SetServiceStatus travels as its service specific exit code. The watcher asks by
NotifyServiceStatusChange, waits alertably, and asks again; then comes the next change, at once or,
in rows of their own, after a rest, so that everyone who takes part has to be woken, and finds the
processor's caches as others have left them. The processor's pace is taken before and after each of
these: a host may slow its guests down tenfold for a while. The peers are in `notification_peers`.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import scmd
from benchmarks import notification_peers
from benchmarks.scratch import ran_us, say, scratch_scm, status
from benchmarks.table import Row
from benchmarks.watchers import Watcher, all_told
from scmd import winsvc

CHANGES = 1000
BLOCK, BLOCKS = 20, 60
"""Changes between two looks at what they cost, and how often."""
REST_S = 0.003
LONG_REST_S, LONG_RESTS = 0.05, 200
WORK, SLOWED = 2000, 2.0
"""Turns of an empty loop; the processor is slowed down when they take so many times the usual."""
FEW, MANY = 10, 10_000
CONNECTIONS, OTHERS = 100, 100
"""The many requests: each of these connections has one for each of these services."""
WATCHERS = 1000
CROWDS = 20
PATIENCE_S = 30.0
EITHER = winsvc.SERVICE_NOTIFY_RUNNING | winsvc.SERVICE_NOTIFY_PAUSED
P50_MS, P99_MS, CROWD_MS, EXTRA = 0.8, 3.0, 50.0, 1.1

SERVICE = """\
import os, sys, time
from scmd import winsvc


def main(arguments):
    report = winsvc.RegisterServiceCtrlHandlerEx("Talker", lambda *_: os._exit(0))
    state = winsvc.SERVICE_RUNNING
    fifo = os.open(sys.argv[1], os.O_RDWR)
    while True:
        now = time.monotonic_ns() // 1000 & 0xFFFF_FFFF
        winsvc.SetServiceStatus(report, (0x10, state, 1, 0, now, 0, 0))
        os.read(fifo, 1)
        state = winsvc.SERVICE_PAUSED + winsvc.SERVICE_RUNNING - state


winsvc.StartServiceCtrlDispatcher([("Talker", main)])
"""


class Talker:
    """The service, and one watcher of it in this thread."""

    def __init__(self, folder: Path) -> None:
        fifo, program = folder / "fifo", folder / "talker.py"
        os.mkfifo(fifo)
        program.write_text(SERVICE)
        self._fifo = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        with scmd.connect() as scm:
            command = [sys.executable, str(program), str(fifo)]
            scm.create("Talker", command).start(wait=PATIENCE_S)
        self._scm = winsvc.OpenSCManager(None, None, winsvc.SC_MANAGER_CONNECT)
        self._service = winsvc.OpenService(self._scm, "Talker", winsvc.SERVICE_QUERY_STATUS)
        self._buffer = winsvc.ServiceNotify(self._called)
        self._manager = int(status()["manager_pid"])
        self._took_ms: list[float] = []
        self.paces: list[float] = []
        """What the empty loop took, before the first of the last changes and after each."""
        self.next = winsvc.SERVICE_NOTIFY_PAUSED
        """The bit of the state that it reports next."""

    def _called(self, buffer: winsvc.ServiceNotify) -> None:
        now = time.monotonic_ns() // 1000
        took_us = now - buffer.service_status.service_specific_exit_code & 0xFFFF_FFFF
        self._took_ms.append(took_us / 1000)

    def _wait(self) -> None:
        if winsvc.SleepEx(int(PATIENCE_S * 1000), True) != winsvc.WAIT_IO_COMPLETION:
            raise RuntimeError("a notification did not come")

    def change(self) -> None:
        """Have it report its other state."""
        self.next ^= EITHER
        os.write(self._fifo, b"x")

    def changes(self, count: int, rest_s: float = 0.0) -> list[float]:
        """Be told of so many, each after a rest; how many milliseconds each took."""
        self._took_ms.clear()
        self.paces = [_pace()] if rest_s else []
        for _ in range(count):
            winsvc.NotifyServiceStatusChange(self._service, self.next, self._buffer)
            if rest_s:
                time.sleep(rest_s)
            self.change()
            self._wait()
            if rest_s:
                self.paces.append(_pace())
        return [*self._took_ms]

    def cost(self, count: int) -> float:
        """What one of so many changes costs the manager, in microseconds."""
        begin = ran_us(self._manager)
        self.changes(count)
        return (ran_us(self._manager) - begin) / count


def measure() -> list[Row]:
    """Latency, what requests of others cost, and a crowd of watchers."""
    with ExitStack() as stack:
        talker = _talker(stack)
        say("changes of one service, one watcher")
        took = talker.changes(CHANGES)
        rested = talker.changes(CHANGES, REST_S)
        steady = _steady(rested, talker.paces)
        long_rested = talker.changes(LONG_RESTS, LONG_REST_S)
        say(f"{_figure(took)}; {WATCHERS:,} watchers of one service")
        crowd = _crowd(talker)
    say(f"{statistics.median(crowd):.0f} ms; {FEW} and {MANY:,} requests outstanding on others")
    few, many = _with_others()
    say(f"{few:.0f} and {many:.0f} us; supervisord's event listener and s6-svwait; a bare loop")
    peers = [*notification_peers.measure()]
    bare, bare_rested, bare_long_rested = (
        [("bare Python loop", notification_peers.bare_loop(len(times), rest_s))]
        for times, rest_s in ((took, 0.0), (rested, REST_S), (long_rested, LONG_REST_S))
    )
    return [
        _latency(f"SetServiceStatus to callback, p50 / p99 of {CHANGES:,}", took, peers + bare),
        _latency(f"  {REST_S * 1000:.0f} ms of rest before each", rested, bare_rested),
        _latency(f"    {len(steady):,} of them: the processor was not slowed down", steady, []),
        _latency(
            f"  {LONG_REST_S * 1000:.0f} ms of rest before each of {LONG_RESTS}",
            long_rested,
            bare_long_rested,
        ),
        Row(
            f"  manager's CPU a change, {MANY:,} requests on others",
            f"{many:.0f} us",
            f"{FEW} requests: {few:.0f} us",
            f"{many / few:.2f}",
            f"at most {EXTRA}",
            many <= EXTRA * few,
        ),
        Row(
            f"  {WATCHERS:,} watchers of one service, all told",
            f"{statistics.median(crowd):.0f} ms",
            f"(worst of {CROWDS}: {max(crowd):.0f} ms)",
            "",
            f"within {CROWD_MS:.0f} ms",
            statistics.median(crowd) <= CROWD_MS,
        ),
    ]


def _latency(what: str, took: list[float], peers: list[tuple[str, list[float]]]) -> Row:
    p50 = statistics.median(took)
    return Row(
        what,
        _figure(took),
        ", ".join(f"{name} {_figure(times)}" for name, times in peers),
        ", ".join(f"{p50 / statistics.median(times):.2f} x" for _, times in peers),
        f"under {P50_MS} / {P99_MS:.0f} ms",
        _is_soon(took),
    )


def _pace() -> float:
    """Milliseconds a piece of work took that needs nothing but the processor."""
    began = time.perf_counter()
    for _ in range(WORK):
        pass
    return (time.perf_counter() - began) * 1000


def _steady(took: list[float], paces: list[float]) -> list[float]:
    """Those with the usual pace before and after."""
    limit = SLOWED * statistics.median(paces)
    around = itertools.pairwise(paces)
    return [took_ms for took_ms, pair in zip(took, around, strict=True) if max(pair) < limit]


def _is_soon(times: list[float]) -> bool:
    p50, p99 = _percentiles(times)
    return p50 < P50_MS and p99 < P99_MS


def _percentiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def _figure(times: list[float]) -> str:
    return "{:.2f} / {:.2f} ms".format(*_percentiles(times))


def _talker(stack: ExitStack) -> Talker:
    """A service in an SCM of its own."""
    stack.enter_context(scratch_scm())
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="scmd-notify-"))
    return Talker(Path(folder))


def _with_others() -> tuple[float, float]:
    """The manager's microseconds a change with few and with many; two SCMs take turns."""
    names = [f"Other{number:02}" for number in range(OTHERS)]
    with ExitStack() as stack:
        talkers = []
        for connections, watched in ((1, names[:FEW]), (CONNECTIONS, names)):
            talkers.append(_talker(stack))
            with scmd.connect() as scm:
                for name in watched:
                    scm.install(name, ["/bin/true"])
            stack.enter_context(_requests(connections, watched))
        costs = [[talker.cost(BLOCK) for talker in talkers] for _ in range(BLOCKS)]
    few, many = zip(*costs, strict=True)
    return statistics.median(few), statistics.median(many)


@contextmanager
def _requests(connections: int, names: list[str]) -> Iterator[None]:
    """For each of the names on each of so many connections one request is outstanding."""
    watchers = [Watcher() for _ in range(connections)]
    for watcher in watchers:
        for name in names:
            watcher.ask(watcher.open(name), winsvc.SERVICE_NOTIFY_RUNNING)
    outstanding = status()["counts"]["notification_requests"]
    if outstanding < connections * len(names):
        raise RuntimeError(f"{outstanding} requests are outstanding")
    yield
    for watcher in watchers:
        watcher.close()


def _crowd(talker: Talker) -> list[float]:
    """From before a change until the last of many watchers, each with its connection, was told."""
    watchers = [Watcher() for _ in range(WATCHERS)]
    services = [watcher.open("Talker") for watcher in watchers]
    took: list[float] = []
    for _ in range(CROWDS):
        for watcher, service in zip(watchers, services, strict=True):
            watcher.ask(service, talker.next)
        begin = time.monotonic()
        talker.change()
        took.append((all_told(watchers, PATIENCE_S) - begin) * 1000)
        for watcher in watchers:
            watcher.told()
    for watcher in watchers:
        watcher.close()
    return took
