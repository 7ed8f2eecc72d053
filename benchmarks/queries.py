"""Status queries by one client on the local socket: rate and latency."""

from __future__ import annotations

import statistics
import time

import scmd
from benchmarks.scratch import scratch_scm
from benchmarks.table import Row
from scmd import winsvc

CALLS = 30_000


def measure() -> list[Row]:
    """Two rows: calls a second, and the 99th percentile of one call."""
    with scratch_scm(), scmd.connect() as scm:
        scm.install("Probe", ["/bin/sleep", "1000"])
        scm["Probe"].start(wait=30)
        manager = winsvc.OpenSCManager(None, None, winsvc.SC_MANAGER_CONNECT)
        service = winsvc.OpenService(manager, "Probe", winsvc.SERVICE_QUERY_STATUS)
        times: list[float] = []
        for _ in range(CALLS):
            begin = time.perf_counter()
            winsvc.QueryServiceStatus(service)
            times.append(time.perf_counter() - begin)
        winsvc.CloseServiceHandle(service)
        winsvc.CloseServiceHandle(manager)
    rate = CALLS / sum(times)
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    return [
        Row("status queries, one client", f"{rate:,.0f}/s", "", "", "10,000/s", rate >= 10_000),
        Row(
            "  latency",
            f"p99 {p99 * 1e6:.0f} us",
            f"(p50 {p50 * 1e6:.0f} us)",
            "",
            "p99 under 1 ms",
            p99 < 1e-3,
        ),
    ]
