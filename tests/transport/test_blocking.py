"""Streams of control programs: how long they wait for whom."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from scmd.transport.blocking import BlockingSocket


@pytest.fixture
def trickle(tmp_path: Path) -> Iterator[str]:
    """Where somebody says a byte whenever he has waited a little, and never comes to an end."""
    path = str(tmp_path / "trickle")
    over = threading.Event()

    def serve() -> None:
        with socket(AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            ready.set()
            end, _ = listening.accept()
            with end, suppress(OSError):
                while not over.wait(0.001):
                    end.sendall(b".")

    ready = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    yield path
    over.set()
    thread.join()


def test_who_says_a_little_at_a_time_is_not_waited_for_longer(trickle: str) -> None:
    stream = BlockingSocket(trickle, 0.2)
    stream.send(b"what")
    with pytest.raises(TimeoutError):
        b"".join(stream.receive(100) for _ in repeat(None))
    stream.send(b"another thing")
    assert stream.receive(1) == b".", "what is said next has its own time"
    stream.set_timeout(None)
    stream.send(b"")
    assert stream.receive(1) == b"."
    stream.close()


def test_one_that_is_collected_ends_without_a_warning(tmp_path: Path) -> None:
    path = str(tmp_path / "end")
    with socket(AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        circle: list[object] = [BlockingSocket(path, 1.0)]
        circle.append(circle)
        with listening.accept()[0] as end:
            del circle
            gc.collect()
            assert end.recv(1) == b""
