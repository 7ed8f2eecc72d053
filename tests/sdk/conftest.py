"""Fixtures: the SCM's end for services in this process and in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sdk.fake_scm import InProcess, SubProcess


@pytest.fixture
def scm() -> Iterator[InProcess]:
    end = InProcess()
    yield end
    end.close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., SubProcess]]:
    """Runs `service.py` with the given text, or with other arguments of the interpreter."""
    running: list[SubProcess] = []

    def start(
        text: str, *arguments: str, close_output: bool = False, **environment: str
    ) -> SubProcess:
        script = tmp_path / "service.py"
        script.write_text(text)
        command = arguments or [str(script)]
        end = SubProcess(command, tmp_path, close_output=close_output, **environment)
        running.append(end)
        return end

    yield start
    for end in running:
        end.close()
