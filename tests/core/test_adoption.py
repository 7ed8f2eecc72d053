"""Adoption: what a new manager makes of the journal and of what the keeper holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from scmd.core.memory import Memory
from scmd.core.messages import HandleId, LaunchId, ServiceId, Settings, StoredService
from scmd.core.messages.commands import ExplainService, KillService
from scmd.core.messages.effects import (
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    RemoveRecord,
    SendControl,
    SendResync,
    SendStart,
    ServiceFailed,
    ShutdownCompleted,
    SignalProcess,
    StatusChanged,
)
from scmd.core.messages.events import (
    Adopted,
    AutoStart,
    HeldLaunch,
    LaunchFailed,
    ProcessExited,
    ProcessStarted,
    Shutdown,
    StartAnswered,
    StatusReported,
)
from scmd.core.notifications import parse
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import Control, ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.core.bench import PID, Bench

HOOK = "/bin/hook"


def held(launch: int, service: int = 1, **more: object) -> HeldLaunch:
    """A launch that the keeper holds; without a control channel unless it is asked for."""
    given = HeldLaunch(LaunchId(launch), ServiceId(service), PID, control_channel=False)
    return replace(given, **more)


def successor(bench: Bench, *launches: HeldLaunch, journal: bool = True) -> Bench:
    """A new manager's core after the one on the bench has died."""
    stored = [
        StoredService(record.id, record.config, record.parameters, record.deleted)
        for record in bench.scm.state.records.values()
    ]
    entries: tuple[Memory, ...] = tuple(bench.journal) if journal else ()
    adopted = Adopted(entries, launches)
    return Bench(stored, Settings(first_launch=1_000_001), adopted, bench.now)


def state(bench: Bench, name: str = "A") -> ServiceState:
    record = next(r for r in bench.scm.state.records.values() if r.config.name == name)
    return ServiceState(record.status.state)


def running_program(bench: Bench, **values: Any) -> HandleId:
    service = bench.create_hosted(**values)
    bench.start(service)
    bench.tell(ProcessStarted(LaunchId(1), PID))
    return service


def test_what_ran_runs_and_what_was_reported_is_known() -> None:
    bench = Bench()
    launch = bench.running(bench.create("A"), accepted=3)
    new = successor(bench, held(launch, control_channel=True))
    assert new.one(SendResync).launch == launch
    assert new.found(LaunchProcess) == []
    status = new.queried(new.open("A"))
    assert (status.state, status.controls_accepted, status.process_id) == (4, 3, PID)
    new.control(new.open("A"), Control.STOP)
    assert new.one(SendControl).launch == launch


def test_exit_codes_of_the_last_run_are_kept() -> None:
    bench = Bench()
    service = running_program(bench)
    bench.tell(ProcessExited(LaunchId(1), 3, None))
    assert bench.status(service).service_specific_exit_code == 3
    new = successor(bench)
    status = new.queried(new.open("A"))
    assert (status.win32_exit_code, status.service_specific_exit_code) == (1066, 3)


def test_never_started_stays_never_started() -> None:
    bench = Bench()
    bench.create("A")
    status = (new := successor(bench)).queried(new.open("A"))
    assert status.win32_exit_code == Error.SERVICE_NEVER_STARTED


def test_an_exit_that_came_meanwhile_counts() -> None:
    bench = Bench()
    running_program(bench)
    new = successor(bench, held(1, ended=True))
    new.tell(ProcessExited(LaunchId(1), None, 11))
    assert new.one(ForgetLaunch).launch == 1
    assert new.events() == [7034]
    assert new.queried(new.open("A")).win32_exit_code == Error.PROCESS_ABORTED


def test_an_exit_that_was_dealt_with_is_only_forgotten() -> None:
    bench = Bench()
    running_program(bench)
    bench.tell(ProcessExited(LaunchId(1), 3, None))
    new = successor(bench, held(1, ended=True))
    new.tell(ProcessExited(LaunchId(1), 3, None))
    assert new.one(ForgetLaunch).launch == 1
    assert new.events() == []


def test_a_start_that_was_not_ordered_is_ordered() -> None:
    bench = Bench()
    bench.start(bench.create("A"))
    new = successor(bench)
    assert new.one(LaunchProcess).launch > 1_000_000
    assert state(new) == ServiceState.START_PENDING


def test_a_start_that_was_ordered_is_waited_for() -> None:
    bench = Bench()
    bench.start(bench.create("A"))
    new = successor(bench, held(1, control_channel=True))
    assert new.found(LaunchProcess) == []
    new.connect(LaunchId(1), "A")
    new.answer_start()
    new.report(LaunchId(1), new.open("A"), 4)
    assert state(new) == ServiceState.RUNNING


def test_a_process_that_never_connects_is_killed_after_the_limit() -> None:
    bench = Bench()
    bench.start(bench.create("A"))
    new = successor(bench, held(1, control_channel=True))
    new.pass_time(30_000)
    assert new.one(KillProcess).launch == 1
    assert state(new) == ServiceState.STOPPED


@pytest.mark.parametrize("error", [Error.SUCCESS, Error.SERVICE_ALREADY_RUNNING])
def test_a_start_that_was_sent_is_sent_again(error: Error) -> None:
    bench = Bench()
    bench.start(bench.create("A"), "x")
    bench.connect(LaunchId(1))
    assert bench.found(SendStart)
    new = successor(bench, held(1, control_channel=True))
    request = new.one(SendStart)
    assert request.arguments == ("A", "x")
    assert new.effects.index(request) < new.effects.index(new.one(SendResync))
    new.tell(StartAnswered(LaunchId(1), request.service, error))
    assert state(new) == ServiceState.START_PENDING
    new.report(LaunchId(1), new.open("A"), 4)
    assert state(new) == ServiceState.RUNNING


def test_a_start_that_waits_for_a_dependency_goes_on_waiting() -> None:
    bench = Bench()
    bench.create("B")
    bench.start(bench.create("A", dependencies=("B",)))
    new = successor(bench, held(1, 1, control_channel=True))
    assert (state(new, "A"), state(new, "B")) == (2, 2)
    new.connect(LaunchId(1), "B")
    new.answer_start()
    new.report(LaunchId(1), new.open("B"), 4)
    assert new.one(LaunchProcess).spec.name == "A"


def test_a_stop_keeps_its_limit() -> None:
    bench = Bench()
    service = running_program(bench, AppStopTime=10_000)
    bench.control(service, Control.STOP)
    bench.pass_time(4_000)
    new = successor(bench, held(1))
    assert new.one(SignalProcess).signal == 15
    new.pass_time(5_999)
    assert new.found(KillProcess) == []
    new.pass_time(1)
    assert new.one(KillProcess).launch == 1
    new.tell(ProcessExited(LaunchId(1), None, 9))
    assert new.queried(new.open("A")).win32_exit_code == Error.SUCCESS


def test_a_kill_is_repeated() -> None:
    bench = Bench()
    service = running_program(bench, AppStopTime=0)
    bench.control(service, Control.STOP)
    bench.pass_time(1)
    new = successor(bench, held(1))
    assert new.one(KillProcess).launch == 1


def test_a_control_to_a_handler_is_never_repeated() -> None:
    bench = Bench()
    service = bench.create("A")
    launch = bench.running(service)
    bench.control(service, 128)
    new = successor(bench, held(launch, control_channel=True))
    assert new.found(SendControl) == []
    new.control(new.open("A"), 129)
    assert new.one(SendControl).control != bench.one(SendControl).control


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("AppEvents/Start/Pre", lambda bench, service: bench.start(service)),
        (
            "AppEvents/Stop/Pre",
            lambda bench, service: (
                bench.start(service),
                bench.tell(ProcessStarted(LaunchId(1), PID)),
                bench.control(service, Control.STOP),
            ),
        ),
    ],
    ids=("before the start", "before the stop"),
)
@pytest.mark.parametrize("begun", [True, False], ids=("begun", "not begun"))
def test_a_hook_is_waited_for_or_begun(
    name: str, act: Callable[[Bench, HandleId], object], begun: bool
) -> None:
    bench = Bench()
    service = bench.create_hosted(**{name: HOOK})
    act(bench, service)
    hook = bench.launched()
    program = [held(1)] if hook > 1 else []
    hooks = [held(hook, hook=True)] if begun else []
    new = successor(bench, *program, *hooks)
    if not begun:
        assert new.one(LaunchProcess).spec.hook
        hook = new.launched()
        new.tell(ProcessStarted(hook, PID + 1))
    new.tell(ProcessExited(hook, 0, None))
    if program:
        assert new.one(SignalProcess).launch == 1
    else:
        assert new.one(LaunchProcess).spec.argv == ("/bin/program",)


def test_a_hook_before_a_start_that_has_no_program_any_more() -> None:
    bench = Bench()
    service = bench.create_hosted(**{"AppEvents/Start/Pre": HOOK})
    bench.start(service)
    bench.scm.state.records[ServiceId(1)].parameters = {}
    new = successor(bench, held(bench.launched(), hook=True))
    new.tell(ProcessExited(bench.launched(), 0, None))
    assert new.found(LaunchProcess) == []
    status = new.status(new.open("A"))
    assert status.state == ServiceState.STOPPED
    assert status.win32_exit_code == Error.FILE_NOT_FOUND


@pytest.mark.parametrize("begun", [True, False], ids=("begun", "not begun"))
def test_a_program_that_is_not_launched_yet_is_asked_what_its_parameters_say_then(
    begun: bool,
) -> None:
    bench = Bench()
    service = bench.create_hosted(**{"AppEvents/Start/Pre": HOOK})
    bench.start(service)
    now = {"AppReady": RegistryValue.of("notify"), "AppWatchdogTime": RegistryValue.of(1_000)}
    record = bench.scm.state.records[ServiceId(1)]
    record.parameters = {**record.parameters, **now}
    new = successor(bench, *([held(bench.launched(), hook=True)] if begun else []))
    hook = bench.launched() if begun else new.launched()
    new.tell(ProcessExited(hook, 0, None))
    launch = new.launched()
    new.tell(ProcessStarted(launch, PID))
    assert state(new) == ServiceState.START_PENDING
    new.tell(parse(launch, b"READY=1"))
    assert state(new) == ServiceState.RUNNING
    new.pass_time(1_500)
    assert new.one(KillProcess).launch == launch, "it was told of a watchdog"


def test_limits_that_are_not_in_force_are_known_to_a_new_manager() -> None:
    bench = Bench()
    bench.start(bench.create_hosted())
    bench.tell(ProcessStarted(bench.launched(), PID, ("MemoryMax: no",)))
    new = successor(bench, held(1))
    answer = new.result(ExplainService(new.call(), new.open("A")))
    assert [finding.text for finding in answer.findings] == ["runs without its limit MemoryMax: no"]


def test_a_launch_whose_failure_was_lost_fails_again() -> None:
    bench = Bench()
    bench.start(bench.create_hosted())
    new = successor(bench)
    new.tell(LaunchFailed(new.launched(), Error.FILE_NOT_FOUND, ""))
    assert new.queried(new.open("A")).win32_exit_code == Error.FILE_NOT_FOUND


def test_a_report_that_was_read_and_not_journaled_is_heard_again() -> None:
    bench = Bench()
    launch = bench.running(bench.create("A"))
    new = successor(bench, held(launch, control_channel=True))
    paused = ServiceStatus(state=7, controls_accepted=3)
    new.tell(StatusReported(launch, ServiceId(1), paused))
    assert state(new) == ServiceState.PAUSED


def test_automatic_starts_never_begin_twice() -> None:
    bench = Bench()
    bench.create("A", start_type=2)
    bench.tell(AutoStart())
    launch = bench.launched()
    bench.connect(launch)
    bench.answer_start()
    bench.report(launch, bench.open("A"), 1)
    bench.tell(ProcessExited(launch, 0, None))
    new = successor(bench)
    new.tell(AutoStart())
    assert new.found(LaunchProcess) == []


def test_automatic_starts_go_on_with_the_next_batch() -> None:
    bench = Bench(settings=Settings(group_order=("First",)))
    bench.create("A", start_type=2, load_order_group="First")
    bench.create("B", start_type=2)
    bench.tell(AutoStart())
    new = successor(bench, held(1, control_channel=True))
    assert state(new, "B") == ServiceState.STOPPED
    new.connect(LaunchId(1))
    new.answer_start()
    new.report(LaunchId(1), new.open("A"), 4)
    assert new.one(LaunchProcess).spec.name == "B"


def test_delayed_starts_keep_their_instant() -> None:
    bench = Bench()
    handle = bench.create("A", start_type=2)
    record = bench.scm.state.handles[handle].record
    assert record is not None
    record.config = record.config.replace(delayed_auto_start=True)
    bench.tell(AutoStart())
    bench.pass_time(100_000)
    new = successor(bench)
    new.tell(AutoStart())
    new.pass_time(19_999)
    assert new.found(LaunchProcess) == []
    new.pass_time(1)
    assert new.one(LaunchProcess).spec.name == "A"


def test_a_marked_and_stopped_record_is_removed() -> None:
    bench = Bench()
    service = bench.create("A")
    record = bench.scm.state.handles[service].record
    assert record is not None
    record.deleted = True
    new = successor(bench)
    assert new.one(RemoveRecord).service == 1


def test_a_marked_and_running_record_is_removed_when_it_stops() -> None:
    bench = Bench()
    service = running_program(bench)
    record = bench.scm.state.handles[service].record
    assert record is not None
    record.deleted = True
    new = successor(bench, held(1))
    assert new.found(RemoveRecord) == []
    new.tell(ProcessExited(LaunchId(1), 0, None))
    assert new.one(RemoveRecord).service == 1


def test_failures_are_counted_on() -> None:
    bench = Bench()
    running_program(bench)
    bench.tell(ProcessExited(LaunchId(1), None, 11))
    new = successor(bench)
    new.start(new.open("A"))
    launch = new.launched()
    new.tell(ProcessStarted(launch, PID))
    new.tell(ProcessExited(launch, None, 11))
    assert new.scm.state.records[ServiceId(1)].failures == 2


# Without a journal ----------------------------------------------------------------------------


def test_without_a_journal_a_program_counts_as_running() -> None:
    bench = Bench()
    running_program(bench)
    new = successor(bench, held(1), journal=False)
    assert new.queried(new.open("A")).process_id == PID
    assert state(new) == ServiceState.RUNNING
    new.control(new.open("A"), Control.STOP)
    assert new.one(SignalProcess).launch == 1


def test_without_a_journal_no_watchdog_is_waited_for() -> None:
    """By no manager after that: nobody knows whether the program was told of one."""
    bench = Bench()
    running_program(bench, AppWatchdogTime=1_000)
    new = successor(bench, held(1), journal=False)
    for _ in range(2):
        new.pass_time(1_500)
        assert not new.found(KillProcess)
        new = successor(new, held(1))


def test_without_a_journal_a_process_says_what_runs_in_it() -> None:
    bench = Bench()
    launch = bench.running(bench.create("A"))
    new = successor(bench, held(launch, control_channel=True), journal=False)
    assert new.one(SendResync).launch == launch
    assert state(new) == ServiceState.START_PENDING
    new.connect(launch, "A")
    new.report(launch, new.open("A"), 4)
    assert state(new) == ServiceState.RUNNING
    assert new.queried(new.open("A")).process_id == PID


def test_without_a_journal_a_process_that_says_nothing_is_killed() -> None:
    bench = Bench()
    launch = bench.running(bench.create("A"))
    new = successor(bench, held(launch, control_channel=True), journal=False)
    new.pass_time(30_000)
    assert new.one(KillProcess).launch == launch
    new.tell(ProcessExited(launch, None, 9))
    assert new.queried(new.open("A")).win32_exit_code == Error.PROCESS_ABORTED


@pytest.mark.parametrize(
    "stranger", [held(5, 1, hook=True), held(5, 99)], ids=("a hook", "of no service")
)
def test_what_belongs_to_nothing_is_killed_and_forgotten(stranger: HeldLaunch) -> None:
    bench = Bench()
    bench.create_hosted()
    new = successor(bench, stranger, journal=False)
    assert new.one(KillProcess).launch == 5
    new.tell(ProcessExited(LaunchId(5), None, 9))
    assert new.one(ForgetLaunch).launch == 5


def test_a_shutdown_waits_for_what_belongs_to_nothing() -> None:
    bench = Bench()
    new = successor(bench, held(5, 99), journal=False)
    new.tell(Shutdown())
    assert new.found(ShutdownCompleted) == []
    new.tell(ProcessExited(LaunchId(5), None, 9))
    assert new.found(ShutdownCompleted)


def test_a_process_that_vanished_with_a_stale_journal_is_dead() -> None:
    bench = Bench()
    running_program(bench)
    new = successor(bench)
    assert state(new) == ServiceState.STOPPED
    assert new.queried(new.open("A")).win32_exit_code == Error.PROCESS_ABORTED


def test_causes_actors_and_durations_are_known() -> None:
    bench = Bench()
    running_program(bench)
    bench.pass_time(5_000)
    bench.control(bench.open("A"), Control.STOP)
    bench.pass_time(1_000)
    new = successor(bench, held(1))
    answer = new.result(ExplainService(new.call(), new.open("A")))
    assert (answer.state, answer.cause, answer.lasted) == ("STOP_PENDING", "asked to stop", 1_000)
    assert (answer.actor, answer.origin) == ("somebody", "a test")
    new.tell(ProcessExited(LaunchId(1), None, 15))
    change = new.one(StatusChanged)
    assert (change.actor.name, change.lasted) == ("somebody", 1_000)


def test_killed_on_request_stays_no_failure() -> None:
    bench = Bench()
    launch = bench.running(bench.create("A"))
    bench.ask(KillService(bench.call(), bench.open("A")))
    new = successor(bench, held(launch, control_channel=True))
    assert new.one(KillProcess).launch == launch
    new.tell(ProcessExited(launch, None, 9))
    assert state(new) == ServiceState.STOPPED
    assert not new.found(ServiceFailed)
    assert 7034 not in new.events()
