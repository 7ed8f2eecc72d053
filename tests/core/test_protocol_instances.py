"""Instances that speak the control protocol, and their templates."""

from __future__ import annotations

from scmd.core.memory import latest
from scmd.core.messages import HandleId, LaunchId, StoredService
from scmd.core.messages.commands import ExplainService, KillService
from scmd.core.messages.effects import (
    KillProcess,
    LaunchProcess,
    SendControl,
)
from scmd.core.messages.events import (
    Adopted,
    ChannelClosed,
    ControlAnswered,
    HeldLaunch,
    ProcessExited,
    ProcessStarted,
    StartAnswered,
)
from scmd.vocabulary.service import ActionType, Control
from tests.core.bench import PID, Bench
from tests.core.failing import flagged, protect
from tests.core.test_instances import count, made, run, states


def with_program_on_its_way(bench: Bench, web: HandleId) -> tuple[HandleId, LaunchId, LaunchId]:
    """The template starts with one instance more, whose ImagePath is a program of its own."""
    count(bench, web, 2)
    program = bench.create("Web@2", image_path="/bin/own")
    bench.start(web)
    first, own = (effect.launch for effect in bench.found(LaunchProcess))
    bench.tell(ProcessStarted(first, 100))
    return program, first, own


def with_program_that_answered(bench: Bench, web: HandleId) -> tuple[HandleId, LaunchId, LaunchId]:
    """The same, whose ServiceMain runs and has not said anything yet."""
    program, first, own = with_program_on_its_way(bench, web)
    bench.connect(own)
    bench.answer_start()
    return program, first, own


def with_program(bench: Bench, web: HandleId) -> tuple[HandleId, LaunchId, LaunchId]:
    """The same, up and running."""
    program, first, own = with_program_that_answered(bench, web)
    bench.report(own, program, 4)
    assert states(bench, web, program) == [4, 4]
    return program, first, own


def under_a_new_manager(bench: Bench, first: LaunchId, own: LaunchId) -> Bench:
    """What these two run in goes on."""
    records = bench.scm.state.records.values()
    stored = [StoredService(r.id, r.config, r.parameters) for r in records]
    ids = {record.config.name: record.id for record in records}
    held = (
        HeldLaunch(first, ids["Web@1"], 100, control_channel=False),
        HeldLaunch(own, ids["Web@2"], PID, control_channel=True),
    )
    return Bench(stored, first=Adopted(latest(bench.journal), held), now=bench.now)


def test_a_stop_reaches_an_instance_that_speaks_the_control_protocol() -> None:
    bench, web, _ = made(1)
    program, first, own = with_program(bench, web)
    bench.running(bench.create("Needs", dependencies=("Web@2",)))
    bench.control(web, Control.STOP)
    control = bench.answer_control()
    assert (control.launch, control.code) == (own, Control.STOP)
    bench.report(own, program, 3)
    assert not bench.found(SendControl)
    bench.tell(ProcessExited(first, 0, None))
    assert states(bench, web, program) == [3, 3]
    bench.report(own, program, 1)
    assert states(bench, web, program) == [1, 1]


def test_an_instance_that_accepts_no_stop_yet_is_asked_when_it_does() -> None:
    bench, web, _ = made(1)
    program, _, own = with_program_that_answered(bench, web)
    bench.control(web, Control.STOP)
    for state in (2, 4):
        bench.report(own, program, state, 0)
        assert not bench.found(SendControl)
    bench.report(own, program, 4)
    assert bench.one(SendControl).code == Control.STOP


def test_a_template_hangs_on_its_way_as_long_as_an_instance_does() -> None:
    bench, web, _ = made(1)
    needs = bench.create("Needs", dependencies=("Web",))
    program, _, own = with_program_that_answered(bench, web)
    waiting = bench.start(needs)
    bench.pass_time(200_000)
    assert bench.events()[1:] == [7022, 7022, 7001]
    assert bench.replies[waiting.call.id].error == 1068
    found = bench.result(ExplainService(bench.call(), web)).findings
    assert [(f.code, f.other) for f in found[:2]] == [("hung", ""), ("waits_for_service", "Web@2")]
    assert found[1].text == "waits for Web@2, which hangs in START_PENDING"
    assert (found[2].code, found[2].service) == ("hung", "Web@2")
    bench.report(own, program, 2, 0, check_point=1)
    waiting = bench.start(needs)
    assert waiting.call.id not in bench.replies
    bench.report(own, program, 4)
    assert states(bench, web, program, needs) == [4, 4, 2]


def test_one_that_hangs_no_more_has_a_deadline_again_under_a_new_manager() -> None:
    bench, web, _ = made(1)
    _, first, own = with_program_that_answered(bench, web)
    bench.pass_time(200_000)
    after = under_a_new_manager(bench, first, own)
    template = after.scm.state.records[after.id(after.open("Web"))]
    assert (template.hung, template.hang) == (True, None)
    after.report(own, after.open("Web@2"), 2, 0, check_point=1)
    assert not template.hung
    assert template.hang is not None


def test_a_template_hangs_too_when_it_stops_and_an_instance_does_not() -> None:
    bench, web, _ = made(1)
    program, first, _ = with_program_that_answered(bench, web)
    bench.control(web, Control.STOP)
    bench.tell(ProcessExited(first, 0, None))
    waiting = bench.start(bench.create("Needs", dependencies=("Web",)))
    bench.pass_time(200_000)
    assert states(bench, web, program) == [3, 2]
    assert bench.replies[waiting.call.id].error == 1068


def test_an_instance_whose_handler_is_busy_hears_of_the_stop_when_it_is_back() -> None:
    bench, web, _ = made(1)
    program, _, own = with_program(bench, web)
    bench.control(program, 128)
    busy = bench.one(SendControl)
    bench.control(web, Control.STOP)
    bench.pass_time(100_000)
    assert not bench.found(SendControl)
    bench.tell(ControlAnswered(own, busy.control, 0))
    assert bench.one(SendControl).code == Control.STOP


def check_killed(bench: Bench, web: HandleId, program: HandleId, *launches: LaunchId) -> None:
    bench.tell(KillService(bench.call(), web))
    assert {effect.launch for effect in bench.found(KillProcess)} == set(launches)
    for launch in launches:
        bench.tell(ProcessExited(launch, None, 9))
        assert not bench.found(LaunchProcess), "nobody restarts what was to be killed"
    assert states(bench, web, program) == [1, 1]


def test_a_kill_reaches_an_instance_that_speaks_the_control_protocol() -> None:
    bench, web, _ = made(1)
    program, first, own = with_program(bench, web)
    protect(bench, program, ((ActionType.RESTART, 0),))
    check_killed(bench, web, program, first, own)


def test_a_kill_reaches_such_an_instance_before_it_has_connected() -> None:
    bench, web, _ = made(1)
    count(bench, web, 2)
    program = bench.create("Web@2", image_path="/bin/own")
    protect(bench, program, ((ActionType.RESTART, 0),))
    first, own = run(bench, web)
    check_killed(bench, web, program, first, own)


def test_an_instance_that_runs_is_asked_to_stop_though_its_start_is_not_answered() -> None:
    bench, web, _ = made(1)
    program, _, own = with_program_on_its_way(bench, web)
    bench.connect(own)
    bench.control(web, Control.STOP)
    bench.report(own, program, 4)
    bench.tell(StartAnswered(own, bench.id(program), 0))
    assert bench.one(SendControl).code == Control.STOP


def test_an_instance_whose_process_is_about_to_end_is_not_brought_back() -> None:
    bench, web, _ = made(1)
    program, first, own = with_program(bench, web)
    protect(bench, program, ((ActionType.RESTART, 60_000),))
    bench.tell(ChannelClosed(own))
    bench.control(web, Control.STOP)
    bench.tell(ProcessExited(first, 0, None))
    bench.tell(ProcessExited(own, 1, None))
    assert states(bench, web, program) == [1, 1]


def test_an_instance_that_fails_while_its_template_stops_is_not_restarted() -> None:
    bench, web, _ = made(1)
    program, first, own = with_program_that_answered(bench, web)
    protect(bench, program, ((ActionType.RESTART, 1_000),))
    flagged(bench, program)
    bench.control(web, Control.STOP)
    bench.tell(ProcessExited(first, 0, None))
    bench.report(own, program, 1, win32_exit_code=5)
    assert states(bench, web, program) == [1, 1]
    bench.pass_time(1_000)
    assert not bench.found(LaunchProcess)


def test_a_new_manager_asks_a_program_to_stop_again() -> None:
    bench, web, _ = made(1)
    _, first, own = with_program(bench, web)
    bench.control(web, Control.STOP)
    after = under_a_new_manager(bench, first, own)
    assert (after.one(SendControl).launch, after.one(SendControl).code) == (own, Control.STOP)
