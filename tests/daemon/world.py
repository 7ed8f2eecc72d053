"""A real keeper and a real logger in directories of their own; the test is the manager."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from scmd.core.messages import LaunchId, ServiceId, events
from scmd.core.messages.effects import LaunchSpec
from scmd.core.messages.events import Event, ProcessExited, ProcessStarted
from scmd.daemon.keeper_link import KeeperLink, KeeperLost, KeeperState

RUN = "import sys; from scmd.daemon.keeper import run; sys.exit(run({}))"
NO_CGROUPS = "from scmd.linux import cgroups; cgroups.own_cgroups = lambda *_: {}; "
FEW_DESCRIPTORS = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({0}, {0})); "
SHELL = "/bin/sh"
RELAY = str(Path(__file__).with_name("relay.py"))


class Manager:
    """One life of a manager: its link, what it was told, and the relay process behind it."""

    def __init__(self, control: socket.socket, pid: int, link: KeeperLink, state: KeeperState):
        self.pid = pid
        self.link = link
        self.state = state
        self.events: list[Event] = []
        self.channels: dict[int, socket.socket] = {
            launch.launch: launch.channel for launch in state.launches if launch.channel
        }
        self.lost: KeeperLost | None = None
        self._control = control
        self._changed = asyncio.Event()
        self.ended: set[int] = set()
        """Launches whose output is all in the log."""
        link.start(self._on_event, self._on_channel, self._on_lost, self._on_output_ended)

    async def launch(self, number: int, *argv: str, **options: object) -> ProcessStarted:
        """Order a launch and wait until it runs; the account is LocalSystem by default."""
        self.order(number, *argv, **options)
        started = await self.answer(number)
        assert isinstance(started, ProcessStarted), started
        return started

    async def answer(self, number: int) -> ProcessStarted | events.LaunchFailed:
        """What has come of the order to launch it."""
        answer = await self.wait(
            lambda event: (
                isinstance(event, ProcessStarted | events.LaunchFailed) and event.launch == number
            )
        )
        assert isinstance(answer, ProcessStarted | events.LaunchFailed)
        return answer

    async def refusal(self, number: int, *argv: str, **options: object) -> events.LaunchFailed:
        self.order(number, *argv, **options)
        failed = await self.wait(
            lambda event: isinstance(event, events.LaunchFailed) and event.launch == number
        )
        assert isinstance(failed, events.LaunchFailed)
        return failed

    def order(self, number: int, *argv: str, **options: object) -> None:
        known: dict[str, object] = {
            "service": ServiceId(number),
            "name": f"service {number}",
            "argv": argv,
            "account": "LocalSystem",
            "control_channel": True,
            **options,
        }
        self.link.launch(LaunchId(number), LaunchSpec(**known))  # type: ignore[arg-type] # by field

    async def exit_of(self, number: int) -> ProcessExited:
        event = await self.wait(
            lambda event: isinstance(event, ProcessExited) and event.launch == number
        )
        assert isinstance(event, ProcessExited)
        return event

    async def packet(self, number: int) -> str:
        """The next packet on a launch's control channel; "" when it ended."""
        data = await asyncio.get_running_loop().sock_recv(self.channels[number], 1 << 16)
        return data.decode().strip()

    async def wait(self, wanted: Callable[[Event], bool]) -> Event:
        while True:
            for event in self.events:
                if wanted(event):
                    return event
            assert self.lost is None, self.lost
            self._changed.clear()
            await self._changed.wait()

    async def end_of_output(self, number: int) -> None:
        while number not in self.ended:
            self._changed.clear()
            await self._changed.wait()

    async def wait_until_lost(self) -> KeeperLost:
        while self.lost is None:
            self._changed.clear()
            await self._changed.wait()
        return self.lost

    def exit(self, status: int = 0) -> None:
        """The relay process ends with this status; the link to the keeper is closed by it."""
        self._control.send(bytes([status]))
        self.close()

    def close(self) -> None:
        self.link.close()
        self._control.close()
        self.state.listener.close()
        self.state.notify.close()
        for channel in self.channels.values():
            channel.close()

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    def _on_channel(self, launch: LaunchId, channel: socket.socket) -> None:
        self.channels[launch] = channel

    def _on_output_ended(self, launch: LaunchId) -> None:
        self.ended.add(launch)
        self._changed.set()

    def _on_lost(self, lost: KeeperLost) -> None:
        self.lost = lost
        self._changed.set()


class World:
    """The directories, the keeper's process, and the managers it has had."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.runtime = folder / "run"
        self.process: asyncio.subprocess.Process | None = None
        self.managers: list[Manager] = []
        self.options = ""
        self.cgroups = True
        self.descriptors = 0
        """How many the keeper may have, if not as many as we may."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "test.sock"))
        self._listener.listen()
        self._listener.setblocking(False)
        self._relay = [sys.executable, "-I", "-S", RELAY, str(folder / "test.sock")]

    def manager_is(self, python: str) -> None:
        """Which interpreter it runs in, from the next start."""
        self._relay[0] = python

    async def start(self, **environment: str) -> Manager:
        first = "" if self.cgroups else NO_CGROUPS
        if self.descriptors:
            first += FEW_DESCRIPTORS.format(self.descriptors)
        arguments = f"{str(self.state)!r}, {str(self.runtime)!r}, manager={self._relay!r}"
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            first + RUN.format(arguments + self.options),
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        return await self.next_manager()

    async def next_manager(self) -> Manager:
        control, pid, descriptor = await self.next_relay()
        link, state = await KeeperLink.connect(descriptor)
        manager = Manager(control, pid, link, state)
        self.managers.append(manager)
        return manager

    async def next_relay(self) -> tuple[socket.socket, int, int]:
        """What stands for the next manager: its process, and its end of the keeper's socket."""
        loop = asyncio.get_running_loop()
        control, _ = await loop.sock_accept(self._listener)
        await readable(control.fileno())
        pid, descriptors, _, _ = socket.recv_fds(control, 4, 1)
        return control, int.from_bytes(pid, "little"), descriptors[0]

    async def line(self) -> str:
        """The next line on the keeper's stderr."""
        assert self.process is not None
        assert self.process.stderr is not None
        return (await self.process.stderr.readline()).decode().rstrip("\n")

    async def finish(self, status: int = 0) -> int:
        """An orderly end; the keeper's exit status."""
        assert self.process is not None
        manager = self.managers[-1]
        manager.link.shutdown_done(status)
        await manager.link.drain()
        manager.exit()
        return await self.process.wait()

    async def close(self) -> None:
        # First the listener: a relay that is started from now on ends at once.
        self._listener.close()
        for manager in self.managers:
            manager.close()
        if self.process is not None:
            if self.process.returncode is None:
                self.process.terminate()
            await self.process.communicate()


async def gone(pid: int) -> None:
    """Return when this process has ended (and, if it was the keeper's child, was reaped)."""
    try:
        handle = os.pidfd_open(pid)
    except OSError as failed:
        # EINVAL: it has ended, and its number is still that of a session (before Linux 6.9).
        if failed.errno not in (errno.ESRCH, errno.EINVAL):
            raise
        return
    try:
        await readable(handle)
    finally:
        os.close(handle)


async def readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    happened = asyncio.Event()
    loop.add_reader(descriptor, happened.set)
    try:
        await happened.wait()
    finally:
        loop.remove_reader(descriptor)
