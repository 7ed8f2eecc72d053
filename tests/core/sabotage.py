"""Worlds with visitors, and the core broken on purpose, to see that such a world notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from scmd.testing.simulation import World

STEPS = 200
Play = Callable[[int], World]
Sabotage = Callable[[pytest.MonkeyPatch], None]
SHOWS_IN = {
    "_count_killing_as_failure": 38,
    "_forget_late_calls": 12,
    "_forget_them": 124,
    "_forget_who_waits": 140,
    "_forget_who_was_told": 32,
    "_ignore_strangers": 33,
    "_log_floods": 194,
    "_overlook_that_the_last_has_gone": 120,
    "_reload_without_a_limit": 58,
    "_restart_what_was_asked_to_stop": 230,
    "_stop_hosted_programs_only": 84,
}
"""Seeds of worlds in which sabotages show that do not in most: these are played first."""


def with_each(*sabotages: Sabotage) -> pytest.MarkDecorator:
    """The test is run with each, as `sabotage`."""
    return pytest.mark.parametrize("sabotage", sabotages, ids=lambda each: each.__name__)


def worlds_for(sabotage: Sabotage, count: int) -> Iterable[int]:
    """So many seeds, that of the world in which it is known to show before them."""
    name = sabotage.__name__
    return (*([SHOWS_IN[name]] if name in SHOWS_IN else ()), *range(count))


def is_noticed(play: Callable[[int], object], seeds: Iterable[int]) -> bool:
    """Whether one of these worlds fails, or the core breaks down in it.

    A TypeError or AttributeError is raised instead: the sabotage does not fit the core any more.
    """
    for seed in seeds:
        try:
            play(seed)
        except (TypeError, AttributeError):
            raise
        except Exception:
            return True
    return False


def visited(*kinds: str) -> Play:
    """Plays the world of a seed, if it has visitors of one of these kinds (members of `World`)."""

    def play(seed: int) -> World:
        world = World(seed)
        if any(getattr(world, kind).are_there for kind in kinds):
            world.run(STEPS)
        return world

    return play


def never_seen(
    play: Play, everything: Iterable[object], seen: Callable[[World], Iterable[object]], seeds: int
) -> set[object]:
    """What happens in none of so many worlds."""
    missing = set(everything)
    for seed in range(seeds):
        missing.difference_update(seen(play(seed)))
        if not missing:
            break
    return missing
