"""An operator who removes files of an SCM that runs."""

from __future__ import annotations

import os
import shutil
import signal

from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.system.machine import Machine, eventually


def test_logs_events_and_histories_that_were_removed_are_begun_anew(bare: Machine) -> None:
    machine = bare.start()
    machine.install("Talk", "sh", "-c", "while read -r line; do echo $line; done <$0; exec sleep 9")
    pipe = machine.folder / "pipe"
    os.mkfifo(pipe)
    machine.scm["Talk"].parameters["AppParameters"] += f" {pipe}"
    writer = os.open(pipe, os.O_RDWR)
    machine.scmd("net", "start", "Talk")
    os.write(writer, b"before\n")
    machine.await_log("Talk", "before")
    assert "RUNNING" in machine.scmd("history", "Talk")
    for name in ("logs", "events", "history"):
        shutil.rmtree(machine.state / name)
    os.write(writer, b"after\n")
    machine.await_log("Talk", "after")
    machine.scmd("net", "stop", "Talk")
    assert "The Talk service entered the stopped state." in machine.scmd("events")
    assert "STOPPED" in machine.scmd("history", "Talk")
    os.close(writer)


def refused(machine: Machine) -> int:
    """The error of a change of the configuration."""
    try:
        machine.scm["Web"].parameters["AppNice"] = "1"
    except WinError as error:
        return error.winerror
    return 0


def test_a_database_that_was_removed_ends_no_service(bare: Machine) -> None:
    machine = bare.start()
    machine.expected_complaints = "registry.db or its -wal was removed"
    machine.install("Web", "sleep", "1000")
    machine.scmd("net", "start", "Web")
    before = machine.status("Web").process_id
    kept = machine.folder / "kept"
    kept.mkdir()
    files = list(machine.state.glob("registry.db*"))
    for file in files:
        file.rename(kept / file.name)
    assert refused(machine) == Error.WRITE_FAULT
    os.kill(int(machine.json("status")["manager_pid"]), signal.SIGKILL)
    machine.await_line(r"registry\.db is missing")
    machine.disconnect()
    for file in files:
        (kept / file.name).rename(file)
    eventually(lambda: machine.try_scmd("status").returncode == 0, "the next manager")
    assert machine.status("Web").process_id == before
    assert refused(machine) == Error.SUCCESS
