"""The heap of deadlines: order, moving, cancelling, and no growth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.core import deadlines as module
from scmd.core.deadlines import LEAST_CLEARED, Deadline, Deadlines


def nothing() -> None:
    """A deadline's action that tests do not look at."""


def test_due_in_order_of_instant_then_of_arming() -> None:
    deadlines = Deadlines()
    made = [Deadline(nothing, str(at)) for at in (5, 3, 5, 1)]
    for deadline in made:
        deadlines.arm(deadline, int(deadline.why))
    assert deadlines.next() == 1
    found = []
    while (due := deadlines.pop_due(10)) is not None:
        found.append(made.index(due))
    assert found == [3, 1, 0, 2]


def test_nothing_is_due_early() -> None:
    deadlines = Deadlines()
    deadlines.arm(Deadline(nothing, ""), 5)
    assert deadlines.pop_due(4) is None
    assert deadlines.pop_due(5) is not None


def test_what_was_cancelled_does_not_stay_until_it_would_have_been_due() -> None:
    """As of calls that wait for a change, for an hour at most, where something changes often."""
    deadlines = Deadlines()
    kept = [Deadline(nothing, str(number)) for number in range(LEAST_CLEARED)]
    for number, deadline in enumerate(kept):
        deadlines.arm(deadline, 3_600_000 - number)
    for now in range(20_000):
        passing = Deadline(nothing, "")
        deadlines.arm(passing, now + 3_600_000)
        passing.cancel()
        deadlines.arm(kept[now % 7], 3_600_000 + now)
        assert len(deadlines._heap) <= 2 * len(kept) + 1
    passing.cancel()
    found = []
    while (due := deadlines.pop_due(10_000_000)) is not None:
        found.append(kept.index(due))
    expected = sorted(range(7), key=lambda number: (19_999 - number) % 7)
    assert found == [*range(LEAST_CLEARED - 1, 6, -1), *reversed(expected)]


def test_one_that_was_cleared_away_can_be_armed_again() -> None:
    deadlines = Deadlines()
    first, again = Deadline(nothing, ""), Deadline(nothing, "")
    deadlines.arm(first, 1)
    deadlines.arm(again, 2)
    again.cancel()
    for _ in range(LEAST_CLEARED):
        deadlines.arm(Deadline(nothing, ""), 5)
    deadlines.arm(again, 4)
    assert [deadlines.pop_due(4) for _ in range(3)] == [first, again, None]


Steps = st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 50)), max_size=60)


@settings(deadline=None)
@given(Steps)
def test_moving_and_cancelling_is_as_if_the_last_word_counted(
    steps: list[tuple[int, int | None]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_CLEARED", 2)
        follow(steps)


def follow(steps: list[tuple[int, int | None]]) -> None:
    deadlines = Deadlines()
    made = [Deadline(nothing, "") for _ in range(5)]
    last: dict[int, int | None] = {}
    for which, at in steps:
        if at is None:
            made[which].cancel()
        else:
            deadlines.arm(made[which], at)
        last[which] = at
        expected = min((at for at in last.values() if at is not None), default=None)
        assert deadlines.next() == expected
    assert sorted(made.index(d) for d in deadlines.armed()) == sorted(
        which for which, at in last.items() if at is not None
    )
    due = []
    while (deadline := deadlines.pop_due(50)) is not None:
        due.append(made.index(deadline))
    assert sorted(due) == sorted(which for which, at in last.items() if at is not None)
    assert [last[which] for which in due] == sorted(at for at in last.values() if at is not None)
    assert deadlines.next() is None
