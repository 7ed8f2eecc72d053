"""`scmd watch`: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from scmd.client.scm import Scm
from scmd.client.watching import Change
from scmd.tools.main import INTERRUPTED
from scmd.tools.watch import as_json, as_text
from scmd.vocabulary.service import Control, ServiceState
from tests.client.world import World, report
from tests.started import interrupt
from tests.tools.conftest import Run
from tests.tools.processes import running

S = ServiceState


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_each_change_is_a_line_for_people(web: World, scm: Scm) -> None:
    failed = report(S.STOPPED, win32_exit_code=1066, service_specific_exit_code=3)
    web.program("Web").reports[Control.STOP] = [failed]
    scm.create("Other", "/usr/bin/other")
    with running(web, "watch", "web", "--initial") as watch:
        lines = [read(watch)]
        scm["Other"].start()
        scm["Web"].start()
        scm["Web"].stop()
        while "exit code" not in lines[-1]:
            lines.append(read(watch))
        assert interrupt(watch) == (INTERRUPTED, "", "")
    assert all(re.match(r"\d\d:\d\d:\d\d Web: .*\n$", line) for line in lines)
    texts = [line[9:] for line in lines]
    assert texts[0] == "Web: is STOPPED\n"
    assert texts[1].startswith("Web: START_PENDING, was STOPPED")
    assert texts[1].endswith("(tester)\n")
    assert any(text.startswith("Web: RUNNING, was START_PENDING") for text in texts)
    assert "STOPPED, was " in texts[-1]
    assert ", exit code 1066 (3)" in texts[-1]


def test_each_change_is_one_json_object_a_line(web: World, scm: Scm) -> None:
    with running(web, "watch", "--initial", "--json") as watch:
        found = [json.loads(read(watch))]
        scm["Web"].start()
        scm["Web"].delete()
        while found[-1]["kind"] != "delete_pending":
            found.append(json.loads(read(watch)))
        assert interrupt(watch)[0] == INTERRUPTED
    assert [each["kind"] for each in found[:2]] == ["service", "status"]
    assert {each["service_name"] for each in found} == {"Web"}
    started = found[1]
    assert (started["before"], started["state"]) == ("STOPPED", "START_PENDING")
    assert (started["actor"], started["gap"]) == ("tester", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", started["time"])
    numbers = [each["sequence"] for each in found[1:]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(each.keys() == started.keys() for each in found)


def test_it_ends_with_its_reader_though_nothing_happens(web: World) -> None:
    with running(web, "watch", "--initial") as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        read(watch)
        watch.stdout.close()
        assert watch.wait(60) == 1
        assert watch.stderr.read() == ""


def test_a_name_that_nobody_has_is_told_and_watched(web: World, scm: Scm) -> None:
    with running(web, "watch", "Later", "Web") as watch:
        assert watch.stderr is not None
        assert watch.stderr.readline() == "scmd watch: there is no service Later yet\n"
        scm.create("Later", "/usr/bin/later")
        assert read(watch)[9:] == "Later: created\n"
        assert interrupt(watch) == (INTERRUPTED, "", "")


def test_a_name_that_no_service_can_have_is_refused(run: Run, web: World) -> None:
    outcome = run("watch", "a/b")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith("scmd watch: ")


def test_what_stands_after_two_dashes_is_a_name(web: World, scm: Scm) -> None:
    scm.create("-x", "/usr/bin/x")
    with running(web, "watch", "--initial", "--", "-x") as watch:
        assert read(watch)[9:] == "-x: is STOPPED\n"
        assert interrupt(watch)[0] == INTERRUPTED


def test_ctrl_c_before_it_watches_is_an_interruption(
    run: Run, web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scmd.client.watching.Watch.begin", interrupted)
    assert run("watch", "Web").status == INTERRUPTED


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change(kind="deleted", name="W\x1b", status=report(S.STOPPED)), "W\\x1b: deleted"),
        (
            Change(kind="config", name="Web", status=report(S.STOPPED)),
            "Web: its configuration has changed",
        ),
        (
            Change(kind="parameters", name="Web", status=report(S.STOPPED)),
            "Web: its Parameters have changed",
        ),
        (
            Change(
                kind="status",
                name="Web",
                status=report(S.START_PENDING, check_point=2),
                before=S.START_PENDING,
                actor="service",
            ),
            "Web: START_PENDING, check point 2",
        ),
        (
            Change(
                kind="status",
                name="Web",
                status=report(S.RUNNING),
                before=S.START_PENDING,
                lasted_ms=3210,
                cause="its program runs",
                actor="ann",
            ),
            "Web: RUNNING, was START_PENDING for 3.2 s; its program runs (ann)",
        ),
        (
            Change(
                kind="status",
                name="Web",
                status=report(S.RUNNING),
                before=S.START_PENDING,
                lasted_ms=24,
            ),
            "Web: RUNNING, was START_PENDING for 24 ms",
        ),
        (
            Change(kind="service", name="Web", status=report(S.RUNNING), gap=True),
            "Web: is RUNNING [changes before this one are missing]",
        ),
        (
            Change(kind="service", name="Web", status=report(S.STOPPED), marked=True),
            "Web: is STOPPED, marked for deletion",
        ),
    ],
)
def test_every_kind_of_change_has_its_words(change: Change, text: str) -> None:
    assert as_text(change, 0.0)[9:] == text + "\n"
    document = as_json(change, 0.25)
    assert document.count("\n") == 1
    found = json.loads(document)
    assert (found["time"], found["marked"]) == ("1970-01-01T00:00:00.250Z", change.marked)


def test_what_had_no_state_before_says_null() -> None:
    told = json.loads(as_json(Change(kind="deleted", name="Web", status=report(S.STOPPED)), 0.0))
    assert told["before"] is None
