"""Hosted programs: started, settled, stopped, killed at the limit, and their hooks."""

from __future__ import annotations

import pytest

from scmd.core.messages import HandleId, LaunchId
from scmd.core.messages.commands import CloseHandle, ControlService, DeleteService
from scmd.core.messages.effects import ForgetLaunch, KillProcess, LaunchProcess, SignalProcess
from scmd.core.messages.events import LaunchFailed, ProcessExited, ProcessStarted
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState
from tests.core.bench import PID, Bench

PRE, POST = "AppEvents/Start/Pre", "AppEvents/Start/Post"
STOP_PRE, EXIT_POST = "AppEvents/Stop/Pre", "AppEvents/Exit/Post"


def run(bench: Bench, service: HandleId) -> LaunchId:
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    return launch


def test_a_program_runs_once_it_has_been_executed() -> None:
    bench = Bench()
    service = bench.create_hosted(AppParameters='-c "a b"', AppDirectory="/srv")
    command = bench.start(service)
    spec = bench.one(LaunchProcess).spec
    assert (spec.argv, spec.directory) == (("/bin/program", "-c", "a b"), "/srv")
    assert not spec.control_channel
    assert not bench.answered(command)
    assert bench.codes(service)[0] == ServiceState.START_PENDING
    bench.tell(ProcessStarted(bench.launched(), PID))
    reply = bench.replies[command.call.id]
    assert (reply.error, reply.result) == (0, bench.status(service))
    status = bench.status(service)
    assert (status.state, status.controls_accepted, status.process_id) == (4, 5, PID)
    assert bench.scm.next_deadline() is None


def test_a_program_that_cannot_be_executed() -> None:
    bench = Bench()
    service = bench.create_hosted()
    command = bench.start(service)
    bench.tell(LaunchFailed(bench.launched(), Error.BAD_EXE_FORMAT, "no"))
    assert bench.replies[command.call.id].error == 193
    assert bench.codes(service) == (1, 193, 0)
    assert bench.events() == [7000]
    assert bench.scm.next_deadline() is None


def test_without_an_application_there_is_nothing_to_find() -> None:
    bench = Bench()
    service = bench.create(image_path="srvany")
    command = bench.start(service)
    assert bench.replies[command.call.id].error == 2


def test_a_keeper_that_does_not_answer_is_bounded() -> None:
    bench = Bench()
    service = bench.create_hosted()
    command = bench.start(service)
    bench.pass_time(30_000)
    assert bench.replies[command.call.id].error == 1053
    assert bench.found(KillProcess)


def test_settling_is_start_pending_and_an_exit_in_it_fails() -> None:
    for code, expected in ((0, (1, 1067, 0)), (3, (1, 1066, 3))):
        bench = Bench()
        service = bench.create_hosted(AppSettleTime=500)
        launch = run(bench, service)
        status = bench.status(service)
        assert (status.state, status.wait_hint, status.controls_accepted) == (2, 500, 5)
        bench.tell(ProcessExited(launch, code, None))
        assert bench.codes(service) == expected


def test_settled_programs_run() -> None:
    bench = Bench()
    service = bench.create_hosted(AppSettleTime=500)
    run(bench, service)
    bench.pass_time(499)
    assert bench.status(service).state == ServiceState.START_PENDING
    bench.pass_time(1)
    assert bench.status(service).state == ServiceState.RUNNING


@pytest.mark.parametrize(
    ("code", "signal", "expected", "event"),
    [(0, None, (1, 0, 0), 7036), (7, None, (1, 1066, 7), 7024), (None, 11, (1, 1067, 0), 7034)],
)
def test_exits_that_nobody_asked_for(
    code: int | None, signal: int | None, expected: tuple[int, int, int], event: int
) -> None:
    bench = Bench()
    service = bench.create_hosted()
    launch = run(bench, service)
    bench.tell(ProcessExited(launch, code, signal))
    assert bench.codes(service) == expected
    assert event in bench.events()
    assert bench.one(ForgetLaunch).launch == launch


@pytest.mark.parametrize(("code", "signal"), [(0, None), (7, None), (None, 15)])
def test_exits_that_were_asked_for_are_0(code: int | None, signal: int | None) -> None:
    bench = Bench()
    service = bench.create_hosted(AppStopSignal="SIGINT", AppStopTime=900)
    launch = run(bench, service)
    command = bench.control(service, 1)
    assert bench.one(SignalProcess) == SignalProcess(launch, 2)
    reply = bench.replies[command.call.id]
    assert (reply.error, reply.result) == (0, bench.status(service))
    status = bench.status(service)
    assert (status.state, status.wait_hint, status.controls_accepted) == (3, 900, 0)
    bench.tell(ProcessExited(launch, code, signal))
    assert bench.codes(service) == (1, 0, 0)
    assert bench.events() == [7036]


def test_the_tree_is_killed_at_the_limit_and_stopped_comes_with_the_exit() -> None:
    bench = Bench()
    service = bench.create_hosted(AppStopTime=900)
    launch = run(bench, service)
    bench.control(service, 1)
    bench.pass_time(900)
    assert bench.one(KillProcess).launch == launch
    assert bench.status(service).state == ServiceState.STOP_PENDING
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.codes(service) == (1, 0, 0)
    assert bench.scm.next_deadline() is None


def test_a_tree_that_is_to_be_kept_is_kept() -> None:
    bench = Bench()
    service = bench.create_hosted(AppStopTime=900, AppKillProcessTree=0)
    launch = run(bench, service)
    bench.control(service, 1)
    bench.pass_time(900)
    assert bench.one(SignalProcess) == SignalProcess(launch, 9)
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.one(ForgetLaunch).keep_tree


def test_a_program_can_be_stopped_while_it_settles() -> None:
    bench = Bench()
    service = bench.create_hosted(AppSettleTime=5_000)
    launch = run(bench, service)
    bench.control(service, 1)
    bench.tell(ProcessExited(launch, None, 15))
    assert bench.codes(service) == (1, 0, 0)
    assert bench.scm.next_deadline() is None


@pytest.mark.parametrize(
    ("control", "error"), [(4, 0), (2, 1052), (3, 1052), (6, 1052), (7, 1052), (128, 1052)]
)
def test_other_controls_of_a_program_without_handler(control: int, error: int) -> None:
    bench = Bench()
    service = bench.create_hosted()
    run(bench, service)
    reply = bench.ask(ControlService(bench.call(), service, control))
    assert (reply.error, reply.result) == (error, bench.status(service))


def test_a_program_is_not_stopped_under_its_dependents() -> None:
    bench = Bench()
    service = bench.create_hosted("A")
    run(bench, service)
    run(bench, bench.create_hosted("B", dependencies=("A",)))
    assert bench.error(ControlService(bench.call(), service, 1)) == 1051


def test_each_run_has_a_number_of_its_own() -> None:
    bench = Bench()
    service = bench.create_hosted()
    first = run(bench, service)
    bench.tell(ProcessExited(first, 0, None))
    second = run(bench, service)
    assert second != first
    bench.tell(ProcessExited(first, 1, None))
    assert bench.status(service).state == ServiceState.RUNNING


def test_deleted_while_running() -> None:
    bench = Bench()
    service = bench.create_hosted()
    launch = run(bench, service)
    bench.result(DeleteService(bench.call(), service))
    bench.tell(CloseHandle(bench.call(), service))
    bench.tell(ProcessExited(launch, 0, None))
    assert not bench.scm.state.records


# Hooks ----------------------------------------------------------------------------------------


def test_the_hook_before_the_start_comes_first() -> None:
    bench = Bench()
    service = bench.create_hosted(**{PRE: "/bin/pre --x"})
    command = bench.start(service)
    assert bench.one(LaunchProcess).spec.argv == ("/bin/pre", "--x")
    hook = bench.launched()
    bench.tell(ProcessStarted(hook, 1))
    bench.tell(ProcessExited(hook, 0, None))
    assert bench.found(ForgetLaunch)
    assert bench.one(LaunchProcess).spec.argv == ("/bin/program",)
    assert not bench.answered(command)


@pytest.mark.parametrize(
    ("code", "signal", "expected"), [(4, None, (1, 1066, 4)), (None, 9, (1, 1067, 0))]
)
def test_a_failing_hook_fails_the_start(
    code: int | None, signal: int | None, expected: tuple[int, int, int]
) -> None:
    bench = Bench()
    service = bench.create_hosted(**{PRE: "/bin/pre"})
    command = bench.start(service)
    hook = bench.launched()
    bench.tell(ProcessStarted(hook, 1))
    bench.tell(ProcessExited(hook, code, signal))
    assert bench.replies[command.call.id].error == expected[1]
    assert bench.codes(service) == expected
    assert not bench.found(LaunchProcess)


def test_a_hook_that_cannot_be_run_fails_the_start() -> None:
    bench = Bench()
    service = bench.create_hosted(**{PRE: "/bin/pre"})
    command = bench.start(service)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, ""))
    assert bench.replies[command.call.id].error == 2


def test_a_hook_has_a_deadline() -> None:
    bench = Bench()
    service = bench.create_hosted(**{PRE: "/bin/pre"})
    command = bench.start(service)
    hook = bench.launched()
    bench.tell(ProcessStarted(hook, 1))
    bench.pass_time(30_000)
    assert bench.one(KillProcess).launch == hook
    assert bench.replies[command.call.id].error == 1053
    bench.tell(ProcessExited(hook, None, 9))
    assert bench.scm.next_deadline() is None


def test_the_stop_hook_comes_before_the_signal() -> None:
    bench = Bench()
    service = bench.create_hosted(**{STOP_PRE: "/bin/stop"})
    launch = run(bench, service)
    bench.control(service, 1)
    assert not bench.found(SignalProcess)
    assert bench.status(service).wait_hint == 50_000
    hook = bench.launched()
    bench.tell(ProcessStarted(hook, 1))
    bench.tell(ProcessExited(hook, 5, None))
    assert bench.one(SignalProcess).launch == launch


def test_a_program_that_ends_during_its_stop_hook_has_stopped() -> None:
    bench = Bench()
    service = bench.create_hosted(**{STOP_PRE: "/bin/stop"})
    launch = run(bench, service)
    bench.control(service, 1)
    hook = bench.launched()
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.codes(service) == (1, 0, 0)
    bench.tell(ProcessStarted(hook, 1))
    bench.tell(ProcessExited(hook, 0, None))
    assert not bench.found(SignalProcess)


def test_hooks_after_the_fact_hold_nothing_up() -> None:
    bench = Bench()
    service = bench.create_hosted(**{POST: "/bin/post", EXIT_POST: "/bin/exit"})
    launch = run(bench, service)
    assert bench.one(LaunchProcess).spec.argv == ("/bin/post",)
    post = bench.launched()
    assert bench.status(service).state == ServiceState.RUNNING
    bench.tell(ProcessExited(post, 9, None))
    assert bench.status(service).state == ServiceState.RUNNING
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.one(LaunchProcess).spec.argv == ("/bin/exit",)
    assert bench.status(service).state == ServiceState.STOPPED
