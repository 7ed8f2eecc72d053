"""The keeper follows another process of a launch: real ones that go into the background."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd.core.messages import LaunchId
from scmd.core.messages.effects import FollowProcess
from scmd.core.messages.events import ProcessExited, ProcessFollowed
from scmd.daemon.main_processes import MainProcesses, read_pid_file
from tests.conftest import PROGRAM_PATH
from tests.daemon.world import SHELL, Manager, World, gone

LAUNCH = LaunchId(1)
# The daemon says its number, waits for a line and exits with 7; it has left the session behind.
DAEMON = "echo $$ >{pid}; read x <{fifo}; exit 7"
LEAVES = "setsid {shell} -c '{daemon}' & exit 0"
STAYS = "setsid {shell} -c '{daemon}' & wait; read y <{fifo}"


class Background:
    """A launch that has put a daemon into the background."""

    def __init__(self, folder: Path) -> None:
        self.fifo, self.pid_fifo = folder / "fifo", folder / "pid"
        os.mkfifo(self.fifo)
        os.mkfifo(self.pid_fifo)
        self._orders = os.open(self.fifo, os.O_RDWR)

    def script(self, text: str) -> str:
        daemon = DAEMON.format(fifo=self.fifo, pid=self.pid_fifo)
        return text.format(shell=SHELL, daemon=daemon, fifo=self.fifo)

    async def pid(self) -> int:
        """The daemon's, once it has said it; to be asked once."""
        return int(await asyncio.to_thread(self.pid_fifo.read_text))

    def go_on(self) -> None:
        os.write(self._orders, b"go\n")

    def close(self) -> None:
        os.close(self._orders)


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    made = Background(tmp_path)
    yield made
    made.close()


async def answer_of(manager: Manager, pid: int) -> str:
    manager.link.follow(LAUNCH, pid)
    event = await manager.wait(lambda event: isinstance(event, ProcessFollowed))
    manager.events.remove(event)
    assert isinstance(event, ProcessFollowed)
    assert (event.launch, event.process_id) == (LAUNCH, pid)
    return event.problem


async def launch(manager: Manager, background: Background, text: str) -> None:
    script = f"PATH={PROGRAM_PATH}; {background.script(text)}"
    await manager.launch(LAUNCH, SHELL, "-c", script, control_channel=False)


async def test_a_daemons_exit_code_is_the_launchs(world: World, background: Background) -> None:
    manager = await world.start()
    await launch(manager, background, LEAVES)
    assert await manager.exit_of(1) == ProcessExited(LAUNCH, 0, None)
    assert await answer_of(manager, await background.pid()) == ""
    background.go_on()
    await manager.wait(lambda event: event == ProcessExited(LAUNCH, 7, None))


async def test_a_signal_goes_to_the_daemon(world: World, background: Background) -> None:
    manager = await world.start()
    await launch(manager, background, LEAVES)
    pid = await background.pid()
    assert await answer_of(manager, pid) == ""
    manager.link.signal(LAUNCH, signal.SIGUSR1)
    await manager.wait(lambda e: e == ProcessExited(LAUNCH, None, signal.SIGUSR1))
    await gone(pid)


async def test_the_exit_of_somebody_elses_child_is_seen(
    world: World, background: Background
) -> None:
    manager = await world.start()
    await launch(manager, background, STAYS)
    pid = await background.pid()
    assert await answer_of(manager, pid) == ""
    background.go_on()
    exit = await manager.exit_of(1)
    # Its parent may have been quicker to ask how it ended.
    assert exit in (ProcessExited(LAUNCH, 7, None), ProcessExited(LAUNCH, None, None))
    manager.link.forget(LAUNCH)
    await gone(pid)


async def test_strangers_and_the_dead_are_refused(world: World, background: Background) -> None:
    manager = await world.start()
    await launch(manager, background, LEAVES)
    first = await manager.launch(2, SHELL, "-c", "read x", control_channel=True)
    for pid in (os.getpid(), manager.state.keeper_pid, first.process_id, 2**22):
        assert await answer_of(manager, pid) == f"process {pid} is not one of its own"
    pid = await background.pid()
    assert await answer_of(manager, pid) == ""
    manager.link.kill(LAUNCH)
    await manager.wait(lambda e: e == ProcessExited(LAUNCH, None, signal.SIGKILL))
    manager.link.forget(LAUNCH)
    assert await answer_of(manager, pid) == "the launch is over"


async def test_a_kill_of_what_is_left_behind_is_answered(
    world: World, background: Background
) -> None:
    manager = await world.start()
    await launch(manager, background, LEAVES)
    manager.events.remove(await manager.exit_of(1))
    pid = await background.pid()
    manager.link.kill(LAUNCH)
    assert await manager.exit_of(1) == ProcessExited(LAUNCH, 0, None)
    await gone(pid)


async def test_a_new_manager_is_told_whom_the_keeper_follows(
    world: World, background: Background
) -> None:
    manager = await world.start()
    await launch(manager, background, LEAVES)
    pid = await background.pid()
    assert await answer_of(manager, pid) == ""
    os.kill(manager.pid, signal.SIGKILL)
    second = await world.next_manager()
    [held] = second.state.launches
    assert (held.process_id, held.ended) == (pid, False)
    background.go_on()
    assert await second.exit_of(1) == ProcessExited(LAUNCH, 7, None)


# Pid files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["4711\n", " 4711", "4711\nmore\n"])
def test_a_pid_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert read_pid_file(str(tmp_path / "pid")) == 4711


@pytest.mark.parametrize("text", ["", "\n12", "x", "-5", "0", "1", "4194305", "9" * 80, "12 13"])
def test_no_pid_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    with pytest.raises(ValueError, match="no process id"):
        read_pid_file(str(tmp_path / "pid"))


async def test_a_fifo_and_a_file_that_is_not_there_hold_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    answers: asyncio.Queue[ProcessFollowed] = asyncio.Queue()
    asked: list[int] = []
    mains = MainProcesses(lambda _, pid: asked.append(pid), answers.put_nowait)
    for name, problem in (("fifo", "it is not a file"), ("none", "No such file or directory")):
        mains.find(FollowProcess(LAUNCH, 0, str(tmp_path / name)))
        assert await answers.get() == ProcessFollowed(LAUNCH, 0, problem)
    assert not asked
