"""Controls: the table of rights and bits, the table of states, and the order of checks."""

from __future__ import annotations

import pytest

from scmd.core.control_table import CONTROLS, NOT_IN_STATE, SCM_CONTROLS
from scmd.core.messages.commands import ControlService, OpenService
from scmd.core.messages.effects import SendControl, StatusChanged
from scmd.core.messages.events import ControlAnswered
from scmd.vocabulary.service import Control, ControlsAccepted, ServiceAccess, ServiceState
from tests.core.bench import ALL, Bench

USER = range(128, 256)
REFUSED_CODES = (0, 5, *range(11, 128), 256, 0x80000000, 0xFFFFFFFF)
NETBIND = (7, 8, 9, 10)


def rights(control: int) -> int:
    if control == 1:
        return 0x20
    if control == 4:
        return 0x80
    return 0x100 if control >= 128 else 0x40


def needed_bit(control: int) -> int:
    return {1: 1, 2: 2, 3: 2, 6: 8, 7: 16, 8: 16, 9: 16, 10: 16}.get(control, 0)


def expected(state: int, control: int, accepted: int) -> int:
    """The documented matrix, written down a second time."""
    if state == ServiceState.STOPPED:
        return 1062
    if state == ServiceState.STOP_PENDING:
        return 1061
    if state == ServiceState.START_PENDING and control != 1:
        return 1061
    return 0 if not needed_bit(control) & ~accepted else 1052


def test_the_table_has_the_documented_controls() -> None:
    assert set(CONTROLS) == {1, 2, 3, 4, 6, *NETBIND, *USER}
    assert SCM_CONTROLS == {5: ControlsAccepted.SHUTDOWN, 15: ControlsAccepted.PRESHUTDOWN}


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_right_and_bit_of_each_control(control: int) -> None:
    assert CONTROLS[control].right == rights(control)
    assert CONTROLS[control].accepted == needed_bit(control)


def test_states_without_an_entry_take_controls() -> None:
    assert set(NOT_IN_STATE) == {1, 2, 3}


@pytest.mark.parametrize("state", list(ServiceState))
@pytest.mark.parametrize("accepted", [0, 1, 2, 8, 16, 0x1F])
def test_every_control_in_every_state(state: ServiceState, accepted: int) -> None:
    bench = Bench()
    service = bench.create()
    launch = None
    if state != ServiceState.STOPPED:
        launch = bench.running(service, state, accepted)
    for control in (*range(1, 5), 6, *NETBIND, 128, 255):
        command = ControlService(bench.call(), service, control)
        bench.tell(command)
        error = expected(state, control, accepted)
        if error:
            reply = bench.replies[command.call.id]
            assert reply.error == error
            assert reply.result == bench.status(service)
        else:
            request = bench.one(SendControl)
            assert (request.launch, request.code) == (launch, control)
            assert not bench.answered(command)
            bench.answer_control()
            reply = bench.replies[command.call.id]
            assert (reply.error, reply.result) == (0, bench.status(service))


@pytest.mark.parametrize("state", list(ServiceState))
def test_an_extended_interrogate_of_a_service_that_starts_tells_what_is_known(
    state: ServiceState,
) -> None:
    """[MS-SCMR] 3.1.4.47; in every other state, and with any other control, it is as before."""
    bench = Bench()
    service = bench.create()
    if state != ServiceState.STOPPED:
        bench.running(service, state, 0)
    is_starting = state == ServiceState.START_PENDING
    for control in (2, 4):
        command = ControlService(bench.call(), service, control, is_extended=True)
        bench.tell(command)
        error = 0 if is_starting and control == 4 else expected(state, control, 0)
        if error or is_starting:
            reply = bench.replies[command.call.id]
            assert (reply.error, reply.result) == (error, bench.status(service))
        else:
            assert bench.one(SendControl).code == control
            bench.answer_control()
    handle = bench.open("A", ServiceAccess.STOP)
    unable = ControlService(bench.call(), handle, 4, is_extended=True)
    assert bench.error(unable) == 5


@pytest.mark.parametrize("code", REFUSED_CODES)
def test_codes_that_clients_may_not_send_are_87_even_without_rights(code: int) -> None:
    bench = Bench()
    bench.create()
    powerless = bench.open("A", 0)
    reply = bench.ask(ControlService(bench.call(), powerless, code))
    assert (reply.error, reply.result) == (87, None)


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_each_control_needs_its_right_before_anything_else(control: int) -> None:
    bench = Bench()
    bench.create()
    handle = bench.open("A", ALL & ~rights(control))
    assert bench.error(ControlService(bench.call(), handle, control)) == 5
    just = bench.open("A", rights(control))
    assert bench.error(ControlService(bench.call(), just, control)) == 1062


def test_stop_is_refused_while_a_dependent_runs() -> None:
    bench = Bench()
    service = bench.create("A")
    launch = bench.running(service)
    dependent = bench.create("B", dependencies=("a",))
    other = bench.running(dependent)
    reply = bench.ask(ControlService(bench.call(), service, 1))
    assert (reply.error, reply.result) == (1051, bench.status(service))
    assert bench.error(ControlService(bench.call(), service, 5)) == 87
    bench.report(other, dependent, ServiceState.STOPPED)
    bench.control(service, 1)
    assert bench.one(SendControl).launch == launch


def test_a_missing_accept_bit_comes_before_dependents() -> None:
    bench = Bench()
    service = bench.create("A")
    bench.running(service, accepted=2)
    bench.running(bench.create("B", dependencies=("A",)))
    assert bench.error(ControlService(bench.call(), service, 1)) == 1052


def test_what_the_handler_returns_travels_back() -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service)
    command = bench.control(service, 200)
    bench.answer_control(120)
    assert (bench.replies[command.call.id].error) == 120
    assert bench.replies[command.call.id].result is None


def test_the_caller_gets_what_was_reported_during_the_control() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    command = bench.control(service, Control.STOP)
    request = bench.one(SendControl)
    bench.report(launch, service, ServiceState.STOP_PENDING, 0, wait_hint=900)
    bench.tell(ControlAnswered(launch, request.control, 0))
    assert bench.replies[command.call.id].result == bench.status(service)
    assert bench.status(service).wait_hint == 900


def test_a_redundant_control_is_delivered() -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service, ServiceState.PAUSED)
    bench.control(service, Control.PAUSE)
    assert bench.one(SendControl).code == Control.PAUSE


def test_a_paused_service_can_be_stopped() -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service, ServiceState.PAUSED)
    bench.control(service, Control.STOP)
    assert bench.one(SendControl).code == Control.STOP


@pytest.mark.parametrize(("control", "comment", "error"), [(1, "x" * 128, 87), (2, "why", 87)])
def test_comments_are_for_stops_and_short(control: int, comment: str, error: int) -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service)
    command = ControlService(bench.call(), service, control, 0x40010001, comment)
    assert bench.error(command) == error


def test_the_reason_of_a_stop_is_logged() -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service)
    bench.tell(ControlService(bench.call(), service, 1, 0x40010001, "maintenance"))
    assert 7042 in bench.events()


def test_the_reason_of_a_stop_is_kept_in_the_history() -> None:
    bench = Bench()
    service = bench.create("A")
    launch = bench.running(service)
    bench.tell(ControlService(bench.call(), service, 1, 0x4005_000A, "new lamps"))
    bench.answer_control()
    bench.report(launch, service, 1, 0)
    [changed] = bench.found(StatusChanged)
    why = "planned, application, environment (0x4005000a): new lamps"
    assert (changed.actor.name, changed.actor.origin) == ("somebody", f"a test; {why}")


@pytest.mark.parametrize("reason", [0x2005_000A, 0x4040_0100, 0x6001_0001, 0x4000_0000])
def test_a_reason_whose_parts_do_not_go_together_stops_nothing(reason: int) -> None:
    """The first is what smbtorture sends: CUSTOM with codes of the system's is 87."""
    bench = Bench()
    service = bench.create()
    bench.running(service)
    assert bench.error(ControlService(bench.call(), service, 1, reason, "no")) == 87
    assert 7042 not in bench.events()


def test_status_right_alone_controls_nothing() -> None:
    bench = Bench()
    bench.create()
    handle = bench.result(
        OpenService(bench.call(), bench.handle, "A", int(ServiceAccess.QUERY_STATUS))
    )
    assert bench.error(ControlService(bench.call(), handle, 4)) == 5
