"""The simulation's watchers: they see much, and they see what is broken."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import changes, feed, memory, notify_requests
from scmd.core.changes import Change, Feed
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from tests.core.sabotage import Sabotage, is_noticed, never_seen, visited, with_each, worlds_for

play = visited("watchers")


def test_the_watchers_see_everything_there_is() -> None:
    everything = {*map(str, changes.ChangeKind), "notified", "marked", "picture"}
    assert not never_seen(play, everything, lambda world: world.watchers.seen, 1_000)


def _tell_a_state_again(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests._look_at_state

    def look(state: State, request: notify_requests.Request, record: ServiceRecord) -> None:
        if request.handle.requests is not None:
            request.handle.requests.entry = None
        original(state, request, record)

    patch.setattr(notify_requests, "_look_at_state", look)


def _never_tell_at_once(patch: pytest.MonkeyPatch) -> None:
    original = notify_requests._look_at_state

    def look(state: State, request: notify_requests.Request, record: ServiceRecord) -> None:
        assert request.handle.requests is not None
        request.handle.requests.entry = record.entry
        original(state, request, record)

    patch.setattr(notify_requests, "_look_at_state", look)


def _miss_entries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notify_requests, "state_entered", lambda *_: None)


def _keep_a_mark_secret(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notify_requests, "marked", lambda *_: None)


def _skip_a_number(patch: pytest.MonkeyPatch) -> None:
    original = Feed.keep

    def keep(self: Feed, change: Change) -> list[Change]:
        lost = original(self, change)
        if change.number % 7 == 0:
            self.kept.pop()
        return lost

    patch.setattr(Feed, "keep", keep)


def _say_it_twice(patch: pytest.MonkeyPatch) -> None:
    original = feed.answer

    def answer(state: State) -> None:
        for watcher in state.feed.awake.values():
            watcher.changes *= 2
        original(state)

    patch.setattr(feed, "answer", answer)


def _forget_changes_of_the_status(patch: pytest.MonkeyPatch) -> None:
    original = feed.add

    def add(state: State, record: ServiceRecord, kind: changes.ChangeKind, *rest: Any) -> None:
        if kind is not changes.ChangeKind.STATUS:
            original(state, record, kind, *rest)

    patch.setattr(feed, "add", add)


def _journal_no_changes(patch: pytest.MonkeyPatch) -> None:
    original = memory._news

    def news(of: Feed) -> list[memory.Memory]:
        return [entry for entry in original(of) if not isinstance(entry, memory.ChangeMemory)]

    patch.setattr(memory, "_news", news)


def _journal_no_intents(patch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None:
        return None

    patch.setattr(feed, "intend", nothing)


def _forget_deletions(patch: pytest.MonkeyPatch) -> None:
    original = feed.add

    def add(
        state: State, record: ServiceRecord, kind: changes.ChangeKind, *rest: Any, **more: Any
    ) -> None:
        if kind is not changes.ChangeKind.DELETED:
            original(state, record, kind, *rest, **more)

    patch.setattr(feed, "add", add)


@with_each(
    _tell_a_state_again,
    _never_tell_at_once,
    _miss_entries,
    _keep_a_mark_secret,
    _skip_a_number,
    _say_it_twice,
    _forget_changes_of_the_status,
    _journal_no_changes,
    _journal_no_intents,
    _forget_deletions,
)
def test_a_broken_contract_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(play, worlds_for(sabotage, 1_500))
