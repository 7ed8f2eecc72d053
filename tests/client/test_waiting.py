"""How long a pending service is believed."""

from __future__ import annotations

from scmd.client.waiting import LAST_DELAY_S, PATIENCE_S, Progress
from scmd.vocabulary.service import ServiceState
from tests.client.world import report

PENDING = ServiceState.STOP_PENDING


def test_delays_double_from_a_millisecond_to_a_quarter_second() -> None:
    progress = Progress(report(PENDING), 0.0)
    delays = [progress.delay() for _ in range(12)]
    assert delays[:4] == [0.001, 0.002, 0.004, 0.008]
    assert delays[-1] == LAST_DELAY_S


def test_a_check_point_or_a_state_restarts_the_clock() -> None:
    progress = Progress(report(PENDING, check_point=1, wait_hint=60_000), 0.0)
    assert progress.remaining(10.0) == 50.0
    progress.update(report(PENDING, check_point=1, wait_hint=60_000), 50.0)
    assert progress.remaining(55.0) == 5.0
    assert not progress.is_hung(60.0)
    assert progress.is_hung(60.1)
    progress.update(report(PENDING, check_point=2, wait_hint=60_000), 61.0)
    assert not progress.is_hung(121.0)
    progress.update(report(ServiceState.CONTINUE_PENDING, wait_hint=60_000), 130.0)
    assert not progress.is_hung(190.0)


def test_a_short_hint_is_not_held_against_a_service() -> None:
    progress = Progress(report(PENDING, wait_hint=1), 0.0)
    assert not progress.is_hung(PATIENCE_S)
    assert progress.is_hung(PATIENCE_S + 0.1)
    assert progress.remaining(5.0) == 0.0


def test_a_state_of_rest_never_hangs() -> None:
    progress = Progress(report(ServiceState.RUNNING), 0.0)
    assert not progress.is_hung(1e9)
