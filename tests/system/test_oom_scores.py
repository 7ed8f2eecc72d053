"""When the machine runs out of memory, the kernel kills somebody else than the SCM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system import oom_scores, other_kernel


@pytest.mark.root
@pytest.mark.peers(other_kernel.PROGRAM, "gcc", "setpriv", "unshare")
def test_the_scm_is_spared_where_it_may_lower_its_score(folder: Path) -> None:
    assert other_kernel.run_tests(folder, oom_scores).startswith("3 passed in")
