"""Captured output: the logger with a real keeper, and its parts alone."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.events import LaunchFailed
from scmd.daemon.logger import LOST, MAX_BACKLOG, Writer
from scmd.daemon.logger_files import CUT, MAX_LINE, Lines, LogFile
from scmd.vocabulary.errors import Error
from tests.daemon.world import SHELL, World, gone


async def test_output_and_errors_of_a_service_are_one_log(world: World) -> None:
    manager = await world.start()
    script = "echo out; echo err >&2; printf 'no end'"
    await manager.launch(1, SHELL, "-c", script, service=ServiceId(7))
    await manager.exit_of(1)
    await manager.launch(2, SHELL, "-c", "echo again", service=ServiceId(7))
    await manager.exit_of(2)
    await world.finish()
    log = world.state / "logs" / "7.log"
    assert sorted(log.read_text().splitlines()) == ["again", "err", "no end", "out"]
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_new_logger_has_all_pipes_and_nobody_gets_sigpipe(world: World) -> None:
    manager = await world.start()
    script = (
        "echo before; echo >&$SCMD_CONTROL_FD; read x <&$SCMD_CONTROL_FD; "
        "echo after; echo >&$SCMD_CONTROL_FD; exit 3"
    )
    await manager.launch(1, SHELL, "-c", script)
    await manager.packet(1)
    logger = logger_of(manager.state.keeper_pid)
    os.kill(logger, signal.SIGKILL)
    await gone(logger)
    manager.channels[1].send(b"\n")
    assert (await manager.exit_of(1)).exit_code == 3
    await world.finish()
    assert "after\n" in (world.state / "logs" / "1.log").read_text()


async def test_a_killed_logger_costs_a_bounded_part_and_says_so(world: World) -> None:
    manager = await world.start()
    count = 120_000
    # After each 30,000 lines it says so, and 10,000 lines later it waits.
    flood = (
        f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); case $i in "
        "30000|60000|90000) echo >&$SCMD_CONTROL_FD;; "
        "40000|70000|100000) read x <&$SCMD_CONTROL_FD;; esac; done"
    )
    await manager.launch(1, SHELL, "-c", flood)
    log = world.state / "logs" / "1.log"
    for announced in (1, 2, 3):
        await manager.packet(1)
        logger = logger_of(manager.state.keeper_pid)
        os.kill(logger, signal.SIGKILL)
        await gone(logger)
        while log.read_bytes().count(LOST) < announced:  # The next one is about to say so.
            pass
        manager.channels[1].send(b"\n")
    assert (await manager.exit_of(1)).exit_code == 0
    await world.finish()
    lines = log.read_bytes().splitlines(keepends=True)
    assert lines.count(LOST) == announced
    lost = sum(len(f"line {number}\n") for number in range(count)) - sum(
        len(line) for line in lines if line.startswith(b"line ")
    )
    assert lost <= announced * (64 << 10)


async def test_a_service_that_writes_fast_loses_nothing(world: World) -> None:
    manager = await world.start()
    await manager.launch(1, SHELL, "-c", "yes 0123456789 | head -n 500000")
    assert (await manager.exit_of(1)).exit_code == 0
    manager.link.forget(LaunchId(1))
    await world.finish()
    log = world.state / "logs" / "1.log"
    assert log.read_bytes() == b"0123456789\n" * 500_000


async def test_a_logger_that_is_replaced_loses_nothing(world: World) -> None:
    manager = await world.start()
    script = "i=0; while [ $i -lt 50000 ]; do echo line $i; i=$((i+1)); done"
    await manager.launch(1, SHELL, "-c", script)
    first = logger_of(manager.state.keeper_pid)
    manager.link.replace()
    await gone(first)
    assert (await manager.exit_of(1)).exit_code == 0
    await world.finish()
    log = (world.state / "logs" / "1.log").read_text()
    assert log.splitlines() == [f"line {number}" for number in range(50_000)]


async def test_a_killed_manager_changes_nothing_for_output(world: World) -> None:
    first = await world.start()
    script = "read x <&$SCMD_CONTROL_FD; echo later"
    await first.launch(1, SHELL, "-c", script)
    os.kill(first.pid, signal.SIGKILL)
    second = await world.next_manager()
    second.channels[1].send(b"\n")
    assert (await second.exit_of(1)).exit_code == 0
    await world.finish()
    assert (world.state / "logs" / "1.log").read_text() == "later\n"


async def test_where_descriptors_are_few_a_start_is_refused_and_nothing_else(world: World) -> None:
    world.descriptors = 128
    manager = await world.start()
    talkers: list[tuple[int, int]] = []
    while True:
        number, fifo = len(talkers) + 1, world.state.parent / f"fifo{len(talkers)}"
        os.mkfifo(fifo)
        script = f"echo begun; read x <{fifo}; echo said $x"
        manager.order(number, SHELL, "-c", script, control_channel=False)
        answer = await manager.answer(number)
        if isinstance(answer, LaunchFailed):
            break
        talkers.append((number, os.open(fifo, os.O_RDWR | os.O_CLOEXEC)))
    assert answer.error == Error.NOT_ENOUGH_MEMORY
    assert "RLIMIT_NOFILE, 128 here" in answer.detail
    assert len(talkers) > 64
    killed = logger_of(manager.state.keeper_pid)
    os.kill(killed, signal.SIGKILL)
    await gone(killed)
    for _, end in talkers:
        os.write(end, b"it\n")
    for number, end in talkers:
        os.close(end)
        assert (await manager.exit_of(number)).exit_code == 0
        await manager.end_of_output(number)
        log = (world.state / "logs" / f"{number}.log").read_text()
        assert log.replace(LOST.decode(), "").splitlines()[-1] == "said it"
        manager.link.forget(LaunchId(number))
    assert await world.line() == "scmd: the logger ended: signal 9; a new one in 0 s"
    await manager.launch(1000, SHELL, "-c", ":", control_channel=False)
    await world.finish()
    assert await world.line() == ""


async def test_who_hears_of_the_end_of_output_finds_all_of_it_in_the_log(world: World) -> None:
    manager = await world.start()
    for number in range(1, 6):
        await manager.launch(number, SHELL, "-c", "yes 0123456789 | head -n 20000; echo last")
    for number in range(1, 6):
        await manager.end_of_output(number)
        log = (world.state / "logs" / f"{number}.log").read_text()
        assert log.count("\n") == 20_001
        assert log.endswith("last\n")


async def test_the_end_of_output_comes_with_the_last_writer_and_again_to_a_new_manager(
    world: World,
) -> None:
    first = await world.start()
    script = "{ read x; echo child; } <&$SCMD_CONTROL_FD & echo parent"
    await first.launch(1, SHELL, "-c", script)
    await first.exit_of(1)
    assert not first.ended
    first.channels[1].send(b"\n")
    await first.end_of_output(1)
    assert (world.state / "logs" / "1.log").read_text() == "parent\nchild\n"
    os.kill(first.pid, signal.SIGKILL)
    second = await world.next_manager()
    await second.end_of_output(1)


async def test_a_flood_is_bounded_and_harms_nobody(world: World) -> None:
    limits = [sys.executable, "-I", "-m", "scmd.daemon.logger", str(world.state / "logs")]
    world.options = f", logger={[*limits, '100000', '3']!r}"
    manager = await world.start()
    flood = "i=0; while [ $i -lt 20000 ]; do echo line $i of a flood of lines; i=$((i+1)); done"
    await manager.launch(1, SHELL, "-c", flood)
    await manager.launch(2, SHELL, "-c", "echo quiet")
    assert (await manager.exit_of(1)).exit_code == 0
    await manager.exit_of(2)
    manager.link.forget(LaunchId(1))
    await world.finish()
    logs = world.state / "logs"
    assert (logs / "2.log").read_text() == "quiet\n"
    names = sorted(path.name for path in logs.glob("1.log*"))
    assert names == ["1.log", "1.log.1", "1.log.2"]
    for name in names:
        assert (logs / name).stat().st_size <= 100000
        assert all(
            re.fullmatch(r"line \d+ of a flood of lines|scmd: \d+ lines dropped", line)
            for line in (logs / name).read_text().splitlines()
        )


def logger_of(keeper: int) -> int:
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    for child in children:
        if b"scmd.daemon.logger" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise AssertionError("no logger")


# Lines --------------------------------------------------------------------------------------


def test_lines_are_whole_however_they_arrive() -> None:
    text = b"one\ntwo\n\nthree"
    for size in range(1, len(text) + 1):
        lines = Lines()
        pieces = [lines.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert all(piece.endswith(b"\n") for piece in pieces if piece)
        assert b"".join(pieces) + lines.end() == text + b"\n"
        assert lines.end() == b""


def test_a_line_without_end_is_cut_with_a_mark() -> None:
    lines = Lines()
    assert lines.feed(b"x" * MAX_LINE) == b""
    assert lines.feed(b"yz") == b"x" * MAX_LINE + CUT
    assert lines.feed(b"\n") == b"yz\n"


def test_bytes_stay_as_they_are() -> None:
    binary = bytes(set(range(256)) - {10}) + b"\n"
    assert Lines().feed(binary) == binary


def test_each_line_can_have_time_and_name() -> None:
    decorated = Lines(b"Web: ", timestamps=True).feed(b"a\n\n")
    pattern = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z Web: (a|)\n){2}"
    assert re.fullmatch(pattern, decorated)


# Files --------------------------------------------------------------------------------------


def test_rotation_keeps_whole_lines_and_so_many_files(tmp_path: Path) -> None:
    path = tmp_path / "1.log"
    file = LogFile(str(path), 100, 3)
    lines = [b"line %05d\n" % number for number in range(100)]
    for at in range(0, 100, 7):
        assert file.write(b"".join(lines[at : at + 7])) is None
    file.close()
    kept = b"".join((tmp_path / name).read_bytes() for name in ("1.log.2", "1.log.1", "1.log"))
    assert b"".join(lines).endswith(kept)
    assert len(kept) > 200
    assert len(list(tmp_path.iterdir())) == 3
    assert all(found.stat().st_size <= 100 for found in tmp_path.iterdir())


@pytest.mark.parametrize("remove", [shutil.rmtree, lambda folder: (folder / "1.log").unlink()])
def test_a_log_that_was_removed_is_begun_anew(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(str(folder / "1.log"), 100, 3)
    file.write(b"before\n")
    remove(folder)
    assert file.write(b"after\n") is None
    file.close()
    assert (folder / "1.log").read_bytes() == b"after\n"


def test_one_file_is_begun_anew(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "1.log"), 20, 1)
    file.write(b"0123456789\nabcdefgh\n!\n")
    file.close()
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [b"!\n"]


def test_a_line_longer_than_a_file_is_a_file(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "1.log"), 10, 2)
    file.write(b"a\n" + b"x" * 50 + b"\nb\n")
    file.close()
    assert (tmp_path / "1.log").read_bytes() == b"b\n"
    assert (tmp_path / "1.log.1").read_bytes() == b"x" * 50 + b"\n"


def test_a_full_disk_loses_counts_and_announces_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "1.log"
    file = LogFile(str(path), 1 << 20, 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25, before[1]))
    try:
        assert file.write(b"first\n") is None
        assert isinstance(file.write(b"this one is too long to fit\n"), OSError)
        assert isinstance(file.write(b"nor\nthese\n"), OSError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"first\n"
    assert file.write(b"last\n") is None
    file.close()
    assert path.read_bytes() == b"first\nscmd: 3 lines dropped\nlast\n"


def test_a_disk_that_stands_still_blocks_nobody(tmp_path: Path) -> None:
    # A log file that is a FIFO keeps its writer waiting until somebody reads it.
    path = tmp_path / "1.log"
    os.mkfifo(path)
    writer = Writer(str(tmp_path))
    writer.start()
    line = b"x" * 99 + b"\n"
    count = 2 * MAX_BACKLOG // len(line)
    for _ in range(count):
        writer.put(1, line)
    writer.put(2, b"another service\n")
    writer.release(1)
    read = bytearray()

    def drain() -> None:
        with path.open("rb") as file:
            read.extend(file.read())

    reader = threading.Thread(target=drain)
    reader.start()
    writer.end()
    reader.join()
    announced = [int(number) for number in re.findall(rb"scmd: (\d+) lines dropped\n", read)]
    assert sum(announced) > 0
    assert read.count(line) + sum(announced) == count
    assert read.count(b"\n") == read.count(line) + len(announced)
    assert (tmp_path / "2.log").read_bytes() == b"another service\n"
