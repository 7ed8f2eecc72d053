"""Probes: asking a hosted program over TCP or HTTP how it is, on the event loop.

One question a launch at a time; each is answered once, with what is wrong or "", unless
its launch is over. What to ask, when, and what follows is the core's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from scmd.core.health import Probe, Way
from scmd.core.messages import LaunchId
from scmd.core.messages.effects import StartProbe
from scmd.core.messages.events import ProbeAnswered

_GOOD = range(100, 400)
_LONGEST_LINE = 1024


class Probes:
    """All questions that are being asked."""

    def __init__(self, on_answer: Callable[[ProbeAnswered], None]) -> None:
        self._on_answer = on_answer
        self._tasks: dict[LaunchId, asyncio.Task[None]] = {}

    def start(self, question: StartProbe) -> None:
        """Ask; a question that the launch has not answered yet is given up."""
        self.cancel(question.launch)
        task = asyncio.get_running_loop().create_task(self._ask(question))
        self._tasks[question.launch] = task

    def cancel(self, launch: LaunchId) -> None:
        """Nobody wants to know any more."""
        task = self._tasks.pop(launch, None)
        if task is not None:
            task.cancel()

    async def _ask(self, question: StartProbe) -> None:
        problem = await ask(question.probe, question.limit / 1000)
        if self._tasks.get(question.launch) is asyncio.current_task():
            del self._tasks[question.launch]
            self._on_answer(ProbeAnswered(question.launch, question.number, problem))


async def ask(probe: Probe, limit_s: float) -> str:
    """What is wrong, or ""."""
    try:
        async with asyncio.timeout(limit_s):
            return await _connect(probe)
    except TimeoutError:
        return f"{probe.host} port {probe.port}: no answer in {limit_s:g} s"
    except (OSError, ValueError) as failed:
        return f"{probe.host} port {probe.port}: {failed}"


async def _connect(probe: Probe) -> str:
    reader, writer = await asyncio.open_connection(probe.host, probe.port, limit=_LONGEST_LINE)
    try:
        return "" if probe.way is Way.TCP else await _get(probe, reader, writer)
    finally:
        writer.transport.abort()


async def _get(probe: Probe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    host = f"[{probe.host}]" if ":" in probe.host else probe.host
    writer.write(
        f"GET {probe.path} HTTP/1.1\r\nHost: {host}:{probe.port}\r\n"
        "User-Agent: scmd\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
    )
    line = await reader.readline()
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return f"{probe.host} port {probe.port}: not an answer in HTTP"
    if int(words[1]) in _GOOD:
        return ""
    return f"{probe.path}: HTTP status {int(words[1][:9])}"
