"""Schedules when somebody sets the clock, forward and back: under a kernel of their own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.system import other_kernel, setting_the_clock

COMMANDS = """
cd {project}
export PYTHONDONTWRITEBYTECODE=1
exec {python} -m pytest -p no:cacheprovider -q --color=no {tests}
"""


@pytest.mark.root
@pytest.mark.peers(other_kernel.PROGRAM, "gcc")
def test_the_clock_is_set(folder: Path) -> None:
    project, tests = Path(__file__).parents[2], Path(setting_the_clock.__file__)
    commands = COMMANDS.format(project=project, python=sys.executable, tests=tests)
    status, said = other_kernel.run(folder, commands)
    assert status == 0, said
    assert re.search(r"^3 passed in", said, re.MULTILINE), said
