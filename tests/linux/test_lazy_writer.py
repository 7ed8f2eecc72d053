"""Lines that are written later: in order, bounded, and neither lost nor doubled by a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scmd.linux.lazy_writer import LazyWriter
from scmd.linux.spool import Spool, overlap
from tests.linux.lazy_lines import Disk, opened


class Store:
    """Keeps what it is given; its disk hangs until it is let go."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.batches = 0
        self.again: list[bytes] = []
        self.began = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def write(self, lines: list[bytes], *, again: bool) -> None:
        self.began.set()
        assert self.free.wait(60)
        self.batches += 1
        self.lines += lines
        self.again += lines if again else []


def test_lines_wait_for_others_until_somebody_reads() -> None:
    store = Store()
    writer = LazyWriter("test", store.write, linger_s=3600)
    for number in range(100):
        assert writer.add(b"%d\n" % number)
    assert not store.lines
    writer.flush(60)
    assert store.lines == [b"%d\n" % number for number in range(100)]
    assert store.batches == 1
    writer.close()


def test_calls_keep_their_place_among_the_lines() -> None:
    store = Store()
    seen: list[list[bytes]] = []
    writer = LazyWriter("test", store.write, linger_s=3600)
    writer.add(b"1\n")
    writer.call(lambda: seen.append(list(store.lines)))
    writer.add(b"2\n")
    writer.close()
    assert seen == [[b"1\n"]]
    assert store.lines == [b"1\n", b"2\n"]


def test_many_lines_do_not_wait_and_too_many_are_refused() -> None:
    store = Store()
    store.free.clear()
    writer = LazyWriter("test", store.write, linger_s=3600, max_waiting=10)
    taken = [writer.add(b"x\n") for _ in range(20)]
    assert store.began.wait(60)
    taken += [writer.add(b"x\n") for _ in range(20)]
    store.free.set()
    writer.close()
    assert taken.count(True) == len(store.lines) == 10


def test_a_spool_has_what_is_not_in_its_place(tmp_path: Path) -> None:
    store = Store()
    writer = LazyWriter("test", store.write, Spool(tmp_path / "w", "x"), linger_s=3600)
    writer.add(b"1\n")
    writer.flush(60)
    writer.add(b"2\n")
    assert Spool(tmp_path / "w", "x").found in ([b"2\n"], [b"1\n", b"2\n"])
    assert Spool(tmp_path / "w", "another").found == []
    writer.close()
    assert not list(tmp_path.iterdir())


def test_what_an_earlier_process_left_comes_first_and_may_be_there(tmp_path: Path) -> None:
    earlier = Spool(tmp_path / "w", "x")
    for line in (b"1\n", b"2\n"):
        earlier.add(line)
        earlier.begin()
    earlier.add(b"unfin")
    store = Store()
    writer = LazyWriter("test", store.write, Spool(tmp_path / "w", "x"), linger_s=3600)
    writer.add(b"3\n")
    writer.close()
    assert store.lines == [b"1\n", b"2\n", b"3\n"]
    assert store.again == [b"1\n", b"2\n"]
    assert not list(tmp_path.iterdir())


def test_what_was_left_is_let_go_as_soon_as_it_is_in_its_place(tmp_path: Path) -> None:
    """Or each process that is killed soon would leave one more file to those after it."""
    for number in range(3):
        Spool(tmp_path / "w", "x").add(b"%d\n" % number)
    store = Store()
    writer = LazyWriter("test", store.write, Spool(tmp_path / "w", "x"), linger_s=3600)
    writer.add(b"3\n")
    kept: list[list[str]] = []
    writer.call(lambda: kept.append([path.name for path in tmp_path.iterdir()]))
    writer.close()
    assert kept == [["w.4"]]
    assert store.lines == [b"0\n", b"1\n", b"2\n", b"3\n"]


@pytest.mark.parametrize(
    "other", [b"", b"notes\n1\n", b'{"scmd_spool":99,"owner":"x"}\n1\n', b"[" * 100_000]
)
def test_a_file_that_is_not_ours_gives_no_lines(tmp_path: Path, other: bytes) -> None:
    (tmp_path / "w.7").write_bytes(other)
    spool = Spool(tmp_path / "w", "x")
    assert spool.found == []
    spool.add(b"1\n")
    assert Spool(tmp_path / "w", "x").found == [b"1\n"]


def test_a_file_that_cannot_be_read_is_left_said_and_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Spool(tmp_path / "w", "x")
    before.add(b"1\n")
    (tmp_path / "w.2").mkdir()
    store = Store()
    writer = LazyWriter("test", store.write, Spool(tmp_path / "w", "x"), linger_s=3600)
    writer.add(b"3\n")
    writer.close()
    assert store.lines == [b"1\n", b"3\n"]
    assert [path.name for path in tmp_path.iterdir()] == ["w.2"]
    assert f"{tmp_path / 'w.2'} is left as it is: Is a directory" in caplog.text


def test_without_a_place_for_the_spool_lines_are_written_all_the_same(tmp_path: Path) -> None:
    store = Store()
    folder = tmp_path / "run"
    folder.mkdir()
    spool = Spool(folder / "w", "x")
    folder.rmdir()
    writer = LazyWriter("test", store.write, spool, linger_s=3600)
    writer.add(b"1\n")
    writer.close()
    assert store.lines == [b"1\n"]


@pytest.mark.parametrize(
    ("there", "batch", "count"),
    [("", "ab", 0), ("ab", "ab", 2), ("xab", "abc", 2), ("ba", "ab", 1), ("aaa", "aab", 2)],
)
def test_overlap_is_what_one_ends_and_the_other_begins_with(
    there: str, batch: str, count: int
) -> None:
    assert overlap(there, batch) == count


@pytest.mark.parametrize("kill_after", [0, 1, 7, 40])
def test_a_killed_process_loses_and_doubles_nothing(tmp_path: Path, kill_after: int) -> None:
    for first, count in ((0, 40), (40, 0), (40, 40)):
        arguments = [str(tmp_path), str(first), str(count), str(kill_after)]
        done = subprocess.run([sys.executable, "-m", "tests.linux.lazy_lines", *arguments])
        assert done.returncode == -signal.SIGKILL
    events, histories = opened(tmp_path, Disk())
    found = [json.loads(line) for line in events.read()[0].splitlines()]
    assert [event["strings"] for event in found] == [[str(number)] for number in range(80)]
    assert [event["number"] for event in found] == list(range(1, 81))
    for service in range(3):
        times = [int(json.loads(line)["time"]) for line in histories.read(service)]
        assert times == list(range(80))[service::3]
    events.close()
    histories.close()
