"""scmd settings: every kind of value, shown and set."""

from __future__ import annotations

import json

import pytest

from scmd.client.scm import Scm
from tests.tools.conftest import Run


def test_all_are_shown_with_what_they_mean(scm: Scm, run: Run) -> None:
    shown = run("settings").out
    assert "WaitToKillServiceTimeout = 20000 ms\n    all services together" in shown
    assert "PreshutdownOrder = (none)\n" in shown
    assert run("settings", "AutoStartDelay", "5").status == 0
    assert "AutoStartDelay = 5 s   (changed)\n" in run("settings").out
    document = json.loads(run("settings", "--json").out)
    assert {"name", "value", "default", "unit", "meaning"} == set(document[0])


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("servicespipetimeout", ["700"], "700"),
        ("RebootCommand", ["/sbin/reboot -f"], "/sbin/reboot -f"),
        ("ServiceGroupOrder\\List", ["Base", "Net Work"], "Base\nNet Work"),
        ("ServiceGroupOrder\\List", [""], ""),
        ("GroupOrderList\\Base", ["3", "1"], "3 1"),
        ("PreshutdownOrder", ["Db"], "Db"),
    ],
)
def test_each_kind_of_value(scm: Scm, run: Run, name: str, values: list[str], shown: str) -> None:
    before = run("settings", name).out
    assert run("settings", name, *values).status == 0
    assert run("settings", name).out == shown + "\n"
    assert json.loads(run("settings", name, "--json").out)["unit"] is not None
    assert run("settings", name, "--default").status == 0
    assert run("settings", name).out == before


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["AutoStartDelay", "soon"], 2, "takes a number"),
        (["AutoStartDelay", "1", "2"], 2, "takes one value"),
        (["AutoStartDelay", "4294967295"], 1, "expected a number from 0 to 86400"),
        (["RebootCommand", "reboot"], 1, "begins with an absolute path"),
        (["Nonsense"], 1, "there is no setting Nonsense"),
        (["Nonsense", "1"], 1, "there is no setting Nonsense"),
        (["--all"], 2, "there is no option --all"),
    ],
)
def test_what_is_refused(scm: Scm, run: Run, arguments: list[str], status: int, said: str) -> None:
    outcome = run("settings", *arguments)
    assert outcome.status == status
    assert said in outcome.err
