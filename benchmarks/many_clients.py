"""Some of the five hundred clients: each has a connection of its own and asks at its pace.

`many_clients.py HOST USER PASSWORD SERVICE CLIENTS SECONDS`: prints a JSON list of milliseconds,
one for each call, when all are connected and a line has come on standard input.
"""

from __future__ import annotations

import heapq
import json
import sys
import time

from scmd.client.scm import connect
from scmd.vocabulary.service import ServiceAccess

PERIOD_S = 0.25
"""Four calls a second."""


def main(host: str, user: str, password: str, name: str, clients: str, seconds: str) -> None:
    calls = []
    for _ in range(int(clients)):
        scm = connect(host, user=user, password=password)
        handle = scm.calls.open_service(scm.handle, name, ServiceAccess.QUERY_STATUS)
        calls.append((scm.calls, handle))
    print("connected", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    due = [(begin + PERIOD_S * index / len(calls), index) for index in range(len(calls))]
    heapq.heapify(due)
    latencies = []
    while (now := time.perf_counter()) < begin + float(seconds):
        at, index = due[0]
        if at > now:
            time.sleep(at - now)
        connection, handle = calls[index]
        asked = time.perf_counter()
        connection.query_status(handle)
        # From when it was due: a call that had to wait for its turn was late for its client.
        latencies.append((time.perf_counter() - min(at, asked)) * 1000)
        heapq.heapreplace(due, (at + PERIOD_S, index))
    print(json.dumps(latencies))


main(*sys.argv[1:])
