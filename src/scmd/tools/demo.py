"""scmd demo: a scratch SCM with the five example services, their output on the terminal.

Everything lives in a temporary directory, which is gone at the end. Ctrl-C or SIGTERM shuts the
SCM down as a machine is: services are told, waited for, and their last lines shown.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

from scmd.client.connection import ConnectionFailed
from scmd.client.management import read_log
from scmd.client.scm import connect
from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.tools.logs import visible
from scmd.tools.scratch import make_scratch
from scmd.vocabulary.service import ServiceAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from scmd.client.scm import Scm

USAGE = """\
usage: scmd demo

A scratch Service Control Manager with five example services, started, with their output. Ctrl-C
shuts everything down in order and removes the scratch directory.
"""

_READY_S = 30.0
_READY_POLL_S = 0.02
_LOG_POLL_S = 0.2
_LOG_BYTES = 65_536


class Follower:
    """The growing log of one service; `read` gives its new whole lines."""

    def __init__(self, scm: Scm, name: str) -> None:
        self._calls = scm.calls
        manager = self._calls.open_scm()
        self._handle = self._calls.open_service(manager, name, ServiceAccess.START)
        self._name = name
        self._position = 0
        self._rest = b""

    def read(self) -> list[str]:
        """Lines with the service's name before them, safe to print on a terminal."""
        part = read_log(self._calls, self._handle, self._position, _LOG_BYTES)
        self._position = part.next
        *lines, self._rest = (self._rest + part.data).split(b"\n")
        return [f"[{self._name}] {visible(line).decode(errors='replace')}" for line in lines]


class Demo:
    """The SCM as a child process, and whether the demo was asked to end."""

    def __init__(self) -> None:
        self.is_ending = False

    def begin(self, scratch: str) -> None:
        """Start the SCM in this directory; `stop` must follow."""
        self.scratch = scratch
        # For this process's own connections, and for the child and its services.
        os.environ["SCMD_STATE"] = os.path.join(scratch, "state")
        os.environ["SCMD_RUNTIME"] = os.path.join(scratch, "runtime")
        # A session of its own: the terminal's Ctrl-C is ours to handle, in order.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scmd.tools.main", "run"], start_new_session=True
        )

    def end(self, number: int, frame: FrameType | None) -> None:
        """The signal handler; what is under way is finished first."""
        self.is_ending = True

    def connected(self) -> Scm:
        """Wait for the SCM to listen; CommandError: it does not."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return connect()
            except ConnectionFailed:
                time.sleep(_READY_POLL_S)
        raise CommandError("the scratch SCM did not start")

    def show(self, followers: list[Follower]) -> None:
        """Print what the services write until the SCM is gone; shut it down when asked to."""
        told = False
        while self.process.poll() is None:
            if self.is_ending and not told:
                print("Shutting down.", flush=True)
                self.process.terminate()
                told = True
            try:
                for follower in followers:
                    for line in follower.read():
                        print(line, flush=True)
            except WinError:
                # The SCM has closed its connections: its end is near.
                followers = []
            time.sleep(_LOG_POLL_S)

    def stop(self) -> None:
        """Whatever happened: no process stays behind."""
        self.process.terminate()
        self.process.wait()


def run(arguments: list[str]) -> int:
    """0 when it was asked to end; 1 when the SCM ended by itself."""
    options = Options(arguments, ())
    if options.rest:
        raise CommandUsageError("takes no arguments")
    demo = Demo()
    # Before there is anything that has to be ended and removed.
    signal.signal(signal.SIGTERM, demo.end)
    signal.signal(signal.SIGINT, demo.end)
    scratch = make_scratch("demo")
    try:
        demo.begin(scratch)
        try:
            with demo.connected() as scm:
                demo.show(_set_up(demo, scm))
        finally:
            demo.stop()
        return 0 if demo.is_ending else 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _set_up(demo: Demo, scm: Scm) -> list[Follower]:
    """Install and start the examples; say what can be tried."""
    from scmd.examples.catalog import EXAMPLES, hints, prepare

    scratch = demo.scratch
    prepare(scratch)
    for example in EXAMPLES:
        example.service().install(scm=scm)
        scm[example.name].parameters.update(example.parameters(scratch))
    program = "scmd" if shutil.which("scmd") else os.path.abspath(sys.argv[0])
    print(f"In another terminal: export SCMD_RUNTIME={scratch}/runtime, then {program} sc query")
    for hint in hints(scratch):
        print(f"  {hint}")
    followers: list[Follower] = []
    for example in EXAMPLES:
        if demo.is_ending:
            return followers
        try:
            status = scm[example.name].start()
            print(f"{example.name} runs as process {status.process_id}.", flush=True)
        except WinError as error:
            print(f"{example.name} did not start: {error}", flush=True)
        followers.append(Follower(scm, example.name))
    print("Ctrl-C ends the demo.", flush=True)
    return followers
