"""What the sentences about NotifyServiceStatusChange are tried with: services, and who is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scmd import winsvc
from scmd.client.sc_handle import ScHandle
from scmd.vocabulary.winerror import WinError
from scmd.winsvc import ServiceNotify
from tests.system import programs
from tests.system.machine import Machine, eventually

PATIENCE = 60_000
"""Milliseconds; as much as for ever."""
STATES = {
    "STOPPED": 0x01,
    "START_PENDING": 0x02,
    "STOP_PENDING": 0x04,
    "RUNNING": 0x08,
    "CONTINUE_PENDING": 0x10,
    "PAUSE_PENDING": 0x20,
    "PAUSED": 0x40,
}
STOPPED, RUNNING, PAUSED = STATES["STOPPED"], STATES["RUNNING"], STATES["PAUSED"]
CREATED, DELETED, DELETE_PENDING = 0x080, 0x100, 0x200


class Told:
    """What a callback was told, one entry a call."""

    def __init__(self) -> None:
        self.buffer = ServiceNotify(self.callback)
        self.masks: list[int] = []
        self.states: list[int] = []
        self.names: list[str] = []
        self.errors: list[int] = []
        self.threads: list[int] = []

    def callback(self, buffer: ServiceNotify) -> None:
        self.masks.append(buffer.notification_triggered)
        self.states.append(buffer.service_status.state)
        self.names.extend(buffer.service_names)
        self.errors.append(buffer.notification_status)
        self.threads.append(threading.get_ident())

    def ask(self, handle: ScHandle, mask: int) -> Told:
        winsvc.NotifyServiceStatusChange(handle, mask, self.buffer)
        return self

    def again(self, handle: ScHandle, mask: int) -> None:
        """Ask, and wait until it has been told."""
        before = len(self.masks)
        self.ask(handle, mask)
        self.hear(before + 1)

    def hear(self, count: int = 1) -> None:
        while len(self.masks) < count:
            assert winsvc.SleepEx(PATIENCE, True) == winsvc.WAIT_IO_COMPLETION


class Stage:
    """An SCM as a program sees it, with services that go where they are sent."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._handles: list[ScHandle] = []
        self.manager = self.open_manager()
        self._program = programs.write(machine.folder, "obedient.py", programs.OBEDIENT)
        self._running: list[ScHandle] = []

    def create(self, name: str, type: int = winsvc.SERVICE_WIN32_OWN_PROCESS) -> ScHandle:
        command = f'"{programs.PYTHON}" "{self._program}" {name}'
        made = winsvc.CreateService(
            self.manager, name, None, winsvc.SERVICE_ALL_ACCESS, type, 3, 1, command
        )
        assert isinstance(made, ScHandle)
        self._handles.append(made)
        return made

    def open(self, name: str, access: int = winsvc.SERVICE_QUERY_STATUS) -> ScHandle:
        self._handles.append(winsvc.OpenService(self.manager, name, access))
        return self._handles[-1]

    def open_manager(self, access: int = winsvc.SC_MANAGER_ALL_ACCESS) -> ScHandle:
        """On a connection of its own."""
        self._handles.append(winsvc.OpenSCManager(None, None, access))
        return self._handles[-1]

    def run(self, name: str, type: int = winsvc.SERVICE_WIN32_OWN_PROCESS) -> ScHandle:
        service = self.create(name, type)
        winsvc.StartService(service)
        self._running.append(service)
        winsvc.WaitServiceState(service, winsvc.SERVICE_NOTIFY_RUNNING)
        return service

    def enter(self, service: ScHandle, state: int) -> None:
        """Have a running service report a state, and that it is running again (not of STOPPED)."""
        winsvc.ControlService(service, 128 + state)

    def stop(self, service: ScHandle) -> None:
        winsvc.ControlService(service, winsvc.SERVICE_CONTROL_STOP)
        winsvc.WaitServiceState(service, winsvc.SERVICE_NOTIFY_STOPPED)
        self._running.remove(service)

    def requests(self) -> int:
        """How many the SCM keeps."""
        count = self.machine.scm.status()["counts"]["notification_requests"]  # type: ignore[index] # JSON
        assert isinstance(count, int)
        return count

    def await_requests(self, count: int) -> None:
        """0 at first: those of an earlier check end with its connections."""
        eventually(lambda: self.requests() == count, f"{count} requests")

    def close(self) -> None:
        for service in list(self._running):
            self.stop(service)
        for handle in self._handles:
            handle.Close()


@contextmanager
def refused(*errors: int) -> Iterator[None]:
    with pytest.raises(WinError) as raised:
        yield
    assert raised.value.winerror in errors
