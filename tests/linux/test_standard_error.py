"""Standard error that nobody waits for, of every kind that a process can be given."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SAY = """
import os, sys
from scmd.linux.standard_error import keep_going

if sys.argv[1:]:
    os.setuid(int(sys.argv[1]))
keep_going()
for line in sys.stdin:
    print(line, end="", file=sys.stderr)
    os.write(1, b".")
"""
PIPE_SIZE = 4096


class Speaker:
    """A program that says on its standard error what it is told to, and when it has done so."""

    def __init__(self, stderr: int, user: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SAY, *([] if user is None else [str(user)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
        )
        os.close(stderr)

    def say(self, text: str) -> None:
        """Returns when the program has written it or given it up."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(text.encode() + b"\n")
        assert self.process.stdout.read(1) == b"."

    def end(self) -> None:
        _, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0


def small_pipe() -> tuple[int, int]:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return ours, theirs


def small_socket() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_SIZE)
    return ours.detach(), theirs.detach()


def terminal() -> tuple[int, int]:
    return pty.openpty()


KINDS = [
    pytest.param(small_pipe, None, id="pipe"),
    pytest.param(small_socket, None, id="socket"),
    pytest.param(terminal, None, id="terminal"),
    pytest.param(small_pipe, 65534, id="pipe of somebody else's", marks=pytest.mark.root),
]


@pytest.mark.parametrize(("kind", "user"), KINDS)
def test_nobody_waits_for_a_reader_that_does_not_read(kind: object, user: int | None) -> None:
    assert callable(kind)
    ours, theirs = kind()
    speaker = Speaker(theirs, user)
    for number in range(300):
        speaker.say(f"{number:04}" + 996 * "x")
    speaker.say(10 * PIPE_SIZE * "y")
    os.set_blocking(ours, False)
    said = 301
    text = _all_of(ours)
    while not text.endswith(b"again %d\n" % said):
        said += 1
        speaker.say(f"again {said}")
        text += _all_of(ours)
    assert text.startswith(b"0000x")
    lost = re.findall(rb"scmd: lines that nobody read, missing here: (\d+)\n", text)
    assert lost
    assert text.count(b"\n") - len(lost) + sum(map(int, lost)) == said
    speaker.end()
    os.close(ours)


@pytest.mark.parametrize("kind", [small_pipe, small_socket])
def test_a_reader_that_has_gone_is_no_failure(kind: object) -> None:
    assert callable(kind)
    ours, theirs = kind()
    speaker = Speaker(theirs)
    os.close(ours)
    speaker.say("nobody")
    speaker.end()


def test_the_open_file_of_others_stays_as_it_was() -> None:
    ours, theirs = small_pipe()
    kept = os.dup(theirs)
    speaker = Speaker(theirs)
    speaker.say("said")
    assert not fcntl.fcntl(kept, fcntl.F_GETFL) & os.O_NONBLOCK
    assert os.read(ours, 100) == b"said\n"
    speaker.end()
    os.close(kept)
    os.close(ours)


def test_a_file_is_written_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text("before\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    assert stat.S_ISREG(os.fstat(descriptor).st_mode)
    speaker = Speaker(descriptor)
    speaker.say("a\N{EURO SIGN}")
    speaker.say(20 * PIPE_SIZE * "z")
    speaker.end()
    assert path.read_text() == "before\na\N{EURO SIGN}\n" + 20 * PIPE_SIZE * "z" + "\n"


def _all_of(descriptor: int) -> bytes:
    pieces = []
    try:
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces).replace(b"\r", b"")
