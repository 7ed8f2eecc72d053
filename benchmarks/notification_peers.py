"""The peers of `notifications`: a program says something of itself, and whoever listens is told.

supervisord (Debian package `supervisor`) has an event listener read what a program says in its
capture mode; its own events come of starts and exits only. `s6-svwait -U` (Debian package `s6`)
ends when a service has written to its notification descriptor; since a service is ready once in
its life, it is started again for each time, which s6 does once a second at most. The bare loop is
Python alone: a program says something, an event loop passes it on, and this process hears it.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SAID = 300
PATIENCE_S = 30.0
LIVES = 20

TALKER = """\
import os, sys, time
fifo = os.open(sys.argv[1], os.O_RDWR)
while True:
    os.read(fifo, 1)
    said = b"<!--XSUPERVISOR:BEGIN-->%d<!--XSUPERVISOR:END-->" % time.monotonic_ns()
    os.write(1, said)
"""
LISTENER = """\
import os, sys, time
results = os.open(sys.argv[1], os.O_RDWR)
while True:
    os.write(1, b"READY\\n")
    header = dict(token.split(":") for token in sys.stdin.readline().split())
    body = sys.stdin.read(int(header["len"]))
    took = time.monotonic_ns() - int(body.partition("\\n")[2])
    os.write(results, b"%d\\n" % took)
    os.write(1, b"RESULT 2\\nOK")
"""
LIVING = """\
#!{python}
import os, signal, time
os.read(os.open("{fifo}", os.O_RDWR), 1)
now = time.monotonic_ns()
os.write(3, b"\\n")
os.write(os.open("{results}", os.O_RDWR), b"%d\\n" % now)
signal.pause()
"""

SAYING = """\
import os, time
while os.read(0, 1):
    os.write(1, b"%d" % time.monotonic_ns())
"""
PASSING_ON = """\
import asyncio, socket

async def pass_on():
    hearing = await asyncio.open_unix_connection(sock=socket.socket(fileno=0))
    telling = await asyncio.open_unix_connection(sock=socket.socket(fileno=1))
    while said := await hearing[0].read(64):
        telling[1].write(said)

asyncio.run(pass_on())
"""


class Pipes:
    """By `poke` a program is told to speak; by `result` comes a number of nanoseconds."""

    def __init__(self, folder: Path) -> None:
        self.fifo, self.results = folder / "fifo", folder / "results"
        for path in (self.fifo, self.results):
            os.mkfifo(path)
        self._fifo = os.open(self.fifo, os.O_RDWR | os.O_CLOEXEC)
        self._results = os.open(self.results, os.O_RDWR | os.O_CLOEXEC)

    def poke(self) -> None:
        os.write(self._fifo, b"x")

    def result(self) -> int:
        if not select.select([self._results], [], [], PATIENCE_S)[0]:
            raise RuntimeError("a program has nothing to say")
        return int(os.read(self._results, 64))

    def close(self) -> None:
        os.close(self._fifo)
        os.close(self._results)


def bare_loop(count: int, rest_s: float) -> list[float]:
    """How many milliseconds each of so many took, each after a rest."""
    said, heard = socket.socketpair()
    passed_on, told = socket.socketpair()
    python = [sys.executable, "-c"]
    with (
        said,
        heard,
        passed_on,
        told,
        subprocess.Popen([*python, SAYING], stdin=subprocess.PIPE, stdout=said.fileno()) as saying,
        subprocess.Popen(
            [*python, PASSING_ON], stdin=heard.fileno(), stdout=passed_on.fileno()
        ) as passing_on,
    ):
        assert saying.stdin is not None
        told.settimeout(PATIENCE_S)
        took = []
        # The first one says that both run.
        for _ in range(count + 1):
            time.sleep(rest_s)
            os.write(saying.stdin.fileno(), b"x")
            said_at = int(told.recv(64))
            took.append((time.monotonic_ns() - said_at) / 1e6)
        saying.kill()
        passing_on.kill()
    return took[1:]


def measure() -> Iterator[tuple[str, list[float]]]:
    """Who is installed, and how many milliseconds each time took."""
    for name, program, peer in (
        ("supervisord", "supervisord", _supervisord),
        ("s6-svwait", "s6-svwait", _s6),
    ):
        if shutil.which(program):
            with tempfile.TemporaryDirectory(prefix="scmd-notify-") as folder:
                pipes = Pipes(Path(folder))
                yield name, peer(Path(folder), pipes)
                pipes.close()


def _supervisord(folder: Path, pipes: Pipes) -> list[float]:
    (folder / "talker.py").write_text(TALKER)
    (folder / "listener.py").write_text(LISTENER)
    (folder / "conf").write_text(
        f"[supervisord]\nnodaemon=true\nuser=root\nlogfile={folder}/log\npidfile={folder}/pid\n"
        f"childlogdir={folder}\n"
        f"[program:talker]\ncommand={sys.executable} {folder}/talker.py {pipes.fifo}\n"
        "stdout_capture_maxbytes=4096\n"
        f"[eventlistener:listener]\nevents=PROCESS_COMMUNICATION\n"
        f"command={sys.executable} {folder}/listener.py {pipes.results}\n"
    )
    daemon = subprocess.Popen(
        ["supervisord", "-c", str(folder / "conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    took = []
    try:
        # The first answer says that both run.
        for _ in range(SAID + 1):
            pipes.poke()
            took.append(pipes.result() / 1e6)
    finally:
        daemon.terminate()
        daemon.wait(30)
    return took[1:]


def _s6(folder: Path, pipes: Pipes) -> list[float]:
    service = folder / "service"
    service.mkdir()
    (service / "notification-fd").write_text("3\n")
    run = service / "run"
    run.write_text(LIVING.format(python=sys.executable, fifo=pipes.fifo, results=pipes.results))
    run.chmod(0o755)
    supervise = subprocess.Popen(["s6-supervise", str(service)], stderr=subprocess.DEVNULL)
    took = []
    try:
        while not (service / "supervise" / "status").exists():
            time.sleep(0.001)
        for _ in range(LIVES):
            waiting = subprocess.Popen(["s6-svwait", "-U", str(service)])
            # It listens once it has a FIFO of its own here.
            while not [*(service / "event").glob("ftrig1:*")]:
                if waiting.poll() is not None:
                    raise RuntimeError("s6-svwait did not wait")
                time.sleep(0.001)
            pipes.poke()
            waiting.wait(PATIENCE_S)
            took.append((time.monotonic_ns() - pipes.result()) / 1e6)
            # `-wr`: until there is another life, which is not ready.
            subprocess.run(["s6-svc", "-wr", "-r", str(service)], check=True)
    finally:
        subprocess.run(["s6-svc", "-dx", str(service)], check=True)
        supervise.wait(30)
    return took
