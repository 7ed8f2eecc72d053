"""Hosted programs that say or are asked whether they are ready and well."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import health, notifications
from scmd.core.health import Probe, Way
from scmd.core.memory import latest
from scmd.core.messages import HandleId, LaunchId, Settings, StoredService
from scmd.core.messages.commands import SetParameters
from scmd.core.messages.effects import (
    KillProcess,
    LaunchProcess,
    SignalProcess,
    StartProbe,
    StatusChanged,
)
from scmd.core.messages.events import (
    Adopted,
    HeldLaunch,
    LaunchFailed,
    LineSeen,
    ProbeAnswered,
    ProcessExited,
    ProcessStarted,
    Shutdown,
)
from scmd.core.notifications import ProcessNotified
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ServiceState
from tests.core.bench import PID, Bench

SOCKET = "/run/scmd/notify.sock"


def begin(**values: Any) -> tuple[Bench, HandleId, LaunchId]:
    """A service whose program has just been executed."""
    bench = Bench(settings=Settings(notify_socket=SOCKET))
    service = bench.create_hosted(**values)
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    return bench, service, launch


def state_of(bench: Bench, service: HandleId) -> ServiceState:
    return ServiceState(bench.status(service).state)


def answer(bench: Bench, problem: str = "") -> None:
    probe = bench.one(StartProbe)
    bench.tell(ProbeAnswered(probe.launch, probe.number, problem))


# Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        ("", None),
        (" Exec ", None),
        ("NOTIFY", Probe(Way.NOTIFY)),
        ("tcp:80", Probe(Way.TCP, "127.0.0.1", 80)),
        ("tcp::80", Probe(Way.TCP, "127.0.0.1", 80)),
        ("TCP:example.org:8080", Probe(Way.TCP, "example.org", 8080)),
        ("tcp:[::1]:6379", Probe(Way.TCP, "::1", 6379)),
        ("http://localhost", Probe(Way.HTTP, "localhost", 80, "/")),
        ("http://[::1]:81/a?b=c", Probe(Way.HTTP, "::1", 81, "/a?b=c")),
        ("http://:8000/health", Probe(Way.HTTP, "127.0.0.1", 8000, "/health")),
        ("log: ready  to serve", Probe(Way.LOG, path=" ready  to serve")),
        ('command:/bin/sh -c "exit 0"', Probe(Way.COMMAND, argv=("/bin/sh", "-c", "exit 0"))),
    ],
)
def test_how_to_ask(text: str, probe: Probe | None) -> None:
    assert health.parse_ready("AppReady", text) == probe


@pytest.mark.parametrize(
    "text",
    [
        *("maybe", "tcp", "tcp:", "tcp:x", "tcp:h:0", "tcp:h:65536", "tcp:h:-1", "tcp:a b:1"),
        *(
            "udp:1",
            "http:/x",
            "http://h:x/",
            "http://h/a b",
            "https://h/",
            "command:",
            "http://",
            "http:///x",
        ),
        *("command:true", "log:", "log:a\tb"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_set(text: str) -> None:
    with pytest.raises(Refused) as refused:
        health.parse_ready("AppReady", text)
    assert refused.value.error == Error.INVALID_PARAMETER
    bench = Bench()
    service = bench.create_hosted()
    for name in ("AppReady", "AppHealth"):
        reply = bench.ask(SetParameters(bench.call(), service, {name: RegistryValue.of(text)}))
        assert reply.error == 87
        assert str(reply.result).startswith(f"{name}: expected ")


@pytest.mark.parametrize("text", ["notify", "exec", "log:well"])
def test_what_is_no_way_to_ask_for_health(text: str) -> None:
    with pytest.raises(Refused):
        health.parse_health("AppHealth", text)


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (b"", {}),
        (b"READY=1", {"ready": True}),
        (b"READY=0\nSTOPPING=1\nRELOADING=1", {"stopping": True, "reloading": True}),
        (b"WATCHDOG=1\nWATCHDOG_USEC=1001", {"alive": True, "watchdog": 2}),
        (b"WATCHDOG=trigger", {"in_trouble": True}),
        (b"EXTEND_TIMEOUT_USEC=99999999999999", {"extend": 3_600_000}),
        (b"EXTEND_TIMEOUT_USEC=-1\nWATCHDOG_USEC=x\nERRNO=", {}),
        (b"ERRNO=13\nSTATUS=a=b\x1b[0m\xff", {"errno": 13, "text": "a=b?[0m\ufffd"}),
        (b"\0\0\nREADY\n=1\nFDSTORE=1\nREADY=1\n", {"ready": True}),
        (b"x" * 5000 + b"\nREADY=1", {}),
        (b"STATUS=" + b"s" * 1000, {"text": "s" * 256}),
    ],
)
def test_what_a_program_says(datagram: bytes, expected: dict[str, Any]) -> None:
    launch = LaunchId(3)
    assert notifications.parse(launch, datagram) == ProcessNotified(launch, **expected)


# Readiness --------------------------------------------------------------------------------------


def test_running_means_that_it_has_said_so() -> None:
    bench, service, launch = begin(AppReady="notify", AppReadyTime=5_000)
    status = bench.status(service)
    assert (status.state, status.wait_hint, status.process_id) == (2, 5_000, PID)
    bench.say(launch, "STATUS=loading")
    assert bench.status(service).check_point == 1
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench.say(launch, "READY=1")
    status = bench.status(service)
    assert (status.state, status.check_point, status.wait_hint) == (4, 0, 0)
    assert bench.scm.next_deadline() is None


def test_it_is_told_where_to_say_so_only_if_it_is_heard() -> None:
    for values, heard in (
        ({"AppReady": "notify"}, {"NOTIFY_SOCKET": SOCKET}),
        ({"AppWatchdogTime": 70}, {"NOTIFY_SOCKET": SOCKET, "WATCHDOG_USEC": "70000"}),
        ({}, {}),
    ):
        bench = Bench(settings=Settings(notify_socket=SOCKET))
        service = bench.create_hosted(**values)
        bench.start(service)
        assert dict(bench.one(LaunchProcess).spec.extra_environment) == heard


def test_who_is_not_heard_cannot_make_itself_ready() -> None:
    bench, service, launch = begin(AppReady="tcp:80")
    bench.say(launch, "READY=1", "STATUS=x", "STOPPING=1")
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench, service, launch = begin(AppReady="tcp:80", AppWatchdogTime=1000)
    bench.say(launch, "READY=1")
    assert state_of(bench, service) == ServiceState.START_PENDING


def test_dependents_wait_until_it_is_ready() -> None:
    bench, _, launch = begin(AppReady="notify")
    dependent = bench.create_hosted("B", dependencies=("A",))
    bench.start(dependent)
    assert not bench.found(LaunchProcess)
    bench.say(launch, "READY=1")
    assert bench.one(LaunchProcess).spec.name == "B"


def test_one_that_is_not_ready_in_time_is_killed_and_has_failed() -> None:
    bench, service, launch = begin(AppReady="notify", AppReadyTime=5_000)
    bench.pass_time(4_999)
    assert not bench.found(KillProcess)
    bench.pass_time(1)
    assert bench.one(KillProcess).launch == launch
    bench.say(launch, "READY=1")
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench.tell(ProcessExited(launch, None, 9))
    assert bench.status(service).win32_exit_code == Error.PROCESS_ABORTED
    assert 7034 in bench.events()


def test_more_time_is_given_to_who_asks_for_it() -> None:
    bench, service, launch = begin(AppReady="notify", AppReadyTime=5_000)
    bench.say(launch, "EXTEND_TIMEOUT_USEC=1000000")
    status = bench.status(service)
    assert (status.check_point, status.wait_hint) == (1, 5_000)
    bench.pass_time(4_000)
    bench.say(launch, "EXTEND_TIMEOUT_USEC=9000000")
    assert bench.status(service).wait_hint == 9_000
    bench.pass_time(8_999)
    assert not bench.found(KillProcess)
    bench.pass_time(1)
    assert bench.found(KillProcess)


def test_a_probe_is_repeated_until_the_answer_is_good() -> None:
    bench, service, launch = begin(AppReady="http://:8000/up", AppReadyInterval=100)
    assert bench.one(StartProbe).probe == Probe(Way.HTTP, "127.0.0.1", 8000, "/up")
    answer(bench, "refused")
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench.pass_time(100)
    first = bench.one(StartProbe)
    bench.pass_time(first.limit + 1_100)
    second = bench.one(StartProbe)
    bench.tell(ProbeAnswered(launch, first.number, ""))
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench.tell(ProbeAnswered(launch, second.number, ""))
    assert state_of(bench, service) == ServiceState.RUNNING
    assert bench.scm.next_deadline() is None


def test_the_cause_tells_what_the_last_answer_was() -> None:
    bench, service, launch = begin(AppReady="tcp:80", AppReadyTime=1_000, AppReadyInterval=5_000)
    answer(bench, "port 80: refused")
    bench.pass_time(1_000)
    bench.tell(ProcessExited(launch, None, 9))
    cause = bench.one(StatusChanged).cause
    assert cause.endswith("after: it was not ready in time: port 80: refused")
    assert state_of(bench, service) == ServiceState.STOPPED


def test_a_command_says_whether_it_is_ready() -> None:
    bench, service, _ = begin(AppReady="command:/bin/check it", AppReadyInterval=50)
    first = bench.one(LaunchProcess)
    assert (first.spec.argv, first.spec.hook) == (("/bin/check", "it"), True)
    bench.tell(ProcessStarted(first.launch, PID + 1))
    bench.tell(ProcessExited(first.launch, 1, None))
    bench.pass_time(50)
    second = bench.launched()
    bench.tell(ProcessStarted(second, PID + 2))
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench.tell(ProcessExited(second, 0, None))
    assert state_of(bench, service) == ServiceState.RUNNING


def test_a_command_that_hangs_is_killed_with_the_stop() -> None:
    bench, service, _ = begin(AppReady="command:/bin/check")
    check = bench.launched()
    bench.tell(ProcessStarted(check, PID + 1))
    bench.control(service, 1)
    assert bench.one(KillProcess).launch == check
    assert bench.found(SignalProcess)
    bench.tell(ProcessExited(check, None, 9))


def test_a_line_of_its_output_makes_it_ready() -> None:
    bench = Bench()
    service = bench.create_hosted(AppReady="log:ready to serve")
    bench.start(service)
    spec = bench.one(LaunchProcess).spec
    assert spec.awaited_line == "ready to serve"
    launch = bench.launched()
    bench.tell(LineSeen(launch))
    bench.tell(ProcessStarted(launch, PID))
    assert state_of(bench, service) == ServiceState.START_PENDING
    bench.tell(LineSeen(launch))
    assert state_of(bench, service) == ServiceState.RUNNING
    bench.tell(LineSeen(launch))
    assert bench.scm.next_deadline() is None


def test_an_exit_before_it_was_ready_is_a_failure() -> None:
    bench, service, launch = begin(AppReady="notify")
    bench.tell(ProcessExited(launch, 0, None))
    assert bench.status(service).win32_exit_code == Error.PROCESS_ABORTED
    assert bench.scm.next_deadline() is None


def test_nobody_is_asked_while_the_machine_shuts_down() -> None:
    bench, _, _ = begin(AppReady="tcp:80")
    answer(bench, "refused")
    bench.tell(Shutdown())
    bench.pass_time(10_000)
    assert not bench.found(StartProbe)


# Health -----------------------------------------------------------------------------------------


def test_one_that_is_unwell_too_often_is_killed() -> None:
    bench, service, launch = begin(
        AppHealth="tcp:80", AppHealthInterval=1_000, AppHealthTime=100, AppHealthFailures=2
    )
    assert state_of(bench, service) == ServiceState.RUNNING
    assert not bench.found(StartProbe)
    for problem in ("refused", "", "refused", "refused"):
        bench.pass_time(1_000)
        assert bench.one(StartProbe).limit == 100
        answer(bench, problem)
    assert bench.one(KillProcess).launch == launch
    bench.tell(ProcessExited(launch, None, 9))
    status = bench.status(service)
    assert (status.state, status.win32_exit_code) == (1, Error.PROCESS_ABORTED)
    assert bench.scm.next_deadline() is None


def test_silence_of_a_watchdog_is_a_failure() -> None:
    bench, service, launch = begin(AppReady="notify", AppWatchdogTime=1_000)
    bench.pass_time(2_000)
    bench.say(launch, "READY=1")
    bench.pass_time(999)
    bench.say(launch, "WATCHDOG=1")
    bench.pass_time(999)
    assert state_of(bench, service) == ServiceState.RUNNING
    bench.pass_time(1)
    assert bench.one(KillProcess).launch == launch


def test_a_program_sets_its_own_watchdog() -> None:
    bench, _, launch = begin(AppReady="notify")
    bench.say(launch, "WATCHDOG_USEC=50000")
    bench.pass_time(100)
    bench.say(launch, "READY=1")
    bench.pass_time(49)
    bench.say(launch, "WATCHDOG_USEC=0")
    assert bench.scm.next_deadline() is None
    bench.say(launch, "WATCHDOG=trigger")
    assert bench.one(KillProcess).launch == launch


# Stopping ---------------------------------------------------------------------------------------


def test_stopping_ends_the_watch() -> None:
    bench, service, _ = begin(AppReady="notify", AppHealth="tcp:80", AppWatchdogTime=100)
    bench.control(service, 1)
    assert state_of(bench, service) == ServiceState.STOP_PENDING
    bench.pass_time(19_999)
    assert not bench.found(KillProcess)
    assert not bench.found(StartProbe)


def test_a_program_that_says_it_stops_is_pending_and_its_exit_counts() -> None:
    for code, expected in ((0, 0), (3, Error.SERVICE_SPECIFIC_ERROR)):
        bench, service, launch = begin(AppReady="notify")
        bench.say(launch, "READY=1")
        bench.say(launch, "STOPPING=1", "ERRNO=5")
        status = bench.status(service)
        assert (status.state, status.wait_hint) == (3, 20_000)
        bench.tell(ProcessExited(launch, code, None))
        assert bench.status(service).win32_exit_code == expected


def test_one_that_says_it_stops_and_stays_is_killed() -> None:
    bench, service, launch = begin(AppReady="notify")
    bench.say(launch, "STOPPING=1")
    bench.say(launch, "EXTEND_TIMEOUT_USEC=30000000")
    assert bench.status(service).check_point == 1
    bench.pass_time(29_999)
    assert not bench.found(KillProcess)
    bench.pass_time(1)
    assert bench.one(KillProcess).launch == launch


# A new manager ----------------------------------------------------------------------------------


def adopted(bench: Bench, service: HandleId, launch: LaunchId) -> Bench:
    record = bench.scm.state.handles[service].record
    assert record is not None
    stored = StoredService(record.id, record.config, record.parameters)
    held = HeldLaunch(launch, record.id, PID, control_channel=False)
    entries = latest(bench.journal)
    settings = Settings(notify_socket=SOCKET, first_launch=1000)
    return Bench([stored], settings, Adopted(entries, (held,)), bench.now)


def test_a_new_manager_waits_for_the_rest_of_the_time() -> None:
    bench, service, launch = begin(AppReady="notify", AppReadyTime=5_000)
    bench.pass_time(3_000)
    new = adopted(bench, service, launch)
    new.pass_time(1_999)
    assert not new.found(KillProcess)
    new.tell(notifications.parse(launch, b"READY=1"))
    assert new.status(new.open("A")).state == ServiceState.RUNNING


def test_a_new_manager_goes_on_asking() -> None:
    bench, service, launch = begin(AppReady="tcp:80")
    new = adopted(bench, service, launch)
    new.tell(ProbeAnswered(launch, 1, ""))
    assert new.status(new.open("A")).state == ServiceState.RUNNING
    bench, service, launch = begin(AppHealth="tcp:80", AppWatchdogTime=60_000)
    new = adopted(bench, service, launch)
    new.pass_time(10_000)
    assert new.found(StartProbe)
    new.pass_time(50_000)
    assert new.found(KillProcess)


@pytest.mark.parametrize("starts", [True, False])
def test_a_launch_is_starting_until_its_process_or_its_failure_is_told(starts: bool) -> None:
    """So long what its process says is not to be told: it would come too early."""
    bench = Bench()
    bench.start(bench.create_hosted())
    launch = bench.launched()
    assert bench.scm.is_starting(launch)
    assert not bench.scm.is_starting(LaunchId(launch + 1))
    failed = LaunchFailed(launch, Error.FILE_NOT_FOUND, "")
    bench.tell(ProcessStarted(launch, PID) if starts else failed)
    assert not bench.scm.is_starting(launch)
