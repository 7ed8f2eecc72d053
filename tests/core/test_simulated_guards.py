"""The simulation's guards and tuners: they see much, and they see what is broken."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from scmd.core import control_values, handles, object_security, saves
from scmd.core.messages import Settings
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.testing.simulation import World
from tests.core.sabotage import Sabotage, is_noticed, never_seen, visited, with_each, worlds_for

SEEDS = 300
EVERYTHING = {
    *("changed", "not changed: 112", "not known", "opened", "denied", "listed", "used"),
    *("set", "refused", "not saved", "told"),
}

play = visited("guards", "tuners")


def test_they_see_everything_there_is() -> None:
    def seen(world: World) -> set[str]:
        return world.guards.seen | world.tuners.seen

    assert not never_seen(play, EVERYTHING, seen, SEEDS)


# Descriptors ----------------------------------------------------------------------------------


def _grant_by_the_default(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handles, "descriptor", lambda _: SERVICE_DESCRIPTOR)


def _let_it_count_before_it_is_saved(patch: pytest.MonkeyPatch) -> None:
    original = object_security._save_for_service

    def save(state: State, command: Any, record: ServiceRecord, new: Any, stored: bytes) -> None:
        record.config, record.descriptor = record.config.replace(security=stored), new
        original(state, command, record, new, stored)

    patch.setattr(object_security, "_save_for_service", save)


def _keep_the_old_one(patch: pytest.MonkeyPatch) -> None:
    """What was read of it once counts for ever."""
    original, read = handles.descriptor, dict[ServiceRecord, Any]()
    patch.setattr(handles, "descriptor", lambda one: read.setdefault(one, original(one)))


def _save_no_descriptor(patch: pytest.MonkeyPatch) -> None:
    original = saves.save_record

    def save_record(state: State, record: Any, id: Any, config: Any, **rest: Any) -> Any:
        old = record.config.security if record is not None else config.security
        return original(state, record, id, config.replace(security=old), **rest)

    patch.setattr(saves, "save_record", save_record)


def _show_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handles, "may_query", lambda *_: True)


def _take_back_from_handles(patch: pytest.MonkeyPatch) -> None:
    original = object_security._save_for_service

    def save(state: State, command: Any, record: ServiceRecord, *rest: Any) -> None:
        original(state, command, record, *rest)
        for handle in state.handles.values():
            if handle.record is record:
                handle.granted = 0

    patch.setattr(object_security, "_save_for_service", save)


def _forget_the_scms(patch: pytest.MonkeyPatch) -> None:
    """A new manager goes by the default."""
    original = control_values.settings_from

    def settings_from(values: Any, host: Settings) -> Settings:
        return replace(original(values, host), security=None)

    patch.setattr(control_values, "settings_from", settings_from)


# Settings -------------------------------------------------------------------------------------


def _check_no_setting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(control_values, "check", lambda *_: None)


def _set_before_it_is_saved(patch: pytest.MonkeyPatch) -> None:
    original = saves.save_control

    def save_control(state: State, values: Any, saved: Any, failed: Any) -> Any:
        merged = control_values.merged(state.settings.stored, values)
        state.settings = control_values.settings_from(merged, state.settings)
        return original(state, values, saved, failed)

    patch.setattr(saves, "save_control", save_control)


def _save_only_the_first(patch: pytest.MonkeyPatch) -> None:
    original = control_values.spelled

    def spelled(present: Any, changes: Any) -> Any:
        return dict(list(original(present, changes).items())[:1])

    patch.setattr(control_values, "spelled", spelled)


@with_each(
    _grant_by_the_default,
    _let_it_count_before_it_is_saved,
    _keep_the_old_one,
    _save_no_descriptor,
    _show_everybody,
    _take_back_from_handles,
    _forget_the_scms,
    _check_no_setting,
    _set_before_it_is_saved,
    _save_only_the_first,
)
def test_a_broken_core_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(play, worlds_for(sabotage, SEEDS))
