"""The event log: numbered, bounded, rotated, repaired, never waited for."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scmd.linux.event_log import LATEST, EventLog
from scmd.storage.event_messages import LOG_SOURCE, SCM_SOURCE
from scmd.storage.event_record import EventError

Event = dict[str, object]
NOON = datetime(2031, 7, 1, 12, 0, 0, 5000, tzinfo=UTC)


class Disk:
    """Stands in for os.write: full on demand, or stuck until let go."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.stuck = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.free.is_set():
            self.stuck.set()
            assert self.free.wait(30)
        if self.room is None:
            return os.write(descriptor, data)
        if not self.room:
            raise OSError(28, "No space left on device")
        part = data[: self.room]
        self.room -= len(part)
        return os.write(descriptor, part)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def log(tmp_path: Path, disk: Disk) -> Iterator[EventLog]:
    opened = EventLog(tmp_path, file_bytes=4000, files=3, now=lambda: NOON, write=disk.write)
    yield opened
    opened.close()


def read(
    log: EventLog, after: int = 0, count: int = 10_000, source: str | None = None
) -> list[Event]:
    lines, _ = log.read(after, count, source)
    return [json.loads(line) for line in lines.splitlines()]


def numbers(events: list[Event]) -> list[object]:
    return [event["number"] for event in events]


def fill(log: EventLog, count: int) -> None:
    for index in range(count):
        log.append("Web", index, 4, (f"event {index}",))
    log.flush()


def test_an_entry_has_every_field_and_its_message(log: EventLog) -> None:
    log.append_scm(7036, ("Web", "running"))
    log.append("Web", 5, 2, ("€", "\udc00"), category=3, user="root")
    first, second = read(log)
    assert first.pop("computer")
    assert first == {
        "number": 1,
        "time": "2031-07-01T12:00:00.005Z",
        "source": SCM_SOURCE,
        "id": 7036,
        "type": "information",
        "category": 0,
        "user": "",
        "strings": ["Web", "running"],
        "message": "The Web service entered the running state.",
    }
    assert second["type"] == "warning"
    assert (second["category"], second["user"]) == (3, "root")
    assert second["message"] == "€\n\ufffd"


def test_reading_goes_on_after_a_number(log: EventLog) -> None:
    fill(log, 10)
    assert numbers(read(log, 7)) == [8, 9, 10]
    assert numbers(read(log, 2, 3)) == [3, 4, 5]
    assert log.read(2, 3)[1] == 5
    assert log.read(10) == (b"", 10)
    assert log.read(99) == (b"", 99)
    assert log.read(0, 0) == (b"", 0)


def test_the_latest_are_read_without_knowing_numbers(log: EventLog) -> None:
    fill(log, 60)
    log.append("Other", 1, 4, ())
    fill(log, 2)
    assert numbers(read(log, LATEST, 2)) == [62, 63]
    assert numbers(read(log, LATEST, 1, "other")) == [61]
    assert log.read(LATEST, 1)[1] == 63
    assert log.read(LATEST, 0)[0] == b""


def test_sources_are_chosen_in_any_case(log: EventLog) -> None:
    fill(log, 3)
    log.append_scm(7036, ("Web", "stopped"))
    assert numbers(read(log, source="WEB")) == [1, 2, 3]
    assert numbers(read(log, source=SCM_SOURCE.lower())) == [4]
    assert read(log, source="We") == []


def test_one_answer_is_bounded_and_the_next_goes_on(log: EventLog) -> None:
    fill(log, 20)
    after, seen = 0, []
    while True:
        lines, following = log.read(after, max_bytes=500)
        if not lines:
            break
        assert len(lines) <= 500
        seen += [json.loads(line)["number"] for line in lines.splitlines()]
        after = following
    assert seen == list(range(1, 21))


def test_files_are_bounded_and_the_oldest_goes(log: EventLog, tmp_path: Path) -> None:
    fill(log, 500)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert all(file.stat().st_size <= 4000 for file in files)
    found = numbers(read(log))
    assert found == list(range(int(str(found[0])), 501))
    assert len(found) > 30
    assert numbers(read(log, 3, 2)) == found[:2]


def test_every_place_in_rotated_files_can_be_read_from(log: EventLog) -> None:
    fill(log, 100)
    found = numbers(read(log))
    for index, number in enumerate(found):
        assert numbers(read(log, int(str(number)))) == found[index + 1 :]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for round in range(5):
        log = EventLog(tmp_path, file_bytes=1000, files=2)
        fill(log, 3)
        assert read(log)[-1]["number"] == 3 * round + 3
        log.close()


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    log = EventLog(tmp_path)
    fill(log, 3)
    log.close()
    file = tmp_path / "events.jsonl"
    data = file.read_bytes()
    last = len(data[:-1].rpartition(b"\n")[2]) + 1
    file.write_bytes(data[: -(cut % last + 1)])
    log = EventLog(tmp_path)
    log.append("Web", 9, 4, ())
    assert [event["id"] for event in read(log)] == [0, 1, 9]
    assert numbers(read(log)) == [1, 2, 3]
    log.close()


@pytest.mark.parametrize("kept", [0, 1, 10, 27])
def test_a_torn_header_is_written_again(tmp_path: Path, kept: int) -> None:
    log = EventLog(tmp_path, file_bytes=1000, files=2)
    fill(log, 8)
    last = int(str(read(log)[-1]["number"]))
    log.close()
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    (tmp_path / "events.jsonl").write_bytes(b'{"scmd_events":1,"first":99}\n'[:kept])
    log = EventLog(tmp_path, file_bytes=1000, files=2)
    fill(log, 1)
    assert read(log)[-1]["number"] == last + 1
    log.close()


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    fill(log, 9)
    log.close()
    file = tmp_path / "events.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[5] = b"\0" * 30 + b"\n"
    lines[7] = b'{"number":7,"x":\n'
    file.write_bytes(b"".join(lines))
    log = EventLog(tmp_path)
    fill(log, 1)
    for after in range(11):
        expected = [number for number in (1, 2, 3, 4, 6, 8, 9, 10) if number > after]
        assert numbers(read(log, after)) == expected
    log.close()


@pytest.mark.parametrize("data", [b"hello\n", b"hello", b'{"scmd_events":2,"first":1}\n'])
def test_a_foreign_or_newer_file_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(data)
    with pytest.raises(EventError, match=f"^{file} cannot be used: .*move it aside"):
        EventLog(tmp_path)
    assert file.read_bytes() == data


def test_a_file_that_a_power_cut_left_as_zeros_is_begun_anew(tmp_path: Path) -> None:
    """Its size was on the disk already, what was written to it was not."""
    (tmp_path / "events.jsonl").write_bytes(bytes(5000))
    log = EventLog(tmp_path)
    fill(log, 2)
    assert numbers(read(log)) == [1, 2]
    log.close()


def test_a_full_disk_loses_entries_and_says_how_many(log: EventLog, disk: Disk) -> None:
    fill(log, 2)
    disk.room = 50
    fill(log, 3)
    disk.room = None
    fill(log, 1)
    events = read(log)
    assert numbers(events) == [1, 2, 3, 4]
    assert events[2]["source"] == LOG_SOURCE
    assert events[2]["message"] == "3 events were lost here."


def test_a_full_disk_rotates_nothing_away(log: EventLog, disk: Disk, tmp_path: Path) -> None:
    fill(log, 75)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    disk.room = 0
    fill(log, 100)
    disk.room = None
    for name, data in before.items():
        assert (tmp_path / name).read_bytes() == data
    fill(log, 1)
    assert read(log)[-2]["strings"] == ["100"]


def test_a_stuck_disk_delays_nobody_and_bounds_what_waits(tmp_path: Path, disk: Disk) -> None:
    log = EventLog(tmp_path, linger_s=0, max_waiting=10, write=disk.write)
    disk.free.clear()
    log.append("Web", 1, 4, ())
    assert disk.stuck.wait(30)
    for _ in range(1000):
        log.append("Web", 2, 4, ())
    disk.free.set()
    log.flush()
    log.append("Web", 3, 4, ())
    events = read(log)
    assert len(events) == 12
    assert ["991"] in [event["strings"] for event in events]
    log.close()


def test_threads_append_at_once(log: EventLog) -> None:
    threads = [threading.Thread(target=fill, args=(log, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(read(log)) == list(range(1, 21))


@pytest.mark.parametrize(
    "remove", [shutil.rmtree, lambda folder: (folder / "events.jsonl").unlink()]
)
def test_a_file_that_was_removed_is_begun_anew_and_the_numbers_go_on(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    log = EventLog(tmp_path / "events", now=lambda: NOON)
    fill(log, 3)
    remove(tmp_path / "events")
    fill(log, 2)
    assert numbers(read(log)) == [4, 5]
    log.close()
    log = EventLog(tmp_path / "events", now=lambda: NOON)
    assert numbers(read(log)) == [4, 5]
    log.close()


def test_a_foreign_file_in_place_of_ours_is_left_alone_and_what_is_lost_is_counted(
    log: EventLog, tmp_path: Path
) -> None:
    fill(log, 1)
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "events.jsonl").write_bytes(b"somebody's\n")
    fill(log, 2)
    assert (tmp_path / "events.jsonl").read_bytes() == b"somebody's\n"
    (tmp_path / "events.jsonl").unlink()
    fill(log, 1)
    assert str(read(log)[0]["message"]).startswith("2 ")


def test_close_writes_what_waits(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for index in range(100):
        log.append("Web", index, 4, ())
    log.close()
    log.close()
    again = EventLog(tmp_path)
    assert len(read(again)) == 100
    again.close()
