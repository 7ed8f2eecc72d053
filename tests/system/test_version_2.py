"""Limits where all cgroup controllers are in version 2, as on a machine that systemd has booted.

The tests of limits run once more, under a kernel of their own: those of the cgroups in the
machine's root, those with an SCM in a cgroup that is the SCM's alone, as its unit's is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.system import other_kernel

COMMANDS = """
set -e
cd {project}
export PYTHONDONTWRITEBYTECODE=1 SCMD_NO_SKIPS=1
cgroup=/sys/fs/cgroup
grep -q memory $cgroup/cgroup.controllers
pytest="{python} -m pytest -p no:cacheprovider -q --color=no"
$pytest tests/linux/test_controllers.py
mkdir $cgroup/unit
echo "+cpu +memory +pids" >$cgroup/cgroup.subtree_control
SCMD_TEST_UNIT=$cgroup/unit $pytest tests/system/test_limits.py
rmdir $cgroup/unit
"""


@pytest.mark.root
@pytest.mark.peers(other_kernel.PROGRAM, "gcc")
def test_limits_hold_where_all_controllers_are_in_version_2(folder: Path) -> None:
    project = Path(__file__).parents[2]
    commands = COMMANDS.format(project=project, python=sys.executable)
    status, said = other_kernel.run(folder, commands)
    assert status == 0, said
    assert len(re.findall(r"^\d+ passed in", said, re.MULTILINE)) == 2, said
