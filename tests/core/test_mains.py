"""Programs that go on in another process: pid files, MAINPID, and whose exit counts."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import notifications
from scmd.core.memory import latest
from scmd.core.messages import HandleId, LaunchId, Settings, StoredService
from scmd.core.messages.effects import (
    Effect,
    FollowProcess,
    ForgetLaunch,
    KillProcess,
    SignalProcess,
    StartProbe,
)
from scmd.core.messages.events import (
    Adopted,
    HeldLaunch,
    ProcessExited,
    ProcessFollowed,
    ProcessStarted,
)
from scmd.vocabulary.service import Control
from tests.core.bench import PID, Bench

SETTINGS = Settings(notify_socket="/notify.sock")
FILE = "/run/a.pid"
OTHER = 4800


def begin(**values: Any) -> tuple[Bench, HandleId, LaunchId]:
    bench = Bench(settings=SETTINGS)
    service = bench.create_hosted(**values)
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    return bench, service, launch


def named(**values: Any) -> tuple[Bench, HandleId, LaunchId]:
    """A running program that has just said that it is another process."""
    bench, service, launch = begin(AppReady="notify", **values)
    bench.tell(notifications.parse(launch, b"READY=1\nMAINPID=%d" % OTHER))
    assert bench.one(FollowProcess) == FollowProcess(launch, OTHER)
    return bench, service, launch


def shown(bench: Bench, service: HandleId) -> tuple[int, int]:
    status = bench.status(service)
    return status.state, status.process_id


# Pid files ------------------------------------------------------------------------------------


def test_a_daemon_runs_when_its_pid_file_names_a_process_of_its_own() -> None:
    bench, service, launch = begin(AppPidFile=FILE)
    assert bench.one(FollowProcess) == FollowProcess(launch, 0, FILE)
    bench.tell(ProcessFollowed(launch, 0, "No such file or directory"))
    assert shown(bench, service) == (2, PID)
    assert "waits_for_pid_file" in bench.findings(service)
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.one(FollowProcess).pid_file == FILE, "it looks at once"
    bench.tell(ProcessFollowed(launch, OTHER))
    assert shown(bench, service) == (4, OTHER)
    assert bench.scm.next_deadline() is None
    bench.control(service, Control.STOP)
    assert bench.one(SignalProcess).launch == launch
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.codes(service) == (1, 0, 0)


def test_the_file_is_looked_at_again_after_the_interval_and_not_for_ever() -> None:
    bench, service, launch = begin(AppPidFile=FILE, AppReadyTime=1_000, AppReadyInterval=300)
    asked = 1
    while bench.now < 900:
        bench.tell(ProcessFollowed(launch, 0, "it holds no process id"))
        bench.pass_time(300)
        asked += len(bench.found(FollowProcess))
    assert asked == 4
    bench.pass_time(100)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.codes(service) == (1, 1067, 0)
    record = bench.scm.state.records[bench.id(service)]
    assert f"{FILE} did not name its process in time: it holds no process id" in record.cause


@pytest.mark.parametrize(("code", "error"), [(3, (1, 1066, 3)), (None, (1, 1067, 0))])
def test_a_first_process_that_fails_is_the_end(code: int | None, error: tuple[int, ...]) -> None:
    bench, service, launch = begin(AppPidFile=FILE)
    bench.tell(ProcessExited(launch, code, None if code else 11))
    assert bench.codes(service) == error
    assert bench.one(ForgetLaunch).launch == launch
    bench.tell(ProcessFollowed(launch, OTHER))
    assert bench.codes(service) == error


def test_what_the_daemon_ends_with_is_what_the_service_ends_with() -> None:
    bench, service, launch = begin(AppPidFile=FILE)
    bench.tell(ProcessExited(launch, 0, None))
    bench.tell(ProcessFollowed(launch, OTHER))
    bench.tell(ProcessExited(launch, 7, None))
    assert bench.codes(service) == (1, 1066, 7)


def test_readiness_is_asked_for_when_the_daemon_is_known() -> None:
    bench, service, launch = begin(AppPidFile=FILE, AppReady="tcp:80")
    assert not bench.found(StartProbe)
    bench.tell(ProcessFollowed(launch, OTHER))
    assert bench.one(StartProbe).launch == launch
    assert shown(bench, service) == (2, OTHER)


def test_a_stop_before_the_daemon_is_known() -> None:
    bench, service, launch = begin(AppPidFile=FILE)
    bench.tell(ProcessFollowed(launch, 0, "nothing"))
    bench.tell(ProcessExited(launch, 0, None))
    bench.control(service, Control.STOP)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.codes(service) == (1, 0, 0)
    assert bench.scm.next_deadline() is None


# MAINPID --------------------------------------------------------------------------------------


def test_the_process_that_is_named_is_shown_and_its_exit_counts() -> None:
    bench, service, launch = named()
    assert shown(bench, service) == (4, PID)
    bench.tell(ProcessFollowed(launch, OTHER))
    assert shown(bench, service) == (4, OTHER)
    bench.tell(ProcessExited(launch, 5, None))
    assert bench.codes(service) == (1, 1066, 5)


def test_an_exit_waits_for_the_answer() -> None:
    bench, service, launch = named()
    bench.tell(ProcessExited(launch, 0, None))
    assert shown(bench, service) == (4, PID)
    bench.tell(ProcessFollowed(launch, OTHER))
    assert shown(bench, service) == (4, OTHER)


def test_a_process_that_is_not_its_own_is_not_followed() -> None:
    bench, service, launch = named()
    bench.tell(ProcessFollowed(launch, OTHER, "process 4800 is not one of its own"))
    assert shown(bench, service) == (4, PID)
    assert bench.events() == [7016]
    assert "odd_report" in bench.findings(service)
    bench.tell(ProcessExited(launch, 4, None))
    assert bench.codes(service) == (1, 1066, 4)


def test_an_exit_counts_once_the_other_process_is_refused() -> None:
    bench, service, launch = named()
    bench.tell(ProcessExited(launch, 4, None))
    bench.tell(ProcessFollowed(launch, OTHER, "process 4800 has ended"))
    assert bench.codes(service) == (1, 1066, 4)


def test_the_stop_signal_is_repeated_for_a_process_that_is_followed_late() -> None:
    bench, service, launch = named()
    bench.control(service, Control.STOP)
    bench.tell(ProcessExited(launch, 0, None))
    bench.tell(ProcessFollowed(launch, OTHER))
    assert bench.one(SignalProcess) == SignalProcess(launch, 15)
    assert shown(bench, service) == (3, OTHER)
    bench.tell(ProcessExited(launch, None, 15))
    assert bench.codes(service) == (1, 0, 0)


def test_an_exit_that_nobody_could_see_is_a_failure() -> None:
    bench, service, launch = named()
    bench.tell(ProcessFollowed(launch, OTHER))
    bench.tell(ProcessExited(launch, None, None))
    assert bench.codes(service) == (1, 1067, 0)
    assert "another process was told" in bench.scm.state.records[bench.id(service)].cause


@pytest.mark.parametrize("number", [b"0", b"1", b"-3", b"x", b"4194305", b""])
def test_what_is_no_process_id_is_passed_over(number: bytes) -> None:
    bench, _, launch = begin(AppReady="notify")
    bench.tell(notifications.parse(launch, b"MAINPID=" + number))
    assert not bench.found(FollowProcess)


# A new manager --------------------------------------------------------------------------------


def adopted(
    bench: Bench, service: HandleId, launch: LaunchId, pid: int, ended: bool = False
) -> tuple[Bench, HandleId, list[Effect]]:
    record = bench.scm.state.records[bench.id(service)]
    stored = StoredService(record.id, record.config, record.parameters)
    held = HeldLaunch(launch, record.id, pid, control_channel=False, ended=ended)
    after = Bench([stored], SETTINGS, Adopted(latest(bench.journal), (held,)), now=bench.now)
    return after, after.open("A"), after.effects


def test_a_new_manager_goes_on_looking_for_the_daemon() -> None:
    bench, service, launch = begin(AppPidFile=FILE)
    bench.tell(ProcessExited(launch, 0, None))
    after, service, _ = adopted(bench, service, launch, PID, ended=True)
    after.tell(ProcessExited(launch, 0, None))
    after.tell(ProcessFollowed(launch, OTHER))
    assert shown(after, service) == (4, OTHER)


def test_a_new_manager_asks_again_what_was_not_answered() -> None:
    bench, service, launch = named()
    after, service, _ = adopted(bench, service, launch, PID, ended=True)
    after.tell(ProcessExited(launch, 0, None))
    assert shown(after, service) == (4, PID)
    after.tell(ProcessFollowed(launch, OTHER))
    assert shown(after, service) == (4, OTHER)


def test_a_new_manager_learns_from_the_keeper_whom_it_follows() -> None:
    bench, service, launch = named()
    after, service, _ = adopted(bench, service, launch, OTHER)
    assert shown(after, service) == (4, OTHER)
