"""The service program's commands against a real SCM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.fake_scm import PATIENCE_S

CLOCK = """
import scmd

@scmd.service("Clock-MARK", display="The Clock-MARK", description="Says the time.",
              depends=["Base-MARK"])
def clock(svc):
    svc.log.info("arguments %s, every %s s", svc.args, svc.parameters.get("Interval", 60))
    svc.ready()
    while not svc.wait(60):
        pass

@scmd.service("Base-MARK")
def base(svc):
    svc.ready()
    svc.wait()

@scmd.service("Broken-MARK")
def broken(svc):
    svc.fail(42)

if __name__ == "__main__":
    import sys
    which = sys.argv.pop(1)
    if which == "both":
        scmd.run(base, clock)
    else:
        scmd.run(globals()[which])
"""
SCMD = "import sys; from scmd.tools.main import main; sys.exit(main())"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running SCM with a state of its own; the environment that leads to it."""
    folder = tmp_path_factory.mktemp("scm")
    places = {"SCMD_STATE": str(folder / "state"), "SCMD_RUNTIME": str(folder / "run")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **places}
    keeper = subprocess.Popen(
        [sys.executable, "-c", SCMD, "run"],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert keeper.stderr is not None
    assert "ready" in keeper.stderr.readline()
    yield environment
    keeper.send_signal(signal.SIGTERM)
    keeper.communicate(timeout=60)
    assert keeper.returncode == 0


class Program:
    def __init__(self, folder: Path, environment: dict[str, str], mark: str) -> None:
        self.script = folder / "clock.py"
        self.script.write_text(CLOCK.replace("MARK", mark))
        self.environment = environment

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Exit status and what was printed, from a foreign working directory."""
        done = subprocess.run(
            [sys.executable, str(self.script), *arguments],
            env=self.environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3 * PATIENCE_S,
        )
        return done.returncode, done.stdout

    def scm(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", SCMD, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        ).stdout

    def scm_until(self, text: str, *arguments: str) -> None:
        """Repeat a query until what is on its way there has arrived."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.scm(*arguments):
            assert time.monotonic() < end, f"{arguments} never showed {text}"


# The services' names differ from test to test, so that none depends on another's end.
MARKS = {
    "test_services_of_one_program_share_a_process": "share",
    "test_install_records_the_declaration": "record",
    "test_options_override_the_declaration": "options",
    "test_commands_do_what_they_say": "verbs",
}


@pytest.fixture
def program(tmp_path: Path, environment: dict[str, str], request: pytest.FixtureRequest) -> Program:
    name: str = request.node.name
    return Program(tmp_path, environment, MARKS.get(name, name))


def test_services_of_one_program_share_a_process(program: Program) -> None:
    assert program("both", "install", "--start", "demand") == (
        0,
        "Base-share installed\nClock-share installed\n",
    )
    assert program("clock", "start", "-v", "x y") == (0, "Clock-share started\n")
    code, text = program("both", "status")
    assert code == 0
    assert text.startswith("Base-share: RUNNING, process ")
    assert len({line.split()[-1] for line in text.splitlines()}) == 1
    # What a process prints is in the log of the service it was started for.
    line = "arguments ('-v', 'x y'), every 60 s"
    program.scm_until(line, "logs", "Base-share")
    program.scm_until(line, "events", "--source", "Clock-share")
    code, text = program("base", "stop")
    assert code == 1
    assert "(1051)" in text


def test_install_records_the_declaration(program: Program) -> None:
    assert program("both", "install") == (0, "Base-record installed\nClock-record installed\n")
    config = program.scm("sc", "qc", "Clock-record")
    assert "DISPLAY_NAME       : The Clock-record" in config
    assert "20  WIN32_SHARE_PROCESS" in config
    assert "DEMAND_START" in config
    assert "DEPENDENCIES       : Base-record\n" in config
    assert "Says the time." in program.scm("sc", "qdescription", "Clock-record")
    assert "TRUE" in program.scm("sc", "qfailureflag", "Clock-record")
    assert program("both", "remove") == (0, "Clock-record removed\nBase-record removed\n")
    assert program("clock", "status")[0] == 1


def test_an_exit_code_of_its_own_is_shown(program: Program) -> None:
    assert program("broken", "install")[0] == 0
    code, text = program("broken", "start")
    assert code == 1
    assert "42" in text
    assert "service-specific error 42" in program("broken", "status")[1]
    assert program("broken", "remove")[0] == 0


def test_install_creates_all_services_or_none(program: Program) -> None:
    assert program("clock", "install")[0] == 0
    code, text = program("both", "install")
    assert code == 1
    assert "(1073)" in text
    assert program("base", "status")[0] == 1


def test_options_override_the_declaration(program: Program) -> None:
    assert program("base", "install", "--start=delayed", "--depend", "A,B")[0] == 0
    config = program.scm("sc", "qc", "Base-options")
    assert "AUTO_START  (DELAYED)" in config
    assert "DEPENDENCIES       : A\n" in config


def test_commands_do_what_they_say(program: Program) -> None:
    assert program("base", "install")[0] == 0
    assert program("base", "start") == (0, "Base-verbs started\n")
    assert program("base", "pause") == (0, "Base-verbs paused\n")
    assert program("base", "continue") == (0, "Base-verbs continued\n")
    assert program("base", "restart") == (0, "Base-verbs restarted\n")
    assert program("base", "stop") == (0, "Base-verbs stopped\n")
    assert program("base", "start")[0] == 0
    assert program("base", "remove") == (0, "Base-verbs removed\n")
