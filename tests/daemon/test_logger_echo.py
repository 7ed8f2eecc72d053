"""What is shown besides being logged: never at the cost of who writes it."""

from __future__ import annotations

import os

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
    for _ in range(2 * MAX_BACKLOG // len(line) + 200):
        echo.put(b"", line)
    data = b""
    while b"lines were not shown" not in data[-200:]:
        data += os.read(reader, 1 << 16)
    dropped = int(data.rpartition(b"scmd: ")[2].split()[0])
    assert data.count(line) + dropped == 2 * MAX_BACKLOG // len(line) + 200
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
