"""A process that cannot have a thread, which a stack that fits nowhere makes certain."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scmd.linux.threads import with_threads


@pytest.fixture(autouse=True)
def _no_room() -> Iterator[None]:
    before = threading.stack_size(1 << 46)
    yield
    threading.stack_size(before)


def needs_a_thread() -> int:
    threading.Thread(target=print).start()
    return 0


def test_a_thread_that_cannot_be_had_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_threads(needs_a_thread) == 1
    assert capsys.readouterr().err == (
        "scmd: no thread can be started: RLIMIT_NPROC, or pids.max of the cgroup, allows no more\n"
    )


def test_other_errors_are_bugs() -> None:
    def wrong() -> int:
        raise RuntimeError("dictionary changed size during iteration")

    with pytest.raises(RuntimeError, match="changed size"):
        with_threads(wrong)


def test_the_status_is_handed_on() -> None:
    assert with_threads(lambda: 78) == 78
