"""Starting: the documented refusals, dependencies first, and attempts that meet."""

from __future__ import annotations

import pytest

from scmd.core.messages import HandleId, LaunchId, ServiceId, StoredService
from scmd.core.messages.commands import ChangeConfig, CloseHandle, DeleteService, StartService
from scmd.core.messages.effects import Audited, KillProcess, LaunchProcess, Reply
from scmd.core.messages.events import LaunchFailed, ProcessExited, ProcessStarted
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState
from tests.core.bench import ALL, PID, Bench


def launches(bench: Bench) -> dict[str, LaunchId]:
    return {effect.spec.name: effect.launch for effect in bench.found(LaunchProcess)}


def come_up(bench: Bench, launch: LaunchId, service: HandleId) -> None:
    bench.connect(launch)
    bench.answer_start()
    bench.report(launch, service, ServiceState.RUNNING)


@pytest.mark.parametrize("state", [state for state in ServiceState if state != 1])
def test_a_service_that_is_not_stopped_is_1056(state: ServiceState) -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service, state)
    assert bench.error(StartService(bench.call(), service)) == 1056


def test_refusals_leave_no_trace() -> None:
    bench = Bench()
    disabled = bench.create("Disabled", start_type=4)
    orphan = bench.create("Orphan", dependencies=("nobody",))
    for service, error in ((disabled, 1058), (orphan, 1075)):
        before = bench.status(service)
        assert bench.error(StartService(bench.call(), service)) == error
        assert bench.status(service) == before
        assert {type(effect) for effect in bench.effects} == {Reply, Audited}


def test_start_needs_its_right() -> None:
    bench = Bench()
    bench.create()
    assert bench.error(StartService(bench.call(), bench.open("A", ALL & ~0x10))) == 5


@pytest.mark.parametrize("arguments", [("x",) * 1025, ("a\0b",), ("x" * 1024,)])
def test_arguments_are_bounded(arguments: tuple[str, ...]) -> None:
    bench = Bench()
    service = bench.create()
    assert bench.error(StartService(bench.call(), service, arguments)) == 87


def test_a_second_start_meanwhile_is_1056() -> None:
    bench = Bench()
    service = bench.create("A", dependencies=("B",))
    bench.create("B")
    bench.start(service)
    assert bench.error(StartService(bench.call(), service)) == 1056


def test_a_cycle_in_the_database_is_1059() -> None:
    stored = [
        StoredService(
            ServiceId(number),
            ServiceConfig(name=name, display_name=name, image_path="/bin/x", dependencies=(other,)),
            {},
        )
        for number, (name, other) in enumerate((("A", "B"), ("B", "A")), 1)
    ]
    bench = Bench(stored)
    assert bench.error(StartService(bench.call(), bench.open("A"))) == 1059


def test_a_cycle_that_is_undone_is_forgotten() -> None:
    a, b = (
        ServiceConfig(name=name, display_name=name, image_path="/bin/x", dependencies=(other,))
        for name, other in (("A", "B"), ("B", "A"))
    )
    above = ServiceConfig(name="C", display_name="C", image_path="/bin/x", dependencies=("A",))
    stored = [StoredService(ServiceId(n), config, {}) for n, config in enumerate((a, b, above), 1)]
    bench = Bench(stored)
    assert bench.error(StartService(bench.call(), bench.open("C"))) == 1068
    bench.result(ChangeConfig(bench.call(), bench.open("B"), dependencies=()))
    bench.start(bench.open("C"))
    assert set(launches(bench)) == {"B"}


def test_dependencies_are_started_first_and_waited_for() -> None:
    bench = Bench()
    database, network = bench.create("Database", dependencies=("Network",)), bench.create("Network")
    web = bench.create("Web", dependencies=("Database", "Network"))
    command = bench.start(web)
    launch = launches(bench)
    assert set(launch) == {"Network"}
    assert bench.status(web).state == ServiceState.START_PENDING
    come_up(bench, launch["Network"], network)
    launch = launches(bench)
    assert set(launch) == {"Database"}
    bench.connect(launch["Database"])
    bench.answer_start()
    assert not bench.found(LaunchProcess)
    bench.report(launch["Database"], database, ServiceState.RUNNING)
    launch = launches(bench)
    assert set(launch) == {"Web"}
    come_up(bench, launch["Web"], web)
    assert bench.replies[command.call.id].error == 0


def test_independent_dependencies_start_side_by_side() -> None:
    bench = Bench()
    names = [f"D{number}" for number in range(5)]
    for name in names:
        bench.create(name)
    bench.start(bench.create("Top", dependencies=tuple(names)))
    assert set(launches(bench)) == set(names)


def test_a_long_chain_needs_no_recursion() -> None:
    count = 3_000
    stored = [
        StoredService(
            ServiceId(n),
            ServiceConfig(
                name=f"S{n}",
                display_name=f"S{n}",
                image_path="/bin/x",
                dependencies=(f"S{n - 1}",) if n > 1 else (),
            ),
            {},
        )
        for n in range(1, count + 1)
    ]
    bench = Bench(stored)
    bench.start(bench.open(f"S{count}"))
    assert set(launches(bench)) == {"S1"}


def test_a_failed_dependency_is_1068_and_named_in_the_log() -> None:
    bench = Bench()
    bench.create("B")
    service = bench.create("A", dependencies=("B",))
    command = bench.start(service)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, "no"))
    assert bench.replies[command.call.id].error == 1068
    assert bench.status(service).win32_exit_code == 1068
    assert bench.events() == [7000, 7001]


def test_a_disabled_dependency_is_1068() -> None:
    bench = Bench()
    bench.create("B", start_type=4)
    service = bench.create("A", dependencies=("B",))
    assert bench.error(StartService(bench.call(), service)) == 1068


def test_a_dependency_that_stops_while_another_is_awaited_fails_the_start() -> None:
    bench = Bench()
    first, second = bench.create("First"), bench.create("Second")
    command = bench.start(bench.create("A", dependencies=("First", "Second")))
    launch = launches(bench)
    come_up(bench, launch["First"], first)
    bench.tell(ProcessExited(launch["First"], 1, None))
    come_up(bench, launch["Second"], second)
    assert not bench.found(LaunchProcess)
    assert bench.replies[command.call.id].error == 1068


def test_a_dependency_that_is_stopping_is_awaited_and_started_again() -> None:
    bench = Bench()
    dependency = bench.create("B")
    launch = bench.running(dependency)
    bench.report(launch, dependency, ServiceState.STOP_PENDING, 0)
    bench.start(bench.create("A", dependencies=("B",)))
    assert not bench.found(LaunchProcess)
    bench.report(launch, dependency, ServiceState.STOPPED)
    assert set(launches(bench)) == {"B"}


@pytest.mark.parametrize("state", [ServiceState.START_PENDING, ServiceState.STOP_PENDING])
def test_a_hanging_dependency_fails_the_start_in_bounded_time(state: ServiceState) -> None:
    bench = Bench()
    bench.running(bench.create("B"), state, 0)
    command = bench.start(bench.create("A", dependencies=("B",)))
    bench.pass_time(79_999)
    assert not bench.answered(command)
    bench.pass_time(1)
    assert bench.replies[command.call.id].error == 1068


def test_two_starts_join_at_a_common_dependency() -> None:
    bench = Bench()
    common = bench.create("Common")
    one = bench.start(bench.create("A", dependencies=("Common",)))
    launch = launches(bench)["Common"]
    two = bench.start(bench.create("B", dependencies=("Common",)))
    assert not bench.found(LaunchProcess)
    bench.connect(launch)
    bench.answer_start()
    bench.report(launch, common, ServiceState.RUNNING)
    started = launches(bench)
    assert set(started) == {"A", "B"}
    for name, command in (("A", one), ("B", two)):
        bench.connect(started[name])
        bench.answer_start()
        assert bench.replies[command.call.id].error == 0


def test_a_group_is_met_by_one_member_after_all_were_tried() -> None:
    bench = Bench()
    bench.create("M1", load_order_group="G")
    member = bench.create("M2", load_order_group="g")
    bench.create("M3", load_order_group="G", start_type=4)
    command = bench.start(bench.create("A", dependencies=("+G",)))
    launch = launches(bench)
    assert set(launch) == {"M1", "M2"}
    come_up(bench, launch["M2"], member)
    assert not bench.found(LaunchProcess)
    bench.tell(LaunchFailed(launch["M1"], Error.FILE_NOT_FOUND, ""))
    assert set(launches(bench)) == {"A"}
    assert not bench.answered(command)


def test_who_leaves_the_group_meanwhile_is_not_awaited_any_more() -> None:
    bench = Bench()
    leaves = bench.create("M1", load_order_group="G")
    stays = bench.create("M2", load_order_group="G")
    bench.start(bench.create("A", dependencies=("+G",)))
    launch = launches(bench)
    come_up(bench, launch["M2"], stays)
    assert not bench.found(LaunchProcess)
    bench.result(ChangeConfig(bench.call(), leaves, load_order_group=""))
    assert set(launches(bench)) == {"A"}


@pytest.mark.parametrize("members", [0, 1])
def test_a_group_without_a_running_member_is_1068(members: int) -> None:
    bench = Bench()
    for number in range(members):
        bench.create(f"M{number}", load_order_group="G", start_type=4)
    command = bench.start(bench.create("A", dependencies=("+G",)))
    assert bench.replies[command.call.id].error == 1068
    assert bench.events() == [7002]


def test_a_dependency_deleted_meanwhile_is_1075() -> None:
    bench = Bench()
    middle = bench.create("Middle", dependencies=("Slow",))
    slow = bench.create("Slow")
    bench.start(middle)
    launch = launches(bench)["Slow"]
    top = bench.create("Top", dependencies=("Slow", "Victim"))
    victim = bench.create("Victim", dependencies=("Slow",))
    command = bench.start(top)
    bench.result(DeleteService(bench.call(), victim))
    bench.tell(CloseHandle(bench.call(), victim))
    come_up(bench, launch, slow)
    assert bench.replies[command.call.id].error in (1068, 1075)


def test_deleting_while_starting_comes_to_rest() -> None:
    bench = Bench()
    bench.create("B")
    service = bench.create("A", dependencies=("B",))
    command = bench.start(service)
    bench.tell(DeleteService(bench.call(), service))
    assert bench.replies[command.call.id].error == 1072
    assert bench.status(service).state == ServiceState.STOPPED


def test_disabling_while_waiting_fails_the_start() -> None:
    bench = Bench()
    bench.create("B")
    service = bench.create("A", dependencies=("B",))
    command = bench.start(service)
    bench.tell(ChangeConfig(bench.call(), service, start_type=4))
    assert bench.replies[command.call.id].error == 1058


def test_dropping_a_dependency_while_waiting_lets_the_start_go_on() -> None:
    bench = Bench()
    bench.create("B")
    service = bench.create("A", dependencies=("B",))
    bench.start(service)
    bench.tell(ChangeConfig(bench.call(), service, dependencies=()))
    assert set(launches(bench)) == {"A"}


def test_a_start_goes_on_when_its_caller_has_gone() -> None:
    bench = Bench()
    service = bench.create()
    bench.start(service)
    launch = bench.launched()
    bench.tell(CloseHandle(bench.call(), service))
    bench.tell(ProcessStarted(launch, PID))
    assert not bench.found(KillProcess)
    assert bench.queried(bench.open("A")).state == ServiceState.START_PENDING
