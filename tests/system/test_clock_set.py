"""Schedules when somebody sets the clock, forward and back: under a kernel of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system import other_kernel, setting_the_clock


@pytest.mark.root
@pytest.mark.peers(other_kernel.PROGRAM, "gcc")
def test_the_clock_is_set(folder: Path) -> None:
    assert other_kernel.run_tests(folder, setting_the_clock).startswith("3 passed in")
