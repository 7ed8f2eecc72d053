"""When manager and logger are started again: at once, unless they die quickly again and again."""

from __future__ import annotations

import pytest

from scmd.daemon.keeper_child import HEALTHY_AFTER, Child


def child() -> Child:
    return Child("manager", [], (0.0, 1.0, 2.0))


def test_the_first_death_costs_nothing_and_the_next_ones_more() -> None:
    made = child()
    assert [made.ended(at) for at in (0, 1, 2, 3)] == [0.0, 1.0, 2.0, 2.0]
    assert made.restart_at == 5.0


def test_who_was_ready_for_a_while_is_started_again_at_once() -> None:
    made = child()
    for at in range(0, 100, 10):
        made.ready(at)
        assert made.ended(at + HEALTHY_AFTER) == 0.0


def test_dying_soon_after_being_ready_is_forgiven_a_few_times() -> None:
    made = child()
    delays = []
    for at in range(0, 120, 10):
        made.ready(at)
        delays.append(made.ended(at + 0.5))
    assert delays == [0.0] * 10 + [0.1] * 2


@pytest.mark.parametrize(
    ("program", "why"), [("/none", "No such file or directory"), ("/etc", "Permission denied")]
)
def test_a_program_that_cannot_be_run_is_named_and_why(program: str, why: str) -> None:
    with pytest.raises(OSError, match=f"^{program}: {why}$"):
        Child("manager", [program], (0.0,)).start()
