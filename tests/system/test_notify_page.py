"""NotifyServiceStatusChange, sentence by sentence as its reference page has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.system import notify_parameters, notify_remarks  # noqa: F401 # they fill the table
from tests.system.machine import Machine, finished
from tests.system.notify_page import PLACES, TABLE
from tests.system.notify_stage import Stage


@pytest.fixture(scope="module")
def shared() -> Iterator[Machine]:
    """One SCM for all; each sentence has services of its own."""
    with (
        TemporaryDirectory(prefix="scmd-", ignore_cleanup_errors=True) as folder,
        finished(Machine(Path(folder))) as machine,
    ):
        machine.set_control(BuiltInServices=0)
        yield machine.start()


@pytest.fixture
def stage(shared: Machine) -> Iterator[Stage]:
    with shared.as_environment():
        stage = Stage(shared)
        yield stage
        stage.close()


@pytest.mark.parametrize("place", TABLE)
def test_what_the_page_says(stage: Stage, place: str) -> None:
    says, check = TABLE[place]
    print(says)
    check(stage)


def test_each_sentence_is_there() -> None:
    places = [f"{head}.{number + 1}" for head, count in PLACES.items() for number in range(count)]
    assert sorted(TABLE) == sorted(places)
