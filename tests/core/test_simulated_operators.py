"""The simulation's operators: what they do happens, and what they and its checkers see broken."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from scmd.core import (
    database,
    hosting,
    instances,
    limits,
    parameters,
    preparing,
    reloads,
    srvany,
)
from scmd.core.hosted_runs import HostedRun
from scmd.core.messages import CallId, Parameters
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.testing.simulation import World
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.service import ServiceState
from tests.core.sabotage import Sabotage, is_noticed, never_seen, visited, with_each, worlds_for

SEEDS = 300
EVERYTHING = {
    *("made whole", "made bare", "shown"),
    *(
        "starts its instances",
        instances.ALL_UP,
        "stops its instances",
        "its instances have stopped",
    ),
    *("none of its instances runs any more", 0, 1053, 1061, 1066, 1235),
}
"""Of operators, templates and reloads; numbers are the answers to those who asked for a reload."""

play = visited("operators")


def test_the_operators_see_everything_there_is() -> None:
    def seen(world: World) -> set[object]:
        checkers = world.checkers
        return {*world.operators.seen, *checkers.templates.seen, *checkers.reloads.seen}

    assert not never_seen(play, EVERYTHING, seen, SEEDS)


# What was prepared ----------------------------------------------------------------------------


def _prepare_for_ever(patch: pytest.MonkeyPatch) -> None:
    kept: dict[State, Any] = {}
    original = preparing.completed

    def completed(state: State, config: ServiceConfig, prepared: Any, granted: int) -> Any:
        kept[state] = prepared or kept.get(state)
        return original(state, config, kept[state], granted)

    patch.setattr(preparing, "completed", completed)


def _prepare_no_changes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(preparing, "changed_by_level", lambda config, *_: config)


def _show_what_is_asked_for(patch: pytest.MonkeyPatch) -> None:
    """Before it is saved."""
    original = database.set_parameters

    def set_parameters(state: State, command: Any) -> None:
        record = state.handles[command.service].record if command.service in state.handles else None
        original(state, command)
        if record is not None and record.save is not None:
            record.parameters = parameters.merged(record.parameters, command)

    patch.setattr(database, "set_parameters", set_parameters)


# Limits and numbers ---------------------------------------------------------------------------


def _limit_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "of", lambda _: limits.Limits())


def _take_shares_for_limits(patch: pytest.MonkeyPatch) -> None:
    original = limits.of

    def of(values: Parameters) -> limits.Limits:
        found = original(values)
        return limits.Limits(found.limits + found.shares)

    patch.setattr(limits, "of", of)


def _number_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(instances, "_numbered", lambda value, _: value)


def _put_the_template_first(patch: pytest.MonkeyPatch) -> None:
    original = instances.parameters_of

    def parameters_of(state: State, record: ServiceRecord) -> Parameters:
        template = instances.template_of(state, record)
        merged = dict(original(state, record))
        if template is not None:
            merged |= {k: v for k, v in template.parameters.items() if k in merged}
        return merged

    patch.setattr(instances, "parameters_of", parameters_of)


# Templates ------------------------------------------------------------------------------------


def _run_when_one_does(patch: pytest.MonkeyPatch) -> None:
    original = instances._look_for_all

    def look(state: State, run: HostedRun, members: list[ServiceRecord], down: Any) -> None:
        up = [member for member in members if member.is_up]
        original(state, run, up or members, [] if up else down)

    patch.setattr(instances, "_look_for_all", look)


def _never_say_that_all_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(instances, "_look_for_all", lambda *_: None)


def _stop_only_the_first(patch: pytest.MonkeyPatch) -> None:
    original = instances._stop_member

    def stop(state: State, member: ServiceRecord, kill: str = "", *, again: bool = False) -> None:
        if member.config.name.endswith("@1"):
            original(state, member, kill, again=again)

    patch.setattr(instances, "_stop_member", stop)


def _stop_hosted_programs_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(instances, "_stop_program", lambda *_, **__: None)


def _end_with_the_first(patch: pytest.MonkeyPatch) -> None:
    original = instances.members

    def members(state: State, record: ServiceRecord, above: int = 0) -> Any:
        stops = record.status.state == ServiceState.STOP_PENDING
        return list(original(state, record, above))[: 1 if stops else None]

    patch.setattr(instances, "members", members)


def _overlook_that_the_last_has_gone(patch: pytest.MonkeyPatch) -> None:
    original = instances.look

    def look(state: State, record: ServiceRecord) -> None:
        template = instances.template_of(state, record)
        if template is None or template.status.state != ServiceState.RUNNING:
            original(state, record)

    patch.setattr(instances, "look", look)


def _count_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(instances, "recounted", lambda *_: None)


def _give_templates_a_process(patch: pytest.MonkeyPatch) -> None:
    original = instances.gather

    def gather(state: State, run: HostedRun) -> None:
        original(state, run)
        hosting._launch(state, run)

    patch.setattr(instances, "gather", gather)


# Reloads --------------------------------------------------------------------------------------


def _wait_for_no_reload(patch: pytest.MonkeyPatch) -> None:
    original = reloads._signal

    def signal(state: State, run: HostedRun, number: int, call: CallId) -> None:
        original(state, run, number, call)
        if run.reload is not None:
            run.reload.call = None
            state.reply(call, 0, run.record.status)

    patch.setattr(reloads, "_signal", signal)


def _believe_every_ready(patch: pytest.MonkeyPatch) -> None:
    original = reloads.ready

    def ready(state: State, run: HostedRun) -> None:
        if run.reload is not None:
            run.reload.begun = True
        original(state, run)

    patch.setattr(reloads, "ready", ready)


def _reload_well_whatever_the_command(patch: pytest.MonkeyPatch) -> None:
    original = reloads.Reload.end

    def end(self: reloads.Reload, state: State, record: ServiceRecord, error: int) -> None:
        original(self, state, record, 0)

    patch.setattr(reloads.Reload, "end", end)


def _reload_without_a_limit(patch: pytest.MonkeyPatch) -> None:
    original = reloads._limit

    def limit(state: State, run: HostedRun, reload: reloads.Reload, span: int) -> None:
        original(state, run, reload, 3 * span)

    patch.setattr(reloads, "_limit", limit)


def _forget_who_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reloads.Reload, "abandon", lambda *_: None)


def _send_no_signal(patch: pytest.MonkeyPatch) -> None:
    original = srvany.plan

    def plan(*arguments: Any) -> srvany.Plan:
        found = original(*arguments)
        return replace(found, reload_signal=found.reload_signal and 10)

    patch.setattr(srvany, "plan", plan)


@with_each(
    _prepare_for_ever,
    _prepare_no_changes,
    _show_what_is_asked_for,
    _limit_nothing,
    _take_shares_for_limits,
    _number_nobody,
    _put_the_template_first,
    _run_when_one_does,
    _never_say_that_all_run,
    _stop_only_the_first,
    _stop_hosted_programs_only,
    _end_with_the_first,
    _overlook_that_the_last_has_gone,
    _count_once,
    _give_templates_a_process,
    _wait_for_no_reload,
    _believe_every_ready,
    _reload_well_whatever_the_command,
    _reload_without_a_limit,
    _forget_who_waits,
    _send_no_signal,
)
def test_a_broken_core_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(play, worlds_for(sabotage, SEEDS))
