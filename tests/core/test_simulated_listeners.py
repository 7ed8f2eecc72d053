"""The simulation's listeners and readers: they see much, and they see what is broken."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import feed, notify_requests
from scmd.core.feed import Sight
from scmd.core.notify_requests import HandleRequests, Phase, Request
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.testing.simulation import World
from scmd.vocabulary.service import NotifyMask
from tests.core.sabotage import Sabotage, is_noticed, never_seen, visited, with_each, worlds_for

SEEDS = 300
EVERYTHING = {
    *("waits", "told at once", "created", "deleted", "several", "cancelled", "closed"),
    *("refused: 5", "refused: 6", "refused: 87", "refused: 1115", "refused: 1242"),
    *("picture", "told", "kept from it", "denied"),
}

play = visited("listeners", "readers")


def test_they_see_everything_there_is() -> None:
    def seen(world: World) -> set[str]:
        return world.listeners.seen | world.readers.seen

    assert not never_seen(play, EVERYTHING, seen, SEEDS)


# What comes and goes --------------------------------------------------------------------------


def _tell_no_deletion(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests.came_or_went

    def came_or_went(state: State, record: ServiceRecord, bit: NotifyMask) -> None:
        if bit is NotifyMask.CREATED:
            original(state, record, bit)

    patch.setattr(notify_requests, "came_or_went", came_or_went)


def _tell_of_drivers(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests.came_or_went

    def came_or_went(state: State, record: ServiceRecord, bit: NotifyMask) -> None:
        original(state, Undriven(record), bit)  # type: ignore[arg-type] # a record as far as it goes

    class Undriven:
        is_driver = False

        def __init__(self, record: ServiceRecord) -> None:
            self.config = record.config

    patch.setattr(notify_requests, "came_or_went", came_or_went)


def _forget_the_slash(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests._note_name
    patch.setattr(
        notify_requests,
        "_note_name",
        lambda state, kept, entry: original(state, kept, (entry[0], entry[1].lstrip("/"))),
    )


def _keep_nothing_between(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests._note_name

    def note(state: State, kept: HandleRequests, entry: tuple[int, str]) -> None:
        if kept.requests and kept.requests[-1].phase is Phase.WAITING:
            original(state, kept, entry)

    patch.setattr(notify_requests, "_note_name", note)


def _tell_the_last_only(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests._look_at_names

    def look(state: State, request: Request) -> None:
        kept = request.handle.requests
        assert kept is not None
        del kept.names[:-1]
        original(state, request)

    patch.setattr(notify_requests, "_look_at_names", look)


def _tell_what_was_asked_for_before(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests._look_at_names

    def look(state: State, request: Request) -> None:
        mask, request.mask = request.mask, notify_requests.SCM_BITS
        original(state, request)
        request.mask = mask

    patch.setattr(notify_requests, "_look_at_names", look)


# What is not for everybody's eyes -------------------------------------------------------------


def _show_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sight, "covers", lambda *_: True)


def _decide_once_for_all(patch: pytest.MonkeyPatch) -> None:
    original = Sight.covers
    patch.setattr(Sight, "covers", lambda self, _: original(self, None))


def _go_by_what_counts_now(patch: pytest.MonkeyPatch) -> None:
    original = feed._after

    def after(its: Any, number: int, keys: Any, sight: Any) -> Any:
        last = {change.service: change.security for change in its.kept}
        found = original(its, number, keys, None)
        return [c for c in found if sight is None or sight.covers(last[c.service])]

    patch.setattr(feed, "_after", after)


def _skip_those_who_wait(patch: pytest.MonkeyPatch) -> None:
    original = feed._tell

    def tell(its: Any, watchers: Any, change: Any) -> None:
        original(its, {c: w for c, w in (watchers or {}).items() if w.sight is None}, change)

    patch.setattr(feed, "_tell", tell)


@with_each(
    _tell_no_deletion,
    _tell_of_drivers,
    _forget_the_slash,
    _keep_nothing_between,
    _tell_the_last_only,
    _tell_what_was_asked_for_before,
    _show_all,
    _decide_once_for_all,
    _go_by_what_counts_now,
    _skip_those_who_wait,
)
def test_a_broken_core_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(play, worlds_for(sabotage, SEEDS))
