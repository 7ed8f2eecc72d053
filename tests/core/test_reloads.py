"""Hosted programs that read their configuration again without being restarted."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core.memory import latest
from scmd.core.messages import HandleId, LaunchId, Settings, StoredService
from scmd.core.messages.commands import ControlService
from scmd.core.messages.effects import KillProcess, LaunchProcess, SignalProcess
from scmd.core.messages.events import (
    Adopted,
    HeldLaunch,
    LaunchFailed,
    ProcessExited,
    ProcessStarted,
    Shutdown,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control
from tests.core.bench import PID, Bench

SETTINGS = Settings(notify_socket="/notify.sock")
PARAMCHANGE = 0x8
HUP = 1


def running(**values: Any) -> tuple[Bench, HandleId, LaunchId]:
    bench = Bench(settings=SETTINGS)
    service = bench.create_hosted(**values)
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    if values.get("AppReady"):
        bench.say(launch, "READY=1")
    assert bench.status(service).state == 4
    return bench, service, launch


def reload(bench: Bench, service: HandleId) -> ControlService:
    return bench.control(service, Control.PARAMCHANGE)


def test_a_program_that_cannot_be_told_does_not_accept_it() -> None:
    bench, service, _ = running()
    assert not bench.status(service).controls_accepted & PARAMCHANGE
    assert bench.replies[reload(bench, service).call.id].error == 1052


@pytest.mark.parametrize("signal", ["HUP", "SIGUSR1", 10])
def test_a_signal_is_sent_and_the_service_stays_as_it_is(signal: str | int) -> None:
    bench, service, launch = running(AppReloadSignal=signal)
    before = bench.status(service)
    assert before.controls_accepted == 0xD
    command = reload(bench, service)
    assert bench.one(SignalProcess) == SignalProcess(launch, 1 if signal == "HUP" else 10)
    assert bench.replies[command.call.id].error == 0
    assert bench.status(service) == before


@pytest.mark.parametrize(
    ("code", "signal", "error"), [(0, None, 0), (3, None, 1066), (None, 9, 1067)]
)
def test_the_end_of_the_command_is_the_answer(
    code: int | None, signal: int | None, error: int
) -> None:
    bench, service, _ = running(AppReloadCommand="/bin/reload now", AppReloadSignal="HUP")
    command = reload(bench, service)
    launch = bench.one(LaunchProcess)
    assert (launch.spec.argv, launch.spec.hook) == (("/bin/reload", "now"), True)
    assert not bench.found(SignalProcess)
    assert "reloading" in bench.findings(service)
    bench.tell(ProcessStarted(launch.launch, 5))
    assert not bench.answered(command)
    assert bench.replies[reload(bench, service).call.id].error == 1061
    bench.tell(ProcessExited(launch.launch, code, signal))
    assert bench.replies[command.call.id].error == error
    assert bench.events() == [8013 if error else 8012]
    assert bench.status(service).state == 4
    assert "reloading" not in bench.findings(service)


def test_a_command_that_cannot_be_run_or_is_late() -> None:
    bench, service, _ = running(AppReloadCommand="/bin/reload")
    command = reload(bench, service)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, ""))
    assert bench.replies[command.call.id].error == 2
    command = reload(bench, service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, 5))
    bench.pass_time(30_000)
    assert bench.one(KillProcess).launch == launch
    assert bench.replies[command.call.id].error == Error.SERVICE_REQUEST_TIMEOUT


@pytest.mark.parametrize("value", ["AppReloadCommand", "AppReloadSignal"])
def test_nothing_is_reloaded_in_a_shutdown(value: str) -> None:
    bench, service, _ = running(**{value: "/bin/reload" if value.endswith("Command") else "HUP"})
    bench.running(bench.create("Early"), accepted=0x104)
    bench.tell(Shutdown())
    command = reload(bench, service)
    assert bench.replies[command.call.id].error == Error.SHUTDOWN_IN_PROGRESS
    assert not bench.found(LaunchProcess)
    assert not bench.found(SignalProcess)


def test_notify_reload_waits_for_the_second_ready() -> None:
    bench, service, launch = running(AppReady="notify-reload")
    bench.now = 5_000
    command = reload(bench, service)
    assert bench.one(SignalProcess).signal == HUP
    bench.say(launch, "READY=1")
    assert not bench.answered(command), "it was not reloading yet"
    bench.say(launch, "RELOADING=1", "MONOTONIC_USEC=4999000")
    bench.say(launch, "READY=1")
    assert not bench.answered(command), "that reload had begun before"
    bench.say(launch, "RELOADING=1", "MONOTONIC_USEC=5000000", "STATUS=reading")
    assert bench.findings(service)[:2] == ["reloading", "says"]
    assert bench.status(service).state == 4
    bench.say(launch, "READY=1")
    assert bench.replies[command.call.id].error == 0
    assert bench.events() == [8012]
    assert bench.scm.next_deadline() is None


def test_a_reload_that_is_not_over_in_time_is_answered_and_may_be_asked_for_again() -> None:
    bench, service, launch = running(AppReady="notify-reload")
    command = reload(bench, service)
    assert bench.replies[reload(bench, service).call.id].error == 1061
    bench.pass_time(10_000)
    bench.say(launch, "RELOADING=1")
    bench.say(launch, "EXTEND_TIMEOUT_USEC=40000000")
    bench.pass_time(39_999)
    assert not bench.answered(command)
    bench.pass_time(1)
    assert bench.replies[command.call.id].error == 1053
    assert bench.status(service).state == 4
    assert "reloading" in bench.findings(service)
    again = reload(bench, service)
    bench.say(launch, "RELOADING=1")
    bench.say(launch, "READY=1")
    assert bench.replies[again.call.id].error == 0


def test_a_program_that_reloads_by_itself_is_bounded_and_logged() -> None:
    bench, service, launch = running(AppReady="notify", AppReadyTime=2_000)
    assert not bench.status(service).controls_accepted & PARAMCHANGE
    bench.say(launch, "RELOADING=1", "MONOTONIC_USEC=1")
    assert "reloading" in bench.findings(service)
    bench.pass_time(2_000)
    assert bench.events() == [8013]
    assert bench.status(service).state == 4
    bench.say(launch, "READY=1")
    assert bench.events() == [8012]
    assert "reloading" not in bench.findings(service)


@pytest.mark.parametrize("end", ["stop", "exit"])
def test_who_waits_for_a_reload_is_answered_when_the_service_ends(end: str) -> None:
    bench, service, launch = running(AppReloadCommand="/bin/reload")
    command = reload(bench, service)
    hook = bench.launched()
    bench.tell(ProcessStarted(hook, 5))
    if end == "stop":
        bench.control(service, Control.STOP)
    else:
        bench.tell(ProcessExited(launch, 1, None))
    assert bench.replies[command.call.id].error == Error.REQUEST_ABORTED
    assert KillProcess(hook) in bench.effects
    bench.tell(ProcessExited(hook, None, 9))
    if end == "stop":
        bench.tell(ProcessExited(launch, 0, None))
    assert bench.status(service).state == 1


def test_a_new_manager_knows_of_a_reload_and_what_was_said() -> None:
    bench, service, launch = running(AppReady="notify-reload")
    bench.say(launch, "RELOADING=1", "STATUS=reading")
    record = bench.scm.state.records[bench.id(service)]
    stored = StoredService(record.id, record.config, record.parameters)
    held = HeldLaunch(launch, record.id, PID, control_channel=False)
    adopted = Adopted(latest(bench.journal), (held,))
    after = Bench([stored], SETTINGS, first=adopted, now=bench.now)
    service = after.open("A")
    assert after.findings(service)[:2] == ["reloading", "says"]
    after.say(launch, "READY=1")
    assert after.events() == [8012]
