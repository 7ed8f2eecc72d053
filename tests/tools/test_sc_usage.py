"""Usage of sc: what is no command, and what is said then; where no SCM is."""

from __future__ import annotations

import pytest

from scmd.client.scm import Scm
from scmd.vocabulary.service import ServiceType
from tests.client.world import World
from tests.tools.conftest import Run
from tests.tools.test_sc import failure


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["start"],
        ["create", "X"],
        ["create", "X", "binPath="],
        ["create", "X", "binPath=", "/bin/x", "start=", "sometimes"],
        ["config", "X"],
        ["query", "X", "Y"],
        ["query", "state=", "some"],
        ["query", "bufsize=", "x"],
        ["sidtype", "X", "maybe"],
        ["failureflag", "X", "2"],
        ["failure", "X", "reset=", "1", "actions=", "restart"],
    ],
)
def test_wrong_usage_prints_the_usage_and_is_2(web: World, run: Run, arguments: list[str]) -> None:
    outcome = run("sc", *arguments)
    assert outcome.status == 2
    assert "USAGE:\n" in outcome.out


def test_help_is_no_failure(run: Run) -> None:
    assert run("sc", "--help").status == 0
    outcome = run("sc", "query", "--help")
    assert outcome.status == 0
    assert "sc <server> query" in outcome.out


def test_options_of_a_host_that_are_wrong_are_usage_errors(run: Run) -> None:
    for arguments in (
        ("-U", "ann", "query"),
        ("//host", "-U"),
        ("//host", "-U", "ann%x", "-k", "query"),
        ("//host", "-A", "/nonexistent/credentials", "query"),
        ("//host:0", "query"),
        ("ssh://host", "-U", "ann%x", "query"),
        ("//host", "-U", "ann", "query"),
    ):
        outcome = run("sc", *arguments)
        assert (outcome.status, outcome.out) == (2, ""), arguments
        assert outcome.err.startswith("scmd: "), arguments


def test_without_an_scm_the_place_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", "/nonexistent/scmd")
    outcome = run("sc", "query")
    assert outcome.status == 1
    assert outcome.out == failure("OpenSCManager", 1722, "The RPC server is unavailable.")
    assert "/nonexistent/scmd/scm.sock" in outcome.err


def test_wrong_usage_needs_no_scm(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", "/nonexistent/scmd")
    assert run("sc", "query", "state=", "some").status == 2
    assert run("sc", "start").status == 2


def test_types_have_words() -> None:
    from scmd.tools.sc_output import type_words

    assert type_words(ServiceType.WIN32) == "WIN32"
    assert type_words(0x110) == "WIN32_OWN_PROCESS (interactive)"
    assert type_words(0x4000) == "ERROR"


def test_a_service_that_cannot_be_delayed_is_not_left_half_made(scm: Scm, run: Run) -> None:
    options = "binPath=", "/x", "start=", "delayed-auto", "group=", "Net"
    outcome = run("sc", "create", "App", *options)
    assert (outcome.status, "ChangeServiceConfig2 FAILED 87:" in outcome.out) == (1, True)
    assert "App" not in scm


def test_the_usage_keeps_every_command_apart_from_its_meaning(run: Run) -> None:
    from scmd.tools.sc_usage import COMMANDS

    lines = run("sc").out.splitlines()
    for verb, (_, meaning) in COMMANDS.items():
        assert any(line.split() == [verb, *meaning.split()] for line in lines), verb


def test_options_stand_below_each_other_in_the_usage(run: Run) -> None:
    usage = run("sc", "create").out
    assert "sc <server> create service binPath= COMMANDLINE\n          [type= own|" in usage
    assert "\n          [password= TEXT]\n" in usage


def test_the_usage_of_stop_lists_the_reasons(run: Run) -> None:
    usage = run("sc", "stop").out
    assert "Flag:\n           1  unplanned\n           2  custom\n" in usage
    assert "          10  environment\n" in usage
