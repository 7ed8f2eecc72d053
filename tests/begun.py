"""Tasks that have begun, for tests of what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def begun(work: Awaitable[T]) -> asyncio.Task[T]:
    """A task that does this, and has come as far as it comes without waiting."""
    has_begun = asyncio.Event()

    async def run() -> T:
        has_begun.set()
        return await work

    task = asyncio.ensure_future(run())
    await has_begun.wait()
    return task
