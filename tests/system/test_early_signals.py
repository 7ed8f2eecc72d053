"""Signals that come just before a program sleeps, which CPython by itself would sleep over.

Each is sent once, as supervisors do, by the program's own thread and out of the C library.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest

from tests.started import started
from tests.system.machine import LIMIT_S, SCMD, Machine
from tests.system.test_init import NAMESPACE

SOURCE = Path(__file__).with_name("early_signal.c")
DEBUGGED = """
import scmd
@scmd.service('S')
def service(svc):
    while not svc.wait(): pass
service.main()
"""
DEMO = """
import os, signal, subprocess, sys
from scmd.tools.main import main
class Begun(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
subprocess.Popen = Begun
sys.exit(main(["demo"]))
"""

pytestmark = pytest.mark.peers("gcc")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("early") / "early_signal.so"
    subprocess.run(["gcc", "-Wall", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    return made


def preloaded(library: Path, number: Signals, mark: str) -> tuple[str, ...]:
    """What to put before a command that is to get the signal when it has written the mark."""
    return "env", f"LD_PRELOAD={library}", f"EARLY_SIGNAL={int(number)}:{mark}"


def signalled(
    machine: Machine, library: Path, number: Signals, mark: str, *command: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    """A program that gets the signal when it has written the mark; it has to end of it."""
    return started([*preloaded(library, number, mark), *command], machine.environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status and both outputs; its input stays open until then."""
    assert process.stdout is not None
    assert process.stderr is not None
    status = process.wait(LIMIT_S)
    return status, process.stdout.read(), process.stderr.read()


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_it_ends_the_scm(folder: Path, library: Path, number: Signals) -> None:
    with signalled(Machine(folder), library, number, "scmd: ready", *SCMD, "run") as scm:
        status, _, said = ended(scm)
    assert (status, said.count("\n")) == (0, 1), said


@pytest.mark.root
def test_it_ends_the_first_process_of_a_container(folder: Path, library: Path) -> None:
    machine = Machine(folder)
    signalled_init = (*preloaded(library, SIGTERM, "scmd: ready"), *SCMD, "init")
    done = machine.run(*NAMESPACE, *signalled_init, "--", "sleep", "1000")
    assert (done.returncode, done.stderr.count("\n")) == (128 + SIGTERM, 1), done


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_it_stops_a_service_that_is_debugged(folder: Path, library: Path, number: Signals) -> None:
    script = folder / "service.py"
    script.write_text(DEBUGGED)
    program = (sys.executable, str(script), "debug")
    with signalled(Machine(folder), library, number, "S: RUNNING", *program) as service:
        status, out, err = ended(service)
    assert (status, err) == (0, "")
    assert out.endswith("S: STOPPED\n")


@pytest.mark.parametrize(
    ("mark", "command"),
    [
        ("Talker: is", ("watch", "Talker", "--initial")),
        ("hello", ("logs", "Talker", "-f")),
        ("is starting", ("net", "start", "Slow")),
        ("(Y/N)", ("net", "stop", "Talker")),
        ("press u", ("sc", "lock")),
    ],
)
def test_it_ends_a_command_that_waits(
    machine: Machine, library: Path, mark: str, command: tuple[str, ...]
) -> None:
    machine.install("Talker", "sh", "-c", "echo hello; exec sleep 1000")
    machine.install("Slow", "sleep", "1000", AppReady="notify")
    machine.scmd("install", "Needs", "--depend", "Talker", "--", "sleep", "1000")
    machine.scm["Needs"].start(wait=True)
    machine.await_log("Talker", "hello")
    with signalled(machine, library, SIGINT, mark, *SCMD, *command) as process:
        status, out, err = ended(process)
    assert status == 130
    assert mark in out, (out, err)


def test_it_ends_the_question_for_a_password(machine: Machine, library: Path) -> None:
    terminal, its_end = os.openpty()
    with subprocess.Popen(
        [*preloaded(library, SIGINT, "Password of"), *SCMD, "remote", "adduser", "ann"],
        env=machine.environment,
        stdin=its_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            status, _, err = ended(process)
        finally:
            process.kill()
    for descriptor in (terminal, its_end):
        os.close(descriptor)
    assert status == 130
    assert "Password of ann" in err


def test_the_demo_leaves_nothing_behind(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEMO],
        env={**Machine(folder).environment, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=2 * LIMIT_S,
    )
    assert done.returncode == 0, done
    assert os.listdir(folder) == []
