"""What an older manager has written down, as it did, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scmd.core.messages import LaunchId, ServiceId, Settings, StoredService
from scmd.core.messages.effects import StartProbe
from scmd.core.messages.events import Adopted, HeldLaunch
from scmd.linux import runtime_journal
from scmd.storage.journal import Owner, header
from scmd.vocabulary.service import ServiceState
from tests.core.bench import PID, Bench

OWNER = Owner("boot", "pid:[1]", "7 100")
# Of the first manager that could be replaced; it did not say what a program is asked.
LINES = b"""\
L{"launch":1,"kind":"PROGRAM","owner":1,"phase":"READY","process_id":4711,"cause":"",\
"share_key":null,"account":"","services":[],"table":[],"starting":0,"drained":false}
S{"service":1,"status":[16,2,5,0,0,0,60000,4711,0],"launch":1,"attempt":null,"launching":false,\
"stage":"READYING","hook":0,"deadline":60000,"failures":2,"hung":false,"restart":false,\
"started_at":100,"stop_asked":false,"recovery":null,"process_exit":null}
"""


def adopted(folder: Path, lines: bytes, **values: str) -> Bench:
    """A manager of today, where a service with these Parameters was getting ready."""
    before = Bench()
    before.create_hosted(**values)
    [record] = (each for each in before.scm.state.records.values() if each.id == 1)
    stored = StoredService(record.id, record.config, record.parameters, record.deleted)
    path = folder / runtime_journal.NAME
    path.write_bytes(header(OWNER) + lines)
    entries = runtime_journal.read(path, OWNER)
    assert entries is not None
    held = HeldLaunch(LaunchId(1), ServiceId(1), PID, control_channel=False)
    settings = Settings(first_launch=1_000_001)
    return Bench([stored], settings, Adopted(entries, (held,)), now=1_000)


def test_a_program_is_asked_what_its_parameters_say(tmp_path: Path) -> None:
    bench = adopted(tmp_path, LINES, AppReady="tcp:80")
    assert bench.one(StartProbe).launch == 1
    [record] = (each for each in bench.scm.state.records.values() if each.id == 1)
    assert (record.status.state, record.failures) == (ServiceState.START_PENDING, 2)


@pytest.mark.parametrize(
    "lines",
    [LINES, LINES.replace(b'"failures":2', b'"health":[["AppReady","telepathy"]],"failures":2')],
    ids=["nothing", "unknown"],
)
def test_a_program_that_nothing_can_be_asked_counts_as_ready(tmp_path: Path, lines: bytes) -> None:
    bench = adopted(tmp_path, lines)
    status = bench.queried(bench.open("A"))
    assert (status.state, status.process_id) == (ServiceState.RUNNING, PID)
