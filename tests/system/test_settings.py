"""SCM-wide values of an SCM that runs: in force at once, kept, and not everybody's."""

from __future__ import annotations

import pytest

from scmd.vocabulary.errors import Error
from tests.system import programs
from tests.system.installation import NOBODY
from tests.system.machine import Machine
from tests.system.programs import PYTHON


@pytest.mark.root
def test_a_setting_counts_at_once_is_kept_and_is_for_administrators(machine: Machine) -> None:
    liar = programs.write(machine.folder, "liar.py", programs.LIAR)
    machine.create("Liar", PYTHON, "-I", "-S", liar, "never_connects")
    machine.scmd("settings", "ServicesPipeTimeout", "200")
    assert machine.refused("start", "Liar") == Error.SERVICE_REQUEST_TIMEOUT
    assert machine.await_event(7009)["strings"][0] == "200"
    done = machine.try_scmd("settings", "ServicesPipeTimeout", "5", user=NOBODY)
    assert (done.returncode, "denied" in done.stderr.lower()) == (1, True)
    machine.restart()
    assert machine.scmd("settings", "ServicesPipeTimeout", user=NOBODY) == "200\n"
    assert machine.refused("start", "Liar") == Error.SERVICE_REQUEST_TIMEOUT
    machine.scmd("settings", "ServicesPipeTimeout", "--default")
    assert machine.json("settings", "ServicesPipeTimeout")["value"] == 30_000
