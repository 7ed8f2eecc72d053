"""The database lock: one holder, told with owner and age, gone with its handle; and NT 4's."""

from __future__ import annotations

import pytest

from scmd.core.boot_verdict import NotifyBoot
from scmd.core.locks import SCM_OWNER, LockDatabase, LockStatus, QueryLock, UnlockDatabase
from scmd.core.memory import AutoStartMemory
from scmd.core.messages import (
    CONTEXT_MISMATCH,
    AssociationId,
    HandleId,
    ServiceId,
    Settings,
    StoredService,
)
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    Command,
    CreateService,
    DeleteService,
    OpenScm,
    OpenService,
    QueryConfig,
    SetStatus,
    StartService,
)
from scmd.core.messages.events import Adopted, AssociationEnded, AutoStart
from scmd.core.notify_requests import NotifyStatusChange
from scmd.core.object_security import SetSecurity
from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.service import ConfigLevel
from scmd.vocabulary.status import ServiceStatus
from tests.core.bench import ALL, GUEST, Bench


def lock(bench: Bench) -> HandleId:
    handle: HandleId = bench.result(LockDatabase(bench.call(), bench.handle))
    return handle


def lock_status(bench: Bench) -> LockStatus:
    status: LockStatus = bench.result(QueryLock(bench.call(), bench.handle))
    return status


def test_one_holds_the_lock_and_everybody_may_know_who_and_since_when() -> None:
    bench = Bench()
    assert lock_status(bench) == LockStatus("", 0)
    held = lock(bench)
    bench.pass_time(90_999)
    assert lock_status(bench) == LockStatus("somebody", 90)
    assert bench.error(LockDatabase(bench.call(), bench.handle)) == 1055
    assert bench.error(UnlockDatabase(bench.call(), held)) == 0
    assert lock_status(bench) == LockStatus("", 0)
    assert bench.error(UnlockDatabase(bench.call(), held)) == CONTEXT_MISMATCH


def test_rights() -> None:
    bench = Bench()
    scm = bench.result(OpenScm(bench.call(), None, 1))
    assert bench.error(LockDatabase(bench.call(), scm)) == 5
    assert bench.error(QueryLock(bench.call(), scm)) == 5


def test_only_a_lock_is_unlocked_and_a_lock_is_nothing_else() -> None:
    bench = Bench()
    service = bench.create("A")
    held = lock(bench)
    notify = bench.result(NotifyStatusChange(bench.call(), service, 0x8))
    for handle in (bench.handle, service, notify):
        assert bench.error(UnlockDatabase(bench.call(), handle)) == 1071
    assert bench.error(CloseHandle(bench.call(), held)) == 6
    assert bench.error(LockDatabase(bench.call(), held)) == 6
    assert bench.error(QueryConfig(bench.call(), held)) == 6
    assert lock_status(bench).owner


def test_the_lock_ends_with_its_holder_and_not_with_the_scm_handle() -> None:
    bench = Bench()
    other = bench.open_scm(association=2)
    bench.result(LockDatabase(bench.call(association=2), other))
    bench.result(CloseHandle(bench.call(association=2), other))
    assert lock_status(bench).owner
    bench.tell(AssociationEnded(AssociationId(2)))
    assert not lock_status(bench).owner
    lock(bench)


def test_the_scm_holds_it_during_the_automatic_starts() -> None:
    auto = ServiceConfig(name="Auto", start_type=2, image_path="/bin/auto")
    late = ServiceConfig(name="Late", start_type=2, image_path="/bin/l", delayed_auto_start=True)
    bench = Bench([StoredService(ServiceId(n), c, {}) for n, c in ((1, auto), (2, late))])
    bench.tell(AutoStart())
    bench.pass_time(3_000)
    assert lock_status(bench) == LockStatus(SCM_OWNER, 3)
    assert bench.error(LockDatabase(bench.call(), bench.handle)) == 1055
    bench.pass_time(100_000)
    assert lock_status(bench) == LockStatus("", 0), "the start has failed, the delayed is to come"
    bench.pass_time(121_000)
    assert lock_status(bench) == LockStatus("", 0), "delayed starts hold nobody up"


def changes(bench: Bench, association: int) -> list[Command]:
    """One of each kind, by this association."""
    calls = [bench.call(association=association) for _ in range(6)]
    scm = bench.open_scm(association=association)
    handle = bench.result(OpenService(calls[5], scm, "A", ALL))
    new = ServiceConfig(name="New", image_path="/bin/new")
    descriptor = SERVICE_DESCRIPTOR.to_bytes()
    return [
        CreateService(calls[0], scm, new, ALL),
        ChangeConfig(calls[1], handle, error_control=0),
        ChangeConfig2(calls[2], handle, ConfigLevel.DESCRIPTION, "changed"),
        SetSecurity(calls[3], handle, 4, descriptor),
        DeleteService(calls[4], handle),
    ]


@pytest.mark.parametrize("place", range(5))
def test_with_effect_it_keeps_others_from_changes_and_everybody_from_starts(place: int) -> None:
    bench = Bench(settings=Settings(lock_has_effect=True))
    service = bench.create("A")
    held = lock(bench)
    assert bench.error(StartService(bench.call(), service)) == 1055
    assert bench.error(changes(bench, 2)[place]) == 1055
    assert bench.error(changes(bench, 1)[place]) == 0, "the holder may"
    bench.result(UnlockDatabase(bench.call(), held))
    again = Bench(settings=Settings(lock_has_effect=True))
    again.create("A")
    assert again.error(changes(again, 2)[place]) == 0


def test_without_effect_it_keeps_nobody_from_anything() -> None:
    bench = Bench()
    service = bench.create("A")
    lock(bench)
    for place in range(4):
        assert bench.error(changes(bench, 2)[place]) == 0
    bench.start(service)
    assert bench.scm.state.records[bench.id(service)].attempt is not None


# The boot's verdict ---------------------------------------------------------------------------


def test_a_boot_is_accepted_once() -> None:
    bench = Bench()
    assert bench.error(NotifyBoot(bench.call(GUEST), True)) == 5
    assert bench.error(NotifyBoot(bench.call(), True)) == 0
    for verdict in (True, False):
        assert bench.error(NotifyBoot(bench.call(), verdict)) == 1076


def test_a_bad_boot_is_logged_and_may_be_accepted_later() -> None:
    bench = Bench()
    assert bench.error(NotifyBoot(bench.call(), False)) == 0
    assert bench.events() == [8030]
    assert bench.error(NotifyBoot(bench.call(), True)) == 0


def test_a_new_manager_knows_that_the_boot_was_accepted() -> None:
    first = Bench()
    first.tell(AutoStart())
    first.result(NotifyBoot(first.call(), True))
    assert first.journal[-1] == AutoStartMemory(accepted=True)
    second = Bench(first=Adopted(tuple(first.journal), ()))
    assert second.error(NotifyBoot(second.call(), True)) == 1076


# SetServiceStatus by a client -----------------------------------------------------------------


def test_a_status_report_needs_the_right_legal_values_and_a_process() -> None:
    bench = Bench()
    service = bench.create("A", access=ALL | 0x8000)
    running = ServiceStatus(state=4, controls_accepted=1)
    assert bench.error(SetStatus(bench.call(), bench.open("A"), running)) == 6
    assert bench.error(SetStatus(bench.call(), service, running.replace(state=8))) == 13
    assert bench.error(SetStatus(bench.call(), service, running.replace(type=0x11))) == 13
    assert bench.error(SetStatus(bench.call(), service, running)) == 6, "nothing runs"
    bench.running(service)
    paused = ServiceStatus(state=7, controls_accepted=3)
    assert bench.error(SetStatus(bench.call(), service, paused)) == 0
    assert bench.status(service).state == 7
