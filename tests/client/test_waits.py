"""Waiting threads that read what they share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scmd.client.waits import Source, changing, look_again, wait, wake_all


class Letters(Source):
    """Each byte that comes is for whoever waits for that letter."""

    def __init__(self) -> None:
        self.end, self.other = socket.socketpair()
        self.end.setblocking(False)
        self.descriptor = self.end.fileno()
        self.come: set[str] = set()
        self.unsent = b""

    def read(self) -> None:
        self.come |= set(self.end.recv(100).decode())

    def send_more(self) -> None:
        with suppress(BlockingIOError):
            self.unsent = self.unsent[self.end.send(self.unsent) :]
        self.has_unsent = bool(self.unsent)

    def has(self, letter: str) -> bool | None:
        return letter in self.come or None

    def close(self) -> None:
        self.end.close()
        self.other.close()


@pytest.fixture
def letters() -> Iterator[Letters]:
    source = Letters()
    yield source
    source.close()


def waiting(source: Letters, letter: str) -> threading.Thread:
    thread = threading.Thread(target=lambda: wait(lambda: source.has(letter), (source,)))
    thread.start()
    return thread


def test_whoever_waits_reads_for_all_and_the_next_goes_on_when_it_leaves(letters: Letters) -> None:
    threads = {letter: waiting(letters, letter) for letter in "abcdef"}
    for letter, thread in threads.items():
        letters.other.send(letter.encode())
        thread.join()
    assert not letters.is_taken


def test_what_is_there_is_read_though_the_time_is_up(letters: Letters) -> None:
    letters.other.send(b"a")
    assert wait(lambda: letters.has("a"), (letters,), end=0)
    assert wait(lambda: letters.has("b"), (letters,), end=0) is None


def test_others_may_change_what_is_waited_for(letters: Letters) -> None:
    thread = waiting(letters, "a")
    with changing:
        letters.come.add("a")
        wake_all()
    thread.join()


def test_what_the_other_end_did_not_take_is_sent_while_somebody_waits(letters: Letters) -> None:
    size = 10_000_000
    thread = waiting(letters, "a")
    letters.unsent = b"x" * size
    letters.has_unsent = True
    look_again()
    while size:
        size -= len(letters.other.recv(1_000_000))
    letters.other.send(b"a")
    thread.join()


def test_a_source_that_is_over_is_left_alone(letters: Letters) -> None:
    letters.other.send(b"a")
    letters.is_over = True
    assert wait(lambda: letters.has("a"), (letters,), end=0) is None


def test_an_interrupted_reader_leaves_the_source_to_others(letters: Letters) -> None:
    class Interrupted(Letters):
        def read(self) -> None:
            super().read()
            raise KeyboardInterrupt

    source = Interrupted()
    source.other.send(b"a")
    with pytest.raises(KeyboardInterrupt):
        wait(lambda: source.has("b"), (source,))
    assert source.take()
    source.close()
