"""Fixtures: a machine with a running SCM, and one with directories only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.system.machine import Machine, finished


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: other users must reach it, and a socket's path is short.
    with TemporaryDirectory(prefix="scmd-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def bare(folder: Path) -> Iterator[Machine]:
    """No SCM runs yet."""
    with finished(Machine(folder)) as machine:
        yield machine


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """An SCM that runs and is empty."""
    bare.set_control(BuiltInServices=0)
    return bare.start()
