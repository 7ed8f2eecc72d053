"""The unix end point: identity of peers, back-pressure, limits, ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from scmd.transport.local_server import LocalConnection, LocalServer
from scmd.transport.peer import peer_of
from scmd.transport.streams import WRITE_LIMIT


class Recorder:
    """A handler that keeps what happened, and answers as it is told."""

    def __init__(self, connection: LocalConnection) -> None:
        self.connection = connection
        self.data = b""
        self.changed = asyncio.Event()
        self.over = asyncio.Event()
        self.resumptions = 0
        self.respond: Callable[[bytes], None] = lambda data: None

    def received(self, data: bytes) -> None:
        self.data += data
        self.respond(data)
        self.changed.set()

    def resumed(self) -> None:
        self.resumptions += 1
        self.changed.set()

    def lost(self) -> None:
        self.over.set()
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Endpoint:
    def __init__(self, path: str, connections_per_user: int = 256) -> None:
        self.path = path
        self.accepted: asyncio.Queue[Recorder] = asyncio.Queue()
        self.server = LocalServer(self._accept, connections_per_user=connections_per_user)

    def _accept(self, connection: LocalConnection) -> Recorder:
        handler = Recorder(connection)
        self.accepted.put_nowait(handler)
        return handler

    async def open(self) -> Endpoint:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(self.path)
        os.chmod(self.path, 0o666)
        self.server.start(listening)
        return self

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Recorder]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        return reader, writer, await self.next()

    async def next(self) -> Recorder:
        async with asyncio.timeout(60):
            return await self.accepted.get()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    # Not tmp_path: other users must reach it.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        endpoint = await Endpoint(f"{folder}/s").open()
        yield endpoint
        endpoint.server.close()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_bytes_go_both_ways(endpoint: Endpoint) -> None:
    reader, writer, handler = await endpoint.connect()
    handler.respond = lambda data: handler.connection.send(data.upper())
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"HELLO"
    assert handler.data == b"hello"
    await close(writer)
    await handler.until(handler.over.is_set)
    assert endpoint.server.connections == 0


async def test_the_peer_is_this_process(endpoint: Endpoint) -> None:
    _reader, writer, handler = await endpoint.connect()
    peer = handler.connection.peer
    assert (peer.uid, peer.pid) == (os.getuid(), os.getpid())
    assert peer.gids[0] == os.getgid()
    assert set(peer.gids) == {os.getgid(), *os.getgroups()}
    await close(writer)
    await handler.until(handler.over.is_set)


CONNECT_AS = """
import os, socket, sys
groups = [int(g) for g in sys.argv[2].split(",")]
os.setgroups(groups); os.setgid(2345); os.setuid(1234)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
sys.stdin.read()
"""


@pytest.mark.root
@pytest.mark.parametrize("count", [3, 256, 257, 5000])
async def test_the_peer_is_another_user_with_all_its_groups(endpoint: Endpoint, count: int) -> None:
    groups = [10_000 + number for number in range(count)]
    client = subprocess.Popen(
        [sys.executable, "-c", CONNECT_AS, endpoint.path, ",".join(map(str, groups))],
        stdin=subprocess.PIPE,
    )
    try:
        handler = await endpoint.next()
        peer = handler.connection.peer
        assert (peer.uid, peer.pid) == (1234, client.pid)
        assert peer.gids == (2345, *groups)
    finally:
        client.communicate()
    await handler.until(handler.over.is_set)


async def test_the_identity_is_that_of_the_moment_of_connecting(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours).pid == os.getpid()


async def test_reading_stops_while_a_client_takes_no_replies(endpoint: Endpoint) -> None:
    reader, writer, handler = await endpoint.connect()
    reply = b"r" * 64 * 1024
    produced = 0

    def respond(data: bytes) -> None:
        nonlocal produced
        for _ in data:
            if handler.connection.congested:
                return
            handler.connection.send(reply)
            produced += len(reply)

    handler.respond = respond
    writer.write(b"x" * 1000)
    await handler.until(lambda: handler.connection.congested)
    taken = len(handler.data)
    assert produced <= WRITE_LIMIT + 4 * len(reply) + 4 * 1024 * 1024
    writer.write(b"y" * 1000)  # Not read until the client takes what is owed.
    await reader.readexactly(produced)
    await handler.until(lambda: handler.resumptions == 1)
    await handler.until(lambda: len(handler.data) > taken)
    await close(writer)
    await handler.until(handler.over.is_set)


async def test_a_held_connection_is_not_read(endpoint: Endpoint) -> None:
    _reader, writer, handler = await endpoint.connect()
    handler.connection.hold(True)
    writer.write(b"first")
    await writer.drain()
    # Another connection's traffic shows that the loop has been through its sockets.
    _reader2, writer2, handler2 = await endpoint.connect()
    writer2.write(b"second")
    await handler2.until(lambda: handler2.data == b"second")
    assert handler.data == b""
    handler.connection.hold(False)
    await handler.until(lambda: handler.data == b"first")
    await close(writer)
    await close(writer2)


async def test_close_sends_what_is_pending_first(endpoint: Endpoint) -> None:
    reader, writer, handler = await endpoint.connect()
    handler.connection.send(b"z" * 1_000_000)
    handler.connection.close()
    assert len(await reader.read(-1)) == 1_000_000
    await handler.until(handler.over.is_set)
    handler.connection.send(b"late")
    handler.connection.close()
    handler.connection.abort()
    handler.connection.hold(True)
    await close(writer)


async def test_abort_ends_one_connection_only(endpoint: Endpoint) -> None:
    reader, writer, handler = await endpoint.connect()
    reader2, writer2, handler2 = await endpoint.connect()
    handler2.respond = handler2.connection.send
    handler.connection.abort()
    assert await reader.read(-1) == b""
    writer2.write(b"still here")
    assert await reader2.readexactly(10) == b"still here"
    await close(writer)
    await close(writer2)


async def test_closing_the_server_leaves_the_socket_file(endpoint: Endpoint) -> None:
    _reader, writer, handler = await endpoint.connect()
    endpoint.server.close()
    await handler.until(handler.over.is_set)
    assert Path(endpoint.path).is_socket()
    await close(writer)


@pytest.mark.root
async def test_one_user_cannot_take_every_connection(endpoint: Endpoint) -> None:
    few = await Endpoint(endpoint.path + "2", connections_per_user=2).open()
    program = """
import os, socket, sys
os.setgid(2345); os.setuid(1234)
sockets = [socket.socket(socket.AF_UNIX) for _ in range(3)]
for s in sockets:
    s.connect(sys.argv[1])
assert sockets[2].recv(1) == b"", "the third is closed at once"
sys.stdin.read()
"""
    client = subprocess.Popen([sys.executable, "-c", program, few.path], stdin=subprocess.PIPE)
    try:
        first, second = await few.next(), await few.next()
        _reader, writer, own = await few.connect()
        assert few.server.connections == 3
    finally:
        await asyncio.to_thread(client.communicate)
    assert client.returncode == 0
    for handler in (first, second):
        await handler.until(handler.over.is_set)
    await close(writer)
    await own.until(own.over.is_set)
    assert few.server.connections == 0
    few.server.close()


async def test_only_unix_stream_sockets_are_accepted(endpoint: Endpoint) -> None:
    with socket.socket() as wrong, pytest.raises(ValueError, match="not a unix stream socket"):
        endpoint.server.start(wrong)
