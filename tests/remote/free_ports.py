"""Addresses that nobody else listens at."""

from __future__ import annotations

import socket


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago, outside the range that connections get."""
    for port in _candidates():
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def _candidates() -> list[int]:
    import random

    ports = list(range(20_000, 30_000))
    random.SystemRandom().shuffle(ports)
    return ports
