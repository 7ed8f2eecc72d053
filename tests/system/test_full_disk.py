"""A disk without space: services run on, the SCM says so, and goes on when it has space again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.system.machine import Machine, eventually, finished

pytestmark = [pytest.mark.root, pytest.mark.peers("unshare")]

TALKER = 'n=0; while read -r line; do n=$((n+1)); echo "line $n"; done <"$0"'


class SmallDisk(Machine):
    """An SCM whose state is on a disk of its own, in a mount namespace that only it is in."""

    def __init__(self, folder: Path, size: str) -> None:
        super().__init__(folder)
        self.state.mkdir(mode=0o700)
        self.size = size

    def _command(self, user: int | None) -> tuple[str, ...]:
        if self.process is not None:
            return super()._command(user)
        script = 'mount -t tmpfs -o "size=$0,mode=700" disk "$1" && shift && exec "$@"'
        return (
            *("unshare", "--mount", "--propagation", "private", "--"),
            *("sh", "-c", script, self.size, str(self.state), *super()._command(user)),
        )

    @property
    def disk(self) -> Path:
        """The state as the SCM sees it."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self.state}")

    def fill(self) -> None:
        """Not a byte is free afterwards, nor a file to be had."""
        filler = self.disk / "filler"
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 16, 1 << 12):
                while _has_room(descriptor, size):
                    pass
        finally:
            os.close(descriptor)

    def make_room(self) -> None:
        (self.disk / "filler").unlink()


def _has_room(descriptor: int, size: int) -> bool:
    try:
        return os.write(descriptor, bytes(size)) > 0
    except OSError:
        return False


@pytest.fixture
def small(folder: Path) -> Iterator[SmallDisk]:
    with finished(SmallDisk(folder, "8m")) as machine:
        machine.expected_complaints = "cannot be written|No space|is full|lost"
        machine.start()
        yield machine  # type: ignore[misc] # the one that was entered


@pytest.fixture
def pipe(folder: Path) -> Iterator[int]:
    """The end of a named pipe whose other end a program reads lines from."""
    os.mkfifo(folder / "pipe")
    descriptor = os.open(folder / "pipe", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_services_run_on_and_nothing_is_corrupted(small: SmallDisk, pipe: int) -> None:
    small.install("Talker", "/bin/sh", "-c", TALKER, str(small.folder / "pipe"))
    small.install("Sleeper", "sleep", "1000")
    small.sc("start", "Talker")
    os.write(pipe, b"\n")
    small.await_log("Talker", "line 1\n")
    talker = small.status("Talker").process_id
    small.fill()

    # What has to be kept is refused; what needs no disk works.
    assert small.refused("create", "New", "binPath=", "/bin/true") == Error.DISK_FULL
    assert small.refused("config", "Sleeper", "start=", "auto") == Error.DISK_FULL
    assert small.try_scmd("set", "Sleeper", "AppStopTime", "5").returncode == 1
    small.sc("start", "Sleeper")
    small.await_state("Sleeper", "RUNNING")
    small.sc("stop", "Sleeper")
    small.await_state("Sleeper", "STOPPED")
    os.write(pipe, b"\n" * 2000)
    assert small.status("Talker").process_id == talker
    # A file takes what there is room for in its last block; each refusal is an event, too.
    for _ in range(40):
        with pytest.raises(WinError):
            small.scm.create("New", "/bin/true")
    for what in ("logs", "history", "events"):
        small.await_line(f"{what} cannot be written")

    small.make_room()
    small.sc("create", "New", "binPath=", "/bin/true")
    small.sc("config", "Sleeper", "start=", "auto")
    os.write(pipe, b"\n")
    eventually(lambda: small.log("Talker").endswith("line 2002\n"), "the last line")
    assert re.search(r"scmd: \d+ lines dropped", small.log("Talker"))
    for line in small.log("Talker").splitlines():
        assert re.fullmatch(r"line \d+|scmd: \d+ lines dropped", line)
    assert small.status("Talker").process_id == talker
    small.sc("start", "Sleeper")
    small.await_state("Sleeper", "RUNNING")
    states = [entry["state"] for entry in small.json("history", "Sleeper")]
    assert states[-2:] == ["START_PENDING", "RUNNING"]
    lost = [event for event in small.json("events") if event["source"] == "scmd"]
    assert [event["id"] for event in lost] == [1]
    assert small.json("sc", "qc", "Sleeper")["start_type"] == "AUTO_START"


def test_a_manager_that_dies_meanwhile_is_followed(small: SmallDisk) -> None:
    small.install("Sleeper", "sleep", "1000")
    small.sc("start", "Sleeper")
    pid = small.await_state("Sleeper", "RUNNING").process_id
    small.fill()
    os.kill(int(str(small.scm.status()["manager_pid"])), 9)
    small.await_line("ready again")
    small.disconnect()
    assert small.status("Sleeper").process_id == pid
    small.sc("stop", "Sleeper")
    small.await_state("Sleeper", "STOPPED")
    assert small.refused("create", "New", "binPath=", "/bin/true") == Error.DISK_FULL
    small.make_room()
    small.sc("create", "New", "binPath=", "/bin/true")
    assert small.events(7036)


def test_output_without_end_leaves_room_for_what_is_configured(small: SmallDisk) -> None:
    flood = "exec tr '\\0' '\\n' </dev/zero"
    small.install("Loud", "/bin/sh", "-c", flood)
    small.sc("start", "Loud")
    small.await_line("logs cannot be written.*not for logs")
    small.sc("create", "New", "binPath=", "/bin/true")
    small.sc("config", "New", "start=", "auto")
    small.sc("stop", "Loud")
    small.await_state("Loud", "STOPPED")
    assert small.json("history", "Loud")[-1]["state"] == "STOPPED"
