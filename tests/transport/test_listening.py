"""A listening socket for which there are no descriptors at times."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from scmd.transport import listening
from scmd.transport.listening import Listening


class Scarce(socket.socket):
    """Accepts only while something is `left`."""

    left = False
    tries = 0
    enough: asyncio.Event

    def accept(self) -> tuple[socket.socket, Any]:
        if self.left:
            return super().accept()
        self.tries += 1
        if self.tries == 3:
            self.enough.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture
async def scarce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scarce:
    monkeypatch.setattr(listening, "PAUSE_S", 0)
    made = Scarce(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(tmp_path / "s"))
    made.enough = asyncio.Event()
    return made


async def test_without_descriptors_clients_wait_and_one_line_says_so(
    scarce: Scarce, caplog: pytest.LogCaptureFixture
) -> None:
    accepted: asyncio.Queue[asyncio.Protocol] = asyncio.Queue()

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.put_nowait(self)
            transport.close()

    serving = Listening(scarce, Accepted)
    reader, writer = await asyncio.open_unix_connection(scarce.getsockname())
    async with asyncio.timeout(60):
        await scarce.enough.wait()
        assert accepted.empty()
        scarce.left = True
        await accepted.get()
        assert await reader.read() == b""
    writer.close()
    serving.close()
    (said,) = caplog.messages
    assert said.endswith("has to wait: Too many open files")


async def test_who_waits_for_a_descriptor_that_is_no_clients_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, enough = 0, asyncio.Event()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def getrlimit(_: int) -> tuple[int, int]:
        """So few that the next descriptor is one of the last, until the third time."""
        nonlocal tries
        tries += 1
        if tries < 3:
            return 4, 4
        enough.set()
        return limits

    class Greeting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"welcome")
            transport.close()

    monkeypatch.setattr(listening, "PAUSE_S", 0)
    monkeypatch.setattr(resource, "getrlimit", getrlimit)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(tmp_path / "s"))
    serving = Listening(sock, Greeting)
    reader, writer = await asyncio.open_unix_connection(sock.getsockname())
    async with asyncio.timeout(60):
        await enough.wait()
        assert await reader.read() == b"welcome"
    writer.close()
    serving.close()


async def test_nothing_is_tried_once_it_is_closed(scarce: Scarce) -> None:
    serving = Listening(scarce, asyncio.Protocol)
    _, writer = await asyncio.open_unix_connection(scarce.getsockname())
    async with asyncio.timeout(60):
        await scarce.enough.wait()
    serving.close()
    tries = scarce.tries
    for _ in range(10):
        await asyncio.sleep(0)
    assert scarce.tries == tries
    writer.close()
