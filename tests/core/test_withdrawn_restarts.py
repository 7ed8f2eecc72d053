"""Restarts that do not come: what was asked, done or taken away meanwhile."""

from __future__ import annotations

from scmd.core import recovery
from scmd.core.messages import ControlId, HandleId, LaunchId
from scmd.core.messages.commands import (
    ChangeConfig,
    DeleteService,
    ExplainService,
)
from scmd.core.messages.effects import LaunchProcess, SendControl
from scmd.core.messages.events import (
    ControlAnswered,
    LaunchFailed,
    ProcessExited,
    ProcessStarted,
    Shutdown,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    ServiceState,
    StartType,
)
from tests.core.bench import PID, Bench
from tests.core.failing import (
    RESTART,
    comes_back,
    crash,
    flagged,
    hosted,
    launch_of,
    logged,
    protect,
    record,
)


def test_a_service_that_was_asked_to_stop_is_never_restarted() -> None:
    bench = Bench()
    service = bench.create()
    protect(bench, service, ((RESTART, 0),))
    launch = bench.running(service)
    bench.control(service, 1)
    bench.answer_control()
    bench.tell(ProcessExited(launch, None, 11))
    assert bench.events() == [7034]
    assert bench.scm.next_deadline() is None
    assert bench.status(service).state == ServiceState.STOPPED
    assert not recovery.is_failed(record(bench, service))


def with_a_stop_on_its_way() -> tuple[Bench, HandleId, LaunchId, ControlId]:
    """A service with a restart action, its launch, and the control that it has not answered."""
    bench = Bench()
    service = bench.create()
    protect(bench, service, ((RESTART, 1_000),))
    launch = bench.running(service)
    bench.control(service, 1)
    return bench, service, launch, bench.one(SendControl).control


def test_a_stop_that_was_refused_changes_nothing() -> None:
    bench, _, launch, control = with_a_stop_on_its_way()
    bench.tell(ControlAnswered(launch, control, 120))
    bench.tell(ProcessExited(launch, None, 11))
    assert bench.events() == [7031]


def test_a_second_stop_that_came_too_late_does_not_take_the_first_one_back() -> None:
    bench, service, launch, control = with_a_stop_on_its_way()
    second = bench.control(service, 1)
    bench.report(launch, service, ServiceState.STOP_PENDING)
    bench.tell(ControlAnswered(launch, control, 0))
    assert bench.replies[second.call.id].error == Error.SERVICE_CANNOT_ACCEPT_CTRL
    bench.tell(ProcessExited(launch, None, 11))
    assert bench.events() == [7034]
    assert bench.scm.next_deadline() is None


def test_a_second_stop_stays_asked_for_when_the_first_one_is_refused() -> None:
    bench, service, launch, control = with_a_stop_on_its_way()
    bench.control(service, 1)
    bench.tell(ControlAnswered(launch, control, 120))
    bench.tell(ProcessExited(launch, None, 11))
    assert bench.events() == [7034]


def test_a_stop_with_an_error_that_was_asked_for_is_no_failure() -> None:
    bench = Bench()
    service = bench.create()
    protect(bench, service, ((RESTART, 0),))
    flagged(bench, service)
    launch = bench.running(service)
    bench.control(service, 1)
    bench.answer_control()
    bench.report(launch, service, 1, win32_exit_code=5)
    assert bench.events() == [7036, 7023]
    assert record(bench, service).failures == 0


def test_a_stop_while_the_restart_is_waited_for_ends_the_wait() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    command = bench.control(service, 1)
    assert bench.replies[command.call.id].error == Error.SERVICE_NOT_ACTIVE
    assert bench.scm.next_deadline() is None
    assert bench.pass_time(10_000) == []
    found = bench.result(ExplainService(bench.call(), service)).findings
    assert "was asked to stop: no failure action follows" in [finding.text for finding in found]


def test_nothing_happens_when_someone_has_started_it_meanwhile() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    bench.start(service)
    comes_back(bench, service)
    assert bench.scm.next_deadline() is None


def test_a_start_that_fails_while_a_restart_is_due_counts_as_the_restart() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    bench.start(service)
    bench.pass_time(1_000)
    bench.tell(LaunchFailed(launch_of(bench, service), Error.FILE_NOT_FOUND, ""))
    assert bench.events() == [7000, 7032, 7031]


def test_a_disabled_service_is_not_restarted() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    bench.result(ChangeConfig(bench.call(), service, start_type=StartType.DISABLED))
    bench.pass_time(1_000)
    assert bench.events() == [7032]
    assert logged(bench, 7032)[2] == "A"
    assert bench.scm.next_deadline() is None
    assert recovery.is_failed(record(bench, service))


def test_a_marked_service_is_not_restarted() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    bench.result(DeleteService(bench.call(), service))
    crash(bench, service)
    assert bench.events() == [7034]
    assert bench.scm.next_deadline() is None


def test_a_removed_service_is_not_restarted() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    bench.result(DeleteService(bench.call(), service))
    bench.pass_time(1_000)
    assert not bench.found(LaunchProcess)


def test_other_failure_actions_do_not_call_a_restart_off() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    protect(bench, service, ())
    bench.pass_time(1_000)
    bench.one(LaunchProcess)


def test_a_shutdown_calls_everything_off() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    crash(bench, service)
    bench.tell(Shutdown())
    assert bench.scm.next_deadline() is None


def test_a_restart_brings_its_dependencies_with_it() -> None:
    bench = Bench()
    below = bench.create_hosted("Below")
    service = bench.create_hosted(dependencies=("Below",))
    protect(bench, service, ((RESTART, 1_000),))
    bench.start(service)
    bench.tell(ProcessStarted(bench.launched(), PID))
    bench.tell(ProcessStarted(bench.launched(), PID))
    crash(bench, service)
    bench.tell(ProcessExited(launch_of(bench, below), None, 9))
    bench.pass_time(1_000)
    comes_back(bench, below)
    comes_back(bench, service)
