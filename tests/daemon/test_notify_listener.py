"""sd_notify's socket: who may speak for a launch, told by real processes."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from scmd.core.messages import LaunchId
from scmd.core.messages.events import Event
from scmd.core.notifications import ProcessNotified
from scmd.daemon import keeper_setup
from scmd.daemon.notify_listener import NotifyListener, Tags

LAUNCH = LaunchId(7)

SAYS = """\
import os, socket, sys
how, path = sys.argv[1:]
sys.stdin.readline()
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text, path)
def barrier():
    # As sd_notify_barrier(3): wait until the other end has closed the descriptor.
    read, write = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(path)
        socket.send_fds(s, [b"BARRIER=1"], [write])
    os.close(write)
    os.read(read, 1)
if "child" in how:
    if os.fork():
        os.wait()
        os._exit(0)
if "grandchild" in how:
    os.setsid()
if "orphan" in how and os.fork():
    os._exit(0)
say(b"READY=1")
barrier()
print("done", flush=True)
"""


class Heard:
    """The listener of one test and what it made of the datagrams."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / keeper_setup.NOTIFY_NAME)
        bound = socket.socket(fileno=keeper_setup.hear_notifications(str(folder)))
        self.events: list[ProcessNotified] = []
        self._changed = asyncio.Event()
        self.listener = NotifyListener(bound, self._hear)
        self.listener.start()

    def _hear(self, event: Event) -> None:
        assert isinstance(event, ProcessNotified)
        self.events.append(event)
        self._changed.set()

    async def wait(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._changed.clear()
            await self._changed.wait()

    async def run(self, how: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", SAYS, how, self.path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )


@pytest_asyncio.fixture
async def heard(tmp_path: Path) -> AsyncIterator[Heard]:
    made = Heard(tmp_path)
    yield made
    made.listener.close()


async def told(heard: Heard, how: str) -> list[ProcessNotified]:
    """What is heard of a launch whose process does this, after it has ended."""
    process = await heard.run(how)
    heard.listener.know(LAUNCH, process.pid)
    output, _ = await process.communicate(b"go\n")
    assert output == b"done\n"
    return [event for event in heard.events if event != ProcessNotified(LAUNCH)]


@pytest.mark.parametrize("how", ["itself", "child", "grandchild", "child orphan"])
async def test_a_launch_and_all_below_it_are_heard(heard: Heard, how: str) -> None:
    assert await told(heard, how) == [ProcessNotified(LAUNCH, ready=True)]


async def test_a_stranger_is_dropped_and_logged(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    heard.listener.know(LAUNCH, 2**22 + 1)
    for _ in range(2):
        stranger = await heard.run("child")
        assert (await stranger.communicate(b"go\n"))[0] == b"done\n"
    assert heard.events == []
    assert "dropped a notification of process" in caplog.text


@pytest.mark.root
async def test_strangers_who_take_turns_are_logged_once_each(
    heard: Heard, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, monkeypatch.context() as still:
        still.setattr(asyncio.get_running_loop(), "time", lambda: 5.0)
        for uid in (1001, 1002) * 4:
            credentials = struct.pack("=iII", os.getpid(), uid, uid)
            sender.sendmsg(
                [b"READY=1"],
                [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)],
                0,
                heard.path,
            )
        heard.listener.listen()
    assert [uid for uid in (1001, 1002) if f"(uid {uid})" in caplog.text] == [1001, 1002]
    assert caplog.text.count("dropped a notification") == 2


async def test_a_launch_that_has_ended_is_forgotten(heard: Heard) -> None:
    process = await heard.run("itself")
    heard.listener.know(LAUNCH, process.pid)
    heard.listener.forget(LAUNCH)
    await process.communicate(b"go\n")
    assert heard.events == []


class Tagged(Tags):
    """Whoever speaks carries the launch's mark."""

    def __init__(self) -> None: ...

    def launch_of(self, process_id: int) -> LaunchId | None:
        return LAUNCH


@pytest.mark.parametrize("starts", [True, False])
async def test_what_is_said_before_the_start_is_told_waits_for_it(
    tmp_path: Path, starts: bool
) -> None:
    starting = {LAUNCH}
    events: list[Event] = []
    heard = asyncio.Event()

    def hear(event: Event) -> None:
        events.append(event)
        heard.set()

    bound = socket.socket(fileno=keeper_setup.hear_notifications(str(tmp_path)))
    listener = NotifyListener(bound, hear, Tagged(), starting.__contains__)
    listener.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", str(tmp_path / keeper_setup.NOTIFY_NAME))
    listener.listen()
    listener.listen()
    assert events == []
    if starts:
        listener.know(LAUNCH, os.getpid())
    else:
        listener.forget(LAUNCH)
    assert events == []
    starting.clear()
    await heard.wait()
    listener.close()
    assert events == [ProcessNotified(LAUNCH, ready=True)]


async def test_descriptors_and_nonsense_do_no_harm(heard: Heard) -> None:
    heard.listener.know(LAUNCH, os.getpid())
    left_open, passed = os.pipe2(os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(heard.path)
        sender.setblocking(False)
        loop = asyncio.get_running_loop()
        for datagram in (b"", b"\xff" * 9000, b"=\n=\n\0", b"READY=1\n" * 3):
            await loop.sock_sendall(sender, datagram) if datagram else sender.send(b"")
        socket.send_fds(sender, [b"FDSTORE=1"], [passed] * 200)
        os.close(passed)
        await loop.sock_sendall(sender, b"STATUS=end")
        await heard.wait(lambda: bool(heard.events) and heard.events[-1].text == "end")
    assert sum(event.ready for event in heard.events) == 1
    assert os.read(left_open, 1) == b""  # Nobody has any of them.
    os.close(left_open)


async def test_what_cannot_be_dealt_with_comes_once(tmp_path: Path) -> None:
    def fails(_: Event) -> None:
        raise ValueError

    bound = socket.socket(fileno=keeper_setup.hear_notifications(str(tmp_path)))
    listener = NotifyListener(bound, fails)
    listener.know(LAUNCH, os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", str(tmp_path / keeper_setup.NOTIFY_NAME))
    with pytest.raises(ValueError):
        listener.listen()
    listener.listen()
    listener.close()


async def test_what_was_not_dealt_with_waits_for_the_next_one(tmp_path: Path) -> None:
    held = keeper_setup.hear_notifications(str(tmp_path))
    path = str(tmp_path / keeper_setup.NOTIFY_NAME)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", path)
    died = asyncio.Event()

    def dies(_: Event) -> None:
        died.set()
        raise KeyboardInterrupt

    first = NotifyListener(socket.socket(fileno=os.dup(held)), dies)
    first.know(LAUNCH, os.getpid())
    with pytest.raises(KeyboardInterrupt):
        first.listen()
    first.close()
    events: list[Event] = []
    second = NotifyListener(socket.socket(fileno=held), events.append)
    second.know(LAUNCH, os.getpid())
    second.listen()
    second.close()
    assert events == [ProcessNotified(LAUNCH, ready=True)]
