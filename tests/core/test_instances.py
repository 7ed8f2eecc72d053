"""Instances of one definition, and the template that stands for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core.memory import ServiceMemory, latest
from scmd.core.messages import HandleId, LaunchId, StoredService
from scmd.core.messages.commands import ChangeConfig, ExplainService, KillService, SetParameters
from scmd.core.messages.effects import (
    LaunchProcess,
    ShutdownCompleted,
    SignalProcess,
)
from scmd.core.messages.events import (
    Adopted,
    HeldLaunch,
    ProcessExited,
    ProcessStarted,
    Shutdown,
)
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, Control
from tests.core.bench import PID, Bench
from tests.core.failing import protect


def made(count: int = 2, **values: Any) -> tuple[Bench, HandleId, list[HandleId]]:
    bench = Bench()
    values.setdefault("AppParameters", "--port 80%i")
    web = bench.create_hosted("Web", AppInstances=count, **values)
    each = [bench.create(f"Web@{n + 1}", image_path="srvany") for n in range(count)]
    return bench, web, each


def run(bench: Bench, service: HandleId) -> list[LaunchId]:
    """Start it; what is launched lives."""
    command = bench.start(service)
    assert bench.replies[command.call.id].error == 0
    launches = [effect.launch for effect in bench.found(LaunchProcess)]
    for number, launch in enumerate(launches):
        bench.tell(ProcessStarted(launch, 100 + number))
    return launches


def states(bench: Bench, *services: HandleId) -> list[int]:
    return [bench.status(service).state for service in services]


def test_each_has_its_number_and_the_template_runs_when_all_do() -> None:
    bench, web, each = made(AppEnvironmentExtra=("N=%i",))
    bench.start(web)
    specs = [effect.spec for effect in bench.found(LaunchProcess)]
    assert [spec.argv[2] for spec in specs] == ["801", "802"]
    assert [spec.extra_environment for spec in specs] == [(("N", "1"),), (("N", "2"),)]
    first, second = (effect.launch for effect in bench.found(LaunchProcess))
    bench.tell(ProcessStarted(first, 100))
    assert states(bench, web, *each) == [2, 4, 2]
    explanation = bench.result(ExplainService(bench.call(), web))
    assert [f.other for f in explanation.findings if f.code == "waits_for_service"] == ["Web@2"]
    bench.tell(ProcessStarted(second, 101))
    assert states(bench, web, *each) == [4, 4, 4]
    assert bench.status(web).process_id == 0


def test_an_instances_own_parameters_come_first() -> None:
    bench, web, each = made()
    bench.tell(SetParameters(bench.call(), each[1], {"appparameters": RegistryValue.of("own %i")}))
    bench.start(web)
    argvs = [effect.spec.argv[1:] for effect in bench.found(LaunchProcess)]
    assert argvs == [("--port", "801"), ("own", "2")]


def test_a_stop_stops_them_all() -> None:
    bench, web, each = made()
    launches = run(bench, web)
    bench.control(web, Control.STOP)
    assert [effect.launch for effect in bench.found(SignalProcess)] == launches
    bench.tell(ProcessExited(launches[0], 0, None))
    assert states(bench, web, *each) == [3, 1, 3]
    bench.tell(ProcessExited(launches[1], 0, None))
    assert states(bench, web, *each) == [1, 1, 1]
    assert bench.status(web).win32_exit_code == 0
    assert bench.scm.next_deadline() is None


def test_it_runs_as_long_as_one_of_them_does() -> None:
    bench, web, _ = made()
    first, second = run(bench, web)
    bench.tell(ProcessExited(first, 1, None))
    assert states(bench, web) == [4]
    bench.tell(ProcessExited(second, 0, None))
    assert states(bench, web) == [1]


def test_one_that_cannot_be_started_fails_the_start() -> None:
    bench, web, each = made(AppSettleTime=1_000)
    first, _ = run(bench, web)
    bench.tell(ProcessExited(first, 1, None))
    assert bench.status(web).win32_exit_code == 1068
    assert states(bench, web, *each) == [1, 1, 2]


def count(bench: Bench, web: HandleId, number: int) -> None:
    values = {"AppInstances": RegistryValue.of(number)}
    assert bench.error(SetParameters(bench.call(), web, values)) == 0


def test_a_template_that_counts_fewer_waits_for_those_only() -> None:
    bench, web, each = made(3)
    bench.start(web)
    first, second, third = (effect.launch for effect in bench.found(LaunchProcess))
    bench.tell(ProcessStarted(first, 100))
    count(bench, web, 1)
    assert states(bench, web, *each) == [4, 4, 2, 2]
    bench.tell(ProcessStarted(second, 101))
    bench.tell(ProcessStarted(third, 102))
    bench.tell(ProcessExited(first, 0, None))
    assert states(bench, web, *each) == [1, 1, 4, 4]


def test_a_running_template_that_counts_none_that_runs_is_stopped() -> None:
    bench, web, each = made()
    first, _ = run(bench, web)
    bench.tell(ProcessExited(first, 0, None))
    count(bench, web, 1)
    assert states(bench, web, *each) == [1, 1, 4]


def test_a_template_that_counts_more_starts_and_stops_them_too() -> None:
    bench, web, each = made(3)
    count(bench, web, 1)
    bench.start(web)
    first = bench.launched()
    count(bench, web, 2)
    second = bench.launched()
    bench.tell(ProcessStarted(first, 100))
    assert states(bench, web, *each) == [2, 4, 2, 1]
    bench.tell(ProcessStarted(second, 101))
    assert states(bench, web, *each) == [4, 4, 4, 1]
    bench.start(each[2])
    third = bench.launched()
    bench.tell(ProcessStarted(third, 102))
    bench.control(web, Control.STOP)
    assert states(bench, web, *each) == [3, 3, 3, 4]
    count(bench, web, 3)
    assert states(bench, web, *each) == [3, 3, 3, 3]


def test_an_instance_that_comes_while_its_template_starts_is_started_too() -> None:
    bench, web, each = made(2)
    count(bench, web, 3)
    bench.start(web)
    for launch in [effect.launch for effect in bench.found(LaunchProcess)]:
        bench.tell(ProcessStarted(launch, 100 + launch))
        if launch == 1:
            each.append(bench.create("Web@3", image_path="srvany"))
            third = bench.one(LaunchProcess)
            assert third.spec.argv[2] == "803"
    assert states(bench, web, *each) == [2, 4, 4, 2]
    bench.tell(ProcessStarted(third.launch, 200))
    assert states(bench, web, *each) == [4, 4, 4, 4]


def test_an_instance_that_comes_later_or_is_not_counted_is_left_alone() -> None:
    bench, web, _ = made(2)
    bench.start(web)
    launches = [effect.launch for effect in bench.found(LaunchProcess)]
    late = [bench.create("Web@3", image_path="srvany")]
    for launch in launches:
        bench.tell(ProcessStarted(launch, 100 + launch))
    count(bench, web, 4)
    late.append(bench.create("Web@4", image_path="srvany"))
    assert states(bench, web, *late) == [4, 1, 1]


def test_a_start_without_any_instance_left_fails() -> None:
    bench, web, each = made(AppSettleTime=1_000)
    run(bench, web)
    count(bench, web, 0)
    assert (bench.status(web).state, bench.status(web).win32_exit_code) == (1, 1075)
    assert states(bench, *each) == [2, 2]


def test_who_depends_on_the_template_waits_for_all() -> None:
    bench, _, _ = made()
    needs = bench.create_hosted("Needs", dependencies=("Web",))
    bench.start(needs)
    first, second = (effect.launch for effect in bench.found(LaunchProcess))
    bench.tell(ProcessStarted(first, 100))
    assert not bench.found(LaunchProcess)
    bench.tell(ProcessStarted(second, 101))
    assert bench.one(LaunchProcess).spec.name == "Needs"


def test_without_instances_there_is_nothing_to_start() -> None:
    bench = Bench()
    web = bench.create_hosted("Web", AppInstances=3)
    command = bench.start(web)
    assert bench.replies[command.call.id].error == 1075
    assert states(bench, web) == [1]


def test_a_kill_and_a_shutdown_reach_them_all() -> None:
    bench, web, each = made()
    launches = run(bench, web)
    assert bench.error(KillService(bench.call(), web)) == 0
    for launch in launches:
        bench.tell(ProcessExited(launch, None, 9))
    assert states(bench, web, *each) == [1, 1, 1]
    launches = run(bench, web)
    bench.tell(Shutdown())
    for launch in launches:
        bench.tell(ProcessExited(launch, 0, None))
    assert bench.found(ShutdownCompleted)


def test_a_new_manager_knows_them() -> None:
    bench, web, _ = made()
    first, second = run(bench, web)
    records = bench.scm.state.records.values()
    stored = [StoredService(r.id, r.config, r.parameters) for r in records]
    ids = [record.id for record in records][1:]
    held = tuple(
        HeldLaunch(launch, id, 100 + n, control_channel=False)
        for n, (launch, id) in enumerate(zip((first, second), ids, strict=True))
    )
    after = Bench(stored, first=Adopted(latest(bench.journal), held))
    web = after.open("Web")
    assert states(after, web) == [4]
    after.control(web, Control.STOP)
    after.tell(ProcessExited(first, 0, None))
    after.tell(ProcessExited(second, 0, None))
    assert states(after, web) == [1]


def test_a_shutdown_ends_the_wait_for_an_instances_restart() -> None:
    bench, web, each = made(1)
    protect(bench, each[0], ((ActionType.RESTART, 1_000),))
    bench.running(bench.create("Early"), accepted=0x104)
    (only,) = run(bench, web)
    bench.tell(ProcessExited(only, None, 9))
    assert states(bench, web, *each) == [4, 1]
    bench.tell(Shutdown())
    assert states(bench, web, *each) == [1, 1]


def test_a_restart_that_is_refused_ends_the_wait_for_it() -> None:
    bench, web, each = made(1)
    protect(bench, each[0], ((ActionType.RESTART, 1_000),))
    (only,) = run(bench, web)
    assert bench.error(ChangeConfig(bench.call(), each[0], start_type=4)) == 0
    bench.tell(ProcessExited(only, None, 9))
    assert states(bench, web, *each) == [4, 1]
    bench.pass_time(1_000)
    assert states(bench, web, *each) == [1, 1]


def test_the_journal_knows_of_one_that_was_refused_after_it_had_done_its_work() -> None:
    bench, web, each = made(AppOneShot="stop")
    for launch in run(bench, web):
        bench.tell(ProcessExited(launch, 0, None))
    assert bench.error(ChangeConfig(bench.call(), each[1], start_type=4)) == 0
    first = run(bench, web)
    done = {m.service: m.completed for m in bench.journal if isinstance(m, ServiceMemory)}
    assert done[bench.id(each[1])] is False
    bench.tell(ProcessExited(first[0], 0, None))
    assert bench.status(web).win32_exit_code == 1068


@pytest.mark.parametrize("count", [-1, 1001, "many"])
def test_what_is_no_count(count: int | str) -> None:
    bench = Bench()
    service = bench.create_hosted("Web")
    value = RegistryValue.of(count if isinstance(count, str) else count & 0xFFFFFFFF)
    assert bench.error(SetParameters(bench.call(), service, {"AppInstances": value})) == 87


def test_a_stop_reaches_one_that_is_on_its_way_up() -> None:
    """Its hook before the start, its launch, or what it depends on is waited for."""
    bench, web, each = made(1, **{"AppEvents\\Start\\Pre": "/bin/true"})
    bench.start(web)
    bench.control(web, Control.STOP)
    assert states(bench, web, *each) == [1, 1]
    bench, web, each = made()
    bench.start(web)
    first, second = (effect.launch for effect in bench.found(LaunchProcess))
    bench.control(web, Control.STOP)
    bench.tell(ProcessStarted(first, 100))
    assert bench.one(SignalProcess).launch == first
    bench.tell(ProcessExited(first, 0, None))
    bench.tell(ProcessStarted(second, 101))
    bench.tell(ProcessExited(second, 0, None))
    assert states(bench, web, *each) == [1, 1, 1]
    bench = Bench()
    web = bench.create_hosted("Web", AppInstances=1)
    bench.create_hosted("Slow", AppSettleTime=60_000)
    one = bench.create("Web@1", image_path="srvany", dependencies=("Slow",))
    bench.start(web)
    bench.tell(ProcessStarted(bench.launched(), 100))
    bench.control(web, Control.STOP)
    assert states(bench, web, one) == [1, 1]


def test_a_template_of_one_shot_work_is_done_when_all_are() -> None:
    bench, web, each = made(AppOneShot="stop")
    needs = bench.create_hosted("Needs", dependencies=("Web",))
    bench.start(needs)
    first, second = (effect.launch for effect in bench.found(LaunchProcess))
    for launch in (first, second):
        bench.tell(ProcessStarted(launch, 100))
    bench.tell(ProcessExited(first, 0, None))
    assert states(bench, web, *each) == [2, 1, 2]
    bench.tell(ProcessExited(second, 0, None))
    assert states(bench, web, *each) == [1, 1, 1]
    assert bench.status(web).win32_exit_code == 0
    assert bench.one(LaunchProcess).spec.name == "Needs"


def test_work_that_fails_fails_the_template() -> None:
    bench, web, _ = made(AppOneShot="stop")
    first, second = run(bench, web)
    bench.tell(ProcessExited(first, 0, None))
    bench.tell(ProcessExited(second, 1, None))
    assert bench.status(web).win32_exit_code == 1068


@pytest.mark.parametrize("on", ["Web", "Other", "+Group"])
def test_an_instance_that_needs_its_template_is_a_circle(on: str) -> None:
    bench = Bench()
    web = bench.create_hosted("Web", AppInstances=1)
    other = bench.create_hosted("Other", AppInstances=1)
    bench.create("Other@1", image_path="srvany", dependencies=("Web",), load_order_group="Group")
    bench.create("Web@1", image_path="srvany", dependencies=(on,))
    command = bench.start(web)
    assert states(bench, web) == [1]
    assert bench.replies[command.call.id].error in (1059, 1068)
    assert states(bench, other) == [1]


def test_the_templates_restart_delay_counts_for_each() -> None:
    bench, web, each = made(AppRestartDelay=7_000)
    protect(bench, each[0], ((ActionType.RESTART, 0),))
    first, _ = run(bench, web)
    bench.tell(ProcessExited(first, None, 9))
    bench.pass_time(6_999)
    assert not bench.found(LaunchProcess)
    bench.pass_time(1)
    assert bench.one(LaunchProcess).spec.name == "Web@1"


def test_a_stop_leaves_alone_what_only_has_a_name_like_an_instance() -> None:
    bench, web, _ = made()
    others = [bench.create_hosted(name) for name in ("Web@3", "Web@01", "Web@x")]
    run(bench, web)
    bench.control(web, Control.STOP)
    for other in others:
        bench.start(other)
        bench.tell(ProcessStarted(bench.launched(), PID))
        assert bench.found(SignalProcess) == []
    assert states(bench, *others) == [4, 4, 4]


def test_only_a_number_as_it_is_written_makes_an_instance() -> None:
    bench, _, _ = made()
    for name in ("Web@01", "Web@0", "Web@\u0663"):
        service = bench.create(name, image_path="srvany")
        assert bench.replies[bench.start(service).call.id].error == 2


def test_a_template_may_have_the_mark_in_its_name() -> None:
    bench = Bench()
    web = bench.create_hosted("Web@home", AppInstances=1)
    bench.create("Web@home@1", image_path="srvany", start_type=4)
    bench.start(web)
    assert (bench.status(web).state, bench.status(web).win32_exit_code) == (1, 1068)
