"""Ctrl-C while a service is waited for: the wait ends, and where to look is said."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from scmd.client.scm import Scm
from scmd.tools import target
from scmd.tools.interruption import interrupted_line
from scmd.tools.main import INTERRUPTED
from scmd.vocabulary.service import Control, ServiceState
from tests.client.world import World, report
from tests.started import interrupt
from tests.tools.processes import environment, running

WORDS = "Web is no longer waited for. The request goes on in the SCM; to look: sc query Web"
STARTING = report(ServiceState.START_PENDING, check_point=1, wait_hint=600_000)
STOPPING = report(ServiceState.STOP_PENDING, check_point=1, wait_hint=600_000)


@pytest.fixture
def slow(web: World) -> World:
    """Web begins to start and to stop, and that is all it does."""
    web.has_feed = web.has_notifications = False
    web.program("Web").reports[0] = [STARTING]
    web.program("Web").reports[Control.STOP] = [STOPPING]
    return web


def interrupted_on_a_terminal(world: World, *arguments: str) -> str:
    """All that is shown until Ctrl-C, which comes with the first line of progress."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scmd.tools.main", *arguments],
        env=environment(world),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output, is_told = b"", False
    try:
        while data := os.read(ours, 4096):
            output += data
            if b"of the wait hint left" in output and not is_told:
                is_told = True
                process.send_signal(signal.SIGINT)
    except OSError:
        # EIO: the process has closed its terminal.
        pass
    os.close(ours)
    assert process.wait() == INTERRUPTED
    return output.decode().replace("\r\n", "\n")


def test_of_sc_start(slow: World, scm: Scm) -> None:
    text = interrupted_on_a_terminal(slow, "sc", "start", "Web")
    assert text.endswith(f"\n{WORDS}\n")
    assert scm["Web"].status.state == ServiceState.START_PENDING


def test_of_sc_stop(slow: World, scm: Scm) -> None:
    slow.program("Web").reports[0] = [report(ServiceState.RUNNING)]
    scm["Web"].start()
    text = interrupted_on_a_terminal(slow, "sc", "stop", "Web")
    assert text.endswith(f"\n{WORDS}\n")
    assert "Traceback" not in text
    assert scm["Web"].status.state == ServiceState.STOP_PENDING


@pytest.mark.parametrize(("verb", "doing"), [("start", "starting"), ("stop", "stopping")])
def test_of_net(slow: World, scm: Scm, verb: str, doing: str) -> None:
    if verb == "stop":
        slow.program("Web").reports[0] = [report(ServiceState.RUNNING)]
        scm["Web"].start()
    with running(slow, "net", verb, "Web Server") as net:
        assert net.stdout is not None
        said = ""
        while not said.endswith(f"{doing}."):
            said += net.stdout.read(1)
        status, out, err = interrupt(net)
    assert (status, out.strip("."), err) == (INTERRUPTED, "", f"\n{WORDS}\n")


def test_the_line_leads_to_the_same_host_and_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, "host", lambda: "//far")
    assert interrupted_line("My Web").endswith("to look: sc //far query 'My Web'\n")
