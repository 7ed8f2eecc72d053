"""Connections that fail: each says what went wrong, and is closed."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scmd.client.calls import Calls
from scmd.client.connection import ConnectionFailed, connect_to, function_name, local_path
from scmd.vocabulary.errors import Error
from tests.client.world import World


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A unix socket whose one connection `serve` deals with."""

    def run() -> None:
        end, _ = listener.accept()
        with end:
            serve(end)

    with (
        tempfile.TemporaryDirectory(prefix="scmd-test-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = str(Path(folder, "s"))
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=run)
        thread.start()
        yield path
        thread.join()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", Error.RPC_CALL_FAILED),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Error.RPC_CALL_FAILED),
        # bind_nak, reason 4.
        (
            bytes.fromhex("05000d03 10000000 1800 0000 01000000 0400 01 05 00 000000"),
            Error.RPC_CALL_FAILED,
        ),
    ],
)
def test_what_is_no_scm_is_refused(answer: bytes, error: Error) -> None:
    def serve(end: socket.socket) -> None:
        end.recv(4096)
        end.sendall(answer)

    with server(serve) as path, pytest.raises(ConnectionFailed) as caught:
        connect_to(path)
    assert caught.value.winerror == error
    assert caught.value.funcname == "OpenSCManager"
    assert caught.value.detail


def test_a_silent_server_times_out() -> None:
    def serve(end: socket.socket) -> None:
        # Until the client gives up.
        while end.recv(4096):
            pass

    with server(serve) as path, pytest.raises(ConnectionFailed) as caught:
        connect_to(path, timeout=0.01)
    assert caught.value.winerror == Error.WAIT_TIMEOUT


def test_nobody_there_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", "/nonexistent")
    with pytest.raises(ConnectionFailed, match=r"/nonexistent/scm\.sock") as caught:
        connect_to(local_path())
    assert caught.value.winerror == Error.RPC_SERVER_UNAVAILABLE
    monkeypatch.setenv("SCMD_RUNTIME", "/" + "x" * 200)
    with pytest.raises(ConnectionFailed, match="SCMD_RUNTIME") as caught:
        connect_to(local_path())
    assert caught.value.winerror == Error.RPC_SERVER_UNAVAILABLE


def test_a_closed_connection_fails_every_call(world: World, calls: Calls) -> None:
    calls.close()
    calls.close()
    assert calls.is_closed
    with pytest.raises(ConnectionFailed) as caught:
        calls.open_scm()
    assert caught.value.winerror == Error.RPC_CALL_FAILED
    assert caught.value.funcname == "OpenSCManager"


def test_functions_are_named_as_win32_names_them() -> None:
    assert function_name("ROpenServiceW") == "OpenService"
    assert function_name("RChangeServiceConfig2W") == "ChangeServiceConfig2"
    assert function_name("RQueryServiceStatusEx") == "QueryServiceStatusEx"
