"""Addresses that nobody else listens at."""

from __future__ import annotations

import os
import random
import socket


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago, outside the range that connections get.

    No other test process of this run gets it, nor this one again.
    """
    while _ports:
        port = _ports.pop()
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def _own_ports() -> list[int]:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(range(20_000 + process, 30_000, processes))
    # Another run of the tests may be under way on this machine.
    random.SystemRandom().shuffle(ports)
    return ports


_ports = _own_ports()
