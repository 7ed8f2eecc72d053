"""Lockout: who is locked out, for how long, and what it may cost."""

from __future__ import annotations

import pytest

from scmd.rpc.security.lockout import MAX_ENTRIES, Lockout, LockoutPolicy

POLICY = LockoutPolicy(failures_per_origin=3, failures_per_account=7, lock=1000, forget=5000)


def failing(times: int, *, origin: str = "a", now: int = 0) -> Lockout:
    lockout = Lockout(POLICY)
    for _ in range(times):
        lockout.failed("ann", origin, now)
    return lockout


def test_the_last_failure_that_is_forgiven() -> None:
    assert failing(2).locked_until("ann", "a", 0) is None
    assert failing(3).locked_until("ann", "a", 0) == 1000


def test_a_lock_ends_by_itself() -> None:
    lockout = failing(3)
    assert lockout.locked_until("ann", "a", 999) == 1000
    assert lockout.locked_until("ann", "a", 1000) is None
    for _ in range(2):
        lockout.failed("ann", "a", 1000)
        assert lockout.locked_until("ann", "a", 1000) is None
    lockout.failed("ann", "a", 1000)
    assert lockout.locked_until("ann", "a", 1000) == 2000


def test_another_spelling_is_the_same_account() -> None:
    assert failing(3).locked_until("Ann", "a", 0) == 1000


def test_others_are_not_locked_out_by_one_guesser() -> None:
    lockout = failing(3)
    assert lockout.locked_until("ann", "b", 0) is None
    assert lockout.locked_until("bob", "a", 0) is None


def test_guessing_from_many_places_locks_the_account() -> None:
    lockout = Lockout(POLICY)
    for number in range(7):
        lockout.failed("ann", f"10.0.0.{number}", 0)
    assert lockout.locked_until("ann", "elsewhere", 0) == 1000


def test_the_later_end_is_told_of_two_locks() -> None:
    lockout = failing(3)
    for origin in "bbcc":
        lockout.failed("ann", origin, 500)
    assert lockout.locked_until("ann", "a", 600) == 1500


@pytest.mark.parametrize("now", [0, 60_000])
def test_old_failures_are_forgotten(now: int) -> None:
    for later, locked in ((1, True), (5000, True), (5001, False)):
        lockout = failing(2, now=now)
        lockout.failed("ann", "a", now + later)
        assert (lockout.locked_until("ann", "a", now + later) is not None) is locked


def test_it_is_the_last_failure_that_has_to_be_old() -> None:
    lockout = failing(1, now=0)
    lockout.failed("ann", "a", 4000)
    lockout.failed("ann", "a", 8000)
    assert lockout.locked_until("ann", "a", 8000) == 9000


def test_success_forgives_its_own_origin_alone() -> None:
    lockout = failing(2)
    lockout.succeeded("ann", "a")
    lockout.failed("ann", "a", 0)
    assert lockout.locked_until("ann", "a", 0) is None
    for number in range(4):
        lockout.failed("ann", f"10.0.0.{number}", 0)
    assert lockout.locked_until("ann", "a", 0) == 1000


@pytest.mark.parametrize("exists", [False, True])
def test_names_from_outside_do_not_fill_the_memory(exists: bool) -> None:
    lockout = Lockout(POLICY)
    for number in range(MAX_ENTRIES):
        lockout.failed(f"user{number}" + "x" * 1000, "a", 0, exists=exists)
    assert len(lockout) == MAX_ENTRIES
    lockout.failed("ann", "a", 0, exists=exists)
    assert len(lockout) == MAX_ENTRIES


def test_no_lock_is_forgotten_for_names_that_are_made_up() -> None:
    lockout = failing(3)
    for number in range(MAX_ENTRIES):
        lockout.failed(f"user{number}", "a", 1, exists=False)
    assert lockout.locked_until("ann", "a", 2) == 1000
    for number in range(3):
        lockout.failed("ann", f"10.0.0.{number}", 2)
        for other in range(MAX_ENTRIES):
            lockout.failed(f"user{other}", "a", 2, exists=False)
    lockout.failed("ann", "elsewhere", 2)
    assert lockout.locked_until("ann", "anywhere", 2) == 1002


def test_a_name_that_nobody_has_is_locked_as_any_other() -> None:
    lockout = Lockout(POLICY)
    for _ in range(3):
        lockout.failed("nobody", "a", 0, exists=False)
    assert lockout.locked_until("nobody", "a", 0) == 1000
