"""The other subcommands: install, set, get, remove, status, logs, events, links, and the frame."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from scmd.client.management import LATEST_EVENTS
from scmd.client.scm import Scm
from scmd.core import srvany
from scmd.tools.commands import NAMES, CommandError
from scmd.tools.links import make_links
from scmd.tools.logs import visible
from scmd.tools.parameters import warn_of_unknown
from scmd.vocabulary.registry import RegistryType
from scmd.vocabulary.service import ServiceState, StartType
from tests.client.world import World
from tests.tools.conftest import Run


def test_install_records_the_program_by_its_absolute_path(
    world: World, scm: Scm, run: Run, tmp_path: Path
) -> None:
    outcome = run(
        *("install", "Sleep", "--start", "delayed", "--depend=A,+B", "--dir", str(tmp_path)),
        *("--env", "A=1", "--env", "B=x=y", "--display", "A Nap", "--description", "Zzz."),
        *("--", "sleep", "10", "a b"),
    )
    assert (outcome.status, outcome.out, outcome.err) == (0, "Sleep is installed.\n", "")
    config = scm["Sleep"].config
    assert (config.display_name, config.description) == ("A Nap", "Zzz.")
    assert config.start_type == StartType.AUTO_START
    assert config.delayed_auto_start
    assert config.failure_actions_flag
    assert config.dependencies == ("A", "+B")
    parameters = dict(scm["Sleep"].parameters)
    assert os.path.isabs(parameters["Application"])
    assert parameters["Application"].endswith("/sleep")
    assert parameters["AppParameters"] == '10 "a b"'
    assert parameters["AppDirectory"] == str(tmp_path)
    assert parameters["AppEnvironmentExtra"] == ("A=1", "B=x=y")


def test_an_installed_program_runs(world: World, scm: Scm, run: Run) -> None:
    run("install", "Sleep", "--", "sleep", "10")
    assert scm["Sleep"].start().state == ServiceState.RUNNING
    assert scm["Sleep"].stop().state == ServiceState.STOPPED


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["X", "--", "no-such-program"], 1, "there is no program no-such-program on PATH"),
        (["X", "--", "/etc/passwd"], 1, "/etc/passwd is not an executable file."),
        (["a/b", "--", "sleep"], 1, "a/b cannot name a service: a name has 1 to 256 characters"),
        (["", "--", "sleep"], 1, "none of them / \\ or a comma (123)"),
        (["X", "--dir", "/nonexistent", "--", "sleep"], 1, "/nonexistent is not a directory."),
        (["X", "--start", "often", "--", "sleep"], 2, "--start is one of auto, delayed, demand"),
        (["X", "--env", "A", "--", "sleep"], 2, "--env needs NAME=VALUE"),
        (["X", "--env", "=A", "--", "sleep"], 2, "cannot name an environment variable"),
        (["X", "sleep"], 2, "needs a NAME, and -- before the PROGRAM"),
        (["X", "--"], 2, "needs a NAME, and -- before the PROGRAM"),
        (["--", "sleep"], 2, "needs a NAME"),
        (["X", "--frob", "--", "sleep"], 2, "there is no option --frob"),
        (["X", "--account"], 2, "--account needs a value"),
        (["a/b", "--", "sleep"], 1, "(123)"),
        (
            ["X", "--instances", "0", "--", "sleep"],
            2,
            "--instances needs a number from 1 to 4294967295, not 0",
        ),
        (["X", "--instances", "9" * 5000, "--", "sleep"], 2, "--instances needs a number from 1"),
        (["X", "--instances", "1001", "--", "sleep"], 1, "expected a number from 0 to 1000 (87)"),
        (["X" * 254, "--instances", "10", "--", "sleep"], 1, "@10 cannot name a service"),
        (["X", "--set", "Application=", "--", "sleep"], 1, "expected an absolute path (87)"),
    ],
)
def test_install_refuses_with_a_reason_and_leaves_nothing(
    world: World, scm: Scm, run: Run, arguments: list[str], status: int, text: str
) -> None:
    outcome = run("install", *arguments)
    assert outcome.status == status
    assert text in outcome.err
    assert not list(scm)


@pytest.mark.parametrize(
    "arguments",
    [
        ["set", "--", "-x", "Port", "80"],
        ["get", "--", "-x"],
        ["get", "--json", "--", "-x", "Application"],
        ["logs", "-n", "1", "--", "-x"],
        ["why", "--", "-x"],
        ["history", "--", "-x"],
        ["grants", "--", "-x"],
        ["grant", "--", "root", "start", "-x"],
        ["revoke", "--", "root", "-x"],
        ["remove", "--", "-x"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_name_that_begins_with_a_dash_comes_after_two(
    world: World, scm: Scm, run: Run, arguments: list[str]
) -> None:
    scm.install("-x", ["sleep", "10"])
    done = run(*arguments)
    assert (done.status, done.err) == (0, "")
    if arguments[0] != "set":
        arguments.remove("--")
        assert "there is no option -x" in run(*arguments).err


@pytest.mark.parametrize("command", ["logs", "events", "history"])
@pytest.mark.parametrize("count", ["4294967296", "9" * 20, "1" + "0" * 20, "9" * 5000, "-1", ""])
def test_a_count_fits_into_32_bits(
    world: World, scm: Scm, run: Run, command: str, count: str
) -> None:
    scm.install("X", ["sleep", "10"])
    name = [] if command == "events" else ["X"]
    refused = run(command, *name, "-n", count)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith(
        f"scmd {command}: -n needs a number from 0 to 4294967295, not {count}\n"
    )
    assert run(command, *name, "-n", "4294967295").status == 0


def test_a_half_made_record_is_removed(world: World, scm: Scm) -> None:
    with pytest.raises(Exception, match=r"(?i)parameter"):
        scm.install("Sleep", ["sleep"], parameters={"AppStopTime": "soon"})
    assert "Sleep" not in scm


@pytest.fixture
def sleep(world: World, scm: Scm, run: Run) -> World:
    run("install", "Sleep", "--", "sleep", "10")
    return world


def test_set_gives_each_parameter_its_type(sleep: World, scm: Scm, run: Run) -> None:
    for line in (
        ["AppStopTime", "500"],
        ["AppEnvironment", "A=1"],
        ["AppLimit\\NOFILE", "4096"],
        ["AppNice", "-5"],
        ["appumask", "022"],
        ["Port", "8080"],
        ["Title", "My Page"],
        ["Names", "a", "b"],
    ):
        assert run("set", "Sleep", *line).status == 0
    types = {name: value.type for name, value in scm["Sleep"].parameters.typed().items()}
    assert types["AppStopTime"] == types["AppLimit\\NOFILE"] == types["Port"] == RegistryType.DWORD
    assert types["AppEnvironment"] == types["Names"] == RegistryType.MULTI_SZ
    assert types["AppNice"] == types["Title"] == types["appumask"] == RegistryType.SZ
    assert run("get", "Sleep", "names").out == "a\nb\n"
    assert run("get", "Sleep", "PORT").out == "8080\n"
    document = json.loads(run("get", "Sleep", "--json").out)
    assert document["Names"] == ["a", "b"]
    assert document["Port"] == 8080
    listed = run("get", "Sleep").out
    assert "Names = a\nNames = b\nPort = 8080\nTitle = My Page\n" in listed
    assert run("set", "Sleep", "Port", "--delete").status == 0
    assert "Port" not in scm["Sleep"].parameters


def test_set_and_get_refuse_with_a_reason(sleep: World, run: Run) -> None:
    assert run("set", "Sleep", "AppStopTime", "soon").status == 2
    assert run("set", "Sleep", "Application", "a", "b").status == 2
    assert run("set", "Sleep", "Port").status == 2
    assert run("set", "Sleep", "Port", "--delete").status == 1
    outcome = run("get", "Sleep", "Nope")
    assert (outcome.status, outcome.err) == (1, "scmd get: Sleep has no parameter Nope\n")
    outcome = run("get", "Nope")
    assert outcome.status == 1
    assert "1060" in outcome.err
    assert run("get").status == 2
    refused = run("set", "Sleep", "AppUmask", "rwx")
    assert refused.status == 1
    expected = "AppUmask: expected a mask from 000 to 777 in octal, not 'rwx' (87)\n"
    assert refused.err.endswith(expected)


def test_every_parameter_that_the_scm_acts_on_is_known_to_set(
    sleep: World, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for parameter in srvany.READERS:
        warn_of_unknown(parameter)
        warn_of_unknown(parameter.upper())
    assert capsys.readouterr().err == ""


def test_a_name_that_the_scm_does_not_act_on_is_said(sleep: World, scm: Scm, run: Run) -> None:
    for name in ("AppReadyTimeout", "AppStdout", "AppEvents\\Start\\Late"):
        warning = f"scmd: the SCM knows no parameter {name}: it is kept for the program\n"
        assert run("set", "Sleep", name, "1").err == warning
        installed = run(
            "install", f"With{name[:6]}{len(name)}", "--set", f"{name}=1", "--", "sleep"
        )
        assert (installed.status, installed.err) == (0, warning)
    assert run("set", "Sleep", "Apples", "1").err == ""
    assert run("set", "Sleep", "Colour", "red").err == ""
    assert run("set", "Sleep", "AppLimit\\NOFILE", "100").err == ""
    scm.create("Own", "/usr/bin/own")
    assert run("set", "Own", "AppName", "x").err == ""


def test_remove_stops_and_deletes(sleep: World, scm: Scm, run: Run) -> None:
    scm["Sleep"].start()
    assert run("remove", "Sleep").out == "Sleep is removed.\n"
    assert "Sleep" not in scm
    assert run("remove", "Sleep").status == 1


def test_remove_is_refused_while_others_need_it(sleep: World, scm: Scm, run: Run) -> None:
    scm.install("Other", ["sleep", "1"], depends=["Sleep"]).start()
    outcome = run("remove", "Sleep")
    assert (outcome.status, outcome.err) == (1, "scmd remove: Sleep is needed by Other\n")
    assert scm["Sleep"].status.state == ServiceState.RUNNING


def test_status_shows_what_the_manager_says(world: World, run: Run) -> None:
    assert json.loads(run("status", "--json").out)["keeper_pid"] == 4
    assert run("status").out == (
        "keeper pid  : 4\nuptime      : 26 h 3 min\ncounts      : 1 running\n"
    )


def test_logs_shows_all_or_the_last_lines(sleep: World, run: Run) -> None:
    sleep.log_start, sleep.log = 1000, b"".join(b"line %d\n" % n for n in range(20_000))
    assert run("logs", "Sleep").out == sleep.log.decode()
    assert run("logs", "Sleep", "-n", "2").out == "line 19998\nline 19999\n"
    assert run("logs", "Sleep", "-n=0").out == ""
    assert run("logs", "Sleep", "-n", "15000").out == "".join(
        f"line {number}\n" for number in range(5_000, 20_000)
    )
    assert run("logs", "Sleep", "-n", "x").status == 2
    assert run("logs", "Nope").status == 1


def test_logs_cannot_drive_a_terminal() -> None:
    assert visible(b"\x1b[31mred\x1b[0m\t\n") == b"\x1b[31mred\x1b[0m\t\n"
    assert visible(b"\x1b]0;title\x07\x1b[2J") == b"\\x1b]0;title\\x07\\x1b[2J"


def test_events_are_listed_and_filtered(world: World, run: Run) -> None:
    lines = run("events").out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "4"]
    assert lines[0] == (
        "1  2031-07-01T12:00:00.000Z  information  Service Control Manager  7036  "
        "The Web service entered the running state."
    )
    assert run("events", "-n", "1").out == lines[2] + "\n"
    own = json.loads(run("events", "--source", "Web", "--json").out)
    assert [event["number"] for event in own] == [2, 4]
    assert run("events", "x").status == 2


def test_the_last_events_are_all_that_is_read_for_them(world: World, run: Run) -> None:
    assert run("events", "-n", "2").out.startswith("2  ")
    assert run("events", "-n", "2", "--source", "web").out.startswith("2  ")
    assert run("events", "-n", "100").out.startswith("1  ")
    assert world.event_reads == [LATEST_EVENTS] * 3
    assert run("events", "-n", "0").out == ""


def test_the_last_events_are_complete_when_they_do_not_fit_into_an_answer(
    world: World, run: Run
) -> None:
    world.events_that_fit = 1
    assert [line.split()[0] for line in run("events", "-n", "2").out.splitlines()] == ["2", "4"]
    assert world.event_reads[:2] == [LATEST_EVENTS, 0]


def test_links_are_made_and_renewed_but_nothing_is_overwritten(tmp_path: Path) -> None:
    program = str(tmp_path / "scmd")
    make_links(str(tmp_path), program)
    make_links(str(tmp_path), program)
    assert os.readlink(tmp_path / "sc") == program
    (tmp_path / "net").unlink()
    (tmp_path / "net").write_text("something else")
    with pytest.raises(Exception, match="is not a link to scmd"):
        make_links(str(tmp_path), program)
    assert (tmp_path / "net").read_text() == "something else"


def test_links_make_the_folder_that_they_go_to(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    make_links(str(folder), "/opt/bin/scmd")
    assert os.readlink(folder / "sc") == os.readlink(folder / "net") == "/opt/bin/scmd"


def test_links_name_the_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = str(tmp_path / "file" / "bin")
    with pytest.raises(CommandError, match=f"^{re.escape(folder)}: Not a directory$"):
        make_links(folder, "/opt/bin/scmd")


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help(run: Run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"usage: scmd {command}")
    assert re.search(rf"^  .*\b{command}\b", run("--help").out, re.MULTILINE)


def test_the_frame(run: Run) -> None:
    assert run("--help").out.startswith("usage: scmd COMMAND")
    assert run("help", "logs").out == run("logs", "--help").out
    assert run("--version").out.startswith("scmd ")
    assert run().status == 2
    outcome = run("frobnicate")
    assert (outcome.status, outcome.out) == (2, "")
    assert "frobnicate" in outcome.err


def test_the_name_it_is_called_by_counts(
    web: World, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scmd.tools.main import main

    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/net", "start"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("These Windows services are started:")
