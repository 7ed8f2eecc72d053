"""Who a local caller is: by uid and groups, and by what of them is a service's own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest

from scmd.core.messages import Caller
from scmd.daemon.callers import LocalCallers, caller_of
from scmd.daemon.lookups import AT_ONCE, looked_up
from scmd.security.sid import ADMINISTRATORS, service_sid
from scmd.transport.local_server import LocalConnection, LocalServer
from scmd.transport.peer import Peer
from scmd.transport.streams import Handler
from tests.begun import begun

SERVICES = {5001: "Web", 5002: "Db"}


def test_a_process_of_a_virtual_account_has_its_services_sid() -> None:
    caller = caller_of(Peer(5001, (5001,), 1), SERVICES.get, "somebody")
    assert service_sid("Web") in caller.token.sids
    assert service_sid("Db") not in caller.token.sids
    assert ADMINISTRATORS not in caller.token.sids


def test_a_process_in_a_services_group_has_its_sid_too() -> None:
    caller = caller_of(Peer(65533, (65533, 5002), 1), SERVICES.get, "somebody")
    assert service_sid("Db") in caller.token.sids
    assert (caller.name, caller.origin) == ("somebody", "local pid 1")


def test_root_has_no_services_sid() -> None:
    caller = caller_of(Peer(0, (0,), 1), SERVICES.get, "root")
    assert ADMINISTRATORS in caller.token.sids
    assert not any(sid.startswith("S-1-5-80-") for sid in caller.token.sids)


class Echo:
    """A conversation that says again what it hears."""

    def __init__(self, caller: Caller, connection: LocalConnection) -> None:
        self.caller = caller
        self.connection = connection
        self.over = asyncio.Event()

    def received(self, data: bytes) -> None:
        self.connection.send(data)

    def resumed(self) -> None:
        raise AssertionError("so little is taken at once")

    def lost(self) -> None:
        self.over.set()


class House:
    """A local server whose users' names come from a directory service that is asked on a thread."""

    def __init__(self, path: Path, services: dict[int, str], patience_s: float = 60) -> None:
        self.path = path
        self.asked: list[int] = []
        self.answers = threading.Event()
        self.fails = ""
        self.opened: list[Echo] = []
        self.accepted: asyncio.Queue[LocalConnection] = asyncio.Queue()
        self.callers = LocalCallers(self._open, services.get, self._name_of, patience_s)
        self.server = LocalServer(self._accept)

    def _accept(self, connection: LocalConnection) -> Handler:
        self.accepted.put_nowait(connection)
        return self.callers.accept(connection)

    def _open(self, caller: Caller, connection: LocalConnection) -> Echo:
        self.opened.append(Echo(caller, connection))
        return self.opened[-1]

    def _name_of(self, uid: int) -> str:
        self.asked.append(uid)
        assert self.answers.wait(20)
        if self.fails:
            raise OSError(self.fails)
        return f"user {uid}"

    async def begin(self) -> None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.path))
        listening.listen()
        self.server.start(listening)

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_unix_connection(str(self.path))
        async with asyncio.timeout(60):
            await self.accepted.get()
        return streams

    async def name(self) -> str:
        """What a caller is called that comes now."""
        reader, writer = await self.connected()
        writer.write(b"me")
        async with asyncio.timeout(60):
            assert await reader.readexactly(2) == b"me"
        writer.close()
        return self.opened[-1].caller.name


async def test_a_slow_directory_service_keeps_only_its_own_waiting(tmp_path: Path) -> None:
    uid = os.geteuid()
    services: dict[int, str] = {}
    house = House(tmp_path / "socket", services)
    await house.begin()
    try:
        reader, writer = await house.connected()
        _, impatient = await house.connected()
        writer.write(b"hello")
        impatient.write(b"hello?")
        impatient.close()
        # Meanwhile one is served whose name is known: the uid is a service's now.
        services[uid] = "Web"
        other_reader, other_writer = await house.connected()
        other_writer.write(b"me")
        assert await other_reader.readexactly(2) == b"me"
        assert [echo.caller.name for echo in house.opened] == ["NT SERVICE\\Web"]
        house.answers.set()
        assert await reader.readexactly(5) == b"hello"
        assert house.opened[1].caller.name == f"user {uid}"
        # It was asked once, and is known from now on.
        services.clear()
        last_reader, last_writer = await house.connected()
        last_writer.write(b"again")
        assert await last_reader.readexactly(5) == b"again"
        assert house.asked == [uid]
        for each in (writer, other_writer, last_writer):
            each.close()
        async with asyncio.timeout(60):
            for echo in house.opened:
                await echo.over.wait()
    finally:
        house.server.close()


async def test_who_is_not_named_in_time_is_served_without_and_named_later(tmp_path: Path) -> None:
    uid = os.geteuid()
    house = House(tmp_path / "socket", {}, patience_s=0.01)
    await house.begin()
    try:
        assert await house.name() == await house.name() == f"uid {uid}"
        assert house.asked == [uid]
        house.answers.set()
        async with asyncio.timeout(60):
            while await house.name() != f"user {uid}":
                pass
        assert house.asked == [uid]
    finally:
        house.server.close()


async def test_a_look_up_that_fails_is_said_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uid = os.geteuid()
    house = House(tmp_path / "socket", {})
    house.fails = "no thread"
    house.answers.set()
    await house.begin()
    try:
        assert await house.name() == f"uid {uid}"
        house.fails = ""
        assert await house.name() == f"user {uid}"
        assert house.asked == [uid, uid]
        assert "a bug" in caplog.text
    finally:
        house.server.close()


async def test_look_ups_that_hang_keep_no_file_from_being_read() -> None:
    go_on = threading.Event()
    hung = [await begun(looked_up(go_on.wait, 60)) for _ in range(2 * AT_ONCE)]
    try:
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(os.path.exists, "/")
    finally:
        go_on.set()
    assert all(await asyncio.gather(*hung))
