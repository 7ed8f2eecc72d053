"""SCM-wide values that are changed while the SCM runs."""

from __future__ import annotations

from scmd.core.messages import HandleId, Settings
from scmd.core.messages.commands import OpenScm, QuerySettings, SetSettings
from scmd.core.messages.effects import Audited, SaveControl
from scmd.core.messages.events import RecordSaved, SaveFailed
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from tests.core.bench import Bench

PIPE, KILL = "ServicesPipeTimeout", "WaitToKillServiceTimeout"


def setting(
    bench: Bench, values: dict[str, int | None], scm: HandleId | None = None
) -> SetSettings:
    given = {
        name: None if value is None else RegistryValue.of(value) for name, value in values.items()
    }
    return SetSettings(bench.call(), scm or bench.handle, given)


def in_force(bench: Bench) -> Settings:
    found = bench.result(QuerySettings(bench.call(), bench.handle))
    assert isinstance(found, Settings)
    return found


def test_a_value_counts_once_it_is_durable() -> None:
    bench = Bench()
    bench.saving = False
    command = setting(bench, {PIPE.lower(): 500})
    bench.tell(command)
    [save] = bench.found(SaveControl)
    assert list(save.values) == [PIPE]
    assert not bench.answered(command)
    assert in_force(bench).pipe_timeout == 30_000
    bench.tell(RecordSaved(save.save))
    assert bench.replies[command.call.id].error == 0
    assert in_force(bench).pipe_timeout == 500
    bench.saving = True
    bench.start(bench.create("A"))
    assert bench.scm.next_deadline() == bench.now + 500


def test_what_cannot_be_saved_changes_nothing() -> None:
    bench = Bench()
    bench.saving = False
    command = setting(bench, {KILL: 5})
    bench.tell(command)
    bench.tell(SaveFailed(bench.one(SaveControl).save, Error.DISK_FULL))
    assert bench.replies[command.call.id].error == Error.DISK_FULL
    assert in_force(bench) == Settings()


def test_the_default_comes_back_and_others_stay() -> None:
    bench = Bench()
    bench.result(setting(bench, {PIPE: 500, KILL: 600}))
    bench.result(setting(bench, {PIPE: None}))
    found = in_force(bench)
    assert (found.pipe_timeout, found.kill_timeout) == (30_000, 600)
    assert list(found.stored) == [KILL]


def test_one_wrong_value_refuses_them_all() -> None:
    bench = Bench()
    command = setting(bench, {KILL: 600, PIPE: 0})
    reply = bench.ask(command)
    assert (reply.error, bench.found(SaveControl)) == (Error.INVALID_PARAMETER, [])
    assert reply.result == f"{PIPE}: expected a number from 1 to 86400000"


def test_a_change_is_in_the_audit_trail() -> None:
    bench = Bench()
    bench.ask(setting(bench, {PIPE: 0, KILL: 5}))
    told = bench.one(Audited)
    assert (told.action, told.target) == (f"change settings {PIPE}, {KILL} of", "the SCM")
    assert told.error == Error.INVALID_PARAMETER


def test_only_who_may_do_everything_sets_them() -> None:
    bench = Bench()
    scm: HandleId = bench.result(OpenScm(bench.call(), None, 0x4))
    assert bench.error(setting(bench, {PIPE: 5}, scm)) == Error.ACCESS_DENIED
    assert bench.error(QuerySettings(bench.call(), scm)) == 0
    none: HandleId = bench.result(OpenScm(bench.call(), None, 0x1))
    assert bench.error(QuerySettings(bench.call(), none)) == Error.ACCESS_DENIED
