"""A server that is like other people's: scmd's, with what others lack taken out on the way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from scmd.rpc.pdu import ALTER_CONTEXT, REQUEST
from scmd.scmd_interface.operations import SCMD

LENGTH = slice(8, 10)
OPNUM = slice(22, 24)
NO_OPNUM = b"\xff\x7f"
NOTIFICATIONS = range(47, 50)


class OtherServer:
    """A unix socket, at `folder`/scm.sock, in front of the one in `runtime`; a context manager.

    Here the interface scmd has another UUID, which the SCM refuses; unless it `notifies`, what
    are operations 47 to 49 elsewhere is out of range.
    """

    def __init__(self, folder: Path, runtime: Path, *, notifies: bool) -> None:
        folder.mkdir()
        self.folder = folder
        self.opnums: set[int] = set()
        """Of the requests so far, as the client has them."""
        self._behind = str(runtime / "scm.sock")
        self._hidden = range(0) if notifies else NOTIFICATIONS
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener.bind(str(self.folder / "scm.sock"))
        self._listener.listen()
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for end in self._ends:
            end.close()

    def cut(self) -> None:
        """End all connections."""
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _begin(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._ends += (client, server)
            try:
                server.connect(self._behind)
            except OSError:
                # Nobody is behind it just now.
                client.shutdown(socket.SHUT_RDWR)
                continue
            self._begin(self._relay, client, server, self._changed)
            self._begin(self._relay, server, client, bytes)

    def _relay(
        self, source: socket.socket, sink: socket.socket, changed: Callable[[bytearray], bytes]
    ) -> None:
        data = bytearray()
        with suppress(OSError):
            while more := source.recv(65_536):
                data += more
                while len(data) >= 10 and len(data) >= (size := _number(data[LENGTH])):
                    sink.sendall(changed(data[:size]))
                    del data[:size]
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def _changed(self, pdu: bytearray) -> bytes:
        if pdu[2] == ALTER_CONTEXT:
            return bytes(pdu).replace(bytes(SCMD.uuid), bytes(16))
        if pdu[2] == REQUEST:
            self.opnums.add(_number(pdu[OPNUM]))
            if _number(pdu[OPNUM]) in self._hidden:
                pdu[OPNUM] = NO_OPNUM
        return bytes(pdu)


def _number(data: bytearray) -> int:
    return int.from_bytes(data, "little")
