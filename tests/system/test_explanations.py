"""Why, history, crash and kill, with real processes."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from typing import Any

import pytest

from tests.system.installation import NOBODY
from tests.system.machine import SCMD, Machine, eventually, is_gone
from tests.system.programs import PYTHON

RAISES = """\
import scmd

@scmd.service("Raises")
def raises(svc):
    print("hello", flush=True)
    svc.ready()
    raise LookupError("lost")

if __name__ == "__main__":
    raises.main()
"""

STUCK = """\
import signal, subprocess, time
import scmd

@scmd.service("Stuck", stop_hint=0.1)
def stuck(svc):
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print("child", child.pid, flush=True)
    svc.ready()
    svc.wait()
    while True:
        time.sleep(1)

if __name__ == "__main__":
    stuck.main()
"""


def history(machine: Machine, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = machine.json("history", name)
    return found


def codes(machine: Machine, name: str) -> list[str]:
    return [finding["code"] for finding in machine.json("why", name)["findings"]]


def overdue(machine: Machine) -> int:
    """How many services are late with what they have promised."""
    counts = machine.scm.status()["counts"]
    assert isinstance(counts, dict)
    return int(counts["overdue"])


def program(machine: Machine, name: str, text: str) -> None:
    path = machine.folder / f"{name}.py"
    path.write_text(text)
    machine.create(name, PYTHON, str(path))


def test_a_failed_service_is_explained_with_its_last_words(machine: Machine) -> None:
    program(machine, "Raises", RAISES)
    machine.sc("start", "Raises")
    machine.await_state("Raises", "STOPPED")
    crash = machine.json("crash", "Raises")
    assert crash["win32_exit_code"] == 1064
    assert crash["output"][0] == "hello"
    assert crash["traceback"].startswith("Traceback (most recent call last):\n")
    assert crash["traceback"].endswith("LookupError: lost")
    assert crash["configuration"]["image_path"].endswith("Raises.py")
    assert [entry["state"] for entry in crash["history"]][-1] == "STOPPED"
    text = machine.scmd("crash", "Raises")
    assert "LookupError: lost" in text
    why = machine.scmd("why", "Raises")
    assert "stopped with error 1064" in why
    assert "More: scmd crash Raises" in why


def test_a_program_that_never_connects_leaves_its_traceback(machine: Machine) -> None:
    program(machine, "Broken", "import no_such_module\n")
    machine.refused("start", "Broken")
    crash = machine.json("crash", "Broken")
    # It closes its control channel and may be killed for that before it has exited.
    assert (crash["exit_code"], crash["signal"]) in ((1, None), (None, 9))
    assert "No module named 'no_such_module'" in crash["traceback"]


def test_every_failure_has_a_bundle_and_five_are_kept(machine: Machine) -> None:
    machine.install("Fails", "/bin/sh", "-c", "echo run; exit 3")
    for number in range(1, 8):
        machine.sc("start", "Fails")
        machine.await_state("Fails", "STOPPED")
        crash = machine.json("crash", "Fails")
        assert crash["number"] == number
        assert crash["output"] == ["run"] * number
    assert machine.json("crash", "--older", "4", "Fails")["number"] == 3
    assert "5 before the last" in machine.try_scmd("crash", "--older", "5", "Fails").stderr
    stored = list((machine.state / "crashes").iterdir())
    assert len(stored) == 5
    machine.scmd("remove", "Fails")
    machine.await_gone("Fails")
    eventually(lambda: not any(path.exists() for path in stored), "the bundles' end")
    eventually(lambda: not list((machine.state / "history").iterdir()), "the history's end")


def test_history_names_who_asked_and_outlives_the_scm(machine: Machine) -> None:
    machine.install("Db", "/bin/sleep", "1000")
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("config", "Web", "depend=", "Db")
    machine.sc("start", "Web")
    machine.await_state("Web", "RUNNING")
    machine.sc("stop", "Web")
    machine.await_state("Web", "STOPPED")
    entries = [entry for entry in history(machine, "Web") if "before" in entry]
    assert [entry["state"] for entry in entries] == [
        *("START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"),
    ]
    assert all(entry["origin"].startswith("local pid ") for entry in entries)
    assert all("lasted_ms" in entry for entry in entries[1:])
    assert history(machine, "Db")[0]["origin"] == "needed by Web"
    machine.restart()
    assert [e for e in history(machine, "Web") if "before" in e] == entries
    assert history(machine, "Db")[-1]["origin"] == "shutdown"


def test_history_and_explanations_outlive_the_manager(machine: Machine) -> None:
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("start", "Web")
    machine.await_state("Web", "RUNNING")
    before = machine.json("why", "Web")
    manager = int(str(machine.scm.status()["manager_pid"]))
    os.kill(manager, signal.SIGKILL)
    eventually(lambda: is_gone(manager), "the end of the manager")
    machine.disconnect()
    machine.await_line("ready again")
    after = machine.json("why", "Web")
    assert (after["cause"], after["actor"], after["origin"]) == (
        *(before["cause"], before["actor"], before["origin"]),
    )
    assert after["lasted"] >= before["lasted"]
    machine.sc("stop", "Web")
    machine.await_state("Web", "STOPPED")
    states = [entry["state"] for entry in history(machine, "Web") if "before" in entry]
    assert states == ["START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]


def test_a_stuck_service_is_killed_with_everything_it_started(machine: Machine) -> None:
    program(machine, "Stuck", STUCK)
    machine.sc("start", "Stuck")
    process = machine.await_state("Stuck", "RUNNING").process_id
    child = int(machine.await_log("Stuck", r"child (\d+)")[1])
    machine.sc("stop", "Stuck")
    assert "waits_for_report" in codes(machine, "Stuck") or "overdue" in codes(machine, "Stuck")
    eventually(lambda: overdue(machine), "an overdue stop")
    assert "overdue" in codes(machine, "Stuck")
    assert machine.json("status", "Stuck")["overdue_ms"] > 0
    assert machine.json("status")["counts"]["overdue"] == 1
    assert machine.scmd("kill", "Stuck") == "Stuck is stopped.\n"
    assert is_gone(process)
    eventually(lambda: is_gone(child), "the end of the child")
    assert machine.await_event(8011, "Stuck")["type"] == "warning"
    assert machine.try_scmd("crash", "Stuck").returncode == 1
    assert "(1062)" in machine.try_scmd("kill", "Stuck").stderr


def test_a_marked_service_names_who_holds_it(machine: Machine) -> None:
    machine.install("Web", "/bin/sleep", "1000")
    with machine.scm["Web"].opened(0x4):
        machine.scm["Web"].delete()
        text = machine.scmd("why", "Web")
        assert "It is marked for deletion" in text
        me = pwd.getpwuid(os.geteuid()).pw_name
        assert f"1 handle: {me} (local pid {os.getpid()})" in text
    machine.await_gone("Web")


@pytest.mark.root
def test_others_may_ask_and_neither_read_output_nor_kill(machine: Machine) -> None:
    machine.install("Fails", "/bin/sh", "-c", "exit 3")
    machine.sc("start", "Fails")
    machine.await_state("Fails", "STOPPED")
    document = json.loads(machine.scmd("why", "Fails", "--json", user=NOBODY))
    assert document["state"] == "STOPPED"
    assert document["last_crash"] is None
    assert machine.scmd("history", "Fails", user=NOBODY)
    assert "(5)" in machine.try_scmd("crash", "Fails", user=NOBODY).stderr
    assert "(5)" in machine.try_scmd("kill", "Fails", user=NOBODY).stderr


def test_a_start_that_waits_is_explained_and_broken_off(machine: Machine) -> None:
    machine.install("Db", "/bin/sleep", "1000", AppSettleTime=600_000)
    machine.install("Web", "/bin/sleep", "1000")
    machine.sc("config", "Web", "depend=", "Db")
    asked = subprocess.Popen(
        [*SCMD, "sc", "start", "Web"], env=machine.environment, stdout=subprocess.PIPE, text=True
    )
    machine.await_state("Web", "START_PENDING")
    machine.await_state("Db", "START_PENDING")
    eventually(lambda: codes(machine, "Web") == ["waits_for_service", "settles"], "the blame")
    assert machine.scmd("kill", "Web") == "Web is stopped.\n"
    out, _ = asked.communicate(timeout=30)
    assert "FAILED 1235" in out
