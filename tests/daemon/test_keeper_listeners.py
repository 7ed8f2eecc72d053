"""The keeper listens for the manager, and goes on when the manager dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import stat
from pathlib import Path

import pytest

from scmd.daemon.keeper_listeners import CannotListen, check_address
from tests.daemon.world import World
from tests.free_ports import free_port


async def test_a_tcp_socket_outlives_the_manager(world: World) -> None:
    first = await world.start()
    port = free_port()
    name = f"tcp:127.0.0.1:{port}"
    with await first.link.listen(name) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)
    os.kill(first.pid, signal.SIGKILL)
    # Nobody accepts, and nobody is refused.
    with socket.create_connection(("127.0.0.1", port)):
        second = await world.next_manager()
        ((held, listener),) = second.state.listeners
        assert held == name
        with listener, listener.accept()[0]:
            pass
    second.link.unlisten(name)
    with pytest.raises(OSError, match="no end point"):
        await second.link.listen("udp:1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


async def test_listening_twice_is_the_same_socket(world: World) -> None:
    manager = await world.start()
    name = f"tcp:[::1]:{free_port()}"
    one, other = await asyncio.gather(manager.link.listen(name), manager.link.listen(name))
    with one, other:
        assert os.path.sameopenfile(one.fileno(), other.fileno())
    assert not manager.link._listening, "something is kept of what was answered"


async def test_where_nobody_can_listen_the_reason_is_told(world: World, tmp_path: Path) -> None:
    manager = await world.start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for name, reason in (
            (f"tcp:127.0.0.1:{port}", "in use"),
            ("tcp:[fe80::5c3d%nowhere]:4711", "not known"),
            ("tcp:127.0.0.1:x", "invalid"),
            ("tcp:127.0.0.1:70000", "port must be"),
            (f"pipe:{tmp_path}/missing/svcctl", "No such file"),
        ):
            with pytest.raises(OSError, match=reason):
                await manager.link.listen(name)
    assert not manager.link._listening, "something is kept of what was answered"


@pytest.mark.parametrize("place", ["192.0.2.1", "[2001:db8::1]", "[fe80::5c3d%lo]"])
async def test_an_address_may_come_later(world: World, place: str) -> None:
    """As it does where the network is up only after the SCM."""
    name = f"tcp:{place}:{free_port()}"
    with pytest.raises(CannotListen, match=f"at {re.escape(name[4:])}: .* assign"):
        check_address(name)
    manager = await world.start()
    with await manager.link.listen(name) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


async def test_a_pipe_is_for_root_alone(world: World, tmp_path: Path) -> None:
    manager = await world.start()
    folder = tmp_path / "np"
    folder.mkdir(mode=0o755)
    name = f"pipe:{folder}/svcctl"
    with pytest.raises(OSError, match="mode 0700"):
        await manager.link.listen(name)
    folder.chmod(0o700)
    (await manager.link.listen(name)).close()
    found = (folder / "svcctl").stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["svcctl"]
    manager.link.unlisten(name)
    with pytest.raises(OSError, match="no end point"):
        await manager.link.listen("nonsense")
    assert not (folder / "svcctl").exists()
