"""Shutdown: everyone is told at once, a budget, a kill, and an end in any case."""

from __future__ import annotations

import pytest

from scmd.core.messages import LaunchId, Settings
from scmd.core.messages.commands import ChangeConfig2, SetParameters
from scmd.core.messages.effects import (
    KillProcess,
    LaunchProcess,
    LogEvent,
    SendControl,
    ShutdownCompleted,
    SignalProcess,
)
from scmd.core.messages.events import (
    ControlAnswered,
    ProcessExited,
    ProcessStarted,
    RecordSaved,
    Shutdown,
)
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel, Control, ServiceState
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
    two = bench.running(dependent, accepted=4)
    bench.tell(Shutdown())
    assert told(bench) == {one: Control.SHUTDOWN, two: Control.SHUTDOWN}
    for launch, handle in ((one, service), (two, dependent)):
        bench.report(launch, handle, ServiceState.STOPPED)
        assert not bench.found(KillProcess)
        bench.tell(ProcessExited(launch, 0, None))
    assert bench.found(ShutdownCompleted)
    assert bench.scm.next_deadline() is None


def told(bench: Bench) -> dict[LaunchId, int]:
    return {effect.launch: effect.code for effect in bench.found(SendControl)}


def test_preshutdown_comes_first_and_is_instead_of_shutdown() -> None:
    bench = Bench()
    early = bench.create("Early")
    one = bench.running(early, accepted=0x104)
    late = bench.create("Late")
    two = bench.running(late, accepted=4)
    bench.tell(Shutdown())
    assert told(bench) == {one: Control.PRESHUTDOWN}
    bench.answer_control()
    bench.report(one, early, ServiceState.STOP_PENDING, 0, check_point=1)
    assert not told(bench)
    bench.report(one, early, ServiceState.STOPPED)
    assert told(bench) == {two: Control.SHUTDOWN}
    bench.report(two, late, ServiceState.STOPPED)
    bench.tell(ProcessExited(one, 0, None))
    bench.tell(ProcessExited(two, 0, None))
    assert bench.found(ShutdownCompleted)
    assert bench.scm.next_deadline() is None


def test_preshutdown_goes_in_its_order_and_then_to_all_others_at_once() -> None:
    bench = Bench(settings=Settings(preshutdown_order=("second", "NOBODY", "First")))
    names = ("First", "Third", "Second", "Fourth")
    services = {name: bench.create(name) for name in names}
    launches = {name: bench.running(services[name], accepted=0x100) for name in names}
    bench.tell(Shutdown())
    assert told(bench) == {launches["Second"]: Control.PRESHUTDOWN}
    bench.report(launches["Second"], services["Second"], ServiceState.STOPPED)
    assert told(bench) == {launches["First"]: Control.PRESHUTDOWN}
    bench.report(launches["First"], services["First"], ServiceState.STOPPED)
    assert set(told(bench)) == {launches["Third"], launches["Fourth"]}


@pytest.mark.parametrize("answers", [False, True])
def test_who_misses_its_preshutdown_limit_is_logged_and_killed_with_the_others(
    answers: bool,
) -> None:
    bench = Bench()
    service = bench.create("Slow")
    slow = bench.running(service, accepted=0x104)
    other = bench.running(bench.create("Other"), accepted=4)
    bench.result(ChangeConfig2(bench.call(), service, ConfigLevel.PRESHUTDOWN_INFO, 3_000))
    bench.tell(Shutdown())
    if answers:
        bench.answer_control()
    bench.pass_time(2_999)
    assert not told(bench)
    bench.pass_time(1)
    assert told(bench) == {other: Control.SHUTDOWN}
    assert bench.one(LogEvent).strings == ("Slow", "preshutdown")
    assert bench.one(LogEvent).event_id == 7043
    bench.pass_time(19_999)
    assert not bench.found(KillProcess)
    bench.pass_time(1)
    assert sorted(effect.launch for effect in bench.found(KillProcess)) == [slow, other]
    assert ("Other", "shutdown") in [effect.strings for effect in bench.found(LogEvent)]


def test_rising_check_points_hold_the_shutdown_up() -> None:
    bench = Bench()
    service = bench.create("Saves")
    launch = bench.running(service, accepted=0x100)
    bench.tell(Shutdown())
    bench.answer_control()
    for check_point in range(1, 6):
        bench.pass_time(9_000)
        bench.report(
            launch, service, ServiceState.STOP_PENDING, 0, check_point=check_point, wait_hint=500
        )
    bench.report(launch, service, ServiceState.STOP_PENDING, 0, check_point=6, wait_hint=30_000)
    bench.pass_time(29_999)
    assert 7043 not in bench.events()
    bench.report(launch, service, ServiceState.STOP_PENDING, 0, check_point=6, wait_hint=30_000)
    bench.pass_time(1)
    assert 7043 in bench.events()


def test_check_points_do_not_hold_it_up_for_ever() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service, accepted=0x100)
    bench.tell(Shutdown())
    bench.answer_control()
    for check_point in range(1, 400):
        bench.report(launch, service, ServiceState.STOP_PENDING, 0, check_point=check_point)
        bench.pass_time(9_000)
    assert 7043 not in bench.events()
    bench.report(launch, service, ServiceState.STOP_PENDING, 0, check_point=400)
    bench.pass_time(9_000)
    assert 7043 in bench.events()


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


def test_who_did_not_take_it_in_its_turn_is_told_when_it_does() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service, accepted=0x102)
    bench.control(service, Control.PAUSE)
    pause = bench.one(SendControl)
    bench.tell(Shutdown())
    bench.report(launch, service, ServiceState.PAUSE_PENDING, 0)
    bench.tell(ControlAnswered(launch, pause.control, 0))
    assert not told(bench)
    bench.report(launch, service, ServiceState.PAUSED, 0x102)
    assert told(bench) == {launch: Control.PRESHUTDOWN}
    bench.report(launch, service, ServiceState.PAUSED, 0x102, check_point=1)
    assert not told(bench)


def test_who_accepts_it_late_is_told_late() -> None:
    bench = Bench()
    late = bench.create("Late")
    launch = bench.running(late, ServiceState.START_PENDING, 0)
    bench.running(bench.create("Slow"), accepted=4)
    bench.tell(Shutdown())
    bench.report(launch, late, ServiceState.START_PENDING, 4)
    assert not told(bench)
    bench.report(launch, late, ServiceState.RUNNING, 4)
    assert told(bench) == {launch: Control.SHUTDOWN}


def test_a_busy_process_hears_of_it_when_it_comes_back() -> None:
    bench = Bench(settings=Settings(kill_timeout=100_000))
    service = bench.create()
    launch = bench.running(service, accepted=4)
    bench.control(service, 128)
    asked = bench.one(SendControl)
    bench.tell(Shutdown())
    bench.pass_time(31_000)
    assert not told(bench)
    bench.tell(ControlAnswered(launch, asked.control, 0))
    assert told(bench) == {launch: Control.SHUTDOWN}
