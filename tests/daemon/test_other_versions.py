"""Keeper, manager and logger, one of an older version, whose part the test plays."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import scmd
from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.effects import LaunchSpec
from scmd.core.messages.events import Event, LaunchFailed, LineSeen, ProcessFollowed
from scmd.daemon import keeper_messages as wire
from scmd.daemon.keeper_link import KeeperLink
from scmd.daemon.keeper_socket import FrameSocket
from scmd.vocabulary.errors import Error
from tests.daemon.world import SHELL, World, readable
from tests.free_ports import free_port

LAUNCH = LaunchId(1)
SPEC = LaunchSpec(
    ServiceId(1), "Web", argv=("/bin/web",), account="LocalSystem", control_channel=False
)


class OldKeeper:
    """One of the first version, which passes over what it does not know of an order."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.connection = FrameSocket(ours)
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.lent = [os.dup(self.theirs.fileno()) for _ in range(2)]

    async def link(self) -> KeeperLink:
        welcome = wire.Welcome(
            version=1, state="/", runtime="/", keeper_pid=1, boot_id="", launches=0
        )
        self.connection.send(welcome, *self.lent, lent=True)
        link, state = await KeeperLink.connect(self.theirs.detach())
        state.listener.close()
        state.notify.close()
        [(greeting, _)] = self.connection.receive()
        assert isinstance(greeting, wire.Hello)
        return link

    def start(self, link: KeeperLink) -> None:
        link.start(self.events.put_nowait, lambda *_: None, lambda _: None)

    def close(self) -> None:
        self.connection.close()
        self.theirs.close()
        for descriptor in self.lent:
            os.close(descriptor)


@pytest.fixture
async def keeper() -> AsyncIterator[OldKeeper]:
    made = OldKeeper()
    yield made
    made.close()


@pytest.mark.parametrize(
    "more",
    [
        {"uid": 1000},
        {"groups": (1000,)},
        {"capabilities": 0},
        {"shares": (("MemoryMax", 1 << 20),)},
        {"awaited_line": "ready"},
    ],
)
@pytest.mark.parametrize("is_adopting", [True, False])
async def test_what_it_would_pass_over_is_not_ordered(
    keeper: OldKeeper, more: dict[str, Any], is_adopting: bool
) -> None:
    link = await keeper.link()
    spec = replace(SPEC, **more)
    if is_adopting:
        link.launch(LAUNCH, spec)
        keeper.start(link)
    else:
        keeper.start(link)
        link.launch(LAUNCH, spec)
    failed = await keeper.events.get()
    assert isinstance(failed, LaunchFailed)
    assert (failed.launch, failed.error) == (LAUNCH, Error.NOT_SUPPORTED)
    assert "start `scmd run` anew" in failed.detail
    link.follow(LAUNCH, 4711)
    followed = await keeper.events.get()
    assert isinstance(followed, ProcessFollowed)
    assert "start `scmd run` anew" in followed.problem
    link.launch(LaunchId(2), SPEC)
    [(ordered, _)] = keeper.connection.receive()
    assert isinstance(ordered, wire.Launch)
    assert ordered.number == 2
    link.close()


@pytest.mark.parametrize("greets", [True, False])
async def test_a_logger_says_no_more_than_its_keeper_knows(tmp_path: Path, greets: bool) -> None:
    """The first keepers close the connection when they hear of anything but an end of output."""
    ours, theirs = socket.socketpair()
    module = (sys.executable, "-I", "-m", "scmd.daemon.logger")
    process = await asyncio.create_subprocess_exec(
        *module, str(tmp_path), str(theirs.fileno()), pass_fds=(theirs.fileno(),)
    )
    theirs.close()
    keeper = FrameSocket(ours)
    if greets:
        keeper.send(wire.Hello(version=wire.VERSION))
    output, written = os.pipe()
    os.set_blocking(output, False)
    os.write(written, b"said\n")
    os.close(written)
    keeper.send(wire.Capture(number=1, service=7, name="Web"), output)
    os.close(output)
    heard: list[wire.Message] = []
    while not any(isinstance(message, wire.OutputEnded) for message in heard):
        await readable(keeper.fileno())
        heard += [message for message, _ in keeper.receive()]
    assert [type(message) for message in heard] == [wire.Ready] * greets + [wire.OutputEnded]
    assert (tmp_path / "7.log").read_text() == "said\n"
    keeper.close()
    assert await process.wait() == 0


async def test_a_keeper_says_no_more_than_its_manager_knows(world: World) -> None:
    """As after an upgrade that was undone: the first managers end when they hear of more."""
    first = await world.start()
    with await first.link.listen(f"tcp:127.0.0.1:{free_port()}"):
        pass
    await first.launch(1, SHELL, "-c", "echo ready; exit 1", awaited_line="ready")
    await first.exit_of(1)
    await first.end_of_output(1)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait_until_lost()
    relay, _, descriptor = await world.next_relay()
    manager = FrameSocket(socket.socket(fileno=descriptor))
    manager.send(wire.Hello(version=1))
    heard: list[wire.Message] = []
    while not any(isinstance(message, wire.Exited) for message in heard):
        await readable(manager.fileno())
        for message, descriptors in manager.receive():
            heard.append(message)
            for each in descriptors:
                os.close(each)
    assert [type(message) for message in heard] == [wire.Welcome, wire.Adopted, wire.Exited]
    manager.close()
    relay.close()
    second = await world.next_manager()
    assert len(second.state.listeners) == 1
    for _, listener in second.state.listeners:
        listener.close()
    await second.wait(lambda event: event == LineSeen(LaunchId(1)))
    await second.end_of_output(1)


def test_the_keeper_has_loaded_what_it_may_ever_need() -> None:
    """It outlives its own files: what it loaded later would be the new version's."""
    code = "import sys, scmd.daemon.keeper; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name for name in found.stdout.split() if name.startswith("scmd.")}
    later = {
        name if _source(name).exists() else imported.module
        for module in loaded
        for function in ast.walk(ast.parse(_source(module).read_text()))
        if isinstance(function, ast.FunctionDef)
        for imported in ast.walk(function)
        if isinstance(imported, ast.ImportFrom)
        for name in (f"{imported.module}.{alias.name}" for alias in imported.names)
    }
    assert later - loaded == {"scmd.vocabulary.error_texts"}  # A table, and nothing else.


def _source(module: str) -> Path:
    path = Path(scmd.__path__[0]).parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
