"""The dispatcher: starts, controls, reports and ends, with the Win32 errors."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from scmd.control_pipe.packets import (
    Control,
    Event,
    ParametersChanged,
    Registered,
    Resync,
    Start,
    StartAnswer,
    Status,
    Welcome,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control as Code
from scmd.vocabulary.service import ControlsAccepted, ServiceState
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError
from tests.sdk.fake_scm import InProcess

RUNNING = ServiceStatus(state=ServiceState.RUNNING, controls_accepted=ControlsAccepted.STOP)
STOPPED = ServiceStatus(state=ServiceState.STOPPED)


class Plain:
    """A service on the raw calls; its Handler notes what comes and stops on STOP."""

    def __init__(self, scm: InProcess) -> None:
        self.scm = scm
        self.arguments: list[str] = []
        self.controls: list[tuple[int, int, bytes, int]] = []
        self.stop = threading.Event()
        self.handle = 0
        self.answer: int | None = 0

    def main(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.handle = self.scm.dispatcher.register(arguments[0], self.handler)
        self.scm.dispatcher.set_status(self.handle, RUNNING)
        self.stop.wait()
        self.scm.dispatcher.set_status(self.handle, STOPPED)

    def handler(self, control: int, event_type: int, data: bytes) -> int | None:
        self.controls.append((control, event_type, data, threading.get_ident()))
        if control == Code.STOP:
            self.stop.set()
        return self.answer


def test_a_service_starts_is_controlled_and_stops(scm: InProcess) -> None:
    service = Plain(scm)
    scm.dispatch(("Web", service.main))
    assert scm.welcome().table == ("Web",)
    scm.start("Web", "-v", "")
    assert service.arguments == ["Web", "-v", ""]
    assert scm.expect_state(ServiceState.RUNNING).sequence == 1
    assert scm.answer(scm.post(200, event_type=3, data=b"x")) == 0
    assert service.controls[0][:3] == (200, 3, b"x")
    assert scm.control(Code.STOP) == 0
    assert scm.expect_state(ServiceState.STOPPED).sequence == 2
    scm.join()
    assert scm.error is None


def test_the_start_is_answered_before_the_service_says_anything(scm: InProcess) -> None:
    service = Plain(scm)
    service.stop.set()
    scm.dispatch(("Web", service.main))
    scm.welcome()
    scm.send(Start(service=1, arguments=("Web",)))
    scm.join()
    assert [type(p) for p in scm.history[1:]] == [StartAnswer, Registered, Status, Status]


def test_handlers_run_on_the_dispatcher_thread_one_at_a_time(scm: InProcess) -> None:
    first, second = Plain(scm), Plain(scm)
    scm.dispatch(("A", first.main), ("B", second.main))
    scm.welcome()
    scm.start("A", service=1)
    scm.start("B", service=2)
    numbers = [scm.post(200 + i, service=1 + i % 2) for i in range(6)]
    assert [scm.answer(number) for number in numbers] == [0] * 6
    assert len({ident for *_, ident in first.controls + second.controls}) == 1
    first.stop.set()
    scm.expect_state(ServiceState.STOPPED, service=1)
    assert scm.control(201, service=2) == 0
    assert scm.control(201, service=1) == Error.SERVICE_NOT_ACTIVE
    second.stop.set()
    scm.join()


def test_a_service_of_a_shared_process_starts_again(scm: InProcess) -> None:
    first, second = Plain(scm), Plain(scm)
    scm.dispatch(("A", first.main), ("B", second.main))
    scm.welcome()
    scm.start("A", service=1)
    scm.start("b", service=2)
    scm.send(Start(service=1, arguments=("A",)))
    assert scm.expect(StartAnswer).error == Error.SERVICE_ALREADY_RUNNING
    scm.control(Code.STOP, service=1)
    scm.expect_state(ServiceState.STOPPED, service=1)
    first.stop.clear()
    scm.start("A", service=1)
    assert scm.expect_state(ServiceState.RUNNING, service=1).sequence == 1
    assert scm.control(Code.STOP, service=1) == 0
    assert scm.control(Code.STOP, service=2) == 0
    scm.join()


def test_a_name_that_is_not_in_the_table_is_error_1083(scm: InProcess) -> None:
    service = Plain(scm)
    scm.dispatch(("A", service.main), ("B", service.main))
    scm.welcome()
    scm.send(Start(service=9, arguments=("C",)))
    assert scm.expect(StartAnswer).error == Error.SERVICE_NOT_IN_EXE
    scm.start("A")
    scm.control(Code.STOP)
    scm.join()


def test_a_handler_that_raises_is_answered_with_1064_and_the_service_goes_on(
    scm: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Plain(scm)

    def handler(control: int, event_type: int, data: bytes) -> int:
        if control == 200:
            raise RuntimeError("no")
        return service.handler(control, event_type, data) or 0

    def main(arguments: list[str]) -> None:
        scm.dispatcher.register("Web", handler)
        service.handle = scm.dispatcher.register("Web", handler)
        service.stop.wait()
        scm.dispatcher.set_status(service.handle, STOPPED)

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.start("Web")
    assert scm.control(200) == Error.EXCEPTION_IN_SERVICE
    assert scm.control(201) == 0
    scm.control(Code.STOP)
    scm.join()
    assert "RuntimeError: no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "expected"), [(None, 0), (120, 120), (5, 5), (True, 1), (-1, 0xFFFFFFFF)]
)
def test_what_a_handler_returns_is_the_answer(
    scm: InProcess, answer: int | None, expected: int
) -> None:
    service = Plain(scm)
    service.answer = answer
    scm.dispatch(("Web", service.main))
    scm.welcome()
    scm.start("Web")
    assert scm.control(200) == expected
    scm.control(Code.STOP)
    scm.join()


def test_a_second_registration_replaces_the_first(scm: InProcess) -> None:
    service = Plain(scm)
    seen: list[int] = []

    def main(arguments: list[str]) -> None:
        first = scm.dispatcher.register("Web", lambda control, kind, data: 1)
        second = scm.dispatcher.register("WEB", lambda control, kind, data: seen.append(control))
        assert first == second
        scm.dispatcher.set_status(second, RUNNING)
        service.stop.wait()
        scm.dispatcher.set_status(first, STOPPED)

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.start("Web")
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(200) == 0
    assert seen == [200]
    service.stop.set()
    scm.join()


def test_a_control_before_the_registration_is_error_1061(scm: InProcess) -> None:
    may_go_on = threading.Event()

    def main(arguments: list[str]) -> None:
        may_go_on.wait()

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.send(Start(service=1, arguments=("Web",)))
    scm.expect(StartAnswer)
    assert scm.control(Code.STOP) == Error.SERVICE_CANNOT_ACCEPT_CTRL
    may_go_on.set()
    # It returned without a Handler: nobody could ever stop it.
    report = scm.expect_state(ServiceState.STOPPED)
    assert report.status.win32_exit_code == Error.PROCESS_ABORTED
    scm.join()


def test_a_service_main_that_returns_leaves_its_handler_in_charge(scm: InProcess) -> None:
    handles: list[int] = []

    def handler(control: int, event_type: int, data: bytes) -> int:
        scm.dispatcher.set_status(handles[0], STOPPED)
        return 0

    def main(arguments: list[str]) -> None:
        handles.append(scm.dispatcher.register("Web", handler))
        scm.dispatcher.set_status(handles[0], RUNNING)

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.start("Web")
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(Code.STOP) == 0
    scm.join()
    assert scm.states() == ["RUNNING", "STOPPED"]


def test_a_service_main_that_raises_is_stopped_with_1064(
    scm: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(arguments: list[str]) -> None:
        raise RuntimeError("broken")

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.send(Start(service=1, arguments=("Web",)))
    report = scm.expect_state(ServiceState.STOPPED)
    assert report.status.win32_exit_code == Error.EXCEPTION_IN_SERVICE
    scm.join()
    assert "RuntimeError: broken" in capsys.readouterr().err


def test_reports_are_checked_and_nothing_follows_stopped(scm: InProcess) -> None:
    errors: list[int] = []

    def attempt(handle: int, status: ServiceStatus) -> None:
        try:
            scm.dispatcher.set_status(handle, status)
        except WinError as error:
            errors.append(error.winerror)

    def main(arguments: list[str]) -> None:
        handle = scm.dispatcher.register("Web", lambda control, kind, data: 0)
        attempt(handle + 1, RUNNING)
        attempt(handle, RUNNING.replace(state=8))
        attempt(handle, RUNNING.replace(controls_accepted=0x80000000))
        attempt(handle, RUNNING.replace(type=0x11))
        attempt(handle, RUNNING.replace(wait_hint=2**32))
        attempt(handle, STOPPED)
        attempt(handle, RUNNING)

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.start("Web")
    scm.join()
    assert errors == [6, 13, 13, 13, 13, 6]
    assert scm.states() == ["STOPPED"]


def test_a_stopped_service_does_not_wait_for_its_thread_for_ever(scm: InProcess) -> None:
    release = threading.Event()

    def main(arguments: list[str]) -> None:
        handle = scm.dispatcher.register("Web", lambda control, kind, data: 0)
        scm.dispatcher.set_status(handle, STOPPED)
        release.wait()

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.start("Web")
    scm.join()
    release.set()


def test_resync_repeats_the_table_and_the_last_reports_with_their_numbers(scm: InProcess) -> None:
    service = Plain(scm)
    scm.dispatch(("Web", service.main))
    hello = scm.welcome()
    scm.start("Web")
    before = scm.expect_state(ServiceState.RUNNING)
    scm.send(Resync())
    assert scm.welcome() == hello
    scm.expect(Registered)
    assert scm.expect_state(ServiceState.RUNNING) == before
    scm.control(Code.STOP)
    scm.join()


def test_parameters_that_changed_or_may_have_call_back(scm: InProcess) -> None:
    service = Plain(scm)
    changed: Queue[bool] = Queue()
    scm.dispatch(("Web", service.main))
    scm.welcome()
    scm.start("Web")
    scm.expect_state(ServiceState.RUNNING)
    scm.dispatcher.on_parameters_changed(service.handle, changed.put)
    scm.send(ParametersChanged(service=1))
    assert changed.get(timeout=20) is True
    scm.send(Resync())
    assert changed.get(timeout=20) is False
    scm.control(Code.STOP)
    scm.join()


def test_events_carry_any_text(scm: InProcess) -> None:
    service = Plain(scm)
    scm.dispatch(("Web", service.main))
    scm.welcome()
    scm.start("Web")
    scm.expect_state(ServiceState.RUNNING)
    scm.dispatcher.report_event(service.handle, 4, 7, 1, ("é\0", "\udcff", "x" * 50_000))
    event = scm.expect(Event)
    assert (event.service, event.type, event.event_id, event.category) == (1, 4, 7, 1)
    assert event.strings == ("é\\0", "\\udcff", "x" * 50_000)
    scm.control(Code.STOP)
    scm.join()


def test_a_flood_of_reports_never_blocks_and_the_latest_arrives(scm: InProcess) -> None:
    total = 20_000
    done = threading.Event()

    def main(arguments: list[str]) -> None:
        handle = scm.dispatcher.register("Web", lambda control, kind, data: 0)
        for number in range(total):
            state = ServiceState.RUNNING if number % 2 else ServiceState.PAUSED
            scm.dispatcher.set_status(handle, RUNNING.replace(state=state, check_point=number))
        done.set()
        scm.dispatcher.set_status(handle, STOPPED)

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.send(Start(service=1, arguments=("Web",)))
    assert done.wait(60)  # nobody has read anything since
    scm.join()
    reports = scm.reports()
    assert len(reports) < total
    assert reports[-1].status == STOPPED
    assert reports[-2].status.check_point == total - 1
    assert [r.sequence for r in reports] == sorted({r.sequence for r in reports})


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (ControlsAccepted.STOP, Code.STOP),
        (ControlsAccepted.STOP | ControlsAccepted.SHUTDOWN, Code.SHUTDOWN),
    ],
)
def test_services_are_told_to_stop_when_the_scm_is_gone(
    scm: InProcess, accepted: ControlsAccepted, expected: Code
) -> None:
    stop = threading.Event()
    told: list[int] = []

    def handler(control: int, event_type: int, data: bytes) -> int:
        told.append(control)
        stop.set()
        return 0

    def main(arguments: list[str]) -> None:
        handle = scm.dispatcher.register("Web", handler)
        scm.dispatcher.set_status(handle, RUNNING.replace(controls_accepted=accepted))
        stop.wait()
        scm.dispatcher.set_status(handle, STOPPED)

    scm.dispatch(("Web", main))
    scm.welcome()
    scm.start("Web")
    scm.expect_state(ServiceState.RUNNING)
    scm.close()
    assert told == [expected]
    assert scm.error is None


def test_hanging_up_before_a_start_is_error_1063(scm: InProcess) -> None:
    scm.dispatch(("Web", Plain(scm).main))
    scm.welcome()
    scm.close()
    assert isinstance(scm.error, WinError)
    assert scm.error.winerror == Error.FAILED_SERVICE_CONTROLLER_CONNECT


@pytest.mark.parametrize("datagram", [b"\xff" * 8, b"x"])
def test_a_malformed_packet_ends_the_channel(scm: InProcess, datagram: bytes) -> None:
    scm.dispatch(("Web", Plain(scm).main))
    scm.welcome()
    scm.socket.send(datagram)
    scm.join()
    assert isinstance(scm.error, WinError)


def test_another_version_is_refused(scm: InProcess) -> None:
    scm.dispatch(("Web", Plain(scm).main))
    scm.send(Welcome(version=2))
    scm.join()
    assert isinstance(scm.error, WinError)


def test_a_start_that_is_already_there_outlives_the_last_stop(scm: InProcess) -> None:
    service = Plain(scm)
    service.stop.set()
    # Good: both are in the socket before the dispatcher looks at it.
    scm.send(Start(service=1, arguments=("Web",)))
    scm.send(Start(service=2, arguments=("Web",)))
    scm.dispatch(("Web", service.main))
    scm.drain()
    answers = [p for p in scm.history if isinstance(p, StartAnswer)]
    assert [(a.service, a.error) for a in answers] == [(1, 0), (2, 0)]


def test_a_control_for_a_service_that_never_was_is_error_1062(scm: InProcess) -> None:
    service = Plain(scm)
    scm.dispatch(("Web", service.main))
    scm.welcome()
    scm.start("Web")
    scm.send(Control(service=77, control=900, code=1))
    assert scm.answer(900) == Error.SERVICE_NOT_ACTIVE
    scm.control(Code.STOP)
    scm.join()
