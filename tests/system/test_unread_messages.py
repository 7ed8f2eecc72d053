"""`scmd run 2>&1 | somebody` who does not read: supervision waits for nobody."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd.vocabulary.winerror import WinError
from tests.system.machine import Machine, eventually, finished, is_gone


class Unheard(Machine):
    """An SCM whose standard error is a pipe that is full."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.mkfifo(folder / "stderr")
        self.pipe = os.open(folder / "stderr", os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, 4096)
        os.write(self.pipe, bytes(4096))

    def _command(self, user: int | None) -> tuple[str, ...]:
        if self.process is not None:
            return super()._command(user)
        script = 'exec "$@" 2>"$0"'
        return ("sh", "-c", script, str(self.folder / "stderr"), *super()._command(user))


@pytest.fixture
def unheard(folder: Path) -> Iterator[Unheard]:
    machine = Unheard(folder)
    with finished(machine):
        machine.begin()
        eventually(lambda: machine.try_scmd("status").returncode == 0, "the SCM")
        yield machine
    os.close(machine.pipe)


def manager(machine: Machine) -> int:
    try:
        return int(machine.json("status")["manager_pid"])
    except (WinError, AssertionError):
        return 0


def kill_the_manager(machine: Machine) -> None:
    """And wait for the next one."""
    killed = manager(machine)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: manager(machine) not in (0, killed), "another manager")


def test_messages_that_nobody_reads_hold_up_nothing(unheard: Unheard) -> None:
    unheard.install("Web", "sleep", "1000")
    unheard.scmd("net", "start", "Web")
    before = unheard.status("Web").process_id
    for _ in range(3):
        kill_the_manager(unheard)
    unheard.scmd("upgrade")
    assert unheard.status("Web").process_id == before
    os.kill(before, signal.SIGKILL)
    unheard.await_state("Web", "STOPPED")
    unheard.scmd("net", "start", "Web")
    last = unheard.status("Web").process_id
    assert unheard.stop() == 0
    assert is_gone(last)
    assert os.read(unheard.pipe, 1 << 16) == bytes(4096)


def test_what_was_not_read_is_counted_when_somebody_reads(unheard: Unheard) -> None:
    assert os.read(unheard.pipe, 1 << 16) == bytes(4096)
    unheard.scmd("upgrade")

    def said() -> str:
        try:
            text.append(os.read(unheard.pipe, 1 << 16).decode())
        except BlockingIOError:
            pass
        return "".join(text) if "missing here" in "".join(text) else ""

    text: list[str] = []
    told = eventually(said, "the note")
    assert told.startswith(
        "scmd: lines that nobody read, missing here: 1\nscmd: manager and logger"
    )
