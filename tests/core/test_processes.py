"""Processes: one request at a time, each with a deadline; what ends a run, and how."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.control_pipe.packets import SERVICE_TYPE_VARIABLE
from scmd.core.messages import HandleId, LaunchId
from scmd.core.messages.effects import (
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    SendControl,
    SendStart,
    StatusChanged,
)
from scmd.core.messages.events import (
    ChannelClosed,
    ControlAnswered,
    DispatcherConnected,
    HandlerRegistered,
    LaunchFailed,
    ProcessExited,
    ProcessStarted,
    StartAnswered,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState
from tests.core.bench import PID, Bench

SHARE: dict[str, Any] = {"type": 0x20, "image_path": "/bin/shared -k"}


def test_a_start_from_launch_to_running() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service, "one", "two")
    launch = bench.launched()
    assert bench.one(LaunchProcess).spec.argv == ("/bin/A",)
    assert bench.status(service).state == ServiceState.START_PENDING
    bench.connect(launch, "another name")
    assert bench.one(SendStart).arguments == ("A", "one", "two")
    assert not bench.answered(command)
    bench.answer_start()
    reply = bench.replies[command.call.id]
    status = bench.status(service)
    assert (reply.error, reply.result) == (0, status)
    assert (status.state, status.controls_accepted, status.check_point) == (2, 0, 0)
    assert (status.wait_hint, status.process_id) == (2000, PID)
    bench.report(launch, service, ServiceState.RUNNING)
    assert 7036 in bench.events()
    assert bench.queried(service).state == ServiceState.RUNNING


@pytest.mark.parametrize(
    ("type", "told"), [(0x10, "16"), (0x110, "16"), (0x20, "32"), (0x120, "32")]
)
def test_a_process_is_told_whether_it_is_shared(type: int, told: str) -> None:
    bench = Bench()
    bench.start(bench.create(type=type))
    spec = bench.one(LaunchProcess).spec
    assert spec.extra_environment == ((SERVICE_TYPE_VARIABLE, told),)


def test_a_process_that_does_not_connect_is_killed() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.pass_time(29_999)
    assert not bench.answered(command)
    bench.pass_time(1)
    assert bench.replies[command.call.id].error == 1053
    assert bench.one(KillProcess).launch == launch
    assert {7009, 7000} <= set(bench.events())
    assert bench.status(service).win32_exit_code == 1053
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.one(ForgetLaunch).launch == launch
    assert bench.scm.next_deadline() is None


def test_a_process_that_exits_early_fails_the_start_at_once() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.replies[command.call.id].error == 1053
    assert bench.status(service).state == ServiceState.STOPPED
    assert bench.scm.next_deadline() is None


def test_what_cannot_be_executed_says_why() -> None:
    for error in (Error.FILE_NOT_FOUND, Error.PATH_NOT_FOUND, Error.BAD_EXE_FORMAT):
        bench = Bench()
        service = bench.create()
        command = bench.start(service)
        bench.tell(LaunchFailed(bench.launched(), error, "no"))
        assert bench.replies[command.call.id].error == error
        assert bench.status(service).win32_exit_code == error
        assert not bench.scm.state.launches


def test_a_relative_image_path_is_not_found() -> None:
    bench = Bench()
    service = bench.create(image_path="program -x")
    command = bench.start(service)
    assert bench.replies[command.call.id].error == 2
    assert not bench.found(LaunchProcess)


def test_an_unanswered_start_request_is_1053_and_kills() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.connect(launch)
    bench.pass_time(30_000)
    assert bench.replies[command.call.id].error == 1053
    assert bench.found(KillProcess)
    assert 7011 in bench.events()


def test_a_thread_that_cannot_be_made_is_1054() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.connect(launch)
    bench.tell(StartAnswered(launch, bench.id(service), 1054))
    assert bench.replies[command.call.id].error == 1054
    assert bench.found(KillProcess)


def test_a_late_handler_is_only_a_warning() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.pass_time(1_000)
    assert bench.events() == [8001]
    bench.tell(HandlerRegistered(launch, bench.id(service)))
    assert bench.status(service).state == ServiceState.RUNNING


def test_a_handler_in_time_is_no_event() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.tell(HandlerRegistered(launch, bench.id(service)))
    assert bench.scm.next_deadline() is None


def test_controls_queue_one_behind_the_other() -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service)
    first = bench.control(service, 128)
    request = bench.one(SendControl)
    second = bench.control(service, 129)
    assert not bench.found(SendControl)
    bench.tell(ControlAnswered(request.launch, request.control, 0))
    assert bench.answered(first)
    assert bench.one(SendControl).code == 129
    bench.answer_control()
    assert bench.answered(second)


def test_a_busy_handler_is_1053_for_everyone_until_it_returns() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.tell(HandlerRegistered(launch, bench.id(service)))
    first = bench.control(service, 128)
    request = bench.one(SendControl)
    bench.pass_time(10_000)
    second = bench.control(service, 129)
    bench.pass_time(20_000)
    assert bench.replies[first.call.id].error == 1053
    assert bench.events() == [7011]
    assert not bench.found(SendControl)
    assert bench.queried(service).state == ServiceState.RUNNING
    bench.pass_time(10_000)
    assert bench.replies[second.call.id].error == 1053
    bench.tell(ControlAnswered(launch, request.control, 0))
    bench.control(service, 130)
    assert bench.one(SendControl).code == 130


def test_a_queued_control_is_looked_at_again_when_its_turn_comes() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.control(service, 128)
    request = bench.one(SendControl)
    queued = bench.control(service, 2)
    bench.report(launch, service, ServiceState.STOP_PENDING, 0)
    bench.tell(ControlAnswered(launch, request.control, 0))
    reply = bench.replies[queued.call.id]
    assert (reply.error, reply.result) == (1061, bench.status(service))


def test_death_without_stopped_is_1067_and_an_event() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    command = bench.control(service, 128)
    bench.tell(ProcessExited(launch, None, 11))
    status = bench.status(service)
    assert (status.state, status.win32_exit_code, status.process_id) == (1, 1067, 0)
    assert bench.events() == [7034]
    assert bench.replies[command.call.id].error == 1053
    assert "signal 11" in bench.one(StatusChanged).cause


def test_a_stop_answered_by_the_end_is_a_success() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    command = bench.control(service, 1)
    bench.report(launch, service, ServiceState.STOPPED)
    bench.tell(ProcessExited(launch, 0, None))
    reply = bench.replies[command.call.id]
    assert (reply.error, reply.result) == (0, bench.status(service))


def test_after_stopped_reports_are_ignored() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.report(launch, service, ServiceState.STOPPED)
    bench.report(launch, service, ServiceState.STOP_PENDING)
    assert bench.status(service).state == ServiceState.STOPPED
    assert not bench.effects


def test_a_process_that_does_not_exit_after_its_last_service_is_killed() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.report(launch, service, ServiceState.STOPPED)
    bench.pass_time(29_999)
    assert not bench.found(KillProcess)
    bench.pass_time(1)
    assert bench.one(KillProcess).launch == launch
    bench.pass_time(30_000)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.events() == []
    assert bench.scm.next_deadline() is None


def test_a_new_run_does_not_hear_the_old_process() -> None:
    bench = Bench()
    service = bench.create()
    old = bench.running(service)
    bench.report(old, service, ServiceState.STOPPED)
    bench.running(service)
    bench.report(old, service, ServiceState.PAUSED)
    bench.tell(ProcessExited(old, 3, None))
    bench.tell(ChannelClosed(old))
    assert bench.status(service).state == ServiceState.RUNNING


def test_a_closed_channel_ends_the_process_after_a_grace() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    waiting = bench.control(service, 128)
    bench.tell(ChannelClosed(launch))
    assert bench.replies[waiting.call.id].error == 1053
    refused = bench.control(service, 1)
    assert bench.replies[refused.call.id].error == 1061
    bench.pass_time(5_000)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.status(service).win32_exit_code == 1067


def test_a_channel_closed_before_the_dispatcher_fails_the_start() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ChannelClosed(launch))
    assert bench.replies[command.call.id].error == 1053
    assert bench.found(KillProcess)


def test_running_before_the_start_is_answered() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.connect(launch)
    request = bench.one(SendStart)
    bench.report(launch, service, ServiceState.RUNNING)
    assert not bench.answered(command)
    bench.tell(StartAnswered(launch, request.service, 0))
    assert bench.replies[command.call.id].result == bench.status(service)


def test_stopped_before_the_start_is_answered_is_a_start_all_the_same() -> None:
    bench = Bench()
    service = bench.create()
    command = bench.start(service)
    launch = bench.launched()
    bench.connect(launch)
    bench.report(launch, service, ServiceState.STOPPED, win32_exit_code=5)
    reply = bench.replies[command.call.id]
    assert (reply.error, reply.result) == (0, bench.status(service))
    assert 7023 in bench.events()


# Shared processes -----------------------------------------------------------------------------


def shared_pair(bench: Bench) -> tuple[HandleId, HandleId, LaunchId]:
    one, two = bench.create("A", **SHARE), bench.create("B", **SHARE)
    launch = bench.running(one)
    return one, two, launch


def test_a_second_service_joins_the_process() -> None:
    bench = Bench()
    _, two, launch = shared_pair(bench)
    command = bench.start(two)
    assert not bench.found(LaunchProcess)
    assert bench.one(SendStart).launch == launch
    bench.answer_start()
    assert bench.replies[command.call.id].error == 0
    assert bench.status(two).process_id == PID


def test_a_service_not_in_the_table_is_1083_and_harms_nobody() -> None:
    bench = Bench()
    one, _, _ = shared_pair(bench)
    stranger = bench.create("Stranger", **SHARE)
    command = bench.start(stranger)
    assert bench.replies[command.call.id].error == 1083
    assert not bench.found(KillProcess)
    assert bench.status(one).state == ServiceState.RUNNING


def test_the_only_service_not_in_the_table_ends_the_process() -> None:
    bench = Bench()
    service = bench.create("Stranger", **SHARE)
    command = bench.start(service)
    bench.connect(bench.launched())
    assert bench.replies[command.call.id].error == 1083
    assert bench.found(KillProcess)


def test_another_account_in_a_running_shared_process_is_1079() -> None:
    bench = Bench()
    shared_pair(bench)
    other = bench.create("C", account="DOMAIN\\user", **SHARE)
    command = bench.start(other)
    assert bench.replies[command.call.id].error == 1079
    assert bench.status(other).state == ServiceState.STOPPED


def test_a_crash_stops_every_service_of_the_process() -> None:
    bench = Bench()
    one, two, launch = shared_pair(bench)
    bench.start(two)
    bench.answer_start()
    bench.tell(ProcessExited(launch, 1, None))
    assert bench.events() == [7034, 7034]
    for service in (one, two):
        assert bench.status(service).win32_exit_code == 1067


def test_a_start_that_meets_the_end_of_the_process_gets_a_new_one() -> None:
    bench = Bench()
    one, two, launch = shared_pair(bench)
    command = bench.start(two)
    assert bench.one(SendStart).launch == launch
    bench.report(launch, one, ServiceState.STOPPED)
    bench.tell(ProcessExited(launch, 0, None))
    again = bench.launched()
    assert again != launch
    bench.connect(again)
    bench.answer_start()
    assert bench.replies[command.call.id].error == 0


def test_a_start_queued_in_an_ending_process_moves_to_a_new_one() -> None:
    bench = Bench()
    one, two, launch = shared_pair(bench)
    bench.control(one, 1)
    command = bench.start(two)
    assert not bench.found(SendStart)
    bench.report(launch, one, ServiceState.STOPPED)
    again = bench.launched()
    bench.connect(again)
    bench.answer_start()
    assert bench.replies[command.call.id].error == 0


def test_a_hung_start_leaves_the_others_of_the_process_alone() -> None:
    bench = Bench()
    one, two, launch = shared_pair(bench)
    command = bench.start(two)
    bench.pass_time(30_000)
    assert bench.replies[command.call.id].error == 1053
    assert not bench.found(KillProcess)
    assert bench.status(one).state == ServiceState.RUNNING
    assert bench.status(two).state == ServiceState.START_PENDING
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.status(two).state == ServiceState.STOPPED


def test_starts_wait_for_a_shared_process_that_connects() -> None:
    bench = Bench()
    one, two = bench.create("A", **SHARE), bench.create("B", **SHARE)
    first, launch = bench.start(one), bench.launched()
    second = bench.start(two)
    assert not bench.found(LaunchProcess)
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(DispatcherConnected(launch, ("a", "b")))
    bench.answer_start()
    bench.answer_start()
    assert bench.replies[first.call.id].error == bench.replies[second.call.id].error == 0
