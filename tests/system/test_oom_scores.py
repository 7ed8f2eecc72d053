"""When the machine runs out of memory, the kernel kills somebody else than the SCM."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.system import oom_scores, other_kernel

COMMANDS = """
cd {project}
export PYTHONDONTWRITEBYTECODE=1 SCMD_NO_SKIPS=1
exec {python} -m pytest -p no:cacheprovider -q --color=no {tests}
"""


@pytest.mark.root
@pytest.mark.peers(other_kernel.PROGRAM, "gcc", "setpriv", "unshare")
def test_the_scm_is_spared_where_it_may_lower_its_score(folder: Path) -> None:
    project, tests = Path(__file__).parents[2], Path(oom_scores.__file__)
    commands = COMMANDS.format(project=project, python=sys.executable, tests=tests)
    status, said = other_kernel.run(folder, commands)
    assert status == 0, said
    assert re.search(r"^3 passed in", said, re.MULTILINE), said
