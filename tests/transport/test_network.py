"""TCP end points and smbd's pipe: limits of those who have not proved who they are."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from scmd.transport.admission import Admission, Limits
from scmd.transport.network_server import NetworkConnection, NetworkServer
from scmd.transport.pipe_auth import PipePeer, encode_reply
from scmd.transport.pipe_server import Pipe, PipeServer
from scmd.transport.streams import StreamConnection, StreamServer
from tests.transport.test_pipe_auth import REQUEST

PATIENCE = 30


class Echo:
    """Says back what it hears; "me" proves who it is."""

    made: ClassVar[list[Echo]] = []

    def __init__(self, connection: NetworkConnection) -> None:
        self.connection = connection
        self.made.append(self)

    def received(self, data: bytes) -> None:
        if data == b"me":
            self.connection.proved()
        self.connection.send(data)

    def resumed(self) -> None:
        pass

    def lost(self) -> None:
        pass


class World:
    def __init__(self, limits: Limits) -> None:
        self.server = NetworkServer(Echo, limits)
        self.address = ("127.0.0.1", 0)
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self) -> World:
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        self.server.start(listening)
        return self

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address)
        self.writers.append(writer)
        return reader, writer

    async def echo(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.connect()
        writer.write(data)
        assert await asyncio.wait_for(reader.readexactly(len(data)), PATIENCE) == data
        return reader, writer

    async def end(self) -> None:
        self.server.close()
        await end_of(*self.writers)
        await emptied(self.server)


async def end_of(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def emptied(server: StreamServer) -> None:
    """Its last connection is over."""
    one_less = asyncio.Event()
    dismiss = server.dismiss

    def noted(connection: StreamConnection) -> None:
        dismiss(connection)
        one_less.set()

    server.dismiss = noted  # type: ignore[method-assign] # it is the last thing it does
    async with asyncio.timeout(PATIENCE):
        while server.connections:
            await one_less.wait()
            one_less.clear()


async def closed(reader: asyncio.StreamReader) -> bool:
    """The other end has ended the connection."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
async def few() -> AsyncIterator[World]:
    world = await World(Limits(new=3, new_of_origin=2, proved_of_origin=3, new_bytes=100)).open()
    yield world
    await world.end()


async def test_the_oldest_new_connection_of_an_origin_makes_room(few: World) -> None:
    one, two, three = [await few.echo(b"hello") for _ in range(3)]
    assert await closed(one[0])
    for _, writer in (two, three):
        writer.write(b"me")
    for reader, _ in (two, three):
        assert await asyncio.wait_for(reader.readexactly(2), PATIENCE) == b"me"
    # Those that are proved are not among the new ones any more.
    four = await few.echo(b"hello")
    five = await few.echo(b"me")
    six, _ = await few.connect()
    assert await closed(six)
    del four, five


async def test_a_new_connection_may_say_little(few: World) -> None:
    await few.echo(bytes(100))
    reader, writer = await few.connect()
    writer.write(bytes(101))
    assert await closed(reader)
    reader, writer = await few.echo(b"me")
    writer.write(bytes(1000))
    assert await asyncio.wait_for(reader.readexactly(1000), PATIENCE) == bytes(1000)


async def test_a_new_connection_has_little_time() -> None:
    world = await World(Limits(new_seconds=0.01)).open()
    silent, _ = await world.connect()
    assert await closed(silent)
    await emptied(world.server)
    assert len(world.server.admission) == 0
    await world.end()


async def test_a_proved_connection_has_all_the_time() -> None:
    world = await World(Limits(new_seconds=3600)).open()
    await world.echo(b"hello")
    await world.echo(b"me")
    deadlines = [echo.connection._deadline for echo in Echo.made[-2:]]
    assert [deadline and deadline.cancelled() for deadline in deadlines] == [False, True]
    await world.end()
    assert all(deadline and deadline.cancelled() for deadline in deadlines)


async def test_a_proved_connection_that_is_over_makes_room() -> None:
    world = await World(Limits(proved_of_origin=1, in_all=2)).open()
    for _ in range(3):
        _, writer = await world.echo(b"me")
        assert (len(world.server.admission), Echo.made[-1].connection.is_proved) == (1, True)
        refused, _ = await world.connect()
        assert await closed(refused), "this origin has all that it may have"
        await end_of(writer)
        await emptied(world.server)
        assert len(world.server.admission) == 0
    _, writer = await world.echo(b"hello")
    await end_of(writer)
    await emptied(world.server)
    # Whoever proves it too late proves nothing.
    connection = Echo.made[-1].connection
    connection.proved()
    assert (len(world.server.admission), connection.is_proved) == (0, False)
    await world.end()


def test_who_floods_fights_with_himself() -> None:
    admission: Admission[str] = Admission(Limits(new=5, new_of_origin=4))
    assert admission.admit("10.0.0.1", "innocent") == (True, None)
    for number in range(4):
        assert admission.admit("10.0.0.2", f"f{number}") == (True, None)
    assert admission.admit("10.0.0.2", "f4") == (True, "f0")
    # All places of new ones are taken: the flood makes room, not the innocent.
    assert admission.admit("10.0.0.3", "other") == (True, "f1")
    admission.prove("10.0.0.1", "innocent")
    assert len(admission) == 5
    admission.forget_proved("10.0.0.1")
    assert not admission.forget_new("10.0.0.2", "f0")


def test_there_is_an_end_to_all_connections() -> None:
    admission: Admission[int] = Admission(Limits(in_all=2, proved_of_origin=1))
    assert admission.admit("a", 1) == (True, None)
    admission.prove("a", 1)
    assert admission.admit("a", 2) == (False, None)
    assert admission.admit("b", 3) == (True, None)
    assert admission.admit("c", 4) == (False, None)


def test_who_leaves_makes_room() -> None:
    admission: Admission[int] = Admission(Limits(in_all=3, proved_of_origin=2))
    for connection in (1, 2):
        assert admission.admit("a", connection) == (True, None)
        admission.prove("a", connection)
    assert admission.admit("a", 3) == (False, None)
    admission.forget_proved("a")
    assert len(admission) == 1
    assert admission.admit("a", 3) == (True, None)
    admission.prove("a", 3)
    assert admission.admit("a", 4) == (False, None)
    assert admission.admit("b", 5) == (True, None)
    assert admission.admit("c", 6) == (False, None)
    assert admission.forget_new("b", 5)
    for _ in range(2):
        admission.forget_proved("a")
    assert len(admission) == 0
    # An origin that has gone is not the one with the most.
    assert admission.admit("c", 6) == (True, None)


# smbd's pipe ----------------------------------------------------------------------------------


class PipeEcho:
    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.heard = b""

    def received(self, data: bytes) -> None:
        self.heard += data
        if len(self.heard) >= 40:
            self.pipe.send(self.heard)

    def resumed(self) -> None:
        pass

    def lost(self) -> None:
        pass


@pytest.fixture
async def pipe(tmp_path: Path) -> AsyncIterator[tuple[str, PipeServer]]:
    def accept(peer: PipePeer, pipe: Pipe) -> None:
        pipe.begin(PipeEcho(pipe) if peer.account == "root" else None)

    path = str(tmp_path / "np")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    server = PipeServer(accept, trusted=frozenset({os.geteuid()}))
    server.start(listening)
    yield path, server
    server.close()
    await emptied(server)


async def test_a_pipe_speaks_in_messages(pipe: tuple[str, PipeServer]) -> None:
    reader, writer = await asyncio.open_unix_connection(pipe[0])
    for half in (REQUEST[:300], REQUEST[300:]):
        writer.write(half)
        await writer.drain()
    assert await asyncio.wait_for(reader.readexactly(36), PATIENCE) == encode_reply(7)
    pdu = bytes.fromhex("05000003 10000000 1400 0000 01000000") + b"abcd"
    writer.write(b"\x10\0" + pdu[:16])
    writer.write(b"\x18\0" + pdu[16:] + pdu)
    answer = await asyncio.wait_for(reader.readexactly(44), PATIENCE)
    assert answer == (b"\x14\0" + pdu) * 2
    await end_of(writer)


async def test_a_pipe_whose_user_is_not_known_yet_waits(tmp_path: Path) -> None:
    asked: asyncio.Queue[Pipe] = asyncio.Queue()
    path = str(tmp_path / "np")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    server = PipeServer(
        lambda peer, pipe: asked.put_nowait(pipe), trusted=frozenset({os.geteuid()})
    )
    server.start(listening)
    reader, writer = await asyncio.open_unix_connection(path)
    pdu = bytes.fromhex("05000003 10000000 2800 0000 01000000") + bytes(24)
    writer.write(REQUEST + b"\x28\0" + pdu)
    async with asyncio.timeout(PATIENCE):
        waiting = await asked.get()
        waiting.begin(PipeEcho(waiting))
        assert await reader.readexactly(36) == encode_reply(7)
        assert await reader.readexactly(42) == b"\x28\0" + pdu
        # Another one goes before its user is known.
        _, other = await asyncio.open_unix_connection(path)
        other.write(REQUEST)
        waiting = await asked.get()
        assert not waiting.is_lost
    await end_of(other)
    await end_of(writer)
    server.close()
    await emptied(server)
    assert waiting.is_lost


async def test_an_unknown_level_and_a_refused_user_end_the_pipe(
    pipe: tuple[str, PipeServer],
) -> None:
    for request, answer in (
        (REQUEST[:8] + b"\x06\0\0\0\x06\0\0\0" + REQUEST[16:], b""),
        (REQUEST.replace(b"root\0", b"ann1\0"), encode_reply(7, 0xC0000022)),
        (b"\xff\xff\xff\xff", b""),
    ):
        reader, writer = await asyncio.open_unix_connection(pipe[0])
        writer.write(request)
        try:
            assert await asyncio.wait_for(reader.read(), PATIENCE) == answer
        except ConnectionResetError:
            assert answer == b""
        await end_of(writer)


async def test_only_root_is_believed(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "np"))
    listening.listen()
    server = PipeServer(lambda peer, pipe: pipe.begin(None), trusted=frozenset({4711}))
    server.start(listening)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "np"))
    assert await closed(reader)
    await end_of(writer)
    server.close()
    await emptied(server)
