"""The keeper's world as a fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest_asyncio

from tests.daemon.world import World


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    # Not tmp_path: other users must reach it, and socket paths are short.
    with TemporaryDirectory(prefix="scmd-") as folder:
        Path(folder).chmod(0o755)
        made = World(Path(folder))
        try:
            yield made
        finally:
            await made.close()
