"""Other people's daemons, unmodified: started, asked over the network, stopped, killed, noticed."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from tests.conftest import PROGRAM_PATH
from tests.free_ports import free_port
from tests.system.machine import LIMIT_S, Machine, eventually
from tests.system.programs import PYTHON

HOST = "127.0.0.1"
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen {host}:{port}; location / {{ return 200 "from nginx"; }} }}
}}
"""


def peer(name: str) -> str:
    found = shutil.which(name, path=PROGRAM_PATH)
    assert found is not None
    return found


def ask_redis(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=LIMIT_S) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(100) == b"+PONG\r\n"


def ask_web(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=LIMIT_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def answers(ask: Callable[[int], bool], port: int) -> bool:
    try:
        return ask(port)
    except (OSError, http.client.HTTPException):
        return False


def live_through_everything(machine: Machine, name: str, ask: Callable[[], bool]) -> None:
    """Started, asked, stopped, restarted, killed from outside, noticed, started again."""
    machine.scmd("net", "start", name)
    eventually(ask, "an answer")
    first = machine.status(name).process_id
    assert machine.json("sc", "query")[0]["process_id"] == first
    machine.scmd("net", "stop", name)
    assert machine.status(name).win32_exit_code == 0
    assert not ask()
    machine.scmd("net", "start", name)
    eventually(ask, "an answer after the restart")
    second = machine.status(name).process_id
    assert second != first
    os.kill(second, signal.SIGKILL)
    stopped = machine.await_state(name, "STOPPED")
    assert stopped.win32_exit_code == Error.PROCESS_ABORTED
    eventually(lambda: not ask(), "the end of all its processes")
    assert machine.await_event(7034, name)["source"] == "Service Control Manager"
    machine.scmd("net", "start", name)
    eventually(ask, "an answer after the death")
    machine.scmd("remove", name)
    assert not ask()


@pytest.mark.peers("redis-server")
def test_redis(machine: Machine) -> None:
    port = free_port()
    options = ("--port", str(port), "--bind", HOST, "--save", "", "--dir", str(machine.folder))
    machine.install("Redis", peer("redis-server"), *options)
    live_through_everything(machine, "Redis", lambda: answers(ask_redis, port))


@pytest.mark.peers("nginx")
def test_nginx_and_its_workers(machine: Machine) -> None:
    port = free_port()
    settings = Path(machine.folder / "nginx.conf")
    settings.write_text(NGINX.format(folder=machine.folder, host=HOST, port=port))
    machine.install("Nginx", peer("nginx"), "-c", str(settings), AppStopSignal="QUIT")
    live_through_everything(machine, "Nginx", lambda: answers(ask_web, port))


def test_pythons_web_server(machine: Machine) -> None:
    port = free_port()
    machine.scmd(
        *("install", "Web", "--dir", str(machine.folder), "--"),
        *(PYTHON, "-m", "http.server", "--bind", HOST, str(port)),
    )
    live_through_everything(machine, "Web", lambda: answers(ask_web, port))
    assert os.path.isdir(machine.folder)
