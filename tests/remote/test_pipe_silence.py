"""A named pipe behind a real smbd at which somebody listens who says nothing."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scmd.client.connection import ConnectionFailed
from scmd.client.scm import connect
from scmd.transport.pipe_auth import decode_request, encode_reply
from scmd.transport.smb import PipeStream
from scmd.vocabulary.errors import Error
from tests.remote.samba import PASSWORD, Samba

pytestmark = [pytest.mark.root, pytest.mark.peers("smbd", "smbpasswd")]


class Silent:
    """Takes each pipe over, or not even that, and hears whatever comes."""

    def __init__(self, folder: Path) -> None:
        self.takes_over = False
        folder.mkdir(mode=0o700, parents=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "svcctl"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                end, _ = self._listener.accept()
                with end:
                    request = end.recv(65536)
                    if self.takes_over:
                        end.sendall(encode_reply(decode_request(request).level))
                    while end.recv(65536):
                        pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._listener.close()


@pytest.fixture
def site(folder: Path) -> Iterator[tuple[Samba, Silent]]:
    samba = Samba(folder, f"127.75.{os.getpid() % 250}.{os.getpid() // 250 % 250}", 445)
    samba.prepare()
    samba.add_user("root")
    silent = Silent(samba.front / "np")
    with samba.running():
        yield samba, silent
    silent.close()


@pytest.mark.parametrize(
    ("takes_over", "said"),
    [
        (False, "the named pipe: it does not answer"),
        (True, "named pipe: the SCM does not answer"),
    ],
)
def test_nobody_waits_longer_than_he_said(
    site: tuple[Samba, Silent],
    capfd: pytest.CaptureFixture[str],
    takes_over: bool,
    said: str,
) -> None:
    """Without a limit these would wait for ever; to log in takes a small part of it."""
    samba, silent = site
    silent.takes_over = True
    began = time.monotonic()
    PipeStream(samba.address, "svcctl", "root", PASSWORD, 60).close()
    limit = 3 + 5 * (time.monotonic() - began)
    silent.takes_over = takes_over
    with pytest.raises(ConnectionFailed) as caught:
        connect(f"//{samba.address}", user="root", password=PASSWORD, timeout=limit)
    assert caught.value.winerror == Error.RPC_SERVER_UNAVAILABLE
    assert said in str(caught.value)
    assert capfd.readouterr().err == ""
