"""Shutdown: everyone is told at once, a budget, a kill, and an end in any case."""

from __future__ import annotations

from scmd.core.messages import (
    ControlAnswered,
    KillProcess,
    LaunchProcess,
    ProcessExited,
    ProcessStarted,
    RecordSaved,
    SendControl,
    SetParameters,
    Shutdown,
    ShutdownCompleted,
    SignalProcess,
)
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import Control, ServiceState
from tests.core.bench import PID, Bench


def test_without_processes_it_is_over_at_once() -> None:
    bench = Bench()
    bench.tell(Shutdown())
    assert bench.found(ShutdownCompleted)
    bench.tell(Shutdown())
    assert not bench.effects
    assert bench.scm.next_deadline() is None


def test_those_who_accept_it_are_told_and_dependents_do_not_matter() -> None:
    bench = Bench()
    service = bench.create("A")
    one = bench.running(service, accepted=4)
    dependent = bench.create("B", dependencies=("A",))
    two = bench.running(dependent, accepted=0x100)
    bench.tell(Shutdown())
    codes = {effect.launch: effect.code for effect in bench.found(SendControl)}
    assert codes == {one: Control.SHUTDOWN, two: Control.PRESHUTDOWN}
    for launch, handle in ((one, service), (two, dependent)):
        bench.report(launch, handle, ServiceState.STOPPED)
        assert not bench.found(KillProcess)
        bench.tell(ProcessExited(launch, 0, None))
    assert bench.found(ShutdownCompleted)
    assert bench.scm.next_deadline() is None


def test_the_deaf_are_killed_once_the_others_have_stopped() -> None:
    bench = Bench()
    told = bench.create("A")
    launch = bench.running(told, accepted=4)
    deaf = bench.running(bench.create("B"), accepted=1)
    bench.tell(Shutdown())
    assert not bench.found(KillProcess)
    bench.report(launch, told, ServiceState.STOPPED)
    assert bench.one(KillProcess).launch == deaf
    bench.tell(ProcessExited(deaf, None, 9))
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.found(ShutdownCompleted)


def test_the_budget_ends_in_a_kill() -> None:
    bench = Bench()
    launch = bench.running(bench.create(), accepted=4)
    bench.tell(Shutdown())
    request = bench.one(SendControl)
    bench.tell(ControlAnswered(launch, request.control, 0))
    bench.pass_time(19_999)
    assert not bench.found(KillProcess)
    bench.pass_time(1)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.found(ShutdownCompleted)
    assert bench.scm.next_deadline() is None


def test_even_a_process_that_survives_the_kill_does_not_hold_it_up() -> None:
    bench = Bench()
    bench.running(bench.create(), accepted=4)
    bench.tell(Shutdown())
    bench.pass_time(40_000)
    assert bench.found(ShutdownCompleted)


def test_hosted_programs_are_stopped() -> None:
    bench = Bench()
    service = bench.create_hosted()
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(Shutdown())
    assert bench.one(SignalProcess).signal == 15
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.found(ShutdownCompleted)
    assert bench.status(service).win32_exit_code == 0


def test_starts_under_way_are_broken_off() -> None:
    bench = Bench()
    bench.create("Slow")
    waiting = bench.start(bench.create("Waiting", dependencies=("Slow",)))
    hosted = bench.start(bench.create_hosted("Hosted"))
    launches = [launch.id for launch in bench.scm.state.launches.values()]
    bench.tell(Shutdown())
    for command in (waiting, hosted):
        assert bench.replies[command.call.id].error == 1115
    assert sorted(effect.launch for effect in bench.found(KillProcess)) == launches
    for launch in launches:
        bench.tell(ProcessExited(launch, None, 9))
    assert bench.found(ShutdownCompleted)
    assert bench.scm.next_deadline() is None


def test_it_waits_for_the_disk() -> None:
    bench = Bench()
    service = bench.create()
    bench.saving = False
    command = SetParameters(bench.call(), service, {"X": RegistryValue.of(1)})
    bench.tell(command)
    bench.tell(Shutdown())
    assert not bench.found(ShutdownCompleted)
    bench.tell(RecordSaved(bench.pending_saves[0].save))
    assert bench.answered(command)
    assert bench.found(ShutdownCompleted)


def test_a_service_may_save_its_parameters_while_it_stops() -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service, accepted=4)
    bench.tell(Shutdown())
    values = {"X": RegistryValue.of(1)}
    assert bench.error(SetParameters(bench.call(), service, values)) == 0
    assert not bench.found(LaunchProcess)
