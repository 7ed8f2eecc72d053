"""The small API: what a service function sees, and what the SCM reads meanwhile."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

import pytest

import scmd
from scmd.control_pipe.packets import Event, ParametersChanged, Start, Status
from scmd.sdk.context import ServiceContext
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control as Code
from scmd.vocabulary.service import ControlsAccepted, ServiceState
from tests.sdk.fake_scm import InProcess

Function = Callable[[ServiceContext], object]


def started(scm: InProcess, *services: scmd.Service, arguments: tuple[str, ...] = ()) -> None:
    scm.serve(*services)
    scm.welcome()
    for number, service in enumerate(services, 1):
        scm.start(service.name, *arguments, service=number)


def wait_for_stop(svc: ServiceContext) -> None:
    svc.ready()
    while not svc.wait(60):
        pass


def test_eight_lines_are_a_service(scm: InProcess) -> None:
    @scmd.service("Clock", display="Clock", description="Says the time.")
    def clock(svc: ServiceContext) -> None:
        svc.ready()
        while not svc.wait(60):
            svc.log.info("tick")

    started(scm, clock)
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(Code.STOP) == 0
    scm.join()
    assert scm.states() == ["START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]
    start, running, stopping, stopped = (report.status for report in scm.reports())
    assert (start.controls_accepted, start.check_point, start.wait_hint) == (0, 1, 30_000)
    accepted = ControlsAccepted.STOP | ControlsAccepted.PAUSE_CONTINUE | ControlsAccepted.SHUTDOWN
    assert (running.controls_accepted, running.check_point) == (accepted, 0)
    assert (stopping.check_point, stopping.wait_hint) == (1, 20_000)
    assert (stopped.win32_exit_code, stopped.controls_accepted) == (0, 0)


def test_wait_reports_running_if_ready_was_not_called(scm: InProcess) -> None:
    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.wait()

    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.STOP)
    scm.join()


def test_arguments_and_name_arrive(scm: InProcess) -> None:
    seen: list[object] = []

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        seen.extend((svc.name, svc.args))

    started(scm, service, arguments=("-v", ""))
    scm.join()
    assert seen == ["S", ("-v", "")]


def test_wait_returns_false_when_the_seconds_are_over(scm: InProcess) -> None:
    results: list[bool] = []

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        results.extend((svc.wait(0), svc.wait(0.001)))

    started(scm, service)
    scm.join()
    assert results == [False, False]
    assert scm.states() == ["START_PENDING", "RUNNING", "STOPPED"]


# Pause ------------------------------------------------------------------------------------


def test_pause_and_continue_are_handled_inside_wait(scm: InProcess) -> None:
    threads: list[int] = []

    class Paused(scmd.Service):
        name = "S"

        def run(self, svc: ServiceContext) -> None:
            threads.append(threading.get_ident())
            wait_for_stop(svc)

        def on_pause(self, svc: ServiceContext) -> None:
            threads.append(threading.get_ident())

        def on_continue(self, svc: ServiceContext) -> None:
            threads.append(threading.get_ident())

    started(scm, Paused())
    scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.PAUSE)
    scm.expect_state(ServiceState.PAUSED)
    scm.control(Code.CONTINUE)
    scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.STOP)
    scm.join()
    assert scm.states() == [
        "START_PENDING",
        "RUNNING",
        "PAUSE_PENDING",
        "PAUSED",
        "CONTINUE_PENDING",
        "RUNNING",
        "STOP_PENDING",
        "STOPPED",
    ]
    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_wait_does_not_return_while_paused(scm: InProcess) -> None:
    returned = threading.Event()

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.ready()
        while not svc.wait(0.001):
            if svc.state == ServiceState.PAUSED:
                returned.set()

    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    for _ in range(20):
        scm.control(Code.PAUSE)
        scm.expect_state(ServiceState.PAUSED)
        scm.control(Code.CONTINUE)
        scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.STOP)
    scm.join()
    assert not returned.is_set()


def test_a_paused_service_can_be_stopped(scm: InProcess) -> None:
    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        wait_for_stop(svc)

    started(scm, service)
    scm.control(Code.PAUSE)
    scm.expect_state(ServiceState.PAUSED)
    scm.control(Code.STOP)
    scm.join()
    assert scm.states()[-4:] == ["PAUSE_PENDING", "PAUSED", "STOP_PENDING", "STOPPED"]


def test_a_repeated_pause_or_continue_does_nothing(scm: InProcess) -> None:
    paused: list[int] = []

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        wait_for_stop(svc)

    @service.on("pause")
    def pause(svc: ServiceContext) -> None:
        paused.append(1)

    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(Code.CONTINUE) == 0
    assert scm.control(Code.PAUSE) == 0
    scm.expect_state(ServiceState.PAUSED)
    assert scm.control(Code.PAUSE) == 0
    assert scm.control(Code.PAUSE) == 0
    scm.control(Code.STOP)
    scm.join()
    assert paused == [1]
    assert scm.states() == [
        "START_PENDING",
        "RUNNING",
        "PAUSE_PENDING",
        "PAUSED",
        "STOP_PENDING",
        "STOPPED",
    ]


def test_a_pause_hook_that_fails_fails_the_service(scm: InProcess) -> None:
    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        wait_for_stop(svc)

    @service.on("pause")
    def pause(svc: ServiceContext) -> None:
        raise RuntimeError("cannot pause")

    started(scm, service)
    scm.control(Code.PAUSE)
    scm.join()
    assert scm.reports()[-1].status.win32_exit_code == Error.EXCEPTION_IN_SERVICE
    assert "PAUSED" not in scm.states()


# The article's race ------------------------------------------------------------------------


def busy_service(
    name: str = "S",
) -> tuple[scmd.Service, threading.Event, threading.Event]:
    """A service that works (no svc call) between two events the test holds."""
    working, may_go_on = threading.Event(), threading.Event()

    @scmd.service(name)
    def service(svc: ServiceContext) -> None:
        svc.ready()
        working.set()
        may_go_on.wait(20)
        wait_for_stop(svc)

    return service, working, may_go_on


def test_a_stop_behind_a_pause_never_reports_paused_after_stop_pending(scm: InProcess) -> None:
    service, working, may_go_on = busy_service()
    started(scm, service)
    assert working.wait(20)
    # Both are accepted and queued while the service thread is busy; the Handler reports nothing.
    assert scm.control(Code.PAUSE) == 0
    assert scm.control(Code.STOP) == 0
    assert scm.states() == ["START_PENDING", "RUNNING"]
    may_go_on.set()
    scm.join()
    assert scm.states() == ["START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]


def test_a_stop_during_the_pause_hook_does_not_report_paused(scm: InProcess) -> None:
    pausing, may_go_on = threading.Event(), threading.Event()

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        wait_for_stop(svc)

    @service.on("pause")
    def pause(svc: ServiceContext) -> None:
        pausing.set()
        may_go_on.wait(20)
        assert svc.stopping

    started(scm, service)
    scm.control(Code.PAUSE)
    assert pausing.wait(20)
    scm.control(Code.STOP)
    may_go_on.set()
    scm.join()
    expected = ["START_PENDING", "RUNNING", "PAUSE_PENDING", "STOP_PENDING", "STOPPED"]
    assert scm.states() == expected


def test_controls_before_a_stop_run_and_those_after_it_do_not(scm: InProcess) -> None:
    service, working, may_go_on = busy_service()
    seen: list[int] = []
    service.on(200)(lambda svc: seen.append(200))
    service.on(201)(lambda svc: seen.append(201))
    started(scm, service)
    assert working.wait(20)
    for code in (200, Code.PAUSE, Code.STOP, 201, Code.CONTINUE):
        assert scm.control(code) == 0
    may_go_on.set()
    scm.join()
    assert seen == [200]
    assert scm.states() == ["START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]


def test_the_stop_is_acknowledged_at_the_next_call(scm: InProcess) -> None:
    working, may_go_on, acknowledged = (threading.Event() for _ in range(3))

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.ready()
        working.set()
        may_go_on.wait(20)
        assert svc.stopping
        acknowledged.wait(20)

    started(scm, service)
    assert working.wait(20)
    assert scm.control(Code.STOP) == 0
    may_go_on.set()
    scm.expect_state(ServiceState.STOP_PENDING)
    acknowledged.set()
    scm.join()


# Controls of one's own ------------------------------------------------------------------------


def test_own_controls_run_on_the_service_thread(scm: InProcess) -> None:
    seen: list[int] = []

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        seen.append(threading.get_ident())
        wait_for_stop(svc)

    @service.on(200)
    def two_hundred(svc: ServiceContext) -> None:
        seen.append(threading.get_ident())

    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(200) == 0
    assert scm.control(201) == Error.CALL_NOT_IMPLEMENTED
    assert scm.control(Code.INTERROGATE) == 0
    scm.control(Code.STOP)
    scm.join()
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_own_controls_run_while_paused(scm: InProcess) -> None:
    ran = threading.Event()

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        wait_for_stop(svc)

    service.on(200)(lambda svc: ran.set())
    started(scm, service)
    scm.control(Code.PAUSE)
    scm.expect_state(ServiceState.PAUSED)
    scm.control(200)
    assert ran.wait(20)
    scm.control(Code.STOP)
    scm.join()


def test_a_control_handler_that_fails_is_logged_and_the_service_goes_on(scm: InProcess) -> None:
    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        wait_for_stop(svc)

    @service.on(200)
    def broken(svc: ServiceContext) -> None:
        raise RuntimeError("not today")

    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(200) == 0
    event = scm.expect(Event)
    assert event.type == 1
    assert "RuntimeError: not today" in event.strings[0]
    scm.control(Code.STOP)
    scm.join()
    assert scm.reports()[-1].status.win32_exit_code == 0


def test_handlers_decide_what_is_accepted(scm: InProcess) -> None:
    class Picky(scmd.Service):
        name = "S"
        accepts = ("stop", "preshutdown")

        def run(self, svc: ServiceContext) -> None:
            wait_for_stop(svc)

        @scmd.on("paramchange")
        def reload(self, svc: ServiceContext) -> None:
            seen.append("reload")

        @scmd.on(255)
        def last(self, svc: ServiceContext) -> None:
            seen.append("last")

    seen: list[str] = []
    started(scm, Picky())
    running = scm.expect_state(ServiceState.RUNNING)
    assert running.status.controls_accepted == (
        ControlsAccepted.STOP | ControlsAccepted.PARAMCHANGE | ControlsAccepted.PRESHUTDOWN
    )
    scm.control(Code.PARAMCHANGE)
    scm.control(255)
    scm.control(Code.PRESHUTDOWN)
    scm.join()
    assert seen == ["reload", "last"]


@pytest.mark.parametrize("control", [0, 1, 127, 256, "stop", "nonsense"])
def test_only_hookable_controls_have_handlers(control: int | str) -> None:
    with pytest.raises(ValueError, match="control"):
        scmd.on(control)


def test_an_unknown_control_in_accepts_is_refused() -> None:
    def function(svc: ServiceContext) -> None: ...

    class Tea(scmd.Service):
        name = "S"
        accepts = ("tea",)

    with pytest.raises(ValueError, match="tea"):
        scmd.service("S", accepts=("stop", "tea"))(function)
    with pytest.raises(ValueError, match="tea"):
        Tea()


# Ends --------------------------------------------------------------------------------------


def raising(error: BaseException) -> Function:
    def function(svc: ServiceContext) -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "win32", "specific"),
    [
        (lambda svc: None, 0, 0),
        (lambda svc: 5, 0, 0),
        (raising(RuntimeError("x")), Error.EXCEPTION_IN_SERVICE, 0),
        (raising(KeyboardInterrupt()), Error.EXCEPTION_IN_SERVICE, 0),
        (raising(scmd.ServiceExit(7)), Error.SERVICE_SPECIFIC_ERROR, 7),
        (raising(scmd.ServiceExit(0)), 0, 0),
        (raising(SystemExit(3)), Error.SERVICE_SPECIFIC_ERROR, 3),
        (raising(SystemExit()), 0, 0),
        (raising(SystemExit("why")), Error.SERVICE_SPECIFIC_ERROR, 1),
        (lambda svc: svc.fail(2**32), Error.EXCEPTION_IN_SERVICE, 0),
        (lambda svc: svc.fail(-(2**31) - 1), Error.EXCEPTION_IN_SERVICE, 0),
        (lambda svc: svc.fail(-1), Error.SERVICE_SPECIFIC_ERROR, 2**32 - 1),
        (lambda svc: (yield), Error.EXCEPTION_IN_SERVICE, 0),
        (lambda svc: svc.fail(2**32 - 1), Error.SERVICE_SPECIFIC_ERROR, 2**32 - 1),
    ],
)
def test_the_end_of_the_function_is_the_exit_code(
    scm: InProcess, function: Function, win32: int, specific: int
) -> None:
    started(scm, scmd.service("S")(function))
    scm.join()
    last = scm.reports()[-1].status
    assert last.state == ServiceState.STOPPED
    assert (last.win32_exit_code, last.service_specific_exit_code) == (win32, specific)


def test_the_traceback_of_a_failed_service_is_in_the_event_log(scm: InProcess) -> None:
    started(scm, scmd.service("S")(raising(RuntimeError("broken pipe organ"))))
    event = scm.expect(Event)
    scm.join()
    assert event.type == 1
    assert "Traceback" in event.strings[0]
    assert "RuntimeError: broken pipe organ" in event.strings[0]


def test_a_stop_while_starting_is_seen_by_stopping(scm: InProcess) -> None:
    starting = threading.Event()
    stopped = threading.Event()

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        starting.set()
        stopped.wait(20)
        assert svc.stopping
        svc.ready()

    started(scm, service)
    assert starting.wait(20)
    scm.control(Code.SHUTDOWN)
    stopped.set()
    scm.join()
    assert scm.states() == ["START_PENDING", "STOP_PENDING", "STOPPED"]


# Progress ----------------------------------------------------------------------------------


def test_progress_counts_check_points_and_promises(scm: InProcess) -> None:
    waiting = threading.Event()

    @scmd.service("S", start_hint=5, stop_hint=6)
    def service(svc: ServiceContext) -> None:
        svc.progress("reading", hint=1.5)
        svc.progress("still reading")
        svc.ready()
        svc.progress("not pending: nothing to report", hint=9)
        waiting.set()
        svc.wait()
        svc.progress("flushing", hint=30)

    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    assert waiting.wait(20)
    scm.control(Code.STOP)
    scm.join()
    assert [
        (ServiceState(r.status.state).name, r.status.check_point, r.status.wait_hint)
        for r in scm.reports()
    ] == [
        ("START_PENDING", 1, 5000),
        ("START_PENDING", 2, 1500),
        ("START_PENDING", 3, 1500),
        ("RUNNING", 0, 0),
        ("STOP_PENDING", 1, 6000),
        ("STOP_PENDING", 2, 30_000),
        ("STOPPED", 0, 0),
    ]


def test_the_deadline_is_the_promise(scm: InProcess) -> None:
    seen: list[tuple[float | None, float]] = []
    noted = threading.Event()

    @scmd.service("S", start_hint=100, stop_hint=50)
    def service(svc: ServiceContext) -> None:
        seen.append((svc.deadline, svc.time_left))
        svc.ready()
        seen.append((svc.deadline, svc.time_left))
        noted.set()
        svc.wait()
        seen.append((svc.deadline, svc.time_left))

    begin = time.monotonic()
    started(scm, service)
    assert noted.wait(20)
    scm.control(Code.SHUTDOWN)
    scm.join()
    (start, start_left), (running, running_left), (stop, stop_left) = seen
    assert start is not None
    assert begin + 100 <= start
    assert 0 < start_left <= 100
    assert (running, running_left) == (None, float("inf"))
    assert stop is not None
    assert 0 < stop_left <= 20  # a machine that shuts down gives no more


# Several services, logs, parameters --------------------------------------------------------


def test_two_services_in_one_process(scm: InProcess) -> None:
    first, working, may_go_on = busy_service("A")
    second = scmd.service("B")(wait_for_stop)
    started(scm, first, second)
    assert working.wait(20)
    scm.expect_state(ServiceState.RUNNING, service=2)
    # A is busy: B is controlled all the same.
    assert scm.control(Code.STOP, service=1) == 0
    assert scm.control(Code.PAUSE, service=2) == 0
    scm.expect_state(ServiceState.PAUSED, service=2)
    may_go_on.set()
    scm.expect_state(ServiceState.STOPPED, service=1)
    assert scm.control(Code.STOP, service=2) == 0
    scm.join()
    assert {report.status.type for report in scm.reports()} == {0x20}


def test_log_records_become_events(scm: InProcess, capsys: pytest.CaptureFixture[str]) -> None:
    @scmd.service("S.with.dots")
    def service(svc: ServiceContext) -> None:
        svc.log.debug("not this")
        svc.log.info("tick %d", 1)
        svc.log.warning("hm", extra={"event_id": 5, "category": 2})
        svc.log.error("\0" + "x" * 40_000)

    started(scm, service)
    scm.join()
    info, warning, error = scm.events()
    assert (info.type, info.event_id, info.strings) == (4, 0, ("tick 1",))
    assert (warning.type, warning.event_id, warning.category) == (2, 5, 2)
    assert error.type == 1
    assert len(error.strings[0]) > 31_000


def test_the_log_goes_to_stderr_too_unless_logging_is_configured(
    scm: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.log.info("to both")

    started(scm, service)
    scm.join()
    assert " INFO to both\n" in capsys.readouterr().err


def test_a_service_works_without_stderr(scm: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.log.info("heard anyway")
        print("nobody hears")
        raise RuntimeError("x")

    started(scm, service)
    scm.join()
    assert [event.strings[0].splitlines()[0] for event in scm.events()] == [
        "heard anyway",
        "the service failed",
    ]


def test_parameters_are_live(scm: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: dict[str, str | int] = {"Interval": 60}
    reads: list[str] = []
    changed = threading.Event()
    contexts: list[ServiceContext] = []

    def read(name: str) -> dict[str, str | int]:
        reads.append(name)
        return dict(stored)

    monkeypatch.setattr("scmd.sdk.parameters.read_parameters", read)

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        contexts.append(svc)
        assert svc.parameters["interval"] == 60
        assert dict(svc.parameters) == {"Interval": 60}
        assert svc.parameters.get("missing", "default") == "default"

        @svc.parameters.on_change
        def note() -> None:
            seen.append((threading.get_ident() == here, svc.parameters["INTERVAL"]))
            changed.set()

        here = threading.get_ident()
        wait_for_stop(svc)

    seen: list[tuple[bool, object]] = []
    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    stored["Interval"] = 5
    scm.send(ParametersChanged(service=1))
    assert changed.wait(20)
    scm.control(Code.STOP)
    scm.join()
    assert seen == [(True, 5)]
    assert reads == ["S", "S"]


# asyncio -----------------------------------------------------------------------------------


def test_a_coroutine_is_a_service(scm: InProcess) -> None:
    ran: list[str] = []
    waited = threading.Event()

    @scmd.service("S")
    async def service(svc: ServiceContext) -> None:
        assert await svc.wait_async(0.001) is False
        waited.set()
        while not await svc.wait_async(60):
            ran.append("woke")

    @service.on(200)
    async def two_hundred(svc: ServiceContext) -> None:
        ran.append("200")

    @service.on(201)
    async def broken(svc: ServiceContext) -> None:
        raise RuntimeError("logged")

    started(scm, service)
    assert waited.wait(20)
    scm.expect_state(ServiceState.RUNNING)
    scm.control(201)
    scm.control(200)
    scm.control(Code.PAUSE)
    scm.expect_state(ServiceState.PAUSED)
    scm.control(Code.CONTINUE)
    scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.STOP)
    scm.join()
    assert ran == ["200"]
    assert scm.states()[-2:] == ["STOP_PENDING", "STOPPED"]
    assert len(scm.events()) == 1


def test_a_coroutine_that_fails_is_stopped_with_1064(scm: InProcess) -> None:
    @scmd.service("S")
    async def service(svc: ServiceContext) -> None:
        raise RuntimeError("x")

    started(scm, service)
    scm.join()
    assert scm.reports()[-1].status.win32_exit_code == Error.EXCEPTION_IN_SERVICE


# Declarations ------------------------------------------------------------------------------


def test_a_service_needs_a_name() -> None:
    class Nameless(scmd.Service):
        pass

    with pytest.raises(ValueError, match="needs a service name"):
        Nameless()


def test_a_declared_function_can_still_be_called() -> None:
    @scmd.service("S")
    def service(svc: ServiceContext | str) -> str:
        """Doc."""
        return f"called with {svc}"

    assert service("x") == "called with x"  # type: ignore[arg-type] # no context
    assert service.__doc__ == "Doc."


def test_a_start_without_arguments_uses_the_declared_name(scm: InProcess) -> None:
    names: list[str] = []
    scm.serve(scmd.service("S")(lambda svc: names.append(svc.name)))
    scm.welcome()
    scm.send(Start(service=1, arguments=()))
    scm.expect(Status, lambda report: report.status.state == ServiceState.STOPPED)
    scm.join()
    assert names == ["S"]
