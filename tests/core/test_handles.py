"""Handles: what they may do is fixed when they are opened, and they end with their owner."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from msgspec import NODEFAULT, structs

from scmd.core import handles, notify_requests
from scmd.core.locks import LockDatabase
from scmd.core.messages import CONTEXT_MISMATCH, AssociationId, HandleId
from scmd.core.messages.commands import (
    CheckScmHandle,
    CloseHandle,
    Command,
    CreateService,
    DeleteService,
    EnumServices,
    IdentifyService,
    OpenScm,
    OpenService,
    QueryConfig,
    QueryStatus,
    StartService,
)
from scmd.core.messages.events import AssociationEnded, RecordSaved
from scmd.core.notify_requests import NotifyStatusChange
from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.security.sddl import descriptor_from_sddl
from scmd.security.token import Token, unix_token
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ConfigLevel
from scmd.vocabulary.status import ServiceStatus
from tests.core.bench import ALL, GUEST, ROOT, Bench

COMMANDS: list[type[Command]] = list(
    dict.fromkeys(
        kind
        for name, module in sorted(sys.modules.items())
        if name.startswith("scmd.core.")
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Command) and kind is not Command
    )
)
"""All of them: `scm` imports whatever declares one."""


def commands_with(field: str) -> list[type[Command]]:
    return [kind for kind in COMMANDS if field in {item.name for item in structs.fields(kind)}]


FILLERS: dict[str, Any] = {
    "name": "A",
    "desired_access": 0,
    "config": ServiceConfig(name="X", image_path="/bin/x"),
    "type_mask": 0x30,
    "state_mask": 3,
    "display_name": "A",
    "access": 1,
    "after": 0,
    "level": ConfigLevel.DESCRIPTION,
    "value": "x",
    "control": 4,
    "values": {},
    "database": None,
    "status": ServiceStatus(state=4),
    "information": 4,
    "descriptor": SERVICE_DESCRIPTOR.to_bytes(),
    "acceptable": True,
    "image_path": "/bin/x",
    "changes": (),
    "epoch": 0,
    "handle": HandleId(999),
    "notify_handle": HandleId(999),
    "mask": 1,
}


def filled(bench: Bench, kind: type[Command], **given: Any) -> Command:
    required = [
        item.name
        for item in structs.fields(kind)
        if item.default is NODEFAULT and item.name not in ("call", *given)
    ]
    return kind(call=bench.call(), **{name: FILLERS[name] for name in required}, **given)


@pytest.mark.parametrize("kind", commands_with("service") + commands_with("scm"))
def test_unknown_and_foreign_handles_are_a_context_mismatch(kind: type[Command]) -> None:
    field = "scm" if kind in commands_with("scm") else "service"
    bench = Bench()
    foreign_scm = bench.open_scm(association=2)
    call = bench.call(association=2)
    bench.create("A")
    foreign_service = bench.result(OpenService(call, foreign_scm, "A", ALL))
    foreign = foreign_scm if field == "scm" else foreign_service
    for handle in (HandleId(999), foreign):
        assert bench.error(filled(bench, kind, **{field: handle})) == CONTEXT_MISMATCH


@pytest.mark.parametrize("kind", commands_with("service") + commands_with("scm"))
def test_a_handle_of_the_wrong_kind_is_6(kind: type[Command]) -> None:
    bench = Bench()
    service = bench.create("A")
    if kind in commands_with("scm"):
        assert bench.error(filled(bench, kind, scm=service)) == 6
    else:
        assert bench.error(filled(bench, kind, service=bench.handle)) == 6


def test_every_command_is_carried_out() -> None:
    for kind in COMMANDS:
        bench = Bench()
        fields = {item.name for item in structs.fields(kind)}
        given: dict[str, Any] = {}
        if "scm" in fields:
            given["scm"] = bench.handle
        if "service" in fields:
            given["service"] = bench.create("A")
        if "handle" in fields:
            given["handle"] = bench.create("A")
        if "lock" in fields:
            given["lock"] = bench.result(LockDatabase(bench.call(), bench.handle))
        command = filled(bench, kind, **given)
        bench.tell(command)
        reply = bench.replies.get(command.call.id)
        if reply is None:
            assert kind is StartService or command.call.id in bench.scm.state.blocked, kind
        else:
            assert reply.error != CONTEXT_MISMATCH, kind


@pytest.mark.parametrize(
    ("database", "error"),
    [
        (None, 0),
        ("", 123),
        ("ServicesActive", 0),
        ("servicesactive", 0),
        ("ServicesFailed", 1065),
        ("Other", 123),
    ],
)
def test_databases(database: str | None, error: int) -> None:
    bench = Bench()
    assert bench.error(OpenScm(bench.call(), database, 1)) == error


def test_guests_may_look_but_not_touch() -> None:
    bench = Bench()
    bench.create("A")
    scm = bench.result(OpenScm(bench.call(GUEST), None, 0x80000000))
    for access in (0x02, 0x10, 0x20, 0x10000):
        assert bench.error(OpenService(bench.call(GUEST), scm, "A", access)) == 5
    handle = bench.result(OpenService(bench.call(GUEST), scm, "A", 0x80000000))
    assert bench.error(QueryStatus(bench.call(GUEST), handle)) == 0
    assert bench.error(QueryConfig(bench.call(GUEST), handle)) == 0
    assert bench.error(StartService(bench.call(GUEST), handle)) == 5
    assert bench.error(DeleteService(bench.call(GUEST), handle)) == 5
    assert bench.error(OpenScm(bench.call(GUEST), None, 2)) == 5
    config = ServiceConfig(name="B", image_path="/bin/b")
    assert bench.error(CreateService(bench.call(GUEST), scm, config, 0)) == 5


def test_connect_is_implicit() -> None:
    bench = Bench()
    handle = bench.result(OpenScm(bench.call(), None, 0))
    assert bench.error(CheckScmHandle(bench.call(), handle, 1)) == 0
    assert bench.error(CheckScmHandle(bench.call(), handle, 4)) == 5


def test_a_creator_gets_what_he_asks_for_and_all_if_he_asks_for_that() -> None:
    bench = Bench()
    for name, asked, error in (("A", 0x02000000, 0), ("B", 0x02000004, 0), ("C", 4, 5)):
        handle = bench.create(name, asked)
        assert bench.error(QueryStatus(bench.call(), handle)) == 0
        assert bench.error(DeleteService(bench.call(), handle)) == error
        assert not bench.scm.state.handles[handle].granted & 0x02000000


def test_a_services_own_descriptor_counts_and_filters_enumerations() -> None:
    bench = Bench()
    secret = descriptor_from_sddl("O:BAG:BAD:(A;;GA;;;BA)").to_bytes()
    bench.create("Secret", security=secret)
    bench.create("Open")
    scm = bench.result(OpenScm(bench.call(GUEST), None, 0x80000000))
    assert bench.error(OpenService(bench.call(GUEST), scm, "Secret", 4)) == 5
    seen = bench.result(EnumServices(bench.call(GUEST), scm, 0x30, 3))
    assert [entry.name for entry in seen] == ["Open"]
    assert len(bench.result(EnumServices(bench.call(), bench.handle, 0x30, 3))) == 2


def test_closing_the_scm_handle_keeps_service_handles() -> None:
    bench = Bench()
    service = bench.create("A")
    assert bench.error(CloseHandle(bench.call(), bench.handle)) == 0
    assert bench.error(QueryStatus(bench.call(), service)) == 0
    assert bench.error(CloseHandle(bench.call(), bench.handle)) == CONTEXT_MISMATCH


def test_rundown_closes_everything_and_removes_what_was_marked() -> None:
    bench = Bench()
    service = bench.create("A")
    bench.result(DeleteService(bench.call(), service))
    bench.tell(AssociationEnded(AssociationId(1)))
    state = bench.scm.state
    assert not state.handles
    assert not state.associations
    assert not state.records


def test_a_creation_outlives_its_association_without_a_handle() -> None:
    bench = Bench()
    bench.saving = False
    config = ServiceConfig(name="A", image_path="/bin/a")
    command = CreateService(bench.call(), bench.handle, config, ALL)
    bench.tell(command)
    bench.tell(AssociationEnded(AssociationId(1)))
    bench.tell(RecordSaved(bench.pending_saves[0].save))
    assert bench.answered(command)
    assert not bench.scm.state.handles
    assert len(bench.scm.state.records) == 1


def test_identify_gives_the_record_number_to_those_with_the_right() -> None:
    bench = Bench()
    bench.create("A")
    handle = bench.open("A", 4)
    assert bench.result(IdentifyService(bench.call(), handle, 4)) == 1
    assert bench.error(IdentifyService(bench.call(), handle, 0x10)) == 5


def test_context_mismatch_is_no_win32_error() -> None:
    assert CONTEXT_MISMATCH == 0x1C00001A


def test_who_is_no_administrator_has_so_many_handles_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In all associations together; others are not in his way, nor he in theirs."""
    monkeypatch.setattr(handles, "MOST_OF_A_USER", 3)
    bench = Bench()
    bench.create("A")
    scm = bench.result(OpenScm(bench.call(GUEST, 2), None, 0x4))
    service = bench.result(OpenService(bench.call(GUEST, 2), scm, "A", 0x4))
    bench.result(OpenScm(bench.call(GUEST, 3), None, 0x4))
    too_many = (
        lambda: OpenService(bench.call(GUEST, 2), scm, "A", 0x4),
        lambda: OpenScm(bench.call(GUEST, 3), None, 0x4),
        lambda: OpenScm(bench.call(GUEST, 4), None, 0x4),
    )
    for one in too_many:
        assert bench.ask(one()).error == Error.NOT_ENOUGH_MEMORY
    # What is refused for another reason is told so.
    assert bench.ask(OpenService(bench.call(GUEST, 2), scm, "A", ALL)).error == Error.ACCESS_DENIED
    other = unix_token(1001, [1001], administrator=False)
    assert bench.ask(OpenScm(bench.call(other, 5), None, 0x4)).error == 0
    for _ in range(5):
        bench.open("A")

    bench.ask(CloseHandle(bench.call(GUEST, 2), service))
    service = bench.result(OpenService(bench.call(GUEST, 2), scm, "A", 0x4))
    assert bench.ask(too_many[0]()).error == Error.NOT_ENOUGH_MEMORY
    bench.tell(AssociationEnded(AssociationId(3)))
    bench.result(OpenScm(bench.call(GUEST, 4), None, 0x4))
    assert bench.ask(too_many[2]()).error == Error.NOT_ENOUGH_MEMORY
    for association in (2, 4, 5):
        bench.tell(AssociationEnded(AssociationId(association)))
    assert not bench.scm.state.handles_of


def test_who_is_no_administrator_keeps_names_for_so_many_scm_handles_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notify_requests, "MOST_SCM_WATCHERS", 2)
    bench = Bench()
    created = 0x80

    def ask(user: Token, association: int) -> tuple[HandleId, int]:
        scm: HandleId = bench.result(OpenScm(bench.call(user, association), None, 0x4))
        request = NotifyStatusChange(bench.call(user, association), scm, created)
        return scm, bench.ask(request).error

    first, error = ask(GUEST, 2)
    assert (error, ask(GUEST, 3)[1], ask(GUEST, 3)[1]) == (0, 0, Error.NOT_ENOUGH_MEMORY)
    other = unix_token(1001, [1001], administrator=False)
    assert [ask(other, 4)[1] for _ in range(3)] == [0, 0, 8]
    assert [ask(ROOT, 5)[1] for _ in range(4)] == [0] * 4
    again = NotifyStatusChange(bench.call(GUEST, 2), first, created)
    assert bench.ask(again).error == Error.ALREADY_REGISTERED, "as before"
    bench.tell(AssociationEnded(AssociationId(3)))
    assert ask(GUEST, 3)[1] == 0
