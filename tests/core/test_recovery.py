"""Recovery: what is a failure, which action follows and when, commands, backoff, new managers."""

from __future__ import annotations

import pytest

from scmd.core import recovery
from scmd.core.messages import Settings, StoredService
from scmd.core.messages.commands import (
    ExplainService,
    QueryRecovery,
)
from scmd.core.messages.effects import KillProcess, LaunchProcess
from scmd.core.messages.events import (
    Adopted,
    HeldLaunch,
    LaunchFailed,
    ProcessExited,
    ProcessStarted,
)
from scmd.core.records import LaunchKind
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    INFINITE,
    ServiceAccess,
    ServiceState,
)
from tests.core.bench import PID, Bench
from tests.core.failing import (
    NONE,
    REBOOT,
    RESTART,
    RUN,
    comes_back,
    crash,
    flagged,
    hosted,
    launch_of,
    logged,
    protect,
    record,
)

# Which action, and when ---------------------------------------------------------------------


def test_the_nth_failure_takes_the_nth_action_and_the_last_repeats() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000), (RESTART, 5_000), (RESTART, 60_000)))
    for count, delay in enumerate((1_000, 5_000, 60_000, 60_000), 1):
        crash(bench, service)
        assert bench.events() == [7031]
        assert logged(bench, 7031) == ("A", str(count), str(delay), "restart the service")
        assert bench.status(service).state == ServiceState.STOPPED
        assert bench.status(service).win32_exit_code == Error.PROCESS_ABORTED
        assert not any(isinstance(e, LaunchProcess) for e in bench.pass_time(delay - 1))
        bench.pass_time(1)
        bench.one(LaunchProcess)
        comes_back(bench, service)


def test_without_delay_the_restart_is_part_of_the_same_step() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0),))
    crash(bench, service)
    bench.one(LaunchProcess)
    assert bench.status(service).state == ServiceState.START_PENDING


@pytest.mark.parametrize(
    ("reset", "quiet", "count"),
    [(10, 9_999, 2), (10, 10_000, 1), (0, 0, 1), (INFINITE, 10**9, 2)],
)
def test_the_reset_period_without_a_failure_sets_the_count_to_zero(
    reset: int, quiet: int, count: int
) -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0), (NONE, 0)), reset)
    crash(bench, service)
    comes_back(bench, service)
    bench.pass_time(quiet)
    assert recovery.failure_count(record(bench, service), bench.now) == count - 1
    crash(bench, service)
    assert record(bench, service).failures == count


def test_no_action_means_that_it_is_logged_and_left() -> None:
    bench = Bench()
    service = hosted(bench, ((NONE, 0),))
    crash(bench, service)
    assert bench.events() == [7034]
    assert bench.scm.next_deadline() is None
    assert recovery.is_failed(record(bench, service))


def test_without_failure_actions_failures_are_counted_since_boot() -> None:
    bench = Bench()
    service = hosted(bench, ())
    for count in ("1", "2"):
        crash(bench, service)
        assert logged(bench, 7034) == ("A", count)
        bench.start(service)
        comes_back(bench, service)


# What is a failure --------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "events"), [(False, [7036, 7024]), (True, [7036, 7024, 7031])])
def test_a_stop_with_an_error_is_a_failure_if_the_flag_says_so(
    flag: bool, events: list[int]
) -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000),))
    if flag:
        flagged(bench, service)
    bench.tell(ProcessExited(launch_of(bench, service), 3, None))
    assert bench.events() == events
    assert (bench.scm.next_deadline() is not None) == flag
    assert recovery.is_failed(record(bench, service)) == (not flag)


def test_a_service_that_reports_an_error_fails_with_the_flag_only() -> None:
    bench = Bench()
    service = bench.create()
    protect(bench, service, ((RESTART, 1_000),))
    flagged(bench, service)
    launch = bench.running(service)
    bench.report(launch, service, 1, win32_exit_code=1064)
    assert bench.events() == [7036, 7023, 7031]
    bench.pass_time(1_000)
    assert bench.status(service).state == ServiceState.START_PENDING


def test_a_clean_end_is_no_failure() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0),))
    flagged(bench, service)
    bench.tell(ProcessExited(launch_of(bench, service), 0, None))
    assert bench.status(service).state == ServiceState.STOPPED
    assert record(bench, service).failures == 0
    assert not recovery.is_failed(record(bench, service))


def test_a_start_that_fails_is_no_failure() -> None:
    bench = Bench()
    service = bench.create_hosted()
    protect(bench, service, ((RESTART, 0),))
    bench.start(service)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, ""))
    assert bench.events() == [7000]
    assert bench.scm.next_deadline() is None


def test_a_restart_that_fails_is_one_more_failure_and_waits_longer_each_time() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0),))
    crash(bench, service)
    for count, delay in enumerate((1_000, 2_000, 4_000), 2):
        bench.tell(LaunchFailed(launch_of(bench, service), Error.FILE_NOT_FOUND, ""))
        assert bench.events() == [7000, 7032, 7031]
        assert logged(bench, 7032)[:3] == ("1", "restart the service", "A")
        assert logged(bench, 7031)[1:3] == (str(count), str(delay))
        bench.pass_time(delay)
    comes_back(bench, service)
    assert record(bench, service).failures == 4


def test_the_last_backoff_is_the_longest() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0),))
    crash(bench, service)
    for _ in range(12):
        bench.tell(LaunchFailed(launch_of(bench, service), Error.FILE_NOT_FOUND, ""))
        delay = int(logged(bench, 7031)[2])
        bench.pass_time(delay)
    assert delay == recovery.LAST_BACKOFF


def test_a_look_at_it_needs_the_right_to_query() -> None:
    bench = Bench()
    bench.create()
    start_only = bench.open("A", int(ServiceAccess.START))
    assert bench.error(QueryRecovery(bench.call(), start_only)) == Error.ACCESS_DENIED


# Commands -----------------------------------------------------------------------------------


def test_the_command_runs_under_the_account_with_the_count() -> None:
    bench = Bench()
    service = bench.create(account="NT AUTHORITY\\LocalService")
    protect(bench, service, ((RUN, 500),), command='"/bin/tell me" /fail=%1%')
    launch = bench.running(service)
    bench.tell(ProcessExited(launch, None, 11))
    assert logged(bench, 7031)[2:] == ("500", "run the recovery command")
    bench.pass_time(500)
    spec = bench.one(LaunchProcess).spec
    assert spec.argv == ("/bin/tell me", "/fail=1")
    assert (spec.account, spec.control_channel, spec.hook) == (
        "NT AUTHORITY\\LocalService",
        False,
        True,
    )
    command = bench.launched()
    bench.tell(ProcessStarted(command, PID))
    bench.tell(ProcessExited(command, 0, None))
    assert bench.events() == []
    assert bench.status(service).state == ServiceState.STOPPED
    assert bench.scm.next_deadline() is None


@pytest.mark.parametrize(("code", "signal"), [(3, None), (None, 9)])
def test_a_command_that_fails_is_logged(code: int | None, signal: int | None) -> None:
    bench = Bench()
    service = hosted(bench, ((RUN, 0),))
    crash(bench, service)
    bench.tell(ProcessExited(bench.launched(), code, signal))
    assert bench.events() == [7032]


def test_a_command_that_never_ends_is_killed_once_and_logged_once() -> None:
    bench = Bench()
    service = hosted(bench, ((RUN, 0),))
    crash(bench, service)
    command = bench.launched()
    bench.pass_time(recovery.COMMAND_TIME)
    assert bench.one(KillProcess).launch == command
    assert bench.events() == [7032]
    bench.tell(ProcessExited(command, None, 9))
    assert bench.events() == []


@pytest.mark.parametrize("command", ["", "tell"])
def test_a_command_that_cannot_be_run_is_logged(command: str) -> None:
    bench = Bench()
    service = hosted(bench, ())
    protect(bench, service, ((RUN, 0),), command=command)
    crash(bench, service)
    assert bench.events() == [7031, 7032]


def test_a_command_that_is_not_there_is_logged() -> None:
    bench = Bench()
    service = hosted(bench, ((RUN, 0),))
    crash(bench, service)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, ""))
    assert bench.events() == [7032]
    assert not bench.scm.state.launches


def test_a_reboot_is_the_machines_command_and_says_why() -> None:
    bench = Bench(settings=Settings(reboot_command="/sbin/reboot now"))
    service = hosted(bench, ((REBOOT, 1_000),))
    crash(bench, service)
    assert logged(bench, 7031)[2:] == ("1000", "restart the machine (going down)")
    bench.pass_time(1_000)
    spec = bench.one(LaunchProcess).spec
    assert (spec.argv, spec.account) == (("/sbin/reboot", "now"), "LocalSystem")


def test_without_a_reboot_command_the_machine_stays_up() -> None:
    bench = Bench()
    service = hosted(bench, ((REBOOT, 0),))
    crash(bench, service)
    assert bench.events() == [7031, 7032]


# Beyond the documentation -------------------------------------------------------------------


def test_a_crash_loop_ends_stopped_with_the_last_codes() -> None:
    bench = Bench(settings=Settings(crash_loop_limit=3))
    service = hosted(bench, ((RESTART, 0),))
    for _ in range(3):
        crash(bench, service)
        comes_back(bench, service)
    crash(bench, service)
    assert bench.events() == [8002, 7034]
    assert logged(bench, 8002) == ("A", "4", "10")
    assert bench.scm.next_deadline() is None
    assert bench.status(service).win32_exit_code == Error.PROCESS_ABORTED
    assert recovery.is_failed(record(bench, service))
    assert bench.scm.counts()["failed"] == 1


def test_failures_further_apart_are_no_crash_loop() -> None:
    bench = Bench(settings=Settings(crash_loop_limit=3))
    service = hosted(bench, ((RESTART, 0),))
    for _ in range(20):
        bench.pass_time(4_000)
        crash(bench, service)
        comes_back(bench, service)


def test_a_service_may_have_a_limit_of_its_own_or_none() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0),), AppRestartLimit=0)
    for _ in range(50):
        crash(bench, service)
        comes_back(bench, service)


def test_quick_failures_back_off_and_a_healthy_run_resets_it() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 500),), AppThrottle=5_000)
    delays = []
    for lived in (0, 10, 4_999, 5_000, 1):
        bench.pass_time(lived)
        crash(bench, service)
        delays.append(int(logged(bench, 7031)[2]))
        bench.pass_time(delays[-1])
        comes_back(bench, service)
    assert delays == [1_000, 2_000, 4_000, 500, 1_000]


def test_the_restart_delay_is_the_least_delay() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 500), (RESTART, 5_000)), AppRestartDelay=2_000)
    for delay in ("2000", "5000"):
        crash(bench, service)
        assert logged(bench, 7031)[2] == delay
        bench.pass_time(int(delay))
        comes_back(bench, service)


def test_the_preview_says_what_would_come() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000), (RUN, 0), (NONE, 0)))
    crash(bench, service)
    bench.pass_time(400)
    seen = bench.result(QueryRecovery(bench.call(), service))
    assert seen == recovery.preview(bench.scm.state, record(bench, service))
    assert (seen.failures, seen.failed, seen.pending, seen.due_in) == (1, False, RESTART, 600)
    assert [(step.failure, step.action) for step in seen.schedule] == [(2, RUN), (3, NONE)]
    bench.pass_time(600)
    comes_back(bench, service)
    seen = recovery.preview(bench.scm.state, record(bench, service))
    assert (seen.pending, seen.due_in) == (NONE, 0)


def test_the_preview_knows_what_makes_restarts_wait() -> None:
    bench = Bench()
    delays = {"AppRestartDelay": 3_000, "AppThrottle": 9_000}
    service = hosted(bench, ((RESTART, 1_000), (RUN, 500)), **delays)
    steps = bench.result(QueryRecovery(bench.call(), service)).schedule
    assert [(step.delay, step.throttle) for step in steps] == [(3_000, 9_000), (500, 0)]
    found = bench.result(ExplainService(bench.call(), service)).findings
    assert any("in 3.0 s, later if it has run for less than 9.0 s" in f.text for f in found)


# A new manager ------------------------------------------------------------------------------


def adopted(bench: Bench, held: tuple[HeldLaunch, ...] = ()) -> Bench:
    """A second manager, which has the first one's journal."""
    stored = [StoredService(r.id, r.config, r.parameters) for r in bench.scm.state.records.values()]
    second = Bench(stored, Settings(first_launch=1_000))
    second.now = bench.now
    second.journal = []
    second.tell(Adopted(tuple(bench.journal), held))
    return second


def test_a_restart_that_is_waited_for_comes_at_its_instant() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 1_000), (RESTART, 2_000)))
    crash(bench, service)
    bench.pass_time(300)
    second = adopted(bench)
    assert second.scm.next_deadline() == 1_000
    [known] = second.scm.state.records.values()
    assert (known.failures, known.is_recovering) == (1, True)
    second.pass_time(700)
    launch = second.launched()
    second.tell(ProcessStarted(launch, PID))
    second.tell(ProcessExited(launch, None, 11))
    assert logged(second, 7031)[1:3] == ("2", "2000")


def test_a_restart_under_way_is_still_one() -> None:
    bench = Bench()
    service = hosted(bench, ((RESTART, 0),))
    crash(bench, service)
    launch = launch_of(bench, service)
    second = adopted(bench)
    again = second.launched()
    assert again != launch
    second.tell(LaunchFailed(again, Error.FILE_NOT_FOUND, ""))
    assert second.events() == [7000, 7032, 7031]


def test_a_command_is_waited_for_and_one_that_was_not_begun_is_begun() -> None:
    bench = Bench()
    service = hosted(bench, ((RUN, 0),))
    crash(bench, service)
    command = bench.launched()
    held = HeldLaunch(command, bench.id(service), PID, control_channel=False, hook=True)
    second = adopted(bench, (held,))
    assert second.scm.state.launches[command].kind is LaunchKind.COMMAND
    second.tell(ProcessExited(command, 1, None))
    assert second.events() == [7032]
    third = adopted(bench)
    assert third.one(LaunchProcess).spec.argv == ("/bin/tell", "--count=1")


def test_a_stop_that_was_asked_for_is_remembered() -> None:
    bench = Bench()
    service = bench.create()
    protect(bench, service, ((RESTART, 0),))
    launch = bench.running(service)
    bench.control(service, 1)
    held = HeldLaunch(launch, bench.id(service), PID, control_channel=True)
    second = adopted(bench, (held,))
    second.tell(ProcessExited(launch, None, 11))
    assert second.events() == [7034]
    assert not second.found(LaunchProcess)
