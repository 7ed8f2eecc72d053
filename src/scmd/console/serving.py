"""The HTTP server: uvicorn on a socket that listens already."""

from __future__ import annotations

import socket
from typing import NoReturn

import uvicorn

from scmd.console.event_stream import EventStream

MOST_CONNECTIONS = 200
"""Requests beyond are answered 503; each stream has a connection to the SCM."""


class _Server(uvicorn.Server):
    """Ends the streams first, which would not end by themselves."""

    def __init__(self, config: uvicorn.Config, stream: EventStream) -> None:
        super().__init__(config)
        self._stream = stream

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stream.close()
        await super().shutdown(sockets)


def serve(stream: EventStream, listening: socket.socket) -> NoReturn:
    """Until SIGTERM, which does what it does without this, or SIGINT: KeyboardInterrupt."""
    config = uvicorn.Config(
        stream.application,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    _Server(config, stream).run(sockets=[listening])
    raise KeyboardInterrupt
