"""What fails is announced once, what was asked for is not; one command kills; causes and actors."""

from __future__ import annotations

import pytest

from scmd.core.messages import SCM_ITSELF, SERVICE_ITSELF, Actor
from scmd.core.messages.commands import KillService
from scmd.core.messages.effects import KillProcess, LaunchProcess, ServiceFailed, StatusChanged
from scmd.core.messages.events import LaunchFailed, ProcessExited, ProcessStarted, Shutdown
from scmd.vocabulary.errors import Error
from tests.core.bench import PID, Bench

SOMEBODY = Actor("somebody", "a test")


# Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "signal"), [(0, None), (3, None), (None, 11)])
def test_a_process_that_is_gone_without_a_word(code: int | None, signal: int | None) -> None:
    bench = Bench()
    handle = bench.create()
    bench.tell(ProcessExited(bench.running(handle), code, signal))
    failure = bench.one(ServiceFailed)
    assert (failure.exit_code, failure.signal, failure.process_id) == (code, signal, PID)
    assert (failure.name, failure.status) == ("A", bench.status(handle))
    assert failure.config.image_path == "/bin/A"


def test_a_stop_with_an_error_is_a_failure_whose_process_is_still_there() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.report(launch, handle, 1, 0, win32_exit_code=1064)
    failure = bench.one(ServiceFailed)
    assert (failure.exit_code, failure.signal) == (None, None)
    assert failure.status.win32_exit_code == 1064
    bench.tell(ProcessExited(launch, 1, None))
    assert not bench.found(ServiceFailed)


@pytest.mark.parametrize(
    ("code", "signal", "settle", "fails"),
    [(3, None, 0, True), (None, 9, 0, True), (0, None, 0, False), (0, None, 500, True)],
)
def test_a_hosted_program_that_ends_unasked(
    code: int | None, signal: int | None, settle: int, fails: bool
) -> None:
    bench = Bench()
    handle = bench.create_hosted(AppSettleTime=settle)
    bench.start(handle)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, code, signal))
    assert len(bench.found(ServiceFailed)) == fails


def test_a_start_that_fails_with_its_process_is_a_failure() -> None:
    bench = Bench()
    handle = bench.create()
    bench.start(handle)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, 1, None))
    assert bench.one(ServiceFailed).cause == "its process exited with code 1"


def test_a_hook_that_fails_is_a_failure_of_the_start() -> None:
    bench = Bench()
    handle = bench.create_hosted(**{"AppEvents/Start/Pre": "/bin/hook"})
    bench.start(handle)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, 7, None))
    failure = bench.one(ServiceFailed)
    assert (failure.exit_code, failure.status.service_specific_exit_code) == (7, 7)


def test_what_never_ran_and_what_was_asked_for_is_no_failure() -> None:
    bench = Bench()
    handle = bench.create()
    bench.start(handle)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, "no such file"))
    assert not bench.found(ServiceFailed)
    launch = bench.running(handle)
    bench.control(handle, 1)
    bench.answer_control()
    bench.report(launch, handle, 1, 0)
    assert not bench.found(ServiceFailed)
    bench.start(handle)
    bench.tell(ProcessStarted(bench.launched(), PID))
    bench.tell(Shutdown())
    assert not bench.found(ServiceFailed)


def test_what_the_shutdown_kills_has_not_failed() -> None:
    bench = Bench()
    launch = bench.running(bench.create(), 4, 0)
    bench.tell(Shutdown())
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.found(StatusChanged)
    assert not bench.found(ServiceFailed)


# Kill -----------------------------------------------------------------------------------------


def test_killing_needs_the_right_to_stop_and_something_to_kill() -> None:
    bench = Bench()
    handle = bench.create()
    assert bench.error(KillService(bench.call(), bench.open("A", 0x10))) == 5
    assert bench.error(KillService(bench.call(), handle)) == 1062


@pytest.mark.parametrize("state", [2, 3, 4, 6])
def test_a_killed_service_is_stopped_and_has_not_failed(state: int) -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle, state, 0)
    assert bench.error(KillService(bench.call(), handle)) == 0
    assert bench.one(KillProcess).launch == launch
    assert bench.events() == [8011]
    bench.tell(ProcessExited(launch, None, 9))
    change = bench.one(StatusChanged)
    assert (change.status.state, change.status.win32_exit_code) == (1, 1067)
    assert change.actor == SOMEBODY
    assert change.cause == "its process was killed by signal 9, after: killed by somebody, a test"
    assert not bench.found(ServiceFailed)
    bench.tell(ProcessExited(bench.running(handle), None, 9))
    assert bench.one(ServiceFailed).signal == 9


def test_a_start_is_broken_off_by_killing() -> None:
    bench = Bench()
    bench.create("Db")
    web = bench.create("Web", dependencies=("Db",))
    waiting = bench.start(web)
    assert bench.error(KillService(bench.call(), web)) == 0
    assert bench.replies[waiting.call.id].error == 1235
    db = bench.open("Db")
    assert bench.error(KillService(bench.call(), db)) == 0
    assert bench.status(db).win32_exit_code == 1235
    assert len(bench.found(KillProcess)) == 1


def test_a_hosted_program_is_killed_in_any_stage() -> None:
    bench = Bench()
    handle = bench.create_hosted(
        **{"AppEvents/Start/Pre": "/bin/h", "AppEvents/Stop/Pre": "/bin/h"}
    )
    bench.start(handle)
    hook = bench.launched()
    assert bench.error(KillService(bench.call(), handle)) == 0
    assert bench.one(KillProcess).launch == hook
    assert bench.status(handle).win32_exit_code == 1235
    bench.tell(ProcessExited(hook, None, 9))
    bench.start(handle)
    hook = bench.launched()
    bench.tell(ProcessStarted(hook, PID))
    bench.tell(ProcessExited(hook, 0, None))
    program = bench.one(LaunchProcess).launch
    bench.tell(ProcessStarted(program, PID))
    bench.control(handle, 1)
    hook = bench.launched()
    assert bench.error(KillService(bench.call(), handle)) == 0
    assert [kill.launch for kill in bench.found(KillProcess)] == [hook, program]
    bench.tell(ProcessExited(program, None, 9))
    assert bench.status(handle).state == 1
    assert not bench.found(ServiceFailed)


# Causes and actors ----------------------------------------------------------------------------


def test_each_transition_says_who_and_how_long() -> None:
    bench = Bench()
    handle = bench.create()
    seen: list[StatusChanged] = []

    def note() -> None:
        seen.extend(c for c in bench.found(StatusChanged) if c.status.state != c.before)

    bench.start(handle)
    note()
    bench.pass_time(100)
    launch = next(iter(bench.scm.state.launches))
    bench.connect(launch)
    bench.answer_start()
    bench.report(launch, handle, 4)
    note()
    bench.pass_time(200)
    bench.report(launch, handle, 7)
    note()
    bench.pass_time(300)
    bench.control(handle, 3)
    bench.report(launch, handle, 4)
    note()
    bench.pass_time(400)
    bench.tell(ProcessExited(launch, 0, None))
    note()
    assert [(c.before, c.status.state, c.actor, c.lasted) for c in seen] == [
        (1, 2, SOMEBODY, None),
        (2, 4, SOMEBODY, 100),
        (4, 7, SERVICE_ITSELF, 200),
        (7, 4, SOMEBODY, 300),
        (4, 1, SCM_ITSELF, 400),
    ]


def test_a_hang_outside_of_a_start_is_logged_too() -> None:
    bench = Bench()
    handle = bench.create()
    bench.running(handle, 3, 0)
    bench.pass_time(81_000)
    assert bench.events() == [8001, 8010]
