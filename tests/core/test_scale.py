"""What is done with every service costs the core as much for each, however many there are.

Counted, not timed: the lines of the core that are executed, which are always the same.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from scmd.core.messages import HandleId, ServiceId, Settings, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    Command,
    CreateService,
    DeleteService,
    StartService,
)
from scmd.core.messages.effects import (
    Effect,
    KillProcess,
    LaunchProcess,
    RemoveRecord,
    SaveRecord,
    SendControl,
    SendStart,
    ShutdownCompleted,
    SignalProcess,
)
from scmd.core.messages.events import (
    Adopted,
    AssociationEnded,
    AutoStart,
    ControlAnswered,
    DispatcherConnected,
    Event,
    HeldLaunch,
    ProcessExited,
    ProcessStarted,
    RecordSaved,
    Shutdown,
    StartAnswered,
    StatusReported,
)
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.core.bench import ALL, Bench

FEW, MANY = 30, 120
STOP_AND_SHUTDOWN, PRESHUTDOWN = 0x5, 0x100
PROGRAM = {"Application": RegistryValue.of("/bin/program")}


class Crowd:
    """Services whose processes behave well, and a disk; all are asked before anyone answers."""

    def __init__(
        self,
        stored: list[StoredService],
        accepted: int = STOP_AND_SHUTDOWN,
        settings: Settings | None = None,
    ) -> None:
        self.bench = Bench(stored, settings)
        self._accepted = accepted
        self._lines = 0

    def tell(self, *messages: Command | Event) -> int:
        """Tell these, and then what follows from them; the lines of the core that it took."""
        self.bench.saving = False
        self._lines = 0
        coming = deque(messages)
        while coming:
            sys.settrace(self._count)
            try:
                effects = self.bench.tell(coming.popleft())
            finally:
                sys.settrace(None)
            for effect in effects:
                coming.extend(self._answers(effect))
        return self._lines

    def _count(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        """As a trace function: of frames of the core, and of their lines."""
        if event == "line":
            self._lines += 1
        return self._count if "/scmd/core/" in frame.f_code.co_filename else None

    def _answers(self, effect: Effect) -> Iterator[Event]:
        match effect:
            case SaveRecord(save=save) | RemoveRecord(save=save):
                yield RecordSaved(save)
            case LaunchProcess(launch=launch, spec=spec):
                yield ProcessStarted(launch, launch)
                if spec.control_channel:
                    yield DispatcherConnected(launch, (spec.name,))
            case SendStart(launch=launch, service=service):
                yield StartAnswered(launch, service, 0)
                yield StatusReported(launch, service, self._status(ServiceState.RUNNING))
            case SendControl(launch=launch, service=service, control=control):
                yield ControlAnswered(launch, control, 0)
                yield StatusReported(launch, service, self._status(ServiceState.STOP_PENDING))
                yield StatusReported(launch, service, self._status(ServiceState.STOPPED))
                yield ProcessExited(launch, 0, None)
            case SignalProcess(launch=launch) | KillProcess(launch=launch):
                yield ProcessExited(launch, None, 15)

    def _status(self, state: ServiceState) -> ServiceStatus:
        return ServiceStatus(state=state, controls_accepted=self._accepted)

    def open_all(self) -> list[HandleId]:
        names = [record.config.name for record in self.bench.scm.state.records.values()]
        return [self.bench.open(name) for name in names]

    @property
    def running(self) -> int:
        return self.bench.scm.counts()["running"]

    @property
    def services(self) -> int:
        return self.bench.scm.counts()["services"]


def programs(count: int) -> list[StoredService]:
    return [StoredService(ServiceId(id), config(id, "srvany"), PROGRAM) for id in numbers(count)]


def processes(count: int) -> list[StoredService]:
    return [StoredService(ServiceId(id), config(id, f"/bin/{id}"), {}) for id in numbers(count)]


def numbers(count: int) -> range:
    return range(1, count + 1)


def config(id: int, image_path: str) -> ServiceConfig:
    """The service of that number, AUTO_START; each but the tenth needs the one before it."""
    needed = () if id % 10 == 1 else (f"S{id - 1}",)
    return ServiceConfig(
        name=f"S{id}",
        display_name=f"S{id}",
        start_type=2,
        image_path=image_path,
        account="LocalSystem",
        dependencies=needed,
    )


def boot(stored: list[StoredService]) -> int:
    crowd = Crowd(stored)
    lines = crowd.tell(AutoStart())
    assert crowd.running == len(stored)
    return lines


def start_with_all_others(count: int) -> int:
    members = [
        StoredService(each.id, each.config.replace(start_type=3, load_order_group="G"), PROGRAM)
        for each in programs(count)
    ]
    crowd = Crowd(members)
    top = crowd.bench.create_hosted("Top", dependencies=("+G",))
    lines = crowd.tell(StartService(crowd.bench.call(), top))
    assert crowd.running == count + 1
    return lines


def shut_down(
    stored: list[StoredService],
    accepted: int = STOP_AND_SHUTDOWN,
    settings: Settings | None = None,
) -> int:
    crowd = Crowd(stored, accepted, settings)
    crowd.tell(AutoStart())
    assert crowd.running == len(stored)
    lines = crowd.tell(Shutdown())
    assert crowd.bench.found(ShutdownCompleted)
    return lines


def shut_down_in_order(count: int) -> int:
    stored = processes(count)
    names = tuple(service.config.name for service in stored)
    return shut_down(stored, PRESHUTDOWN, Settings(preshutdown_order=names))


def adopt(stored: list[StoredService]) -> int:
    old = Crowd(stored)
    old.tell(AutoStart())
    held = tuple(
        HeldLaunch(launch.id, launch.owner.id, launch.process_id, launch.spec.control_channel)
        for launch in old.bench.scm.state.launches.values()
    )
    new = Crowd(stored)
    lines = new.tell(Adopted(tuple(old.bench.journal), held))
    assert new.running == len(stored)
    return lines


def create(count: int) -> int:
    crowd = Crowd([])
    scm, call = crowd.bench.handle, crowd.bench.call
    new = [CreateService(call(), scm, config(id, "srvany"), ALL) for id in numbers(count)]
    lines = crowd.tell(*new)
    assert crowd.services == count
    return lines


def change(count: int) -> int:
    crowd = Crowd(programs(count))
    call = crowd.bench.call
    lines = crowd.tell(
        *(ChangeConfig(call(), handle, dependencies=("S0",)) for handle in crowd.open_all())
    )
    records = crowd.bench.scm.state.records.values()
    assert all(record.config.dependencies == ("S0",) for record in records)
    return lines


def delete(count: int) -> int:
    crowd = Crowd(programs(count))
    call = crowd.bench.call
    marked = [DeleteService(call(), handle) for handle in crowd.open_all()]
    lines = crowd.tell(*marked, AssociationEnded(marked[0].call.association))
    assert crowd.services == 0
    return lines


CASES: dict[str, Callable[[int], int]] = {
    "boot of programs": lambda count: boot(programs(count)),
    "boot of processes": lambda count: boot(processes(count)),
    "start of what needs all others": start_with_all_others,
    "shutdown of programs": lambda count: shut_down(programs(count)),
    "shutdown of processes": lambda count: shut_down(processes(count)),
    "shutdown, PRESHUTDOWN": lambda count: shut_down(processes(count), PRESHUTDOWN),
    "shutdown, PRESHUTDOWN one after the other": shut_down_in_order,
    "shutdown that nobody is told of": lambda count: shut_down(processes(count), 0),
    "adoption of programs": lambda count: adopt(programs(count)),
    "adoption of processes": lambda count: adopt(processes(count)),
    "creation": create,
    "change": change,
    "deletion": delete,
}


@pytest.mark.parametrize("name", CASES)
def test_each_of_many_costs_what_each_of_few_costs(name: str) -> None:
    few, many = CASES[name](FEW) / FEW, CASES[name](MANY) / MANY
    assert many <= 1.05 * few, f"{few:.0f} lines each of {FEW}, {many:.0f} each of {MANY}"
