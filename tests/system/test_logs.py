"""What services write: captured, kept in bounds, shown; and the event log."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.system.machine import LIMIT_S, SCMD, Machine, eventually

ROTATED = 10 << 20
"""Bytes that a log may have before it is rotated."""


def test_output_is_captured_whole_lines_from_both_outputs(machine: Machine) -> None:
    program = "echo one; echo two >&2; printf 'no end'; exec sleep 1000"
    machine.install("Talker", "sh", "-c", program)
    machine.sc("start", "Talker")
    machine.await_log("Talker", "one\ntwo\n")
    machine.sc("stop", "Talker")
    machine.await_state("Talker", "STOPPED")
    machine.await_log("Talker", r"\Aone\ntwo\nno end\n\Z")
    assert machine.scmd("logs", "Talker", "-n", "1") == "no end\n"
    assert machine.scmd("logs", "Talker", "-n", "2") == "two\nno end\n"
    machine.restart()
    assert machine.log("Talker") == "one\ntwo\nno end\n"
    machine.scmd("logs", "Nobody", status=1)


def test_logs_follow_what_is_written(machine: Machine) -> None:
    fifo = machine.folder / "lines"
    os.mkfifo(fifo)
    machine.install("Talker", "cat", str(fifo))
    machine.sc("start", "Talker")
    with fifo.open("w") as lines:
        lines.write("first\n")
        lines.flush()
        machine.await_log("Talker", "first")
        follower = subprocess.Popen(
            [*SCMD, "logs", "Talker", "-f"],
            env=machine.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert follower.stdout is not None
        with follower.stdout as shown:
            assert shown.readline() == "first\n"
            lines.write("second\n")
            lines.flush()
            assert shown.readline() == "second\n"
            follower.send_signal(signal.SIGINT)
            assert follower.wait(LIMIT_S) == 130
    machine.await_state("Talker", "STOPPED")


def test_a_flood_of_output_is_kept_in_bounds(machine: Machine) -> None:
    line = "x" * 1000
    flood = f"yes {line} | head -n 30000; echo the end; exec sleep 1000"
    machine.install("Flood", "sh", "-c", flood)
    machine.sc("start", "Flood")

    def is_over() -> bool:
        return machine.scmd("logs", "Flood", "-n", "1") == "the end\n"

    eventually(is_over, "the end of the flood")
    files = list((machine.state / "logs").iterdir())
    assert len(files) > 1
    assert max(file.stat().st_size for file in files) <= ROTATED
    assert machine.status("Flood").state == 4


def test_control_characters_reach_no_terminal(machine: Machine) -> None:
    machine.install("Rude", "sh", "-c", r"printf '\033]0;title\007\n'; exec sleep 1000")
    machine.sc("start", "Rude")
    machine.await_log("Rude", "title")
    # `script` gives the command a terminal.
    command = " ".join([*SCMD, "logs", "Rude"])
    done = machine.run("script", "-qec", command, "/dev/null")
    assert "\x1b]" not in done.stdout
    assert r"\x1b]0;title\x07" in done.stdout


def test_events_tell_what_happened(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.sc("start", "Sleeper")
    os.kill(machine.status("Sleeper").process_id, signal.SIGKILL)
    machine.await_event(7034, "Sleeper")
    machine.sc("config", "Sleeper", "start=", "auto")
    machine.await_event(7040, "Sleeper")
    machine.install("Fails", "sh", "-c", "exit 3")
    machine.sc("start", "Fails")
    machine.await_state("Fails", "STOPPED")
    assert machine.await_event(7024, "Fails")["type"] == "error"
    assert machine.await_event(7045, "Fails")["source"] == "Service Control Manager"
    machine.install("Missing", "sleep", "1", Application="/no/such/program")
    machine.sc("start", "Missing", status=1)
    assert machine.await_event(7000, "Missing")["id"] == 7000
    text = machine.scmd("events", "-n", "1")
    assert text.count("\n") == text.count("\n    ") + 1
    assert "Service Control Manager" in text
    assert machine.scmd("events", "--source", "Nobody") == ""
    before = machine.json("events")
    assert [event["number"] for event in before] == list(range(1, len(before) + 1))
    machine.restart()
    assert machine.json("events")[: len(before)] == before


def test_a_deleted_services_log_goes_with_it(machine: Machine) -> None:
    machine.install("Talker", "echo", "secret")
    machine.sc("start", "Talker")
    machine.await_log("Talker", "secret")
    machine.scmd("remove", "Talker")
    eventually(lambda: not any((machine.state / "logs").iterdir()), "the log's end")
    machine.install("Talker", "sleep", "1000")
    assert machine.log("Talker") == ""


def test_lines_may_have_time_and_name(machine: Machine) -> None:
    program = ("sh", "-c", "echo one; exec sleep 1000")
    machine.install("Talker", *program, AppTimestampLog=1, AppLogName=1)
    machine.sc("start", "Talker")
    machine.await_log("Talker", r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z Talker: one\n\Z")


def test_the_last_lines_may_be_in_several_files(machine: Machine) -> None:
    machine.install("Talker", "sh", "-c", "echo three; exec sleep 1000")
    machine.sc("start", "Talker")
    machine.await_log("Talker", "three")
    (newest,) = (machine.state / "logs").iterdir()
    newest.with_name(newest.name + ".1").write_text("one\ntwo\n")
    assert machine.scmd("logs", "Talker", "-n", "2") == "two\nthree\n"
    assert machine.scmd("logs", "Talker", "-n", "9") == "one\ntwo\nthree\n"
    assert machine.scmd("logs", "Talker", "-n", "0") == ""


def test_what_a_crash_left_of_deleted_services_goes(machine: Machine) -> None:
    machine.install("Talker", "echo", "secret")
    machine.sc("start", "Talker")
    machine.await_log("Talker", "secret")
    stray = machine.state / "logs" / "999.log"
    stray.write_text("of a record that is gone\n")
    machine.restart()
    assert not stray.exists()
    assert "secret" in machine.log("Talker")


def test_logs_belong_to_the_scm_alone(machine: Machine) -> None:
    machine.install("Talker", "echo", "secret")
    machine.sc("start", "Talker")
    machine.await_log("Talker", "secret")
    for path in (machine.state, machine.state / "logs", machine.state / "registry.db"):
        assert Path(path).stat().st_mode & 0o077 == 0, path
