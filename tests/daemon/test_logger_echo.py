"""What is shown besides being logged: never at the cost of who writes it."""

from __future__ import annotations

import os
import re

from scmd.daemon.logger_echo import MAX_BACKLOG, Echo


def read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def test_lines_are_shown_with_who_wrote_them() -> None:
    reader, writer = os.pipe()
    echo = Echo(writer)
    echo.put(b"", b"one\n")
    echo.put(b"web: ", b"two\nthree\n")
    echo.put(b"web: ", b"")
    echo.end()
    os.close(writer)
    assert read_all(reader) == b"one\nweb: two\nweb: three\n"


def test_a_reader_that_does_not_read_costs_lines_and_nobody_waits() -> None:
    reader, writer = os.pipe()
    echo = Echo(writer)
    line = b"x" * 1023 + b"\n"
    count = 2 * MAX_BACKLOG // len(line) + 200
    for _ in range(count):
        echo.put(b"", line)
    data = b""
    dropped: list[int] = []
    while data.count(line) + sum(dropped) < count or not data.endswith(b"\n"):
        data += os.read(reader, 1 << 16)
        dropped = [int(number) for number in re.findall(rb"scmd: (\d+) lines were not", data)]
    assert dropped
    assert data.count(line) + sum(dropped) == count
    echo.end()
    os.close(writer)
    os.close(reader)


def test_without_a_reader_it_is_silent() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    echo = Echo(writer)
    echo.put(b"", b"one\n")
    echo.end()
    echo.put(b"", b"two\n")
    echo.end()
    os.close(writer)
