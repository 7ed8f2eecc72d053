"""scmd init: pid 1 of a container; here of a pid namespace, as root and as other users."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.installation import NOBODY, command, public_command
from tests.system.machine import LIMIT_S, Machine, eventually, finished

SHELL = "/bin/sh"
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")

TELLS_SIGNALS = """
import signal
awaited = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
print("up", flush=True)
while True:
    print(int(signal.sigwait(awaited)), flush=True)
"""
MAKES_ORPHANS = """
import os
def states():
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            yield open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[:2]
        except OSError:
            pass
for _ in range(50):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
        os._exit(0)
    os.wait()
while any(state == ["Z", "1"] for state in states()):
    pass
print("clean")
"""


class Container:
    """`scmd init` as a child of this process, perhaps in a pid namespace of its own."""

    def __init__(self, machine: Machine, *arguments: str, within: tuple[str, ...] = NAMESPACE):
        self._within = within
        scmd = public_command() if "setpriv" in within else command()
        with (machine.folder / "out").open("wb") as out, (machine.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [*within, *scmd, "init", *arguments],
                env={**machine.environment, "GREETING": "hello"},
                cwd=machine.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self._folder = machine.folder

    @property
    def init(self) -> int:
        """The pid of init as it is seen from here."""
        if "unshare" not in self._within:
            return self.process.pid
        return eventually(lambda: children(self.process.pid), "the namespace's first process")[0]

    def output(self) -> str:
        return (self._folder / "out").read_text()

    def errors(self) -> str:
        return (self._folder / "err").read_text()

    def await_output(self, text: str) -> None:
        eventually(lambda: text in self.output(), f"{text!r} in the output")

    def await_error(self, text: str) -> None:
        eventually(lambda: text in self.errors(), f"{text!r} on standard error")

    def end(self) -> int:
        return self.process.wait(2 * LIMIT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


Run = Callable[..., Container]


@pytest.fixture
def run(folder: Path) -> Iterator[Run]:
    containers: list[Container] = []

    def begin(*arguments: str, **options: Any) -> Container:
        containers.append(Container(Machine(folder), *arguments, **options))
        return containers[-1]

    yield begin
    for container in containers:
        container.close()
        print(container.errors())


@pytest.mark.root
@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -SEGV $$", 128 + 11)]
)
def test_init_ends_as_the_program_does(run: Run, script: str, status: int) -> None:
    assert run("--", SHELL, "-c", script).end() == status


@pytest.mark.root
def test_output_goes_to_standard_output_and_to_the_log(run: Run, folder: Path) -> None:
    container = run("--", SHELL, "-c", "echo out; echo $GREETING from $PWD >&2")
    assert container.end() == 0
    assert container.output() == f"out\nhello from {folder}\n"
    (log,) = (folder / "state" / "logs").glob("*.log")
    assert log.read_text() == container.output()


@pytest.mark.root
def test_sigterm_shuts_down_and_the_program_s_answer_is_the_exit_status(run: Run) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo up; sleep 1000 & wait"
    container = run("--", SHELL, "-c", script)
    container.await_output("up")
    os.kill(container.init, signal.SIGTERM)
    assert container.end() == 3
    assert container.output() == "up\nbye\n"


@pytest.mark.root
def test_a_program_that_dies_of_the_signal_is_143(run: Run) -> None:
    container = run("--", SHELL, "-c", "echo up; exec sleep 1000")
    container.await_output("up")
    os.kill(container.init, signal.SIGINT)
    assert container.end() == 128 + signal.SIGTERM


@pytest.mark.root
def test_other_signals_go_to_the_program(run: Run) -> None:
    container = run("--", sys.executable, "-c", TELLS_SIGNALS)
    container.await_output("up")
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
        os.kill(container.init, number)
        container.await_output(f"\n{int(number)}\n")
    os.kill(container.init, signal.SIGTERM)
    assert container.end() == 128 + signal.SIGTERM


@pytest.mark.root
def test_orphans_are_reaped(run: Run) -> None:
    container = run("--", sys.executable, "-c", MAKES_ORPHANS)
    assert container.end() == 0
    assert container.output() == "clean\n"


@pytest.mark.root
def test_the_program_survives_a_manager_that_is_killed(run: Run) -> None:
    container = run("--", SHELL, "-c", "trap 'exit 6' USR1; echo up; sleep 1000 & wait")
    container.await_output("up")
    container.await_error("ready")
    (manager,) = [pid for pid in children(container.init) if is_manager(pid)]
    os.kill(manager, signal.SIGKILL)
    container.await_error("ready again")
    os.kill(container.init, signal.SIGUSR1)
    assert container.end() == 6


def is_manager(pid: int) -> bool:
    return b"scmd.daemon.manager" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.root
def test_any_uid_will_do_and_no_directory_is_needed(run: Run, folder: Path) -> None:
    private = folder / "tmp"
    private.mkdir()
    private.chmod(0o1777)
    inside = ("env", "-u", "SCMD_STATE", "-u", "SCMD_RUNTIME", f"TMPDIR={private}")
    strange = ("XDG_RUNTIME_DIR=/nonexistent", *AS_NOBODY, "--no-new-privs")
    container = run(
        "--", SHELL, "-c", "id -u; ls $SCMD_RUNTIME", within=(*NAMESPACE, *inside, *strange)
    )
    assert container.end() == 0
    user, *runtime = container.output().split()
    assert user == str(NOBODY)
    assert "scm.sock" in runtime
    assert list(private.iterdir()) == []


@pytest.mark.root
def test_a_user_namespace_will_do(run: Run, folder: Path) -> None:
    folder.chmod(0o777)
    within = (*AS_NOBODY, "unshare", "--user", "--map-root-user", *NAMESPACE[1:])
    assert run("--", SHELL, "-c", "exit 9", within=within).end() == 9


@pytest.mark.root
def test_a_proc_of_another_namespace_is_refused(run: Run) -> None:
    container = run("--", "true", within=("unshare", "--pid", "--fork", "--kill-child"))
    assert container.end() == 1
    assert "/proc is not of this pid namespace" in container.errors()


READ_ONLY = """
for place in / /tmp /var/tmp /run; do
    mount --bind $place $place; mount -o remount,bind,ro $place || exit 99
done
mount -t tmpfs -o mode=700 disk "$0"; cd /tmp; exec "$@"
"""


@pytest.mark.root
@pytest.mark.peers("unshare")
@pytest.mark.parametrize(
    ("command_line", "expected"),
    [
        (("init", "--", "true"), "scmd init: no directory can be made in /tmp or /var/tmp: "),
        (("init",), "scmd init: no directory can be made in /tmp or /var/tmp: "),
        (("demo",), "scmd demo: no directory can be made in /tmp or /var/tmp: "),
        (("run", "--state", "{here}/new"), "cannot create {here}/new: "),
        (("run", "--state", "{here}"), "{here} cannot be written; --state names a directory"),
        (
            ("init", "--state", "{here}/disk", "--runtime", "{here}/new"),
            "cannot create {here}/new: Read-only file system; --runtime names a directory that",
        ),
        (
            ("run", "--state", "{here}/disk", "--runtime", "{here}"),
            "{here} cannot be written; --runtime names a directory that can",
        ),
    ],
)
def test_where_nothing_can_be_written_that_is_said(
    folder: Path, command_line: tuple[str, ...], expected: str
) -> None:
    (folder / "disk").mkdir()
    said = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private", "--"),
            *("sh", "-c", READ_ONLY, str(folder / "disk"), *command()),
            *(word.format(here=folder) for word in command_line),
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert expected.format(here=folder) in said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize(("program", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_run_is_said_as_shells_do(
    run: Run, program: str, status: int
) -> None:
    container = run("--", program, within=())
    assert container.end() == status
    assert program in container.errors()


def test_without_a_program_the_database_says_what_is_essential(run: Run, folder: Path) -> None:
    container = run(within=())
    container.await_error("ready")
    machine = Machine(folder)
    machine.install("side", SHELL, "-c", "echo beside; exec sleep 1000")
    machine.install("web", SHELL, "-c", "echo inside; exit 5")
    machine.scmd("set", "web", "AppEssential", "1")
    machine.sc("start", "side")
    container.await_output("side: beside\n")
    # The SCM may be gone before sc has its answer.
    machine.try_scmd("sc", "start", "web")
    assert container.end() == 5
    assert "inside\n" in container.output().splitlines(keepends=True)


def test_a_second_life_keeps_what_was_configured(folder: Path, run: Run) -> None:
    assert run("--", SHELL, "-c", "exit 1", within=()).end() == 1
    with finished(Machine(folder)) as machine:
        machine.start()
        machine.sc("description", "main", "kept")
        machine.scmd("set", "main", "AppStopTime", "1234")
    container = run("--", SHELL, "-c", "exec sleep 1000", within=())
    container.await_error("ready")
    machine = Machine(folder)
    assert "kept" in machine.sc("qdescription", "main")
    parameters = json.loads(machine.scmd("get", "main", "--json"))
    assert parameters["AppStopTime"] == 1234
    machine.await_state("main", "RUNNING")
    machine.disconnect()
    container.process.terminate()
    assert container.end() == 128 + signal.SIGTERM
