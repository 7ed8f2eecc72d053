"""A crowd of services that change state on demand, and watchers of many services at a time.

The test of many requests and the benchmark `many_requests` share it.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from scmd.client.calls import open_calls
from scmd.client.status_requests import StatusRequests
from scmd.core.messages import SaveId, ServiceId
from scmd.core.messages.effects import SaveRecord
from scmd.linux.database import Database
from scmd.vocabulary.command_line import join_command_line
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import NotifyMask, ScmAccess, ServiceAccess, ServiceType
from scmd.vocabulary.winerror import WinError
from tests.system import programs
from tests.system.machine import Machine

A_CONNECTION = 100
"""Requests on each."""
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


def fill(path: Path, services: int, command: str) -> None:
    """The database with all services, by the SCM's own writer."""
    database = Database.open(path)
    outcome: list[Error] = []
    for index in range(services):
        config = ServiceConfig(
            name=name_of(index),
            display_name=name_of(index),
            type=ServiceType.WIN32_SHARE_PROCESS,
            image_path=command,
        )
        change = SaveRecord(SaveId(index + 1), ServiceId(index + 1), config, {})
        database.submit(change, lambda _, error: outcome.append(error))
    database.close()
    assert outcome == [Error.SUCCESS] * services


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
            for params in outcome:
                self._told(index, params.service_status.state)

    def settle(self) -> None:
        """Come back when the server has taken all that was asked, and has said what it had to."""
        name = name_of(next(iter(self._handles)))
        self._requests.open_service(self._scm, name, ServiceAccess.QUERY_STATUS)

    def close(self) -> None:
        self._requests.close()
        self._thread.join()


class Crowd:
    """An SCM with `services`, of which the first `changing` are run by one process.

    A context manager that prepares the database, starts the SCM, and ends the process.
    """

    def __init__(self, machine: Machine, services: int, changing: int) -> None:
        self._machine = machine
        self._services = services
        self._changing = changing
        self._fifo = machine.folder / "fifo"
        self._end = -1

    def __enter__(self) -> Self:
        os.mkfifo(self._fifo)
        program = programs.write(self._machine.folder, "crowd.py", CROWD)
        self._machine.set_control(BuiltInServices=0)
        command = (programs.PYTHON, program, str(self._fifo), str(self._changing))
        fill(self._machine.state / "registry.db", self._services, join_command_line(command))
        self._machine.start()
        # It is opened for both: the program opens its end when it starts.
        self._end = os.open(self._fifo, os.O_RDWR | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._end)

    def watch(self, told: Callable[[int, int], None]) -> list[Watcher]:
        """A request for each of the services; `told` is called in the watchers' threads."""
        firsts = range(0, self._services, A_CONNECTION)
        return [Watcher(range(first, first + A_CONNECTION), told) for first in firsts]

    def start(self) -> None:
        with open_calls() as calls:
            scm = calls.open_scm(ScmAccess.CONNECT)
            for index in range(self._changing):
                service = calls.open_service(scm, name_of(index), ServiceAccess.START)
                calls.start_service(service, ())
                calls.close_handle(service)

    def change(self, *indexes: int) -> None:
        """Have each report its other state, RUNNING or PAUSED."""
        os.write(self._end, struct.pack(f"<{len(indexes)}I", *indexes))

    def requests(self) -> int:
        """How many the SCM keeps."""
        counts = self._machine.scm.status()["counts"]
        assert isinstance(counts, dict)
        return int(counts["notification_requests"])
