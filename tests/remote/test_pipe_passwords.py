"""The password of a service's account on its way through the named pipe of a real smbd."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scmd.rpc.security.secret_cipher import encrypted
from scmd.transport.pipe_auth import decode_request, request_size
from tests.remote.samba import PASSWORD, Samba
from tests.system.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.peers("smbd", "smbpasswd")]

SECRET = "The account's secret €"


class Tap:
    """Between smbd and the SCM: passes one pipe on and keeps what smbd has sent."""

    def __init__(self, ours: Path, behind: Path) -> None:
        ours.mkdir(mode=0o700, parents=True)
        for pipe in behind.iterdir():
            if pipe.name != "svcctl":
                (ours / pipe.name).symlink_to(pipe)
        self.heard = b""
        self._behind = behind / "svcctl"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(ours / "svcctl"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        near, _ = self._listener.accept()
        far = socket.socket(socket.AF_UNIX)
        with near, far:
            far.connect(str(self._behind))
            back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
            back.start()
            self._pass(near, far, keep=True)
            back.join()

    def _pass(self, source: socket.socket, sink: socket.socket, keep: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if keep:
                    self.heard += data
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._thread.join(30)
        self._listener.close()


@pytest.fixture
def samba(machine: Machine) -> Iterator[tuple[Samba, Tap]]:
    samba = Samba(machine.folder, f"127.76.{os.getpid() % 250}.{os.getpid() // 250 % 250}", 445)
    samba.prepare()
    samba.add_user("root")
    behind = machine.folder / "behind"
    configuration = ("--smb-conf", str(samba.configuration))
    machine.scmd("remote", "enable", "--smbd", str(behind), *configuration)
    tap = Tap(samba.front / "np", behind / "np")
    with samba.running():
        yield samba, tap


def test_it_is_encrypted_under_the_key_of_the_session(
    machine: Machine, samba: tuple[Samba, Tap]
) -> None:
    """smbd hands the key over, with which a server opens it; nothing that is plain has it."""
    smbd, tap = samba
    far = (f"//{smbd.address}", "-U", f"root%{PASSWORD}")
    machine.sc(*far, "create", "Secretive", "binPath=", "/bin/true", "password=", SECRET)
    tap.close()
    size = request_size(tap.heard)
    assert size is not None
    key = decode_request(tap.heard[:size]).session_key
    assert len(key) == 16
    assert encrypted((SECRET + "\0").encode("utf-16-le"), key) in tap.heard
    assert "Secretive".encode("utf-16-le") in tap.heard
    assert SECRET.encode("utf-16-le") not in tap.heard
    assert machine.json("sc", "qc", "Secretive")["binary_path_name"] == "/bin/true"
    done = machine.try_scmd("sc", *far, "query")
    assert (done.returncode, "nobody serves \\PIPE\\svcctl" in done.stderr) == (1, True), done
