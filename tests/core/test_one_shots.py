"""One-shot services: run to completion, then STOPPED or RUNNING without a process."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core.memory import latest
from scmd.core.messages import HandleId, LaunchId, StoredService
from scmd.core.messages.commands import ExplainService, KillService, SetParameters
from scmd.core.messages.effects import KillProcess, LaunchProcess, ShutdownCompleted, SignalProcess
from scmd.core.messages.events import Adopted, HeldLaunch, ProcessExited, ProcessStarted, Shutdown
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import Control
from tests.core.bench import PID, Bench


def begin(mode: str | int = "stop", **values: Any) -> tuple[Bench, HandleId, LaunchId]:
    bench = Bench()
    service = bench.create_hosted("Job", AppOneShot=mode, **values)
    return bench, service, run(bench, service)


def run(bench: Bench, service: HandleId) -> LaunchId:
    command = bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    assert bench.replies[command.call.id].error == 0
    return launch


@pytest.mark.parametrize("mode", ["stop", "STOP", 1, "1"])
def test_it_is_pending_while_it_works_and_stopped_when_it_is_done(mode: str | int) -> None:
    bench, service, launch = begin(mode)
    status = bench.status(service)
    assert (status.state, status.process_id, status.controls_accepted) == (2, PID, 5)
    assert "works" in bench.findings(service)
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.codes(service) == (1, 0, 0)
    assert bench.events() == [7036]
    assert bench.scm.next_deadline() is None


def test_it_may_take_hours_and_does_not_count_as_hung() -> None:
    bench, service, launch = begin()
    bench.pass_time(10 * 3_600_000)
    assert not bench.events()
    explanation = bench.result(ExplainService(bench.call(), service))
    assert explanation.overdue == 0
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.codes(service) == (1, 0, 0)


def test_its_time_may_be_limited() -> None:
    bench, service, launch = begin(AppRunTime=500)
    assert bench.status(service).wait_hint == 500
    bench.pass_time(500)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.codes(service) == (1, 1067, 0)
    assert "not done in 500 ms" in bench.scm.state.records[bench.id(service)].cause


@pytest.mark.parametrize("mode", ["stop", "stay"])
def test_any_other_exit_is_a_failure(mode: str) -> None:
    bench, service, launch = begin(mode)
    bench.tell(ProcessExited(launch, 3, None))
    assert bench.codes(service) == (1, 1066, 3)
    launch = run(bench, service)
    bench.tell(ProcessExited(launch, None, 11))
    assert bench.codes(service) == (1, 1067, 0)


def test_a_stop_while_it_works() -> None:
    bench, service, launch = begin()
    bench.control(service, Control.STOP)
    assert bench.one(SignalProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 15))
    assert bench.codes(service) == (1, 0, 0)


def test_one_that_stays_is_running_without_a_process_until_it_is_stopped() -> None:
    post, undo = "/bin/post", "/bin/undo"
    bench, service, launch = begin(
        "stay", **{"AppEvents/Start/Post": post, "AppEvents/Stop/Pre": undo}
    )
    bench.tell(ProcessExited(launch, 0, None))
    status = bench.status(service)
    assert (status.state, status.process_id, status.controls_accepted) == (4, 0, 5)
    assert bench.one(LaunchProcess).spec.argv == (post,)
    assert "work_done" in bench.findings(service)
    bench.control(service, Control.STOP)
    hook = bench.one(LaunchProcess)
    assert hook.spec.argv == (undo,)
    assert bench.status(service).state == 3
    bench.tell(ProcessStarted(hook.launch, 5))
    bench.tell(ProcessExited(hook.launch, 0, None))
    assert bench.codes(service) == (1, 0, 0)


def test_one_that_stays_can_be_killed_and_shut_down() -> None:
    bench, service, launch = begin("stay")
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.error(KillService(bench.call(), service)) == 0
    assert bench.codes(service) == (1, 0, 0)
    launch = run(bench, service)
    bench.tell(ProcessExited(launch, 0, None))
    bench.tell(Shutdown())
    assert bench.codes(service) == (1, 0, 0)
    assert bench.found(ShutdownCompleted)


# Dependents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["stop", "stay"])
def test_a_dependent_waits_until_the_work_is_done(mode: str) -> None:
    bench = Bench()
    bench.create_hosted("Job", AppOneShot=mode)
    web = bench.create_hosted("Web", dependencies=("Job",))
    bench.start(web)
    job = bench.launched()
    bench.tell(ProcessStarted(job, PID))
    bench.pass_time(1_000_000)
    assert bench.status(web).state == 2
    bench.tell(ProcessExited(job, 0, None))
    assert bench.one(LaunchProcess).spec.name == "Web"


def test_a_dependent_of_work_that_failed_fails() -> None:
    bench = Bench()
    bench.create_hosted("Job", AppOneShot="stop")
    web = bench.create_hosted("Web", dependencies=("Job",))
    command = bench.start(web)
    job = bench.launched()
    bench.tell(ProcessStarted(job, PID))
    bench.tell(ProcessExited(job, 1, None))
    assert bench.replies[command.call.id].error == 1068


def test_what_stops_without_being_a_one_shot_meets_no_dependency() -> None:
    bench = Bench()
    bench.create_hosted("Job", AppSettleTime=1_000)
    web = bench.create_hosted("Web", dependencies=("Job",))
    command = bench.start(web)
    job = bench.launched()
    bench.tell(ProcessStarted(job, PID))
    bench.tell(ProcessExited(job, 0, None))
    assert bench.replies[command.call.id].error == 1068


def test_who_comes_later_has_it_done_again() -> None:
    bench, _, launch = begin()
    web = bench.create_hosted("Web", dependencies=("Job",))
    bench.tell(ProcessExited(launch, 0, None))
    bench.start(web)
    assert bench.one(LaunchProcess).spec.name == "Job"


# A new manager --------------------------------------------------------------------------------


def adopt(bench: Bench, *held: HeldLaunch) -> Bench:
    stored = [
        StoredService(record.id, record.config, record.parameters)
        for record in bench.scm.state.records.values()
    ]
    return Bench(stored, first=Adopted(latest(bench.journal), held), now=bench.now)


def test_a_new_manager_waits_for_the_work_within_its_limit() -> None:
    bench, service, launch = begin(AppRunTime=1_000)
    bench.pass_time(400)
    held = HeldLaunch(launch, bench.id(service), PID, control_channel=False)
    after = adopt(bench, held)
    after.pass_time(599)
    assert not after.found(KillProcess)
    after.pass_time(1)
    assert after.one(KillProcess).launch == launch


def test_a_new_manager_knows_that_the_work_is_done() -> None:
    bench, _, launch = begin("stay")
    bench.tell(ProcessExited(launch, 0, None))
    after = adopt(bench)
    service = after.open("Job")
    assert (after.status(service).state, after.status(service).process_id) == (4, 0)
    after.control(service, Control.STOP)
    assert after.codes(service) == (1, 0, 0)


def test_a_new_manager_knows_who_has_waited_for_the_work() -> None:
    bench = Bench()
    bench.create_hosted("Job", AppOneShot="stop")
    bench.create_hosted("Slow", AppReady="tcp:80")
    web = bench.create_hosted("Web", dependencies=("Job", "Slow"))
    bench.start(web)
    job, slow = (launch.launch for launch in bench.found(LaunchProcess))
    bench.tell(ProcessStarted(job, PID))
    bench.tell(ProcessStarted(slow, PID + 1))
    bench.tell(ProcessExited(job, 0, None))
    owner = bench.scm.state.by_key["SLOW"].id
    after = adopt(bench, HeldLaunch(slow, owner, PID + 1, control_channel=False))
    assert not after.found(LaunchProcess), "the work is not done twice"
    assert after.status(after.open("Web")).state == 2


@pytest.mark.parametrize("value", ["maybe", 2, ("stop",)])
def test_what_is_no_kind_of_one_shot(value: Any) -> None:
    bench = Bench()
    service = bench.create_hosted()
    change = {"AppOneShot": RegistryValue.of(value)}
    reply = bench.ask(SetParameters(bench.call(), service, change))
    assert (reply.error, "no, stop or stay" in str(reply.result)) == (87, True)
