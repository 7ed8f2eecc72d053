"""What the host answers: each request once, whatever happens, and never by stopping the loop."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scmd.core.messages import AssociationId, Call, Caller, CallId, ServiceId
from scmd.core.messages.effects import Reply
from scmd.daemon import background
from scmd.daemon.chronicle import Chronicle
from scmd.daemon.host import Host
from scmd.daemon.keeper_link import KeeperLink, KeeperState
from scmd.daemon.remote import Remote
from scmd.linux.database import Database
from scmd.linux.event_log import EventLog
from scmd.linux.remote_users import RemoteUsers
from scmd.security.token import unix_token
from scmd.server.host_requests import ChangeRemote, HostRequest, ReadHistory
from scmd.vocabulary.errors import Error

ROOT = Caller(unix_token(0, (0,), administrator=True), "root", "local pid 1")
CALL = Call(CallId(1), AssociationId(1), ROOT)


class Asked:
    """A host whose replies are waited for."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.open(folder / "registry.db")
        self.events = EventLog(folder / "events")
        self.chronicle = Chronicle(folder)
        self.users = RemoteUsers(folder / "users")
        ours, self.keeper = socket.socketpair()
        state = KeeperState(folder, folder, os.getpid(), "", ours, ours, ())
        self.link = KeeperLink(ours)
        remote = Remote(
            self.link, state, self.database, self.users, self.events.append_audit, lambda _: None
        )
        self.replies: asyncio.Queue[Reply] = asyncio.Queue()
        self.host = Host(
            *(folder, folder, os.getpid(), "", self.events, self.chronicle, dict),
            *(self.replies.put_nowait, lambda: None, remote),
        )

    async def ask(self, request: HostRequest) -> Reply:
        self.host.serve(request)
        return await self.replies.get()

    async def change(self, document: object) -> Reply:
        return await self.ask(ChangeRemote(CALL, json.dumps(document).encode()))

    async def close(self) -> None:
        await self.chronicle.close()
        self.link.close()
        self.keeper.close()
        self.events.close()
        self.database.close()


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    made = Asked(tmp_path)
    yield made
    await made.close()


async def test_users_are_added_changed_and_deleted(asked: Asked) -> None:
    ann = {"name": "ann", "is_new": True, "nt_hash": "00" * 16}
    assert (await asked.change({"user": ann})).error == 0
    again = await asked.change({"user": ann})
    assert (again.error, again.result) == (87, "there is a user ann already: `scmd remote passwd`")
    assert (await asked.change({"user": {"name": "Ann", "administrator": True}})).error == 0
    [user] = asked.users
    assert (user.name, user.administrator, user.nt_hash) == ("ann", True, bytes(16))
    assert (await asked.change({"delete_user": "ANN"})).error == 0
    assert (await asked.change({"delete_user": "ann"})).result == "there is no user ann"


@pytest.mark.parametrize(
    "document",
    [
        *({}, [], "x", {"user": {}, "disable": True}, {"become": {}}, {"user": {}}),
        *({"user": []}, {"user": {"name": 5}}, {"user": {"name": "ann", "nt_hash": 5}}),
        *({"user": {"name": "a" * 300}}, {"delete_user": {}}, {"enable": []}),
        *({"enable": {"tcp": 5}}, {"enable": {"port": "1"}}, {"enable": {}}),
    ],
)
async def test_a_change_that_means_nothing_is_refused_with_a_reason(
    asked: Asked, document: object
) -> None:
    reply = await asked.change(document)
    assert reply.error == Error.INVALID_PARAMETER
    assert isinstance(reply.result, str)
    assert reply.result
    assert not len(asked.users)


async def test_the_loop_does_not_wait_for_the_disk_that_keeps_users(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def slow(_: int) -> None:
        assert goes_on.wait(60), "the loop stood still"

    monkeypatch.setattr(os, "fsync", slow)
    asyncio.get_running_loop().call_soon(goes_on.set)
    reply = await asked.change({"user": {"name": "ann", "is_new": True}})
    assert (reply.error, len(asked.users)) == (0, 1)


async def test_who_asks_is_answered_even_by_a_bug(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def broken(*_: Any) -> bytes:
        raise ZeroDivisionError

    def log(_: str, exc_info: object) -> None:
        logged.set_result(exc_info)

    monkeypatch.setattr(background.log, "error", log)
    monkeypatch.setattr(asked.chronicle, "history", broken)
    reply = await asked.ask(ReadHistory(CALL, ServiceId(1)))
    assert reply.error == Error.EXCEPTION_IN_SERVICE
    assert isinstance(await logged, ZeroDivisionError)


def test_a_manager_whose_thread_has_died_makes_room_for_another() -> None:
    program = (
        "import threading\n"
        "from scmd.daemon.manager import die_with_threads\n"
        "die_with_threads()\n"
        "threading.Thread(target=lambda: 1 / 0).start()\n"
        "threading.Event().wait()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 70
    assert "ZeroDivisionError" in ended.stderr
