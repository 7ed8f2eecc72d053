"""Essential services: the SCM ends with the first of them, and with its exit status."""

from __future__ import annotations

import pytest

from scmd.core.essential import is_essential
from scmd.core.messages import HandleId, LaunchId, Settings, StoredService
from scmd.core.messages.commands import ChangeConfig2, FailureActionsChange, SetParameters
from scmd.core.messages.effects import KillProcess, LaunchProcess, ShutdownCompleted
from scmd.core.messages.events import (
    Adopted,
    AutoStart,
    HeldLaunch,
    LaunchFailed,
    ProcessExited,
    ProcessStarted,
    Shutdown,
)
from scmd.vocabulary.configuration import FailureAction
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel, ServiceState
from tests.core.bench import PID, Bench

INIT = Settings(ends_with_essential=True)


def hosted(bench: Bench, name: str = "Main", essential: int = 1) -> tuple[HandleId, LaunchId]:
    """A program that runs."""
    service = bench.create_hosted(name, AppEssential=essential)
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    return service, launch


def mark(bench: Bench, service: HandleId, name: str = "AppEssential", value: int | str = 1) -> int:
    return bench.error(SetParameters(bench.call(), service, {name: RegistryValue.of(value)}))


@pytest.mark.parametrize(
    ("code", "signal", "status"), [(0, None, 0), (7, None, 7), (None, 11, 139), (None, 9, 137)]
)
def test_a_program_s_end_is_the_scm_s(code: int | None, signal: int | None, status: int) -> None:
    bench = Bench(settings=INIT)
    _, launch = hosted(bench)
    bench.tell(ProcessExited(launch, code, signal))
    assert bench.one(ShutdownCompleted).exit_status == status


def test_other_services_are_stopped_first() -> None:
    bench = Bench(settings=INIT)
    _, launch = hosted(bench)
    _, other = hosted(bench, "Other", essential=0)
    bench.tell(ProcessExited(launch, 3, None))
    assert not bench.found(ShutdownCompleted)
    bench.tell(ProcessExited(other, None, 15))
    assert bench.one(ShutdownCompleted).exit_status == 3


def fail_over(bench: Bench, service: HandleId) -> None:
    """Its first two failures lead to a restart, a second later."""
    restart = FailureAction(type=ActionType.RESTART, delay=1_000)
    none = FailureAction(type=ActionType.NONE, delay=0)
    actions = FailureActionsChange(0xFFFFFFFF, None, None, (restart, restart, none))
    assert (
        bench.error(ChangeConfig2(bench.call(), service, ConfigLevel.FAILURE_ACTIONS, actions)) == 0
    )


def test_a_failure_that_leads_to_a_restart_is_not_the_end() -> None:
    bench = Bench(settings=INIT)
    service, launch = hosted(bench)
    fail_over(bench, service)
    for _ in range(2):
        bench.tell(ProcessExited(launch, None, 9))
        assert bench.scm.state.shutdown is None
        bench.pass_time(1_000)
        launch = bench.launched()
        bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.one(ShutdownCompleted).exit_status == 137


def test_nothing_is_restarted_while_the_scm_ends() -> None:
    bench = Bench(settings=INIT)
    _, launch = hosted(bench)
    other_service, other = hosted(bench, "Other", essential=0)
    fail_over(bench, other_service)
    _, slow = hosted(bench, "Slow", essential=0)
    bench.tell(ProcessExited(other, None, 9))
    bench.tell(ProcessExited(launch, 0, None))
    bench.pass_time(5_000)
    assert not bench.found(LaunchProcess)
    bench.tell(ProcessExited(slow, 0, None))
    assert bench.one(ShutdownCompleted).exit_status == 0
    assert bench.scm.next_deadline() is None


def test_the_end_of_another_service_is_no_reason() -> None:
    bench = Bench(settings=INIT)
    hosted(bench)
    _, other = hosted(bench, "Other", essential=0)
    bench.tell(ProcessExited(other, 1, None))
    assert bench.scm.state.shutdown is None


def test_under_scmd_run_nothing_ends() -> None:
    bench = Bench()
    _, launch = hosted(bench)
    bench.tell(ProcessExited(launch, 3, None))
    assert bench.scm.state.shutdown is None
    bench.tell(Shutdown())
    assert bench.one(ShutdownCompleted).exit_status == 0


@pytest.mark.parametrize(("code", "signal", "status"), [(5, None, 5), (None, 15, 143)])
def test_an_end_that_was_asked_for_has_its_status_too(
    code: int | None, signal: int | None, status: int
) -> None:
    bench = Bench(settings=INIT)
    _, launch = hosted(bench)
    bench.tell(Shutdown())
    bench.tell(ProcessExited(launch, code, signal))
    assert bench.one(ShutdownCompleted).exit_status == status


@pytest.mark.parametrize(
    ("error", "status"),
    [(Error.FILE_NOT_FOUND, 127), (Error.ACCESS_DENIED, 126), (Error.SERVICE_LOGON_FAILED, 45)],
)
def test_a_program_that_cannot_be_run(error: Error, status: int) -> None:
    bench = Bench(settings=INIT)
    service = bench.create_hosted("Main", AppEssential=1)
    bench.start(service)
    bench.tell(LaunchFailed(bench.launched(), error, ""))
    assert bench.one(ShutdownCompleted).exit_status == status


@pytest.mark.parametrize(
    ("codes", "status"),
    [((0, 0), 0), ((1066, 9), 9), ((5, 0), 126), ((1064, 0), 1064 & 0xFF), ((0x100, 0), 1)],
)
def test_a_service_of_the_control_protocol_says_itself(codes: tuple[int, int], status: int) -> None:
    bench = Bench(settings=INIT)
    service = bench.create()
    assert mark(bench, service, "appessential") == 0
    launch = bench.running(service)
    error, specific = codes
    bench.report(
        launch,
        service,
        ServiceState.STOPPED,
        win32_exit_code=error,
        service_specific_exit_code=specific,
    )
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.one(ShutdownCompleted).exit_status == status


def test_its_process_may_die_without_a_word() -> None:
    bench = Bench(settings=INIT)
    service = bench.create()
    assert mark(bench, service, value="1") == 0
    launch = bench.running(service)
    bench.tell(ProcessExited(launch, None, 6))
    assert bench.one(ShutdownCompleted).exit_status == 134


def test_one_that_was_never_started_is_waited_for() -> None:
    bench = Bench(settings=INIT)
    bench.create_hosted("Main", AppEssential=1)
    bench.tell(AutoStart())
    assert bench.scm.state.shutdown is None
    bench.tell(Shutdown())
    assert bench.one(ShutdownCompleted).exit_status == 0


def test_the_mark_counts_from_the_next_start() -> None:
    bench = Bench(settings=INIT)
    service, launch = hosted(bench, essential=0)
    bench.tell(ProcessExited(launch, 3, None))
    assert mark(bench, service) == 0
    assert bench.scm.state.shutdown is None
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    assert mark(bench, service, value=0) == 0
    bench.tell(ProcessExited(launch, 4, None))
    assert bench.one(ShutdownCompleted).exit_status == 4


def test_without_a_journal_the_parameters_say_what_is_essential() -> None:
    bench = Bench(settings=INIT)
    service, launch = hosted(bench)
    record = bench.scm.state.handles[service].record
    assert record is not None
    after = Bench([StoredService(record.id, record.config, record.parameters)], settings=INIT)
    held = HeldLaunch(launch, record.id, PID, control_channel=False)
    after.tell(Adopted((), (held,)))
    after.tell(ProcessExited(launch, 5, None))
    assert after.one(ShutdownCompleted).exit_status == 5


def test_a_start_broken_off_by_the_shutdown_is_no_failure() -> None:
    bench = Bench(settings=INIT)
    service = bench.create_hosted("Main", AppEssential=1)
    bench.start(service)
    launch = bench.launched()
    bench.tell(Shutdown())
    assert bench.found(KillProcess)
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.one(ShutdownCompleted).exit_status == 0


def test_a_new_manager_notices_an_end_that_the_one_before_did_not_act_on() -> None:
    bench = Bench(settings=Settings())
    _, launch = hosted(bench)
    bench.tell(ProcessExited(launch, None, 4))
    stored = [
        StoredService(record.id, record.config, record.parameters)
        for record in bench.scm.state.records.values()
    ]
    after = Bench(stored, settings=INIT)
    after.tell(Adopted(tuple(bench.journal), ()))
    assert after.one(ShutdownCompleted).exit_status == 132


@pytest.mark.parametrize("value", [0, "0", b"\1"])
def test_what_does_not_make_a_service_essential(value: int | str | bytes) -> None:
    assert not is_essential({"AppEssential": RegistryValue.of(value)})
    assert not is_essential({})
