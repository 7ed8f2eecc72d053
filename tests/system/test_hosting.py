"""Unmodified programs under srvany: what they are given, how they are stopped."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from tests.system import programs
from tests.system.machine import Machine, eventually, is_gone
from tests.system.programs import PYTHON

# Tells in one line of JSON all that a process inherits.
CONFESS = """\
import json, os, resource, signal, sys
ignored = [s for s in range(1, 32) if s not in (9, 19)
           and signal.getsignal(s) is signal.SIG_IGN and s not in (13, 25)]
print(json.dumps({
    "environment": dict(os.environ),
    "descriptors": {d: os.readlink(f"/proc/self/fd/{d}")
                    for d in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{d}")},
    "directory": os.getcwd(),
    "leader": os.getsid(0) == os.getpid(),
    "ignored": ignored,
    "blocked": [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "umask": os.umask(0),
    "arguments": sys.argv[1:],
    "input": sys.stdin.read(),
}), flush=True)
signal.pause()
"""

# Ignores SIGTERM, and so do its children: one in its session, one that forked twice and left it.
STUBBORN = """\
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def child():
    print("pid", os.getpid(), flush=True)
    while True:
        signal.pause()
if os.fork() == 0:
    child()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        child()
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED)
child()
"""

SAYS_ITS_SIGNAL = """\
import os, signal, sys
awaited = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
os.write(1, b"ready\\n")
os.write(1, f"got {signal.sigwait(awaited).name}\\n".encode())
sys.exit(3)
"""


def confession(machine: Machine, name: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(machine.await_log(name, r"\{.*\}\n")[0])
    return document


def test_a_program_inherits_nothing_of_the_scm(machine: Machine) -> None:
    machine.install("Clean", PYTHON, "-c", CONFESS)
    machine.sc("start", "Clean")
    told = confession(machine, "Clean")
    environment = told["environment"]
    assert isinstance(environment, dict)
    assert "SECRET_OF_THE_SCM" not in environment
    assert set(environment) <= {
        *("HOME", "LOGNAME", "USER", "SHELL", "PATH", "SCMD_RUNTIME", "SCMD_LAUNCH"),
        *("LANG", "LC_CTYPE"),
    }
    descriptors = told["descriptors"]
    assert isinstance(descriptors, dict)
    assert set(descriptors) == {"0", "1", "2"}
    assert descriptors["0"] == "/dev/null"
    assert descriptors["1"] == descriptors["2"]
    assert told["input"] == ""
    assert told["directory"] == "/"
    assert told["leader"] is True
    assert told["ignored"] == told["blocked"] == []
    assert told["nofile"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))


def test_parameters_shape_the_process(machine: Machine) -> None:
    machine.install("Shaped", PYTHON, "-c", CONFESS, "one", "two words", 'a "quote"')
    machine.scmd("set", "Shaped", "AppEnvironmentExtra", "A=1", "B=two words")
    machine.scmd("set", "Shaped", "AppDirectory", "/tmp")
    machine.scmd("set", "Shaped", "AppUmask", "027")
    machine.scmd("set", "Shaped", r"AppLimit\NOFILE", "100")
    machine.sc("start", "Shaped")
    told = confession(machine, "Shaped")
    environment = told["environment"]
    assert isinstance(environment, dict)
    assert (environment["A"], environment["B"], "PATH" in environment) == ("1", "two words", True)
    assert told["arguments"] == ["one", "two words", 'a "quote"']
    assert told["directory"] == "/tmp"
    assert told["umask"] == 0o027
    assert told["nofile"] == [100, 100]


def test_app_environment_replaces_the_environment(machine: Machine) -> None:
    machine.install("Alone", PYTHON, "-c", CONFESS)
    machine.scmd("set", "Alone", "AppEnvironment", "ONLY=this")
    machine.sc("start", "Alone")
    environment = confession(machine, "Alone")["environment"]
    assert isinstance(environment, dict)
    assert set(environment) <= {"ONLY", "SCMD_LAUNCH", "LC_CTYPE"}


@pytest.mark.parametrize("name", ["TERM", "SIGINT", "10"])
def test_the_stop_signal_is_the_one_that_was_set(machine: Machine, name: str) -> None:
    machine.install("Polite", PYTHON, "-c", SAYS_ITS_SIGNAL)
    machine.scmd("set", "Polite", "AppStopSignal", name)
    machine.sc("start", "Polite")
    machine.await_log("Polite", "ready")
    machine.sc("stop", "Polite")
    # What it exits with after it was asked to stop is no failure.
    assert machine.await_state("Polite", "STOPPED").win32_exit_code == 0
    expected = {"TERM": "SIGTERM", "SIGINT": "SIGINT", "10": "SIGUSR1"}[name]
    machine.await_log("Polite", f"got {expected}\n")


def test_the_whole_tree_is_killed_at_the_limit(machine: Machine) -> None:
    stubborn = programs.write(machine.folder, "stubborn.py", STUBBORN)
    machine.install("Stubborn", PYTHON, stubborn, AppStopTime=300)
    machine.sc("start", "Stubborn")
    found = machine.await_log("Stubborn", r"pid (\d+)\npid (\d+)\npid (\d+)\n")
    machine.sc("stop", "Stubborn")
    status = machine.status("Stubborn")
    assert (status.state, status.wait_hint) == (3, 300)
    machine.await_state("Stubborn", "STOPPED")
    tree = [int(process_id) for process_id in found.groups()]
    eventually(lambda: all(map(is_gone, tree)), f"the end of {tree}")


def test_what_a_program_leaves_behind_ends_with_it(machine: Machine) -> None:
    machine.install("Leaves", "sh", "-c", "setsid sleep 1000 & echo $!; exit 0")
    machine.sc("start", "Leaves")
    left = int(machine.await_log("Leaves", r"(\d+)\n")[1])
    machine.await_state("Leaves", "STOPPED")
    eventually(lambda: is_gone(left), "the end of what was left")


@pytest.mark.parametrize(
    ("script", "win32", "specific"),
    [("exit 0", 0, 0), ("exit 3", 1066, 3), ("kill -9 $$", 1067, 0)],
)
def test_how_a_program_ends_is_its_exit_code(
    machine: Machine, script: str, win32: int, specific: int
) -> None:
    fifo = machine.folder / "go"
    os.mkfifo(fifo)
    machine.install("Ends", "sh", "-c", f"read line <{fifo}; {script}")
    machine.sc("start", "Ends")
    machine.await_state("Ends", "RUNNING")
    fifo.write_text("go\n")
    status = machine.await_state("Ends", "STOPPED")
    assert (status.win32_exit_code, status.service_specific_exit_code) == (win32, specific)
    assert status.process_id == 0
    machine.sc("start", "Ends")
    machine.await_state("Ends", "RUNNING")


def test_a_program_that_ends_while_it_settles_has_not_started(machine: Machine) -> None:
    machine.install("Broken", "sh", "-c", "exit 3", AppSettleTime=20_000)
    machine.sc("start", "Broken")
    status = machine.await_state("Broken", "STOPPED")
    assert (status.win32_exit_code, status.service_specific_exit_code) == (1066, 3)


def test_a_program_that_cannot_be_run_says_why(machine: Machine) -> None:
    text = machine.folder / "text"
    text.write_text("no program")
    machine.install("Gone", "sleep", "1")
    for application, error in (
        ("/no/such/folder/program", Error.PATH_NOT_FOUND),
        ("/bin/no-such-program", Error.FILE_NOT_FOUND),
        (str(text), Error.ACCESS_DENIED),
    ):
        machine.scmd("set", "Gone", "Application", application)
        assert machine.refused("start", "Gone") == error
        assert machine.status("Gone").win32_exit_code == error
    text.chmod(0o755)
    assert machine.refused("start", "Gone") == Error.BAD_EXE_FORMAT


@pytest.mark.root
def test_a_program_runs_as_its_account(machine: Machine) -> None:
    machine.scmd("install", "Low", "--account", "nobody", "--", "sh", "-c", "id -u; exec sleep 999")
    machine.sc("start", "Low")
    machine.await_log("Low", r"65534\n")
    process_id = machine.status("Low").process_id
    assert Path(f"/proc/{process_id}").stat().st_uid == 65534
    machine.sc("stop", "Low")
    machine.await_state("Low", "STOPPED")


def test_the_scm_ends_in_order_and_takes_its_services_with_it(machine: Machine) -> None:
    machine.install("Base", PYTHON, "-c", SAYS_ITS_SIGNAL)
    machine.scmd("install", "Top", "--depend", "Base", "--", PYTHON, "-c", SAYS_ITS_SIGNAL)
    machine.sc("start", "Top")
    for name in ("Base", "Top"):
        machine.await_log(name, "ready")
    machine.restart()
    for name in ("Base", "Top"):
        assert machine.log(name) == "ready\ngot SIGTERM\n"
        assert machine.status(name).win32_exit_code == Error.SERVICE_NEVER_STARTED
