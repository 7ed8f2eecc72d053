"""Looking up who users, groups and accounts are, which a directory service says when it can.

It is done on threads of their own: those that never come back take none from those that read and
write files. While `AT_ONCE` hang, the next look-ups wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

AT_ONCE = 16
_THREADS = ThreadPoolExecutor(AT_ONCE, "look-up")


async def looked_up(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """What the function returns or raises."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, lambda: function(*arguments, **named))
