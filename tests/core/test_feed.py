"""The feed: numbers without a gap, and what a watcher gets."""

from __future__ import annotations

from collections import deque

import pytest

from scmd.core.changes import Change, ChangeKind
from scmd.core.feed import BEGINNING, MOST_AT_ONCE, FeedPart, WaitForChanges
from scmd.core.memory import ChangeMemory
from scmd.core.messages import AssociationId, ServiceId, StoredService
from scmd.core.messages.commands import (
    ChangeConfig2,
    CloseHandle,
    CreateService,
    DeleteService,
    OpenScm,
    OpenService,
    SetParameters,
)
from scmd.core.messages.effects import SaveRecord
from scmd.core.messages.events import (
    AssociationEnded,
    CallsAbandoned,
    ProcessExited,
    ProcessStarted,
    RecordSaved,
    SaveFailed,
    Shutdown,
    StatusReported,
)
from scmd.core.object_security import SetSecurity
from scmd.security.sddl import descriptor_from_sddl
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel, SecurityInformation, ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.core.bench import GUEST, Bench
from tests.core.feed_reader import NO_LIMIT, Reader, kinds


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_every_kind_of_change_is_told_in_order(bench: Bench) -> None:
    reader = Reader(bench)
    service = bench.create("Web")
    bench.ask(ChangeConfig2(bench.call(), service, ConfigLevel.DESCRIPTION, "pages"))
    closed = descriptor_from_sddl("D:(A;;GA;;;BA)").to_bytes()
    bench.ask(SetSecurity(bench.call(), service, int(SecurityInformation.DACL), closed))
    bench.ask(SetParameters(bench.call(), service, {"Port": RegistryValue.of(80)}))
    launch = bench.running(service)
    bench.ask(DeleteService(bench.call(), service))
    bench.ask(CloseHandle(bench.call(), service))
    report = ServiceStatus(state=ServiceState.STOPPED)
    bench.tell(StatusReported(launch, ServiceId(1), report))
    bench.tell(ProcessExited(launch, 0, None))
    part = reader.read()
    assert [change.number for change in part.changes] == list(range(1, part.number + 1))
    told = [change.kind for change in part.changes]
    configured = [ChangeKind.CONFIG, ChangeKind.CONFIG, ChangeKind.PARAMETERS]
    assert told[:4] == [ChangeKind.CREATED, *configured]
    assert told[-1] is ChangeKind.DELETED
    states = [change.status.state for change in part.changes if change.kind is ChangeKind.STATUS]
    assert states[0] == ServiceState.START_PENDING
    assert states[-1] == ServiceState.STOPPED
    assert told.count(ChangeKind.MARKED) == 1


def test_a_change_says_what_the_state_was_and_why_it_is_another_one(bench: Bench) -> None:
    service = bench.create("Web")
    reader = Reader(bench)
    bench.running(service)
    change = reader.read().changes[-1]
    assert (change.before, change.status.state) == (ServiceState.START_PENDING, 4)
    assert change.cause
    assert change.actor.name == "somebody"


def test_who_waits_is_told_of_the_first_change_and_of_those_that_came_with_it(
    bench: Bench,
) -> None:
    service = bench.create("Web")
    reader = Reader(bench)
    reader.ask()
    assert not reader.is_answered
    bench.start(service)
    part = reader.part
    assert part is not None
    assert kinds(part) == [(ChangeKind.STATUS, "Web")]
    assert not bench.scm.state.blocked


def test_a_watcher_of_names_is_woken_by_these_alone(bench: Bench) -> None:
    """They need not exist, and compare without case."""
    other = bench.create("Other")
    reader = Reader(bench, "WEB", "db")
    assert reader.picture.services == ()
    reader.ask()
    bench.running(other)
    assert not reader.is_answered
    bench.create("Web")
    part = reader.part
    assert part is not None
    assert kinds(part) == [(ChangeKind.CREATED, "Web")]
    assert not bench.scm.state.feed.by_key


def test_a_service_handle_watches_its_service(bench: Bench) -> None:
    service, other = bench.create("Web"), bench.create("Other")
    reader = Reader(bench, handle=bench.open("Web", 4))
    assert [view.name for view in reader.picture.services] == ["Web"]
    reader.ask()
    bench.start(other)
    assert not reader.is_answered
    bench.start(service)
    assert reader.part is not None


def test_the_rights_are_those_of_asking(bench: Bench) -> None:
    bench.create("A")
    for handle in (bench.open("A", 0x1), bench.result(OpenScm(bench.call(), None, 0x1))):
        command = WaitForChanges(bench.call(), handle, 0, BEGINNING)
        assert bench.error(command) == Error.ACCESS_DENIED
    named = WaitForChanges(bench.call(), bench.open("A", 0x4), 0, BEGINNING, names=("B",))
    assert bench.error(named) == Error.INVALID_PARAMETER


def test_a_limit_ends_the_wait_with_nothing(bench: Bench) -> None:
    reader = Reader(bench)
    reader.ask(500)
    bench.pass_time(499)
    assert not reader.is_answered
    bench.pass_time(1)
    assert reader.part == FeedPart(*reader.place)


def test_a_handle_that_is_closed_ends_the_wait(bench: Bench) -> None:
    bench.create("A")
    handle = bench.open("A", 4)
    reader = Reader(bench, handle=handle)
    command = reader.ask(10_000)
    bench.ask(CloseHandle(bench.call(), handle))
    assert bench.replies[command.call.id].error == Error.REQUEST_ABORTED
    assert bench.scm.next_deadline() is None


def test_waits_end_with_their_association_and_when_nobody_waits(bench: Bench) -> None:
    reader = Reader(bench, handle=bench.open_scm(association=2), association=2)
    first = reader.ask()
    bench.tell(AssociationEnded(AssociationId(2)))
    second = Reader(bench).ask()
    bench.tell(CallsAbandoned((second.call.id,)))
    for command in (first, second):
        assert bench.replies[command.call.id].error == Error.REQUEST_ABORTED
    assert not bench.scm.state.feed.of_all


def test_who_is_behind_is_told_and_gets_a_picture(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.scm.state.feed, "kept", deque(maxlen=5))
    quiet = bench.create("Quiet")
    busy = bench.create("Busy")
    of_all, of_quiet = Reader(bench), Reader(bench, "Quiet")
    launch = bench.running(busy)
    for check_point in range(1, 8):
        bench.report(launch, busy, ServiceState.RUNNING, check_point=check_point)
    part = of_all.read()
    assert part.behind
    assert [view.name for view in part.services] == ["Quiet", "Busy"]
    assert part.services[1].status.check_point == 7
    # Nothing is lost of a service that has not changed, nor of one whose changes are there.
    place = of_quiet.place
    assert not of_quiet.read().behind
    of_quiet.place = place
    bench.start(quiet)
    assert kinds(of_quiet.read()) == [(ChangeKind.STATUS, "Quiet")]


@pytest.mark.parametrize("when", ["never", "before", "after"])
def test_a_service_that_was_another_one_is_not_taken_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """What is not kept any more may be about the one that had the name before."""
    monkeypatch.setattr(bench.scm.state.feed, "kept", deque(maxlen=3))
    other, service = bench.create("Other"), bench.create("Web")

    def push(moment: str) -> None:
        for port in (80, 81, 82) if when == moment else ():
            bench.ask(SetParameters(bench.call(), other, {"Port": RegistryValue.of(port)}))

    reader = Reader(bench, "Web")
    bench.ask(DeleteService(bench.call(), service))
    bench.ask(CloseHandle(bench.call(), service))
    push("before")
    bench.create("Web")
    push("after")
    assert reader.read().behind == (when != "never")


def test_another_epoch_is_behind(bench: Bench) -> None:
    reader = Reader(bench)
    for place in ((reader.place[0] + 1, 0), (reader.place[0], 10**6)):
        reader.place = place
        assert reader.read().behind


def test_a_large_picture_comes_in_parts() -> None:
    count = MOST_AT_ONCE + 7
    bench = Bench(
        StoredService(ServiceId(number), ServiceConfig(name=f"S{number}", image_path="/x"), {})
        for number in range(1, count + 1)
    )
    reader = Reader(bench)
    assert len(reader.picture.services) == MOST_AT_ONCE
    reader.ask(resume=reader.picture.resume)
    part = reader.part
    assert part is not None
    assert (len(part.services), part.resume) == (7, 0)


def test_many_changes_come_in_parts(bench: Bench) -> None:
    service = bench.create("A")
    reader = Reader(bench)
    launch = bench.running(service)
    for check_point in range(MOST_AT_ONCE + 10):
        bench.report(launch, service, ServiceState.RUNNING, check_point=check_point + 1)
    numbers = [change.number for change in (*reader.read().changes, *reader.read().changes)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) > MOST_AT_ONCE
    assert reader.read().changes == ()


def test_many_changes_at_a_time_come_in_parts_too(bench: Bench) -> None:
    """As when the system shuts down."""
    names = [f"S{number}" for number in range(MOST_AT_ONCE + 10)]
    for name in names:
        bench.start(bench.create_hosted(name))
        bench.tell(ProcessStarted(bench.launched(), 1))
    reader = Reader(bench)
    reader.ask()
    bench.tell(Shutdown())
    parts = [reader.part, reader.read(), reader.read()]
    sizes = [len(part.changes) if part is not None else None for part in parts]
    assert sizes == [MOST_AT_ONCE, 10, 0]
    assert [c.name for part in parts if part is not None for c in part.changes] == names


def test_a_caller_is_told_what_it_may_see(bench: Bench) -> None:
    """By the descriptor at the time of the change, and so even when the service is gone."""
    secret = descriptor_from_sddl("D:(A;;0xf01ff;;;SY)(A;;0xf01ff;;;BA)").to_bytes()
    guest = bench.result(OpenScm(bench.call(GUEST, 2), None, 0x4))
    call = bench.call(GUEST, 2)
    place = bench.result(WaitForChanges(call, guest, 0, BEGINNING))
    waiting = WaitForChanges(bench.call(GUEST, 2), guest, place.epoch, place.number)
    bench.tell(waiting)
    hidden = bench.create("Hidden", security=secret)
    bench.ask(DeleteService(bench.call(), hidden))
    bench.ask(CloseHandle(bench.call(), hidden))
    assert not bench.answered(waiting)
    bench.create("Open")
    assert kinds(bench.replies[waiting.call.id].result) == [(ChangeKind.CREATED, "Open")]  # type: ignore[arg-type] # a FeedPart
    again = WaitForChanges(bench.call(GUEST, 2), guest, place.epoch, place.number)
    assert kinds(bench.result(again)) == [(ChangeKind.CREATED, "Open")]


def test_a_picture_has_what_the_caller_may_see(bench: Bench) -> None:
    secret = descriptor_from_sddl("D:(A;;0xf01ff;;;SY)(A;;0xf01ff;;;BA)").to_bytes()
    bench.create("Hidden", security=secret)
    bench.create("Open")
    guest = bench.result(OpenScm(bench.call(GUEST, 2), None, 0x4))
    for names in ((), ("Hidden", "Open")):
        ask = WaitForChanges(bench.call(GUEST, 2), guest, 0, BEGINNING, NO_LIMIT, names)
        assert [view.name for view in bench.result(ask).services] == ["Open"]


def test_a_change_that_failed_is_not_told(bench: Bench) -> None:
    reader = Reader(bench)
    bench.saving = False
    config = ServiceConfig(name="A", image_path="/x")
    bench.tell(CreateService(bench.call(), bench.handle, config, 0))
    (save,) = bench.pending_saves
    assert isinstance(save, SaveRecord)
    bench.tell(SaveFailed(save.save, Error.DISK_FULL))
    assert reader.read().changes == ()
    assert not bench.scm.state.feed.intents
    bench.tell(RecordSaved(save.save))
    assert reader.read().changes == ()


def test_changes_are_journaled_before_anything_that_follows_from_them(bench: Bench) -> None:
    service = bench.create("A")
    reader = Reader(bench)
    reader.ask()
    bench.start(service)
    part = reader.part
    assert part is not None
    journaled = {entry.number for entry in bench.journal if isinstance(entry, ChangeMemory)}
    assert {change.number for change in part.changes} <= journaled
    assert isinstance(part.changes[0], Change)


def test_waiting_costs_no_wake_up(bench: Bench) -> None:
    Reader(bench).ask()
    assert bench.scm.next_deadline() is None


def test_open_service_is_not_needed_to_watch_it(bench: Bench) -> None:
    service = bench.create("A")
    Reader(bench, "A").ask()
    bench.ask(DeleteService(bench.call(), service))
    bench.ask(CloseHandle(bench.call(), service))
    command = OpenService(bench.call(), bench.handle, "A", 4)
    assert bench.error(command) == Error.SERVICE_DOES_NOT_EXIST
