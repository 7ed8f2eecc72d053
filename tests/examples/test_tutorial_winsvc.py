"""The tutorial as a process of its own, against the SCM's end of a real control channel."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd import ServiceState
from scmd.examples import tutorial_winsvc as tutorial
from scmd.vocabulary.service import Control
from tests.sdk.fake_scm import SubProcess


@pytest.fixture
def process(tmp_path: Path) -> Iterator[SubProcess]:
    end = SubProcess(["-m", tutorial.__name__], tmp_path)
    assert end.welcome().table == (tutorial.SERVICE_NAME,)
    yield end
    end.close()


def test_it_reports_its_start_with_a_hint_runs_and_stops_when_told(process: SubProcess) -> None:
    process.start(tutorial.SERVICE_NAME, "argument")
    pending = process.expect_state(ServiceState.START_PENDING).status
    assert (pending.check_point, pending.wait_hint) == (1, tutorial.START_HINT_MS)
    process.expect_state(ServiceState.RUNNING)
    # It would have stopped by now with an event that is signalled from the start.
    assert process.control(Control.INTERROGATE) == 0
    assert process.control(200) == 120
    assert process.control(Control.STOP) == 0
    process.expect_state(ServiceState.STOPPED)
    code, output = process.finish()
    assert code == 0
    assert "starting with ['argument']" in output
    assert process.states() == ["START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]


def test_a_second_stop_changes_nothing(process: SubProcess) -> None:
    process.start(tutorial.SERVICE_NAME)
    process.expect_state(ServiceState.RUNNING)
    # Both must be under way before it can act on the first.
    process.process.send_signal(signal.SIGSTOP)
    numbers = [process.post(Control.STOP), process.post(Control.SHUTDOWN)]
    process.process.send_signal(signal.SIGCONT)
    assert process.answer(numbers[0]) == 0
    assert process.expect_state(ServiceState.STOPPED).status.win32_exit_code == 0
    assert process.finish()[0] == 0


def test_by_hand_it_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", tutorial.__name__], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "install it" in done.stderr
