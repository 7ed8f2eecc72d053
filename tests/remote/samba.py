"""A real smbd of a test's own: configuration, directories, users and port are all private."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PROGRAM_PATH
from tests.free_ports import free_port
from tests.system.machine import eventually

PASSWORD = "Passw0rd of the test"
_FOLDERS = ("private", "lock", "state", "cache", "pid", "log")


class Samba:
    """One smbd. A test that needs port 445 gives it a loopback address of its own."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", port: int | None = None) -> None:
        self.folder = folder / "samba"
        self.address = address
        self.port = port or free_port(address)
        self.front = self.folder / "front"
        self.configuration = self.folder / "smb.conf"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, *settings: str, front: bool = True) -> None:
        """Everything but the daemon."""
        self.folder.mkdir(mode=0o755)
        for name in _FOLDERS:
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "private").chmod(0o700)
        (self.folder / "ncalrpc").mkdir(mode=0o755)
        lines = [
            "[global]",
            "workgroup = WORKGROUP",
            "netbios name = SCMDTEST",
            "server role = standalone server",
            *(f"{name} directory = {self.folder}/{name}" for name in ("lock", "state", "cache")),
            f"pid directory = {self.folder}/pid",
            f"private dir = {self.folder}/private",
            f"ncalrpc dir = {self.folder}/ncalrpc",
            f"passdb backend = tdbsam:{self.folder}/private/passdb.tdb",
            f"log file = {self.folder}/log/log.%m",
            f"interfaces = {self.address}/8",
            "bind interfaces only = yes",
            "load printers = no",
            "disable spoolss = yes",
            *([f"external_rpc_pipe:socket_dir = {self.front}"] if front else []),
            *settings,
        ]
        self.configuration.write_text("\n".join(lines) + "\n")

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        """A Unix user that exists may come by SMB."""
        subprocess.run(
            [_program("smbpasswd"), "-c", self.configuration, "-a", "-s", name],
            input=f"{password}\n{password}\n".encode(),
            check=True,
            capture_output=True,
        )

    @contextmanager
    def running(self) -> Iterator[Samba]:
        self._process = subprocess.Popen(
            [
                *(_program("smbd"), "--foreground", "--no-process-group"),
                *("-s", self.configuration, "-p", str(self.port)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        try:
            eventually(self._answers, "smbd")
            yield self
        finally:
            self._end()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.logs()
        try:
            with socket.create_connection((self.address, self.port)):
                return True
        except OSError:
            return False

    def logs(self) -> str:
        return "".join(
            path.read_text(errors="replace") for path in (self.folder / "log").glob("log.*")
        )

    def _end(self) -> None:
        """smbd, and what it has started: all of them have the configuration's path."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        mark = os.fsencode(self.configuration)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                descriptor = os.pidfd_open(int(entry.name))
            except OSError:
                continue
            try:
                if mark in (entry / "cmdline").read_bytes():
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    select.select([descriptor], [], [], 10)
            except OSError:
                pass  # It has ended already.
            finally:
                os.close(descriptor)


def _program(name: str) -> str:
    found = shutil.which(name, path=PROGRAM_PATH)
    assert found is not None, name
    return found
