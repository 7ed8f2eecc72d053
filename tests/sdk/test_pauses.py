"""Pause, continue and stop, and that no race between them shows."""

from __future__ import annotations

import threading

import scmd
from scmd.sdk.context import ServiceContext
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control as Code
from scmd.vocabulary.service import ServiceState
from tests.sdk.fake_scm import InProcess
from tests.sdk.test_service import started, wait_for_stop


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
