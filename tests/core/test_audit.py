"""The audit trail: every control, start and change, whatever came of it; opens when refused."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import messages
from scmd.core.audit import ACTIONS, REFUSALS, SCM_TARGET
from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    Command,
    ControlService,
    CreateService,
    DeleteService,
    KillService,
    OpenScm,
    OpenService,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import Audited, Reply
from scmd.core.messages.events import RecordSaved, SaveFailed
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ConfigLevel, Control
from tests.core.bench import ALL, GUEST, Bench

QUERIES = {
    "CheckScmHandle",
    "CloseHandle",
    "CloseNotifyHandle",
    "EnumDependents",
    "EnumServices",
    "ExplainService",
    "GetDisplayName",
    "GetKeyName",
    "GetNotifyResults",
    "IdentifyService",
    "NotifyStatusChange",
    "PrepareService",
    "QueryBoot",
    "QueryConfig",
    "QueryLock",
    "QueryParameters",
    "QueryRecovery",
    "QuerySecurity",
    "QuerySettings",
    "QueryStatus",
    "WaitForChanges",
}
"""Commands that leave everything as it is."""


def test_every_command_is_audited_or_a_query() -> None:
    kinds = [kind for kind in Command.__subclasses__() if kind.__module__.startswith("scmd.core")]
    commands = {kind.__name__ for kind in kinds}
    audited = {kind.__name__ for kind in ACTIONS}
    assert commands == audited | QUERIES
    assert not audited & QUERIES
    assert set(ACTIONS) >= REFUSALS


def trail(bench: Bench) -> list[tuple[str, str, str, int]]:
    """Of the last message: who, what, of which service, with what result."""
    return [
        (entry.caller.origin, entry.action, entry.target, entry.error)
        for entry in bench.effects
        if isinstance(entry, Audited)
    ]


def asked(bench: Bench, command: Command) -> list[tuple[str, str, int]]:
    """The trail of a command: it names the caller and comes before the reply."""
    bench.tell(command)
    kinds = [type(effect) for effect in bench.effects]
    if Audited in kinds and Reply in kinds:
        assert kinds.index(Audited) < kinds.index(Reply)
    entries = trail(bench)
    assert all(origin == command.call.caller.origin for origin, *_ in entries)
    return [(action, target, error) for _, action, target, error in entries]


@pytest.mark.parametrize(
    ("kind", "fields", "action", "error"),
    [
        (StartService, {}, "start", None),
        (ControlService, {"control": Control.STOP}, "control STOP", 1062),
        (ControlService, {"control": Control.INTERROGATE}, "control INTERROGATE", 1062),
        (ControlService, {"control": 200}, "control 200", 1062),
        (ControlService, {"control": 0}, "control 0", 87),
        (KillService, {}, "kill", 1062),
        (ChangeConfig, {"start_type": 9}, "change configuration", 87),
        (ChangeConfig, {"start_type": 3}, "change configuration", 0),
        (
            ChangeConfig2,
            {"level": ConfigLevel.DESCRIPTION, "value": "text"},
            "change DESCRIPTION",
            0,
        ),
        (SetParameters, {"values": {}}, "change parameters", 0),
        (DeleteService, {}, "delete", 0),
    ],
)
def test_what_is_asked_of_a_service_is_told_with_its_result(
    kind: Any, fields: dict[str, Any], action: str, error: int | None
) -> None:
    bench = Bench()
    service = bench.create("Web")
    entries = asked(bench, kind(bench.call(), service, **fields))
    # A start is answered, and told, when the service process has taken it.
    assert entries == ([] if error is None else [(action, "Web", error)])


def test_a_change_without_the_right_is_told_as_refused() -> None:
    bench = Bench()
    bench.create("Web")
    handle = bench.open("web", 4)
    assert asked(bench, DeleteService(bench.call(), handle)) == [("delete", "Web", 5)]


def test_a_handle_that_is_none_is_told_too() -> None:
    bench = Bench()
    entries = asked(bench, DeleteService(bench.call(), HandleId(999)))
    assert entries == [("delete", "an unknown handle", messages.CONTEXT_MISMATCH)]


def test_opens_are_told_when_refused_and_only_then() -> None:
    bench = Bench()
    bench.create("Web")
    assert asked(bench, OpenService(bench.call(), bench.handle, "Web", ALL)) == []
    assert asked(bench, OpenService(bench.call(), bench.handle, "Nope", ALL)) == []
    guest = bench.call(GUEST, association=9)
    assert asked(bench, OpenScm(guest, None, 0x2)) == [("open", SCM_TARGET, 5)]
    scm = bench.result(OpenScm(bench.call(GUEST, association=9), None, 0x1))
    call = bench.call(GUEST, association=9)
    assert asked(bench, OpenService(call, scm, "WEB", ALL)) == [("open", "WEB", 5)]


@pytest.mark.parametrize("error", [Error.SUCCESS, Error.DISK_FULL])
def test_a_change_is_told_when_its_outcome_is_known(error: Error) -> None:
    bench = Bench()
    bench.saving = False
    config = ServiceConfig(name="New", image_path="/bin/x")
    assert asked(bench, CreateService(bench.call(), bench.handle, config, ALL)) == []
    (save,) = bench.pending_saves
    bench.tell(SaveFailed(save.save, error) if error else RecordSaved(save.save))
    ((_, action, target, result),) = trail(bench)
    assert (action, target, result) == ("create", "New", error)


def test_a_change_that_waits_for_another_is_told_once() -> None:
    bench = Bench()
    service = bench.create("Web")
    bench.saving = False
    first = ChangeConfig(bench.call(), service, error_control=0)
    second = ChangeConfig(bench.call(), service, error_control=1)
    assert asked(bench, first) == []
    assert asked(bench, second) == []
    for _ in range(2):
        save = bench.pending_saves.pop(0)
        bench.tell(RecordSaved(save.save))
        assert [entry[1:] for entry in trail(bench)] == [("change configuration", "Web", 0)]
