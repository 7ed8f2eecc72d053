"""scmd why, history, crash and kill against a real core through the wire."""

from __future__ import annotations

import json

import pytest

from scmd.client.scm import Scm
from scmd.vocabulary.service import ServiceState
from tests.client.world import World, report
from tests.tools.conftest import Run

HISTORY = b"".join(
    json.dumps(entry).encode() + b"\n"
    for entry in (
        {
            "time": "2031-07-01T12:00:00.000Z",
            "state": "START_PENDING",
            "before": "STOPPED",
            "cause": "its process is being started",
            "actor": "root",
            "origin": "local pid 1",
        },
        {
            "time": "2031-07-01T12:00:00.100Z",
            "state": "START_PENDING",
            "cause": "its process has been started",
            "actor": "root",
            "origin": "local pid 1",
        },
        {
            "time": "2031-07-01T12:00:01.000Z",
            "state": "STOPPED",
            "before": "START_PENDING",
            "lasted_ms": 1000,
            "cause": "its process \x1b[31mexited",
            "actor": "SCM",
            "win32_exit_code": 1067,
        },
    )
)
CRASH = {
    "scmd_crash": 1,
    "number": 3,
    "time": "2031-07-01T12:00:01.000Z",
    "service": "Web",
    "cause": "its process exited with code 1",
    "win32_exit_code": 1066,
    "service_specific_exit_code": 9,
    "process_id": 4711,
    "exit_code": 1,
    "signal": None,
    "traceback": "Traceback (most recent call last):\nKeyError: 1",
    "output": ["hello", "bad \x07 bell"],
    "history": [json.loads(line) for line in HISTORY.splitlines()],
    "configuration": {
        "name": "Web",
        "type": 16,
        "start_type": 2,
        "image_path": "srvany",
        "dependencies": ["Db", "+Net"],
        "description": "",
        "failure_actions": {"command": "", "actions": [{"type": 1, "delay": 200}]},
        "failure_actions_flag": True,
        "delayed_auto_start": False,
    },
    "parameters": {"Application": "/bin/web"},
}


def test_why_follows_the_blame(world: World, scm: Scm, run: Run) -> None:
    scm.create("Db", "/usr/bin/db", start="disabled")
    scm.create("Web", "/usr/bin/web", depends=("Db",))
    run("sc", "start", "Web")
    outcome = run("why", "Web")
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("Web is STOPPED")
    assert "its dependency Db did not start" in lines[1]
    assert lines[2:] == [
        "  It needs Db, which is STOPPED.",
        "    Db is disabled, so it cannot be started.",
        "    Db has not been started since the SCM began.",
    ]


def test_why_names_holders_and_the_last_crash(web: World, scm: Scm, run: Run) -> None:
    web.crashes = [json.dumps(CRASH).encode()]
    with scm["Web"].opened(0x4):
        scm["Web"].delete()
        lines = run("why", "Web").out.splitlines()
    assert "It is marked for deletion" in lines[1]
    assert "    1 handle: tester (test)" in lines
    assert lines[-1] == (
        "  It failed at 2031-07-01T12:00:01.000Z: its process exited with code 1."
        " More: scmd crash Web"
    )


def test_why_as_json(web: World, run: Run) -> None:
    document = json.loads(run("why", "Web", "--json").out)
    assert (document["service"], document["state"]) == ("Web", "STOPPED")
    assert [finding["code"] for finding in document["findings"]] == ["never_started"]
    assert document["last_crash"] is None
    web.crashes = [json.dumps(CRASH).encode()]
    document = json.loads(run("why", "Web", "--json").out)
    assert document["last_crash"]["number"] == 3


def test_why_tells_a_pending_state(web: World, scm: Scm, run: Run) -> None:
    web.program("Web").reports[0] = [report(ServiceState.START_PENDING, check_point=4)]
    scm["Web"].start(wait=False)
    lines = run("why", "Web").out.splitlines()
    assert lines[0].startswith("Web is START_PENDING, for ")
    assert "(tester, test)" in lines[0]
    assert "check point 4" in lines[1]


def test_history(web: World, run: Run) -> None:
    web.history = HISTORY
    lines = run("history", "Web").out.splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == [
        json.loads(entry)["time"] for entry in HISTORY.splitlines()
    ]
    assert [" ".join(line.split()[1:]) for line in lines] == [
        "START_PENDING its process is being started (root, local pid 1)",
        "its process has been started (root, local pid 1)",
        r"STOPPED after 1.0 s its process \x1b[31mexited [error 1067] (SCM)",
    ]
    assert len({line.index("its process") for line in lines}) == 1
    assert run("history", "-n", "1", "Web").out.splitlines() == lines[-1:]
    assert run("history", "-n", "0", "Web").out == ""
    assert json.loads(run("history", "Web", "--json").out)[2]["win32_exit_code"] == 1067


def test_crash(web: World, run: Run) -> None:
    refused = run("crash", "Web")
    assert (refused.status, refused.err) == (1, "scmd crash: no failure of Web is kept\n")
    expected = "scmd crash: no failure of Web is kept that was 7 before the last one\n"
    assert run("crash", "Web", "--older", "7").err == expected
    web.crashes = [json.dumps(CRASH).encode(), json.dumps({**CRASH, "number": 2}).encode()]
    out = run("crash", "Web").out
    assert out.startswith("Web failed at 2031-07-01T12:00:01.000Z\n")
    for text in (
        "  error     : 1066 (its own: 9)\n",
        "  process   : 4711, exited with code 1\n",
        "\nTraceback\n  Traceback (most recent call last):\n  KeyError: 1\n",
        "\nOutput\n  hello\n  bad \\x07 bell\n",
        "\nHistory\n  2031-07-01T12:00:00.000Z  START_PENDING ",
        "\nConfiguration\n  name: Web\n  type: WIN32_OWN_PROCESS\n  start_type: AUTO_START\n",
        '\n  image_path: srvany\n  dependencies: ["Db", "+Net"]\n  failure_actions: RESTART after',
        "after 200 ms\n  failure_actions_flag: true\n  Application: /bin/web\n",
    ):
        assert text in out
    assert json.loads(run("crash", "Web", "--json").out) == CRASH
    assert json.loads(run("crash", "--older", "1", "Web", "--json").out)["number"] == 2
    assert run("crash", "--older", "2", "Web").status == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"exit_code": None, "signal": 9}, "4711, killed by signal 9\n"),
        ({"exit_code": None}, "4711, still there\n"),
        ({"service_specific_exit_code": 0}, "error     : 1066\n"),
    ],
)
def test_how_a_process_ended(web: World, run: Run, fields: dict[str, object], text: str) -> None:
    web.crashes = [json.dumps({**CRASH, **fields, "traceback": None}).encode()]
    out = run("crash", "Web").out
    assert text in out
    assert "\nTraceback\n" not in out


def test_kill_waits_for_the_end(web: World, scm: Scm, run: Run) -> None:
    scm["Web"].start()
    outcome = run("kill", "Web")
    assert (outcome.status, outcome.out, outcome.err) == (0, "Web is stopped.\n", "")
    assert scm["Web"].status.state == ServiceState.STOPPED
    refused = run("kill", "Web")
    assert refused.status == 1
    assert "(1062)" in refused.err


@pytest.mark.parametrize("command", ["why", "history", "crash", "kill"])
def test_each_needs_one_name(run: Run, command: str) -> None:
    assert run(command).status == 2
    assert run(command, "A", "B").status == 2
    assert run(command, "--help").out.startswith(f"usage: scmd {command} NAME")
