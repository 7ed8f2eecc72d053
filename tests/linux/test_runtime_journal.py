"""The runtime journal's file: appended to, written anew, given up when it cannot be written."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scmd.core.memory import AutoStartMemory, LaunchMemory, LaunchOver, Memory, ServiceMemory
from scmd.core.shutdown import ShutdownMemory, ShutdownOrder
from scmd.linux import runtime_journal
from scmd.linux.runtime_journal import RuntimeJournal, owner_of, read
from scmd.storage.journal import Owner

OWNER = Owner("boot", "pid:[1]", "7 100")


def service(number: int, launch: int = 0) -> ServiceMemory:
    return ServiceMemory(number, (16, 4, 1, 0, 0, 0, 0, 4711, 0), launch)


class Told:
    """A journal, and what it would say if it were written anew."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / runtime_journal.NAME
        self.now: tuple[Memory, ...] = ()
        self.journal = RuntimeJournal(self.path, OWNER, lambda: self.now)

    def read(self) -> tuple[Memory, ...] | None:
        return read(self.path, OWNER)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    yield made
    made.journal.close()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_the_first_entry_writes_everything_and_the_others_are_added(told: Told) -> None:
    told.now = (service(1), service(2))
    told.journal.append([service(2)])
    more = (LaunchMemory(3, "PROGRAM", 1, "READY"), LaunchOver(3), AutoStartMemory(((1, 2),)))
    told.journal.append(more)
    assert told.read() == (service(1), service(2), *more)


def test_a_shutdown_is_read_as_this_and_earlier_versions_write_it(told: Told) -> None:
    told.now = (ShutdownOrder(((2,), (3, 4))), ShutdownMemory("PRESHUTDOWN", None, 0, 2))
    told.journal.append([])
    with told.path.open("ab") as file:
        file.write(b'D{"phase":"PRESHUTDOWN","queue":[[3,4]],"due":null,"ended":9}\n')
    earlier = ShutdownMemory("PRESHUTDOWN", None, 9, queue=((3, 4),))
    assert told.read() == (*told.now, earlier)


def test_it_is_private(told: Told) -> None:
    told.journal.append([])
    assert told.path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_read_where_nothing_is(told: Told) -> None:
    assert told.read() is None


def test_a_new_manager_s_first_entry_replaces_what_it_adopted(told: Told) -> None:
    told.now = (service(1),)
    told.journal.append([])
    second = RuntimeJournal(told.path, OWNER, lambda: (service(2),))
    assert told.read() == (service(1),)
    second.append([])
    second.close()
    assert told.read() == (service(2),)


def test_it_is_written_anew_when_it_has_grown(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_journal, "LEAST_SIZE", 1000)
    told.now = (service(1),)
    for number in range(100):
        told.now = (service(1, launch=number),)
        told.journal.append(told.now)
        assert told.path.stat().st_size < 3000
        entries = told.read()
        assert entries is not None
        assert entries[-1] == told.now[0]


def test_a_journal_that_cannot_be_written_is_removed_and_comes_back(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.now = (service(1),)
    told.journal.append([])
    with full_disk(told.path.stat().st_size + 10):
        told.journal.append([service(1)])
        assert told.read() is None
        told.now = tuple(service(number) for number in range(100))
        told.journal.append([service(1)])
    assert caplog.text.count("cannot be written") == 1
    told.journal.append([service(2)])
    assert told.read() == told.now


def test_the_owner_is_this_keeper_of_this_boot() -> None:
    mine = owner_of("boot", os.getpid())
    assert mine == owner_of("boot", os.getpid())
    assert mine.keeper.split()[0] == str(os.getpid())
    assert mine != owner_of("boot", os.getppid())
    with pytest.raises(OSError):
        owner_of("boot", 0)
