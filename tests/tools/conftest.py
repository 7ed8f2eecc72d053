"""Fixtures: an SCM for the tools, and a way to run a command and look at what it printed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scmd.client.scm import Scm
from scmd.tools.main import main
from tests.client.conftest import scm, world
from tests.client.world import World

__all__ = ["Outcome", "Run", "run", "scm", "web", "world"]


class Outcome:
    """What a command came to."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `scmd` with these arguments."""

    def run_command(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = main(list(arguments))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run_command


@pytest.fixture
def web(world: World, scm: Scm) -> World:
    """The world with a service: key name Web, display name Web Server."""
    scm.create("Web", "/usr/bin/web", display="Web Server", description="Serves.")
    return world
