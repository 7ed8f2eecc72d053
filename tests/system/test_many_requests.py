"""Many requests at once: each change is told on its request, once, however many others there are.

A tenth of what the SCM is made for, unless SCMD_TEST_SERVICES says how many services: 10,000 with
as many requests outstanding, on a hundred connections. A tenth of the services change their
state again and again, each as soon as its last change was told and its next request is made.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scmd.client.calls import Calls, open_calls
from scmd.client.status_requests import StatusRequests
from scmd.core.messages import SaveId, ServiceId
from scmd.core.messages.effects import SaveRecord
from scmd.linux.database import Database
from scmd.vocabulary.command_line import join_command_line
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import NotifyMask, ScmAccess, ServiceAccess, ServiceState, ServiceType
from scmd.vocabulary.winerror import WinError
from tests.system import programs
from tests.system.machine import Machine

SERVICES = int(os.environ.get("SCMD_TEST_SERVICES", "1000"))
A_CONNECTION = 100
"""Requests on each."""
CHANGING = SERVICES // 10
CHANGES = 10
"""Of each service that changes, after it has started."""
PATIENCE_S = 50 + SERVICES / 20
MASK = NotifyMask.RUNNING | NotifyMask.PAUSED

# One process for all services that change, without a thread for each: the number of one in the
# FIFO is to change its state, the FIFO's end is to end them all.
CROWD = """\
import os, select, socket, struct, sys

channel = socket.socket(fileno=int(os.environ["SCMD_CONTROL_FD"]))
fifo = os.open(sys.argv[1], os.O_RDONLY)
numbers, states, sequences = {}, {}, {}


def packet(kind, body):
    channel.send(struct.pack("<BBH", kind, 0, 0) + body)


def report(index, state):
    states[index], sequences[index] = state, sequences.get(index, 0) + 1
    fields = (0x20, state, 1 if state != 1 else 0, 0, 0, 0, 0)
    packet(5, struct.pack("<IQ7I", numbers[index], sequences[index], *fields))


names = [b"S%05d" % index for index in range(int(sys.argv[2]))]
table = b"".join(struct.pack("<I", len(name)) + name for name in names)
packet(1, struct.pack("<II", 1, len(names)) + table)
while True:
    readable = select.select([channel, fifo], [], [])[0]
    if channel in readable:
        data = channel.recv(32768)
        if data[0] == 130:
            number, _, length = struct.unpack_from("<III", data, 4)
            index = int(data[17 : 16 + length])
            numbers[index] = number
            packet(2, struct.pack("<II", number, 0))
            packet(3, struct.pack("<I", number))
            report(index, 4)
    if fifo in readable:
        asked = os.read(fifo, 4096)
        if not asked:
            break
        for index, in struct.iter_unpack("<I", asked):
            report(index, 11 - states[index])
for index in numbers:
    report(index, 1)
"""


def name_of(index: int) -> str:
    return f"S{index:05}"


def fill(path: Path, command: str) -> None:
    """The database with all services, by the SCM's own writer."""
    database = Database.open(path)
    outcome: list[Error] = []
    for index in range(SERVICES):
        config = ServiceConfig(
            name=name_of(index),
            display_name=name_of(index),
            type=ServiceType.WIN32_SHARE_PROCESS,
            image_path=command,
        )
        change = SaveRecord(SaveId(index + 1), ServiceId(index + 1), config, {})
        database.submit(change, lambda _, error: outcome.append(error))
    database.close()
    assert outcome == [Error.SUCCESS] * SERVICES


class Watcher:
    """One connection with a request for each of some services, made again when it was told."""

    def __init__(self, indexes: range, told: Callable[[int, int], None]) -> None:
        self._told = told
        calls = open_calls()
        self._scm = calls.open_scm(ScmAccess.CONNECT)
        self._handles = {
            index: calls.open_service(self._scm, name_of(index), ServiceAccess.QUERY_STATUS)
            for index in indexes
        }
        self._requests = StatusRequests(calls)
        for index, handle in self._handles.items():
            self._requests.ask(index, handle, MASK)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            told = self._requests.next()
            assert told is not None
            index, outcome = told
            if isinstance(outcome, WinError):
                return  # The connection is closed.
            assert isinstance(index, int)
            self._requests.ask(index, self._handles[index], MASK)
            self._told(index, outcome.service_status.state)

    def settle(self) -> None:
        """Come back when the server has taken all that was asked, and has said what it had to."""
        name = name_of(next(iter(self._handles)))
        self._requests.open_service(self._scm, name, ServiceAccess.QUERY_STATUS)

    def close(self) -> None:
        self._requests.close()
        self._thread.join()


class Crowd:
    """The services that change, what was told of each, and who changes it next."""

    def __init__(self, fifo: Path) -> None:
        self.told: list[list[int]] = [[] for _ in range(SERVICES)]
        self.is_done = threading.Event()
        self._left = CHANGING
        self._lock = threading.Lock()
        self._fifo = fifo
        self._end = -1

    @contextmanager
    def started(self, calls: Calls) -> Iterator[None]:
        # It is opened for both: the program opens its end when it starts.
        self._end = os.open(self._fifo, os.O_RDWR)
        try:
            scm = calls.open_scm(ScmAccess.CONNECT)
            for index in range(CHANGING):
                service = calls.open_service(scm, name_of(index), ServiceAccess.START)
                calls.start_service(service, ())
                calls.close_handle(service)
            yield
        finally:
            os.close(self._end)

    def hear(self, index: int, state: int) -> None:
        """In a watcher's thread, with the next request on its way."""
        told = self.told[index]
        told.append(state)
        if len(told) <= CHANGES:
            os.write(self._end, struct.pack("<I", index))
            return
        with self._lock:
            self._left -= 1
            if not self._left:
                self.is_done.set()


@pytest.mark.timeout(2 * PATIENCE_S)
def test_each_change_is_told_once(bare: Machine) -> None:
    machine, fifo = bare, bare.folder / "fifo"
    os.mkfifo(fifo)
    program = programs.write(machine.folder, "crowd.py", CROWD)
    machine.set_control(BuiltInServices=0)
    command = join_command_line((programs.PYTHON, program, str(fifo), str(CHANGING)))
    fill(machine.state / "registry.db", command)
    machine.start()
    crowd = Crowd(fifo)
    with machine.as_environment(), ExitStack() as stack:
        watchers = [
            Watcher(range(first, first + A_CONNECTION), crowd.hear)
            for first in range(0, SERVICES, A_CONNECTION)
        ]
        for watcher in watchers:
            stack.callback(watcher.close)
            watcher.settle()
        assert requests(machine) == SERVICES
        began = time.monotonic()
        stack.enter_context(crowd.started(stack.enter_context(open_calls())))
        assert crowd.is_done.wait(PATIENCE_S)
        took = time.monotonic() - began
        for watcher in watchers:
            watcher.settle()
        # As many as at first: none is lost, and none is kept that is over.
        assert requests(machine) == SERVICES
    running, paused = int(ServiceState.RUNNING), int(ServiceState.PAUSED)
    expected = [running, *[paused, running] * (CHANGES // 2)]
    assert crowd.told == [expected] * CHANGING + [[]] * (SERVICES - CHANGING)
    print(f"{CHANGING * (1 + CHANGES) / took:.0f} changes a second, the starts among them")
    machine.await_state(name_of(CHANGING - 1), "STOPPED")


def requests(machine: Machine) -> object:
    counts = machine.scm.status()["counts"]
    assert isinstance(counts, dict)
    return counts["notification_requests"]
