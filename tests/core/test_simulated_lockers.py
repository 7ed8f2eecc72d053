"""The simulation's lockers: they see what there is, and they see what is broken."""

from __future__ import annotations

import pytest

from scmd.core import handles, locks
from scmd.core.handles import Handle
from scmd.core.locks import LockStatus
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from tests.core.sabotage import Sabotage, is_noticed, never_seen, visited, with_each, worlds_for

SEEDS = 200
EVERYTHING = {
    *("locked", "refused", "denied", "held", "free", "the SCM's"),
    *("unlocked", "not one's own", "abandoned", "kept out"),
}

play = visited("lockers")


def test_the_lockers_see_everything_there_is() -> None:
    assert not never_seen(play, EVERYTHING, lambda world: world.lockers.seen, SEEDS)


def _lock_for_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(locks, "held", lambda _: LockStatus())


def _hold_for_ever(patch: pytest.MonkeyPatch) -> None:
    original = handles.close_handle

    def close(state: State, handle: Handle) -> None:
        lock = state.lock
        original(state, handle)
        state.lock = lock

    patch.setattr(handles, "close_handle", close)


def _let_guests_lock(patch: pytest.MonkeyPatch) -> None:
    original = handles.scm
    patch.setattr(handles, "scm", lambda state, call, handle, _=0: original(state, call, handle))


def _forget_since_when(patch: pytest.MonkeyPatch) -> None:
    original = locks.held
    patch.setattr(locks, "held", lambda state: LockStatus(original(state).owner, 0))


def _let_everybody_start(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(locks, "refuse_start", lambda _: None)


def _let_everybody_change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(locks, "refuse_change", lambda *_: None)


def _keep_the_holder_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(locks, "refuse_change", lambda state, _: locks.refuse_start(state))


def _keep_others_out_without_effect(patch: pytest.MonkeyPatch) -> None:
    def refuse(state: State) -> None:
        if state.lock is not None:
            raise Refused(Error.SERVICE_DATABASE_LOCKED)

    patch.setattr(locks, "refuse_start", refuse)


@with_each(
    *(_lock_for_everybody, _hold_for_ever, _let_guests_lock, _forget_since_when),
    *(_let_everybody_start, _let_everybody_change),
    *(_keep_the_holder_out, _keep_others_out_without_effect),
)
def test_a_broken_lock_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(play, worlds_for(sabotage, SEEDS))
