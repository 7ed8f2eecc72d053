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
from scmd.vocabulary.status import ServiceStatus
from tests.client.world import World, report


def test_the_line_has_check_point_and_what_is_left_of_the_hint() -> None:
    status = report(ServiceState.STOP_PENDING, check_point=3, wait_hint=20_000)
    line = progress_line("W\x1beb", status, Progress(status, 100.0), 108.0)
    assert line == "W\\x1beb: STOP_PENDING, check point 3, 12 s of the wait hint left"


def test_the_outcome_says_what_it_came_to() -> None:
    failed = report(ServiceState.STOPPED, win32_exit_code=1066, service_specific_exit_code=3)
    assert outcome_line("Web", False, failed) == "Web is STOPPED, exit code 1066 (3).\n"
    assert outcome_line("Web", False, report(ServiceState.RUNNING)) == "Web is RUNNING.\n"
    assert "may hang" in outcome_line("Web", True, report(ServiceState.STOP_PENDING))


def on_a_terminal(world: World, *arguments: str) -> str:
    """What `scmd` shows with these arguments; it must succeed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scmd.tools.main", *arguments],
        env={**os.environ, "SCMD_RUNTIME": str(world.runtime)},
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
    return output.decode()


def pending_stop() -> list[ServiceStatus]:
    """Long enough to be shown."""
    steps = range(12)
    return [report(ServiceState.STOP_PENDING, check_point=n, wait_hint=9000) for n in steps]


def test_on_a_terminal_a_stop_is_followed_to_its_end(web: World, scm: Scm) -> None:
    web.has_feed = web.has_notifications = False
    stopped = report(ServiceState.STOPPED)
    web.program("Web").reports[Control.STOP] = [*pending_stop(), stopped]
    scm["Web"].start()
    text = on_a_terminal(web, "sc", "stop", "Web")
    assert "STATE              : 3  STOP_PENDING" in text
    assert "Web: STOP_PENDING, check point " in text
    assert text.endswith("Web is STOPPED.\r\n")


def test_a_service_whose_handler_only_queues_is_followed_too(web: World, scm: Scm) -> None:
    """The control was accepted, and the service still is what it was when SC answers."""
    web.has_feed = web.has_notifications = False
    running = report(ServiceState.RUNNING)
    web.program("Web").reports[Control.STOP] = [
        *(running for _ in range(10)),
        *pending_stop(),
        report(ServiceState.STOPPED),
    ]
    scm["Web"].start()
    text = on_a_terminal(web, "sc", "stop", "Web")
    assert "STATE              : 4  RUNNING" in text
    assert "Web: still RUNNING" in text
    assert "Web: STOP_PENDING, check point " in text
    assert text.endswith("Web is STOPPED.\r\n")


def test_what_is_over_at_once_needs_no_word(web: World, scm: Scm) -> None:
    scm["Web"].start()
    assert on_a_terminal(web, "sc", "pause", "Web").endswith("WAIT_HINT          : 0x0\r\n")
    assert on_a_terminal(web, "sc", "interrogate", "Web").endswith("WAIT_HINT          : 0x0\r\n")
