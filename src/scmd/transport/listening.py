"""A listening socket on the event loop.

Clients do not get the last descriptors: the channels of new service processes need some. Where
none is left for another connection, or no memory, whoever connects waits: the socket is left alone
for a second, and that is said in one line. (asyncio's own servers print a traceback for each of up
to a thousand tries a second, and try on when they are closed.)
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

BACKLOG = 1024
PAUSE_S = 1.0
SILENCE_S = 60.0
"""Between two lines about the same socket."""
RESERVE = 64
"""Descriptors that are no client's; at most a quarter of those there may be."""
log = logging.getLogger(__name__)


class Listening:
    """Accepts on `sock`, which it closes in the end; `factory` makes each one's protocol."""

    def __init__(self, sock: socket.socket, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._socket = sock
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._silent_until = 0.0
        self._beginning: set[asyncio.Task[Any]] = set()
        """The loop itself would forget them."""
        sock.setblocking(False)
        sock.listen(BACKLOG)
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = limit - min(RESERVE, limit // 4)
        for _ in range(BACKLOG):
            try:
                # Of the number a connection would get; one that is accepted cannot wait any more.
                probe = os.dup(self._socket.fileno())
                os.close(probe)
                if probe >= most:
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                connection, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as failed:
                self._wait(failed)
                return
            connection.setblocking(False)
            begins = self._loop.connect_accepted_socket(self._factory, connection)
            task = self._loop.create_task(begins)
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    def _wait(self, failed: OSError) -> None:
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(PAUSE_S, self._go_on)
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + SILENCE_S
            name = self._socket.getsockname()
            log.warning("who connects to %s has to wait: %s", name, failed.strerror)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)
