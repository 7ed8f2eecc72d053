"""`debug`: services in the foreground, controls from the keyboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import scmd
from scmd.sdk.context import ServiceContext
from scmd.sdk.debug import Console, describe
from scmd.sdk.service import run_on
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.sdk.fake_scm import PATIENCE_S


class Keyboard:
    """A console whose commands are typed when a line has been printed."""

    def __init__(self, *script: tuple[str, str]) -> None:
        self.lines: list[str] = []
        self._script = list(script)
        self._read, self._write = os.pipe()
        self.console = Console(self._read, self.line)

    def line(self, text: str) -> None:
        self.lines.append(text)
        if self._script and self._script[0][0] in text:
            os.write(self._write, self._script.pop(0)[1].encode() + b"\n")

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


def states(lines: list[str], name: str = "S") -> list[str]:
    return [line.split()[1] for line in lines if line.startswith(f"{name}: ") and "_" in line]


def waiting(svc: ServiceContext) -> None:
    while not svc.wait():
        pass


def test_lines_are_controls_and_reports_are_printed() -> None:
    seen: list[int] = []
    service = scmd.service("S")(waiting)
    service.on(200)(lambda svc: seen.append(200))
    keyboard = Keyboard(
        ("S: RUNNING", "pause"),
        ("S: PAUSED", "frobnicate"),
        ("frobnicate: no control", "paramchange"),
        ("(1052)", "200\n201"),
        ("(120)", "CONTINUE"),
        ("S: RUNNING", "stop"),
    )
    run_on(keyboard.console, [service])
    keyboard.close()
    assert seen == [200]
    assert not keyboard.console.failed
    assert [line.split()[1] for line in keyboard.lines if line.startswith("S: ")][-3:] == [
        "RUNNING",
        "STOP_PENDING",
        "STOPPED",
    ]


def test_a_name_chooses_among_several_services() -> None:
    keyboard = Keyboard(("B: RUNNING", "stop b"), ("B: STOPPED", "stop"))
    run_on(keyboard.console, [scmd.service("A")(waiting), scmd.service("B")(waiting)])
    keyboard.close()
    order = [line for line in keyboard.lines if "STOPPED" in line]
    assert order == ["B: STOPPED", "A: STOPPED"]


def test_without_an_scm_there_are_no_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", str(tmp_path / "none"))
    seen: list[object] = []

    def reading(svc: ServiceContext) -> None:
        seen.append(svc.parameters.get("Interval", 60))

    keyboard = Keyboard()
    run_on(keyboard.console, [scmd.service("S")(reading)])
    keyboard.close()
    assert seen == [60]
    assert any("(1722)" in line for line in keyboard.lines)
    assert not keyboard.console.failed


def test_a_failure_is_printed() -> None:
    def failing(svc: ServiceContext) -> None:
        svc.fail(7)

    keyboard = Keyboard()
    run_on(keyboard.console, [scmd.service("S")(failing)])
    keyboard.close()
    assert keyboard.console.failed
    assert keyboard.lines[-1] == "S: STOPPED (service-specific error 7)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_service(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "service.py"
    script.write_text(
        "import scmd\n"
        "@scmd.service('S')\n"
        "def service(svc):\n"
        "    while not svc.wait(): pass\n"
        "service.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), "debug"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("S: RUNNING"):
            process.send_signal(number)
            break
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert output.splitlines()[-1] == "S: STOPPED"


def test_an_output_that_nobody_reads_any_more_keeps_no_service_from_its_end() -> None:
    code = "import scmd; scmd.service('S')(lambda svc: svc.ready()).main()"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code, "debug"],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_status_is_described_in_a_line() -> None:
    pending = ServiceStatus(state=ServiceState.STOP_PENDING, check_point=2, wait_hint=1500)
    assert describe(pending) == "STOP_PENDING (check point 2, wait hint 1.5 s)"
    failed = ServiceStatus(state=ServiceState.STOPPED, win32_exit_code=5)
    assert describe(failed) == "STOPPED (Access is denied. 5)"
