"""A shutdown whose manager has died: the next one goes on with what is left of the limits."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from scmd.core.memory import Memory
from scmd.core.messages import LaunchId, Settings
from scmd.core.messages.commands import StartService
from scmd.core.messages.effects import (
    KillProcess,
    LaunchProcess,
    LogEvent,
    SendControl,
    ShutdownCompleted,
    SignalProcess,
)
from scmd.core.messages.events import AutoStart, ProcessExited, ProcessStarted, Shutdown
from scmd.core.shutdown import ShutdownMemory, ShutdownOrder
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceState
from tests.core.bench import PID, Bench
from tests.core.test_adoption import held, running_program, successor


@pytest.mark.parametrize("answered", [False, True])
def test_who_has_not_answered_to_a_shutdown_is_told_again(answered: bool) -> None:
    bench = Bench()
    launch = bench.running(bench.create("A"), accepted=4)
    bench.tell(Shutdown())
    if answered:
        bench.answer_control()
    bench.pass_time(15_000)
    new = successor(bench, held(launch, control_channel=True))
    assert [control.code for control in new.found(SendControl)] == [Control.SHUTDOWN][answered:]
    new.tell(Shutdown())
    assert new.effects == []
    new.pass_time(4_999)
    assert new.found(KillProcess) == []
    new.pass_time(1)
    assert new.one(KillProcess).launch == launch
    new.tell(ProcessExited(launch, None, 9))
    assert new.found(ShutdownCompleted)


def test_who_says_that_it_stops_is_not_told_again() -> None:
    bench = Bench()
    service = bench.create("A")
    launch = bench.running(service, accepted=0x104)
    bench.tell(Shutdown())
    bench.report(launch, service, ServiceState.STOP_PENDING, 0, check_point=1)
    new = successor(bench, held(launch, control_channel=True))
    assert new.found(SendControl) == []


def test_a_preshutdown_keeps_its_order_and_its_limits() -> None:
    bench = Bench(settings=Settings(preshutdown_order=("B", "A")))
    services = {name: bench.create(name) for name in ("A", "B", "C")}
    launches = {name: bench.running(services[name], accepted=0x100) for name in services}
    bench.tell(Shutdown())
    bench.answer_control()
    bench.report(launches["B"], services["B"], ServiceState.STOPPED)
    bench.answer_control()
    bench.pass_time(9_000)
    ids = {name: bench.id(services[name]) for name in services}
    rest = [held(launches[n], ids[n], control_channel=True) for n in ("A", "C")]
    new = successor(bench, held(launches["B"], ids["B"], ended=True, control_channel=True), *rest)
    assert new.found(SendControl) == []
    new.pass_time(999)
    assert new.found(SendControl) == []
    new.pass_time(1)
    assert new.one(LogEvent).strings == ("A", "preshutdown")
    assert new.one(SendControl).service == ids["C"]


@pytest.mark.parametrize("managers", [1, 2, 3])
@pytest.mark.parametrize("done", [0, 1, 2])
@pytest.mark.parametrize("earlier", [False, True])
def test_the_order_goes_on_where_it_was(managers: int, done: int, earlier: bool) -> None:
    names = ("B", "A", "D", "C")
    bench = Bench(settings=Settings(preshutdown_order=names[:3]))
    services = {name: bench.create(name) for name in sorted(names)}
    launches = {name: bench.running(services[name], accepted=0x100) for name in services}
    ids = {name: bench.id(services[name]) for name in names}
    bench.tell(Shutdown())
    for name in names[:done]:
        bench.tell(ProcessExited(launches[name], 0, None))
    alive = [held(launches[n], ids[n], control_channel=True) for n in names[done:]]
    for _ in range(managers):
        if earlier:
            bench.journal = as_earlier(bench)
        bench = successor(bench, *alive)
        assert [control.service for control in bench.found(SendControl)] == [ids[names[done]]]
    for name, following in zip(names[done:], [*names[done + 1 :], None], strict=True):
        bench.tell(ProcessExited(launches[name], 0, None))
        told = [ids[following]] if following else []
        assert [control.service for control in bench.found(SendControl)] == told
    assert bench.found(ShutdownCompleted)


def as_earlier(bench: Bench) -> list[Memory]:
    """The journal as a manager would have left it that wrote down all who are still to come."""
    run = bench.scm.state.shutdown
    assert run is not None
    queue = tuple(tuple(record.id for record in records) for records in run.queue)
    return [
        replace(entry, queue=queue, left=0) if isinstance(entry, ShutdownMemory) else entry
        for entry in bench.journal
        if not isinstance(entry, ShutdownOrder)
    ]


def test_a_shutdown_starts_nothing_and_stops_programs_by_their_limit() -> None:
    bench = Bench()
    running_program(bench, AppStopTime=10_000)
    bench.create("B", start_type=2)
    bench.tell(Shutdown())
    bench.pass_time(4_000)
    new = successor(bench, held(1))
    assert new.one(SignalProcess).signal == 15
    assert new.found(LaunchProcess) == []
    assert new.error(StartService(new.call(), new.open("B"))) == Error.SHUTDOWN_IN_PROGRESS
    new.tell(AutoStart())
    assert new.effects == []
    new.pass_time(6_000)
    assert new.one(KillProcess).launch == 1


def test_a_shutdown_that_was_completed_is_completed_again() -> None:
    bench = Bench()
    bench.create("A")
    bench.tell(Shutdown())
    assert bench.one(ShutdownCompleted).exit_status == 0
    assert successor(bench).one(ShutdownCompleted).exit_status == 0


def test_a_process_that_is_gone_is_told_nothing() -> None:
    bench = Bench()
    service = bench.create("A")
    launch = bench.running(service, accepted=4)
    bench.tell(Shutdown())
    new = successor(bench, held(launch, control_channel=True, ended=True))
    assert new.found(SendControl) == []
    new.tell(ProcessExited(launch, 0, None))
    assert new.found(ShutdownCompleted)


def test_a_hook_that_was_killed_is_over_for_the_next_manager_too() -> None:
    bench = Bench(settings=Settings(kill_timeout=5_000))
    service = bench.create_hosted(**{"AppOneShot": "stay", "AppEvents\\Stop\\Pre": "/bin/hook"})
    bench.start(service)
    bench.tell(ProcessStarted(LaunchId(1), PID))
    bench.tell(ProcessExited(LaunchId(1), 0, None))
    bench.tell(Shutdown())
    hook = bench.one(LaunchProcess).launch
    bench.tell(ProcessStarted(hook, PID))
    bench.pass_time(5_000)
    assert bench.one(KillProcess).launch == hook
    new = successor(bench, held(hook, hook=True))
    new.tell(ProcessExited(hook, None, 9))
    assert new.found(ShutdownCompleted)
    assert new.queried(new.open("A")).state == ServiceState.STOPPED
