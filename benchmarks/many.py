"""1,000 trivial programs from stopped to RUNNING, and what the SCM weighs then.

The peer is supervisord (Debian package `supervisor`) with startsecs=0, told to start all
its stopped programs, none of which it waits for before the next; the SCM is told by four
clients at a time, since each StartService is answered when its program has been executed.
The floor is a bare posix_spawn loop.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import xmlrpc.client
from pathlib import Path

import scmd
from benchmarks.scratch import daemon_processes, pss_kib, scratch_scm
from benchmarks.table import Row

COUNT = 1000
CLIENTS = 4
PROGRAM = ["/bin/sleep", "100000"]


def measure() -> list[Row]:
    """Time against supervisord, memory as it is."""
    floor = _spawn_loop()
    ours, empty_kib, full_kib = _scmd()
    rows = [
        Row(
            "memory of keeper, manager, logger, 1,000 running",
            f"{full_kib / 1024:.1f} MB PSS",
            f"({empty_kib / 1024:.1f} MB empty)",
            "",
            "under 60 MB",
            full_kib < 60 * 1024,
        ),
        Row(
            "  growth a running service",
            f"{(full_kib - empty_kib) / COUNT:.1f} KiB",
            "",
            "",
            "under 20 KiB",
            (full_kib - empty_kib) / COUNT < 20,
        ),
    ]
    if shutil.which("supervisord"):
        theirs = _supervisord()
        peer = f"supervisord {theirs:.2f} s, spawn loop {floor:.2f} s"
        ratio, met = f"{theirs / ours:.1f} x faster", theirs / ours >= 4
    else:
        peer = f"supervisord not installed; spawn loop {floor:.2f} s"
        ratio, met = "not measured", False
    row = Row(
        "1,000 programs from stopped to RUNNING", f"{ours:.2f} s", peer, ratio, "4 x faster", met
    )
    return [row, *rows]


def _spawn_loop() -> float:
    begin = time.perf_counter()
    children = [os.posix_spawn(PROGRAM[0], PROGRAM, os.environ) for _ in range(COUNT)]
    took = time.perf_counter() - begin
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return took


def _scmd() -> tuple[float, int, int]:
    with scratch_scm(), scmd.connect() as scm:
        empty = sum(map(pss_kib, daemon_processes()))
        for number in range(COUNT):
            scm.install(f"Program{number:04}", PROGRAM)
        begin = time.perf_counter()
        clients = [threading.Thread(target=_start, args=(first,)) for first in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        while sum(s.name.startswith("Program") for s in scm.services(state="running")) < COUNT:
            time.sleep(0.01)
        took = time.perf_counter() - begin
        full = sum(map(pss_kib, daemon_processes()))
    return took, empty, full


def _start(first: int) -> None:
    with scmd.connect() as scm:
        for number in range(first, COUNT, CLIENTS):
            scm[f"Program{number:04}"].start(wait=False)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self._path)
        return connection


def _supervisord() -> float:
    with tempfile.TemporaryDirectory(prefix="scmd-bench-") as folder:
        path = Path(folder)
        sections = [
            (
                f"[supervisord]\nnodaemon=true\nuser=root\nminfds=8192\nlogfile={path}/log\n"
                f"pidfile={path}/pid\nchildlogdir={path}\n"
                f"[unix_http_server]\nfile={path}/socket\n"
                "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory="
                "supervisor.rpcinterface:make_main_rpcinterface\n"
            )
        ]
        sections += [
            f"[program:p{number:04}]\ncommand={' '.join(PROGRAM)}\nautostart=false\n"
            f"startsecs=0\nstdout_logfile={path}/p{number:04}.log\nredirect_stderr=true\n"
            for number in range(COUNT)
        ]
        (path / "conf").write_text("".join(sections))
        daemon = subprocess.Popen(
            ["supervisord", "-c", str(path / "conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not (path / "socket").exists():
                time.sleep(0.05)
            proxy = xmlrpc.client.ServerProxy(
                "http://localhost/RPC2", transport=_UnixTransport(str(path / "socket"))
            )
            time.sleep(1)
            begin = time.perf_counter()
            proxy.supervisor.startAllProcesses(False)
            while True:
                answer = proxy.supervisor.getAllProcessInfo()
                assert isinstance(answer, list)
                if sum(info["statename"] == "RUNNING" for info in answer) == COUNT:
                    break
                time.sleep(0.05)
            return time.perf_counter() - begin
        finally:
            daemon.terminate()
            daemon.wait(120)
