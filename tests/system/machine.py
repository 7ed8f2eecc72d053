"""A machine of a test's own: `scmd run` in scratch directories, and the commands against it.

Everything goes the way users go: the installed `scmd` command, real processes, real files. Only
waiting uses the client library, since it asks often.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from scmd.client.calls import open_calls
from scmd.client.scm import Scm, connect
from scmd.core.messages import SaveId
from scmd.linux.database import Database, SaveControl
from scmd.tools.events import all_lines
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ScmAccess, ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.system.installation import command, public_command

LIMIT_S = 30.0
_COMPLAINT = re.compile(r"ERROR|CRITICAL|Traceback|(manager|logger) is malformed")
SCMD = command()
UNIT = os.environ.get("SCMD_TEST_UNIT")
"""The cgroup that root's SCMs begin in, alone, as in a unit's; otherwise it is the test's own."""
_IN_UNIT = ("/bin/sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', UNIT) if UNIT else ()

T = TypeVar("T")


def eventually(condition: Callable[[], T | None], what: str) -> T:
    """Ask until the answer counts as true; that answer."""
    end = time.monotonic() + LIMIT_S
    delay = 0.001
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(delay)
        delay = min(2 * delay, 0.05)
    return answer


def is_gone(pid: int) -> bool:
    """Whether this process has ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Machine:
    """One SCM, its directories, and everything it has said on standard error.

    `user` is the uid it runs as, and its commands too unless told otherwise.
    """

    def __init__(self, folder: Path, user: int | None = None) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.runtime = folder / "run"
        self.user = user
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.more_environment: dict[str, str] = {}
        """Variables of the SCM only."""
        self.expected_complaints = ""
        """A pattern for the complaints on standard error that a test provokes."""
        self._said = threading.Condition()
        self._first_line = 0
        """Of what the present SCM has said and nobody has forgotten, among `lines`."""
        self._reader: threading.Thread | None = None
        self._scm: Scm | None = None
        self._events_before = 0

    # The SCM ------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "SCMD_STATE": str(self.state),
            "SCMD_RUNTIME": str(self.runtime),
        }

    def begin(self, *arguments: str) -> None:
        """`scmd run`; `await_ready` must follow."""
        assert self.process is None
        self._first_line = len(self.lines)
        self.process = subprocess.Popen(
            [
                *(_IN_UNIT if self.user is None else ()),
                *self._command(self.user),
                "run",
                *arguments,
            ],
            env={**self.environment, **self.more_environment, "SECRET_OF_THE_SCM": "1"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **_as_user(self.user),
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def start(self) -> Machine:
        self.begin()
        self.await_line("ready")
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                with self._said:
                    self.lines.append(line)
                    self._said.notify_all()
        with self._said:
            self.lines.append("(end)\n")
            self._said.notify_all()

    def await_line(self, pattern: str, count: int = 1) -> str:
        """The `count`th line of the present SCM's on standard error that matches."""

        def found() -> list[str]:
            lines = self.lines[self._first_line :]
            return [line for line in lines if re.search(pattern, line)]

        with self._said:
            self._said.wait_for(
                lambda: len(found()) >= count or "(end)\n" in self.lines, timeout=LIMIT_S
            )
            assert len(found()) >= count, f"no {pattern!r} in: {''.join(self.lines)}"
            return found()[count - 1]

    def stop(self) -> int:
        """Shut down in order; the keeper's exit status."""
        self.ask_to_stop()
        return self.await_end()

    def ask_to_stop(self) -> None:
        """Begin to shut down; `await_end` must follow."""
        assert self.process is not None
        self.process.terminate()

    def await_end(self) -> int:
        assert self.process is not None
        assert self._reader is not None
        try:
            status = self.process.wait(timeout=2 * LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(LIMIT_S)
        self.process, self._reader = None, None
        self.lines = [line for line in self.lines if line != "(end)\n"]
        self.disconnect()
        return status

    def restart(self) -> None:
        """Shut down and start again on the same state."""
        assert self.stop() == 0
        self.start()

    def crash(self) -> None:
        """SIGKILL to the keeper and, with it, to the manager; services may live on."""
        assert self.process is not None
        manager = self.scm.status()["manager_pid"]
        self.process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(str(manager)), signal.SIGKILL)
        self.await_end()
        # It may have noticed before it was killed too.
        self.lines = [line for line in self.lines if "the keeper is gone" not in line]

    def complaints(self) -> list[str]:
        return [
            line
            for line in self.lines
            if _COMPLAINT.search(line)
            and not (self.expected_complaints and re.search(self.expected_complaints, line))
        ]

    def set_control(self, **values: int | tuple[str, ...]) -> None:
        """SCM-wide values, while it does not run; times in milliseconds."""
        assert self.process is None
        self.state.mkdir(mode=0o700, exist_ok=True)
        outcome: list[Error] = []
        database = Database.open(self.state / "registry.db")
        change = SaveControl(
            SaveId(1), {name: RegistryValue.of(value) for name, value in values.items()}
        )
        database.submit(change, lambda _, error: outcome.append(error))
        database.close()
        assert outcome == [Error.SUCCESS]

    # Commands -----------------------------------------------------------------------------

    def run(
        self,
        *command: str,
        input: str | None = None,
        user: int | None = None,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Any program in the environment of this machine's users."""
        return subprocess.run(
            command,
            env=self.environment,
            cwd=folder or "/",
            text=True,
            capture_output=True,
            timeout=2 * LIMIT_S,
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),
            **_as_user(self.user if user is None else user),
        )

    def scmd(
        self, *arguments: str, status: int = 0, input: str | None = None, user: int | None = None
    ) -> str:
        """The standard output of a command that must end with this exit status."""
        done = self.try_scmd(*arguments, input=input, user=user)
        assert done.returncode == status, f"{arguments}: {done}"
        return done.stdout

    def try_scmd(
        self, *arguments: str, input: str | None = None, user: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of scmd, however it ends."""
        return self.run(*self._command(user), *arguments, input=input, user=user)

    def _command(self, user: int | None) -> tuple[str, ...]:
        others = user is not None or self.user is not None
        return public_command() if others else command()

    def sc(self, *arguments: str, status: int = 0, user: int | None = None) -> str:
        return self.scmd("sc", *arguments, status=status, user=user)

    def refused(self, *arguments: str, user: int | None = None) -> int:
        """The Win32 error with which a command of sc fails."""
        text = self.sc(*arguments, status=1, user=user)
        found = re.search(r"FAILED (\d+):", text)
        assert found, text
        return int(found[1])

    def json(self, *arguments: str, user: int | None = None) -> Any:
        return json.loads(self.scmd(*arguments, "--json", user=user))

    def install(self, name: str, *program: str, **parameters: str | int) -> None:
        """An unmodified program as a service, with some of its parameters."""
        self.scmd("install", name, "--", *program)
        if parameters:
            self.scm[name].parameters.update(parameters)

    def create(self, name: str, *program: str, kind: str = "own") -> None:
        """A program that speaks the control protocol as a service."""
        from scmd.vocabulary.command_line import join_command_line

        self.sc("create", name, "type=", kind, "binPath=", join_command_line(program))

    # Waiting and looking --------------------------------------------------------------------

    @property
    def scm(self) -> Scm:
        """A connection of the test's own, as this process's user."""
        if self._scm is None:
            with self.as_environment():
                self._scm = connect(timeout=LIMIT_S)
        return self._scm

    @contextlib.contextmanager
    def as_environment(self) -> Iterator[None]:
        """This process finds the SCM as the commands do."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def disconnect(self) -> None:
        if self._scm is not None:
            self._scm.close()
            self._scm = None

    def status(self, name: str) -> ServiceStatus:
        return self.scm[name].status

    def await_state(self, name: str, state: str) -> ServiceStatus:
        wanted = ServiceState[state]
        end = time.monotonic() + LIMIT_S
        while (status := self.status(name)).state != wanted:
            found = f"{name} is {ServiceState(status.state).name}, not {state}: {status}"
            assert time.monotonic() < end, found
            time.sleep(0.005)
        return status

    def await_gone(self, name: str) -> None:
        """Wait until there is no such service any more."""
        eventually(lambda: name not in self.scm, f"the end of {name}")

    def log(self, name: str) -> str:
        return self.scmd("logs", name)

    def await_log(self, name: str, pattern: str) -> re.Match[str]:
        """Wait until a service's captured output matches."""
        from scmd.client.management import read_log
        from scmd.vocabulary.service import ServiceAccess

        def find() -> re.Match[str] | None:
            with self.scm[name].opened(ServiceAccess.START) as handle:
                data = read_log(self.scm.calls, handle, 0).data
            return re.search(pattern, data.decode(errors="replace"))

        return eventually(find, f"{pattern!r} in the log of {name}")

    def events(self, id: int) -> list[dict[str, Any]]:
        """The events with this id so far, oldest first."""
        return [event for event in self.new(self._events()) if event["id"] == id]

    def new(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of them that are not forgotten."""
        return [event for event in events if event["number"] > self._events_before]

    def forget_past(self) -> None:
        """What has been said and logged by now is nothing to wait for or to find."""
        self._first_line = len(self.lines)
        self._events_before = max((event["number"] for event in self._events()), default=0)

    def _events(self) -> list[dict[str, Any]]:
        with self.as_environment(), open_calls() as calls:
            scm = calls.open_scm(ScmAccess.ENUMERATE_SERVICE)
            return [json.loads(line) for line in all_lines(calls, scm, None)]

    def await_event(self, id: int, *strings: str) -> dict[str, Any]:
        """Wait for an event with this id that has all these among its strings."""

        def find() -> dict[str, Any] | None:
            for event in self.events(id):
                if set(strings) <= set(event["strings"]):
                    return event
            return None

        return eventually(find, f"event {id} {strings}")

    # The end --------------------------------------------------------------------------------

    def left_over(self) -> list[str]:
        """The command lines of processes that have this machine's mark and still live."""
        mark = f"SCMD_RUNTIME={self.runtime}\0".encode()
        return [command for environment, command in _processes() if mark in environment]


@contextlib.contextmanager
def finished(machine: Machine) -> Iterator[Machine]:
    """A test with a machine: at its end the SCM is shut down as the machine's end would.

    It must have ended well and complained of nothing that the test did not provoke, and nothing
    of it may live on.
    """
    status = 0
    try:
        yield machine
        if machine.process is not None:
            status = machine.stop()
    finally:
        if machine.process is not None:
            machine.process.kill()
            machine.await_end()
        print("".join(machine.lines))
    assert status == 0
    assert machine.complaints() == []
    assert machine.left_over() == []


def _as_user(user: int | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _processes() -> Iterator[tuple[bytes, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes() + b"\0"
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            yield environment, command.decode(errors="replace").replace("\0", " ")
