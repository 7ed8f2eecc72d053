"""Fixtures: a machine with a running SCM, and one with directories only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.kept import Kept, scratch_folder
from tests.system.machine import Machine, finished


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as made:
        yield made


@pytest.fixture
def bare(folder: Path) -> Iterator[Machine]:
    """No SCM runs yet."""
    with finished(Machine(folder)) as machine:
        yield machine


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    made = Kept()
    yield made
    made.end()


@pytest.fixture
def machine(kept: Kept) -> Iterator[Machine]:
    """An SCM that runs and is empty; a module's tests that leave it so share one."""
    yield kept.lend()
    kept.take_back()
