"""The simulation's built-in services: what is asked of them, and what is seen when they break."""

from __future__ import annotations

import pytest

from scmd.core import built_in
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from tests.core.sabotage import Sabotage, is_noticed, never_seen, visited, with_each, worlds_for

SEEDS = 300
EVERYTHING = {
    *("fronted", "LanmanServer runs", "LanmanServer does not run", "EventLog runs", "Tcpip runs"),
    *("StartService", "ControlService", "KillService", "DeleteService"),
}

play = visited("built_ins")


def test_everything_is_asked_of_them() -> None:
    assert not never_seen(play, EVERYTHING, lambda world: world.built_ins.seen, SEEDS)


def _meddle_with_them(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ServiceRecord, "is_built_in", property(lambda _: False, lambda *_: None))


def _run_without_smbd(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        State, "fronted_by_smbd", property(lambda _: True, lambda *_: None), raising=False
    )


def _run_in_the_first_manager(patch: pytest.MonkeyPatch) -> None:
    """For ever."""
    original = built_in.show

    def show(state: State, record: ServiceRecord) -> None:
        before = record.status
        original(state, record)
        if before.state == record.status.state:
            record.status = before

    patch.setattr(built_in, "show", show)


def _forget_them(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(built_in, "begin", lambda _: None)


def _make_them_always(patch: pytest.MonkeyPatch) -> None:
    def begin(state: State) -> None:
        for config in built_in.BUILT_INS:
            built_in._create(state, config)

    patch.setattr(built_in, "begin", begin)


def _keep_their_changes_from_the_feed(patch: pytest.MonkeyPatch) -> None:
    def show(state: State, record: ServiceRecord) -> None:
        built_in.show(state, record)

    patch.setattr(built_in, "_show_anew", show)


@with_each(
    _meddle_with_them,
    _run_without_smbd,
    _run_in_the_first_manager,
    _forget_them,
    _make_them_always,
    _keep_their_changes_from_the_feed,
)
def test_a_broken_core_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(play, worlds_for(sabotage, SEEDS))
