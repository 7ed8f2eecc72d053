"""The core in simulated worlds: fresh seeds on every run, and those that failed once."""

from __future__ import annotations

import random

import pytest

from scmd.testing.simulation import simulate

FRESH_SEEDS = 240
STEPS = 200
BATCH = 20

PAST_FAILURES = (
    24,
    25,
    31,
    42,
    45,
    47,
    67,
    81,
    112,
    145,
    175,
    212,
    282,
    283,
    330,
    373,
    33995,
    92371,
)
"""Seeds that once showed a fault: a handle for an association that had ended, a service
left START_PENDING when its process died after an unanswered start, a shutdown completed before
a new manager had forgotten the last exit."""


@pytest.mark.parametrize("batch", range(FRESH_SEEDS // BATCH))
def test_fresh_worlds_come_to_rest(batch: int) -> None:
    for _ in range(BATCH):
        _run(random.SystemRandom().randrange(2**31))


@pytest.mark.parametrize("seed", PAST_FAILURES)
def test_worlds_that_failed_once_come_to_rest(seed: int) -> None:
    _run(seed)


def _run(seed: int) -> None:
    try:
        simulate(seed, STEPS)
    except Exception as error:
        raise AssertionError(f"replay with: scripts/simulate {seed} --steps {STEPS}") from error


def test_one_seed_tells_one_story() -> None:
    first = simulate(7, STEPS, keep_story=True)
    second = simulate(7, STEPS, keep_story=True)
    assert first.story == second.story


def test_the_worlds_are_eventful() -> None:
    """Between them, few seeds see services run, fail, stop, die and be deleted."""
    causes = set()
    for seed in range(30):
        world = simulate(seed, STEPS, keep_story=True)
        causes |= {type(entry).__name__ for _, entry in world.story or ()}
    assert {
        *("SendStart", "SendControl", "SignalProcess", "KillProcess", "ForgetLaunch"),
        *("LaunchFailed", "ChannelClosed", "SaveFailed", "ServiceDeleted", "ParametersChanged"),
        *("ShutdownCompleted", "ProcessNotified", "StartProbe", "ProbeAnswered"),
    } <= causes
