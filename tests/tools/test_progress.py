"""Watching a pending service: on a terminal it is shown, elsewhere sc answers at once."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from scmd.client.scm import Scm
from scmd.client.waiting import Progress
from scmd.tools.progress import outcome_line, progress_line
from scmd.vocabulary.service import Control, ServiceState
from tests.client.world import World, report


def test_the_line_has_check_point_and_what_is_left_of_the_hint() -> None:
    status = report(ServiceState.STOP_PENDING, check_point=3, wait_hint=20_000)
    line = progress_line("W\x1beb", status, Progress(status, 100.0), 108.0)
    assert line == "W\\x1beb: STOP_PENDING, check point 3, 12 s of the wait hint left"


def test_the_outcome_says_what_it_came_to() -> None:
    pending = ServiceState.START_PENDING
    failed = report(ServiceState.STOPPED, win32_exit_code=1066, service_specific_exit_code=3)
    assert outcome_line("Web", pending, failed) == "Web is STOPPED, exit code 1066 (3).\n"
    assert outcome_line("Web", pending, report(ServiceState.RUNNING)) == "Web is RUNNING.\n"
    assert "may hang" in outcome_line("Web", pending, report(pending))


def test_on_a_terminal_a_stop_is_followed_to_its_end(web: World, scm: Scm) -> None:
    web.program("Web").reports[Control.STOP] = [
        *(report(ServiceState.STOP_PENDING, check_point=n, wait_hint=9000) for n in range(12)),
        report(ServiceState.STOPPED),
    ]
    scm["Web"].start()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scmd.tools.main", "sc", "stop", "Web"],
        env={**os.environ, "SCMD_RUNTIME": str(web.runtime)},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""
    try:
        while data := os.read(ours, 4096):
            output += data
    except OSError:
        # EIO: the process has closed its terminal.
        pass
    os.close(ours)
    assert process.wait() == 0
    text = output.decode()
    assert "STATE              : 3  STOP_PENDING" in text
    assert "Web: STOP_PENDING, check point " in text
    assert text.endswith("Web is STOPPED.\r\n")
