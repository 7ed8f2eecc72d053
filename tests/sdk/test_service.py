"""The small API: what a service function sees, and what the SCM reads meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

import scmd
from scmd.control_pipe.packets import Event, Start, Status
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
