"""Probes against real sockets, those that answer badly above all."""

from __future__ import annotations

import asyncio

import pytest

from scmd.core.health import Probe, Way
from scmd.core.messages import LaunchId
from scmd.core.messages.effects import StartProbe
from scmd.core.messages.events import ProbeAnswered
from scmd.daemon.probes import Probes, ask

HOST = "127.0.0.1"


class Server:
    """Says the same to everybody; keeps what it was asked."""

    def __init__(self, says: bytes | None) -> None:
        self.says = says
        self.asked: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._silent = asyncio.Event()

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._silent.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            if self.says is None:
                await self._silent.wait()
            else:
                writer.write(self.says)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # It only wanted to connect, or had heard enough.
        finally:
            writer.close()


def http(port: int, path: str = "/") -> Probe:
    return Probe(Way.HTTP, HOST, port, path)


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204\r\n\r\n", ""),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP status 503"),
        (b"HTTP/1.1 99999999999999999999 x\r\n", "HTTP status"),
        (b"SSH-2.0-OpenSSH\r\n", "not an answer in HTTP"),
        (b"HTTP/1.1 ok\r\n", "not an answer in HTTP"),
        (b"", "not an answer in HTTP"),
        (b"x" * 100_000, "port"),
    ],
)
async def test_answers_in_http(says: bytes, problem: str) -> None:
    async with Server(says) as server:
        answer = await ask(http(server.port, "/up?x=1"), 10)
        assert problem in answer
        assert bool(problem) == bool(answer)
        assert server.asked[0].startswith(b"GET /up?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_a_connection_is_all_that_tcp_wants() -> None:
    async with Server(None) as server:
        assert await ask(Probe(Way.TCP, HOST, server.port), 10) == ""
        port = server.port
    assert "port" in await ask(Probe(Way.TCP, HOST, port), 10)


async def test_silence_is_an_answer_too() -> None:
    async with Server(None) as server:
        assert "no answer in 0.05 s" in await ask(http(server.port), 0.05)


async def test_each_question_is_answered_once_unless_nobody_wants_to_know() -> None:
    answers: asyncio.Queue[ProbeAnswered] = asyncio.Queue()
    probes = Probes(answers.put_nowait)
    async with Server(None) as silent, Server(b"HTTP/1.1 200 OK\r\n\r\n") as good:
        probes.start(StartProbe(LaunchId(1), 1, http(silent.port), 60_000))
        probes.start(StartProbe(LaunchId(1), 2, http(good.port), 60_000))
        probes.start(StartProbe(LaunchId(2), 1, http(silent.port), 60_000))
        assert await answers.get() == ProbeAnswered(LaunchId(1), 2, "")
        probes.cancel(LaunchId(2))
        probes.cancel(LaunchId(2))
        probes.start(StartProbe(LaunchId(3), 1, http(good.port), 60_000))
        assert await answers.get() == ProbeAnswered(LaunchId(3), 1, "")
        assert answers.empty()
