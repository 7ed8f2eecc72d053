"""Status reports: values, never transitions; what departs from the expected; hanging."""

from __future__ import annotations

import itertools

import pytest

from scmd.core import status
from scmd.core.messages.effects import StatusChanged
from scmd.core.messages.events import StatusReported
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.core.bench import PID, Bench


@pytest.mark.parametrize(
    ("before", "after"), [*itertools.product([s for s in ServiceState if s != 1], ServiceState)]
)
def test_no_transition_is_refused(before: ServiceState, after: ServiceState) -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service, before)
    bench.report(launch, service, after, 3, win32_exit_code=7, check_point=4, wait_hint=5)
    now = bench.status(service)
    assert (now.state, now.controls_accepted, now.win32_exit_code) == (after, 3, 7)
    assert (now.check_point, now.wait_hint) == (4, 5)
    assert now.process_id == (0 if after == ServiceState.STOPPED else PID)
    odd = after not in status.EXPECTED[before]
    assert (7016 in bench.events()) is odd
    if odd:
        assert after.name in bench.one(StatusChanged).cause


def test_the_table_knows_every_state() -> None:
    assert set(status.EXPECTED) == set(ServiceState)


def test_illegal_reports_are_logged_once_and_ignored() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    before = bench.status(service)
    bench.report(launch, service, 8)
    assert bench.events() == [7016]
    bench.report(launch, service, 0)
    assert bench.effects == []
    assert bench.status(service) == before


def test_a_flood_of_changes_does_not_fill_the_event_log() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    events = []
    for _ in range(500):
        for state in (7, 4):
            bench.report(launch, service, state, 1)
            events += bench.events()
    # One of the changes that count was the RUNNING before the flood.
    assert events == [7036] * ((status.MOST_CHANGES - 1) // 2) + [7016]
    assert bench.status(service).state == ServiceState.RUNNING
    bench.now += status.CHANGES_WITHIN
    for state in (7, 4):
        bench.report(launch, service, state, 1)
    assert bench.events() == [7036]
    bench.report(launch, service, 1)
    assert bench.events() == [7036]


def test_the_race_of_the_article_is_noticed() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    for state in (6, 3):
        bench.report(launch, service, state)
        assert bench.events() == []
    bench.report(launch, service, 7)
    assert bench.events() == [7016]
    assert bench.one(StatusChanged).cause == "PAUSED was reported after STOP_PENDING"
    bench.report(launch, service, 1)
    assert bench.status(service).state == ServiceState.STOPPED


def test_the_same_report_again_changes_nothing() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    bench.report(launch, service, 4)
    assert bench.effects == []


def test_the_type_is_the_records() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    report = ServiceStatus(type=0x20, state=7)
    bench.tell(StatusReported(launch, bench.id(service), report))
    assert bench.status(service).type == 0x10


@pytest.mark.parametrize(
    ("exit_codes", "events"),
    [((0, 0), [7036]), ((5, 0), [7036, 7023]), ((1066, 42), [7036, 7024])],
)
def test_exit_codes_are_logged(exit_codes: tuple[int, int], events: list[int]) -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service)
    win32, specific = exit_codes
    bench.report(launch, service, 1, win32_exit_code=win32, service_specific_exit_code=specific)
    assert bench.events() == events
    assert bench.status(service).service_specific_exit_code == specific


def test_hanging_in_start_pending_is_an_event_and_no_kill() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service, 2, 0)
    bench.pass_time(50_000)
    bench.report(launch, service, 2, 0, check_point=1, wait_hint=10_000)
    bench.pass_time(89_999)
    assert bench.events() == []
    bench.pass_time(1)
    assert bench.events() == [7022]
    assert len(bench.effects) == 1
    assert bench.scm.next_deadline() is None
    bench.report(launch, service, 2, 0, check_point=2)
    assert bench.scm.next_deadline() is not None


def test_a_flood_of_reports_does_not_fill_the_timers() -> None:
    bench = Bench()
    service = bench.create()
    launch = bench.running(service, 2, 0)
    bench.pass_time(2_000)
    for check_point in range(1_000):
        bench.now += 1
        bench.report(launch, service, 2, 0, check_point=check_point, wait_hint=1)
    assert len(bench.scm.state.deadlines._heap) < 5


@pytest.mark.parametrize("state", [2, 3, 5, 6])
def test_every_pending_state_has_a_deadline(state: int) -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service, state)
    bench.pass_time(1_500)
    assert bench.scm.next_deadline() is not None


@pytest.mark.parametrize("state", [4, 7])
def test_stable_states_have_none(state: int) -> None:
    bench = Bench()
    service = bench.create()
    bench.running(service, state)
    bench.pass_time(1_500)
    assert bench.scm.next_deadline() is None


def test_before_the_first_start_the_exit_code_is_1077() -> None:
    bench = Bench()
    now = bench.queried(bench.create())
    assert (now.state, now.win32_exit_code, now.type) == (1, 1077, 0x10)
