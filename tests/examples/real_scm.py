"""A whole SCM of a test's own: `scmd run` in scratch directories, with the examples in it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scmd import ServiceState, ServiceStatus
from scmd.client.scm import Scm, connect
from scmd.client.service import Service
from scmd.examples.catalog import EXAMPLES, prepare
from scmd.examples.file_monitor import FolderWatch

LIMIT_S = 30.0


class RealScm:
    """Running from the start; `folder` is where the examples work."""

    def __init__(self, scratch: Path) -> None:
        self.state = scratch / "state"
        self.folder = scratch / "work"
        prepare(str(self.folder))
        environment = {
            "PATH": os.environ["PATH"],
            "SCMD_STATE": str(self.state),
            "SCMD_RUNTIME": str(scratch / "run"),
        }
        os.environ.update(environment)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scmd.tools.main", "run"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        assert "ready" in self.process.stderr.readline()
        self.scm: Scm = connect(timeout=LIMIT_S)

    def start(self, name: str, **parameters: str | int) -> Service:
        """Installs an example with the demo's parameters, and these; starts it."""
        (example,) = (each for each in EXAMPLES if each.name == name)
        example.service().install(scm=self.scm)
        service = self.scm[name]
        service.parameters.update({**example.parameters(str(self.folder)), **parameters})
        service.start(wait=LIMIT_S)
        return service

    def await_end(self, service: Service) -> ServiceStatus:
        """Waits for STOPPED, which the event log tells."""
        await_change(
            self.state / "events", lambda: service.status.state == ServiceState.STOPPED, "the end"
        )
        return service.status

    def stop(self, service: Service) -> ServiceStatus:
        service.stop(wait=False)
        return self.await_end(service)

    def log(self) -> str:
        """Everything services have written so far."""
        return "".join(path.read_text() for path in (self.state / "logs").rglob("*"))

    def await_log(self, part: str) -> str:
        """Waits for a text in the log; the line that has it."""
        await_change(self.state / "logs", lambda: part in self.log(), part)
        return next(line for line in self.log().splitlines() if part in line)

    def shut_down(self) -> int:
        """As at the machine's end; the keeper's exit status."""
        self.scm.close()
        self.process.terminate()
        try:
            self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode


class WriteWatch(FolderWatch):
    """Wakes up for each write as well."""

    IN_MODIFY = 0x2
    mask = FolderWatch.mask | IN_MODIFY


def await_change(folder: Path, condition: Callable[[], bool], what: str) -> None:
    """Waits until a condition holds that depends on what is in a folder."""
    watch = WriteWatch(str(folder))
    try:
        while not condition():
            assert select.select([watch.fd], [], [], LIMIT_S)[0], f"waited in vain for {what}"
            watch.read()
    finally:
        watch.close()
