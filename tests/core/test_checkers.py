"""The checkers see what they are for: each breakage of the core is noticed by some seed."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import (
    adoption,
    auto_start,
    crashes,
    database,
    essential,
    handles,
    launches,
    memory,
    recovery,
    requests,
    saves,
    schedules,
    shutdown,
    starting,
    status,
    why,
)
from scmd.core.control_table import STATUS_GIVEN_WITH
from scmd.core.deadlines import Deadlines
from scmd.core.dependencies import DependencyIndex
from scmd.core.messages.effects import AnyEffect, Effect, Reply, WriteJournal
from scmd.core.records import Failure, Launch, ServiceRecord, StartRequest
from scmd.core.scm import Scm
from scmd.core.state import State
from scmd.testing.crashes import Crashes
from scmd.testing.simulated_processes import SimulatedProcess
from scmd.testing.simulation import simulate
from scmd.vocabulary.errors import Error
from scmd.vocabulary.status import ServiceStatus
from tests.core.sabotage import Sabotage, is_noticed, with_each, worlds_for

SEEDS = 400


def _reply_twice(patch: pytest.MonkeyPatch) -> None:
    def reply(self: State, call: int | None, error: int, result: object = None) -> None:
        if call is not None:
            self.effects += [Reply(call, int(error), result)] * 2  # type: ignore[arg-type] # of any kind

    patch.setattr(State, "reply", reply)


def _forget_late_calls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(requests, "_late", lambda *_: None)


def _ignore_dependencies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(starting, "_look", lambda *_: starting._Verdict.MET)


def _ignore_dependents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DependencyIndex, "has_active_dependent", lambda *_: False)


def _start_the_disabled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(starting, "_refusal", lambda *_: Error.SUCCESS)


def _watch_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(status, "_watch", lambda *_: None)


def _keep_handles(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handles, "close_all", lambda *_: [])


def _two_at_a_time(patch: pytest.MonkeyPatch) -> None:
    original = requests._send_start

    def send(state: State, launch: Launch, request: StartRequest) -> None:
        original(state, launch, request)
        launch.current = None

    patch.setattr(requests, "_send_start", send)


def _never_kill(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(launches, "kill", lambda *_: None)


def _apply_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(database, "apply", lambda *_: None)


def _reserve_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(saves, "require_free", lambda *_: None)
    patch.setattr(saves, "require_idle", lambda *_: None)


def _wrong_check_point(patch: pytest.MonkeyPatch) -> None:
    original = status.set_status

    def wrong(state: State, record: object, new: ServiceStatus, cause: str, **rest: bool) -> None:
        original(state, record, new.replace(check_point=9), cause, **rest)  # type: ignore[arg-type] # a record

    patch.setattr(status, "set_status", wrong)


def _no_deadlines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Deadlines, "next", lambda _: None)


def _journal_behind(patch: pytest.MonkeyPatch) -> None:
    original = Scm._settle

    def settle(self: Scm) -> list[AnyEffect]:
        effects = original(self)
        return sorted(effects, key=lambda effect: isinstance(effect, WriteJournal))

    patch.setattr(Scm, "_settle", settle)


def _journal_little(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory.Journal, "is_due", lambda _, state: bool(state.touched))


def _adopt_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adoption, "adopt", lambda *_: None)


def _begin_again(patch: pytest.MonkeyPatch) -> None:
    original = adoption._resume

    def resume(state: State, launch: Launch, *rest: Any) -> None:
        known, _, users = rest
        launch.process_id = 0
        original(state, launch, known, None, users)

    patch.setattr(adoption, "_resume", resume)


def _ignore_strangers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adoption, "_take_in", lambda *_: None)


def _shut_down_all_at_once(patch: pytest.MonkeyPatch) -> None:
    def look(state: State, run: shutdown.ShutdownRun) -> None:
        while run.queue:
            for record in run.queue.popleft():
                shutdown._give_notice(state, run, record)
        shutdown._tell_everyone(state, run)

    patch.setattr(shutdown, "_look_at_notices", look)


def _go_on_without_the_essential(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(essential, "has_ended", lambda *_: False)


def _forget_who_was_told(patch: pytest.MonkeyPatch) -> None:
    original = shutdown._tell_everyone

    def tell(state: State, run: shutdown.ShutdownRun) -> None:
        for record in state.records.values():
            record.notice = None
        original(state, run)

    patch.setattr(shutdown, "_tell_everyone", tell)
    patch.setattr(shutdown, "_settle", lambda _, run, notice: run.notices.clear())


def _ask_for_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedProcess, "asked_to_resync", lambda _: None)
    _die_with_what_was_read(patch)


def _die_with_what_was_read(patch: pytest.MonkeyPatch) -> None:
    """No sabotage: managers that often die before they have journaled a message."""
    original = Crashes.dies_before

    def dies_before(self: Crashes, effect: Effect) -> bool:
        world = self.world
        begun = world.now > 1_000 and not world.calm and not world.completed
        if begun and isinstance(effect, WriteJournal) and world.random.random() < 0.1:
            self._die()
            return True
        return original(self, effect)

    patch.setattr(Crashes, "dies_before", dies_before)


def _always_take_the_first_action(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "next_action", lambda actions, _: actions[0] if actions else None)


def _restart_what_was_asked_to_stop(patch: pytest.MonkeyPatch) -> None:
    original = recovery.look

    def look(state: State, record: ServiceRecord, failure: Failure) -> None:
        record.stop_asked = False
        original(state, record, failure)

    patch.setattr(recovery, "look", look)


def _restart_at_once(patch: pytest.MonkeyPatch) -> None:
    def wait(state: State, record: ServiceRecord, known: recovery.Recovery, _: int) -> None:
        recovery._act(state, record, known)

    patch.setattr(recovery, "_wait", wait)


def _never_act(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_act", lambda *_: None)


def _never_count_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "failure_count", lambda record, _: record.failures)


def _restart_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_number", lambda *_: 0)


def _forget_what_was_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "restore", lambda *_: None)


def _explain_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(why, "examine", lambda *_: iter(()))


def _name_no_holders(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(why, "_holders", lambda *_: ())


def _hush_failures_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(crashes, "failed", lambda *_: None)


def _count_killing_as_failure(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ServiceRecord, "killed", property(lambda _: False, lambda *_: None))


def _lose_track_of_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ServiceRecord, "since", property(lambda _: None, lambda *_: None))


def _boot_all_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(auto_start, "_batches", lambda _, records: [records])


def _boot_from_behind(patch: pytest.MonkeyPatch) -> None:
    original = auto_start._batches
    patch.setattr(auto_start, "_batches", lambda *arguments: original(*arguments)[::-1])


def _log_floods(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(status, "_floods", lambda *_: False)


def _start_at_other_times(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schedules, "next_after", lambda _, after, zone: after + 90)


def _await_no_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schedules, "_arm", lambda *_: None)


@with_each(
    _explain_nothing,
    _name_no_holders,
    _hush_failures_up,
    _count_killing_as_failure,
    _lose_track_of_time,
    _reply_twice,
    _forget_late_calls,
    _ignore_dependencies,
    _ignore_dependents,
    _start_the_disabled,
    _watch_nothing,
    _keep_handles,
    _two_at_a_time,
    _never_kill,
    _apply_nothing,
    _reserve_nothing,
    _wrong_check_point,
    _no_deadlines,
    _journal_behind,
    _journal_little,
    _adopt_nothing,
    _begin_again,
    _ignore_strangers,
    _ask_for_nothing,
    _shut_down_all_at_once,
    _forget_who_was_told,
    _go_on_without_the_essential,
    _always_take_the_first_action,
    _restart_what_was_asked_to_stop,
    _restart_at_once,
    _never_act,
    _never_count_anew,
    _restart_for_ever,
    _forget_what_was_due,
    _boot_all_at_once,
    _boot_from_behind,
    _log_floods,
    _start_at_other_times,
    _await_no_time,
)
def test_a_broken_core_is_noticed(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert is_noticed(_play, worlds_for(sabotage, SEEDS))


def test_deaths_in_the_worst_moments_alone_break_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _die_with_what_was_read(monkeypatch)
    assert not is_noticed(_play, range(40))


def _play(seed: int) -> None:
    simulate(seed, 200)


def test_results_that_come_with_a_status_are_the_documented_ones() -> None:
    assert {int(error) for error in STATUS_GIVEN_WITH} == {0, 1051, 1052, 1061, 1062}
