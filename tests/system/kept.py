"""An SCM that tests hand on: each finds it as the first one did, or gets another.

To start one takes longer than most of what a test does with it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.system.machine import Machine, eventually, finished

_EMPTY = ("logs", "history", "crashes")
"""What is in these folders of the state belongs to services, and goes with them."""
_DONE = (
    *(Error.SERVICE_DOES_NOT_EXIST, Error.SERVICE_MARKED_FOR_DELETE),
    Error.SERVICE_NOT_ACTIVE,
)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    # Not tmp_path: other users must reach it, and a socket's path is short.
    with TemporaryDirectory(prefix="scmd-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


class Kept:
    """One SCM at most, empty when it is lent."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._machine: Machine | None = None
        self._first: object = None
        self._lines: list[str] = []

    def lend(self) -> Machine:
        if self._machine is None:
            folder = self._stack.enter_context(scratch_folder())
            machine = self._stack.enter_context(finished(Machine(folder)))
            machine.set_control(BuiltInServices=0)
            self._machine = machine.start()
            self._first = _lasting(machine)
            self._lines = machine.lines.copy()
        self._machine.forget_past()
        return self._machine

    def take_back(self) -> None:
        """Remove the test's services and files; end the SCM if that is not all it has changed."""
        machine = self._machine
        assert machine is not None
        is_as_first = False
        try:
            # An SCM that was ended, or lost its manager, has said so.
            if machine.process is not None and machine.lines == self._lines:
                _clear(machine)
                is_as_first = _lasting(machine) == self._first
        finally:
            if not is_as_first:
                self.end()

    def end(self) -> None:
        """Shut it down, if there is one."""
        self._machine = None
        self._stack.close()


def remove_services(machine: Machine, *spared: str) -> None:
    """All but these, with what runs of them."""
    machine.disconnect()
    for service in machine.scm.services():
        if service.name not in spared:
            _unless_done(service.delete)
            _unless_done(service.kill)
    eventually(lambda: len(machine.scm.services()) == len(spared), "the end of services")


def _unless_done(act: Callable[[], object]) -> None:
    try:
        act()
    except WinError as error:
        if error.winerror not in _DONE:
            raise


def _clear(machine: Machine) -> None:
    remove_services(machine)
    machine.disconnect()
    folders = [machine.state / name for name in _EMPTY]
    eventually(lambda: not any(map(_holds_files, folders)), "the end of the services' files")
    # The keeper, the manager and the logger.
    eventually(lambda: len(machine.left_over()) == 3, "the end of all processes")
    for path in machine.folder.iterdir():
        if path not in (machine.state, machine.runtime):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _holds_files(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _lasting(machine: Machine) -> object:
    """What an SCM keeps beyond its services: who runs it, its settings, its other files."""
    path = f"file:{machine.state / 'registry.db'}?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as database:
        keys = database.execute("SELECT parent, name, cells FROM keys ORDER BY id").fetchall()
    files = {path.name for path in machine.state.iterdir()} - {*_EMPTY}
    return machine.scm.status()["manager_pid"], machine.scm.status()["end_points"], keys, files
