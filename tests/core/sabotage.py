"""Breaking the core on purpose, to see that a simulated world notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

Sabotage = Callable[[pytest.MonkeyPatch], None]


def with_each(*sabotages: Sabotage) -> pytest.MarkDecorator:
    """The test is run with each, as `sabotage`."""
    return pytest.mark.parametrize("sabotage", sabotages, ids=lambda each: each.__name__)


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
