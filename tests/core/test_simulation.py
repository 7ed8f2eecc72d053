"""The core in simulated worlds: known ones, fresh ones on every run, those that failed once."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from scmd.testing.simulation import simulate

STEPS = 200
LONG = 1_000
FRESH = 200
"""Worlds that are other ones in each run."""
KNOWN = ((1_050, STEPS), (50, LONG))
"""How many worlds of how many steps are played beside them, from seed 0: 300,000 steps together."""
BATCH = 10_000
"""Steps of one test."""

PAST_FAILURES = [
    int(line.split()[0])
    for line in Path(__file__).with_name("past_seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("batch", range(math.ceil(FRESH * STEPS / BATCH)))
def test_fresh_worlds_come_to_rest(batch: int) -> None:
    first = batch * BATCH // STEPS
    for _ in range(first, min(FRESH, first + BATCH // STEPS)):
        _run(random.SystemRandom().randrange(2**31), STEPS)


@pytest.mark.parametrize(
    ("steps", "first"),
    [(steps, seed) for worlds, steps in KNOWN for seed in range(0, worlds, BATCH // steps)],
)
def test_many_worlds_come_to_rest(steps: int, first: int) -> None:
    """Always the same, so that a run does not fail by chance: 300,000 steps with the fresh ones."""
    worlds = next(worlds for worlds, length in KNOWN if length == steps)
    for seed in range(first, min(worlds, first + BATCH // steps)):
        _run(seed, steps)


@pytest.mark.parametrize("seed", PAST_FAILURES)
def test_worlds_that_failed_once_come_to_rest(seed: int) -> None:
    _run(seed, STEPS)


def _run(seed: int, steps: int) -> None:
    try:
        simulate(seed, steps)
    except Exception as error:
        raise AssertionError(f"replay with: scripts/simulate {seed} --steps {steps}") from error


def test_one_seed_tells_one_story() -> None:
    first = simulate(7, STEPS, keep_story=True)
    second = simulate(7, STEPS, keep_story=True)
    assert first.story == second.story


def test_the_worlds_are_eventful() -> None:
    """Between them, not too many seeds see services run, fail, stop, die and be deleted."""
    wanted = {
        *("SendStart", "SendControl", "SignalProcess", "KillProcess", "ForgetLaunch"),
        *("LaunchFailed", "ChannelClosed", "SaveFailed", "ServiceDeleted", "ParametersChanged"),
        *("ShutdownCompleted", "ProcessNotified", "StartProbe", "ProbeAnswered"),
    }
    for seed in range(200):
        world = simulate(seed, STEPS, keep_story=True)
        wanted -= {type(entry).__name__ for _, entry in world.story or ()}
        if not wanted:
            return
    raise AssertionError(f"never seen: {wanted}")
