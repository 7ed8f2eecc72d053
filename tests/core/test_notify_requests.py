"""Notification requests: each sentence of the reference page that is about the SCM's side."""

from __future__ import annotations

import pytest

from scmd.core.messages import CONTEXT_MISMATCH, AssociationId, HandleId
from scmd.core.messages.commands import (
    CloseHandle,
    DeleteService,
    OpenScm,
    OpenService,
    QueryStatus,
)
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded, CallsAbandoned, Shutdown
from scmd.core.notify_requests import (
    MAX_NAMES_UNITS,
    MOST_UNCLOSED,
    CloseNotifyHandle,
    GetNotifyResults,
    Notification,
    NotifyStatusChange,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import STATE_BITS, NotifyMask, ServiceState
from tests.core.bench import Bench

N = NotifyMask
STATES = sum(int(bit) for bit in STATE_BITS.values())
OF_SERVICE = STATES | int(N.DELETE_PENDING)
OF_SCM = int(N.CREATED | N.DELETED)
NAMED = tuple(int(bit) for bit in N)
WAITING = -1


class Watch:
    """A client that has made a request and waits for what it comes to."""

    def __init__(
        self, bench: Bench, handle: HandleId, mask: int, association: int = 1, level: int = 2
    ) -> None:
        self.bench = bench
        call = bench.call(association=association)
        self.notify: HandleId = bench.result(NotifyStatusChange(call, handle, int(mask), level))
        self.call = bench.call(association=association)
        bench.tell(GetNotifyResults(self.call, self.notify))

    @property
    def reply(self) -> Reply | None:
        return self.bench.replies.get(self.call.id)

    @property
    def triggered(self) -> int:
        """The bits it was told of; WAITING when it was told nothing."""
        if self.reply is None:
            return WAITING
        assert isinstance(self.reply.result, Notification)
        return self.reply.result.triggered

    @property
    def told(self) -> Notification:
        assert self.reply is not None
        assert isinstance(self.reply.result, Notification)
        return self.reply.result


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refused(bench: Bench, handle: HandleId, mask: int) -> int:
    return bench.error(NotifyStatusChange(bench.call(), handle, int(mask)))


# "SERVICE_NOTIFY_...: the hService parameter must be a handle to the ..."


@pytest.mark.parametrize("bit", NAMED)
def test_each_bit_wants_its_kind_of_handle(bench: Bench, bit: int) -> None:
    service = bench.create("A")
    right, wrong = (bench.handle, service) if bit & OF_SCM else (service, bench.handle)
    assert refused(bench, wrong, bit) == Error.INVALID_HANDLE
    assert refused(bench, right, bit) == 0


@pytest.mark.parametrize("mask", [0, 0x400, 0x8000_0000, 0x80 | 0x1, OF_SERVICE | OF_SCM])
def test_a_mask_without_meaning_is_refused(bench: Bench, mask: int) -> None:
    service = bench.create("A")
    assert refused(bench, service, mask) == Error.INVALID_PARAMETER
    assert refused(bench, bench.handle, mask) == Error.INVALID_PARAMETER


def test_the_rights_are_query_status_and_enumerate_service(bench: Bench) -> None:
    bench.create("A")
    blind = bench.open("A", 0xF01FF & ~0x4)
    assert refused(bench, blind, N.RUNNING) == Error.ACCESS_DENIED
    assert refused(bench, bench.open("A", 0x4), N.RUNNING) == 0
    connect_only = bench.result(OpenScm(bench.call(), None, 0x1))
    assert refused(bench, connect_only, N.CREATED) == Error.ACCESS_DENIED
    lister = bench.result(OpenScm(bench.call(), None, 0x4))
    assert refused(bench, lister, N.CREATED) == 0


# "There can only be one outstanding notification request per service."


def test_a_handle_has_one_outstanding_request(bench: Bench) -> None:
    service = bench.create("A")
    first = Watch(bench, service, N.RUNNING)
    assert refused(bench, service, N.STOPPED) == Error.ALREADY_REGISTERED
    assert bench.result(CloseNotifyHandle(bench.call(), first.notify)) is False
    assert first.reply is not None
    assert first.reply.error == Error.REQUEST_ABORTED
    assert refused(bench, service, N.RUNNING) == 0


def test_a_request_is_outstanding_until_its_notification_is_fetched(bench: Bench) -> None:
    service = bench.create("A")
    notify = bench.result(NotifyStatusChange(bench.call(), service, int(N.STOPPED)))
    assert refused(bench, service, N.STOPPED) == Error.ALREADY_REGISTERED
    told = bench.result(GetNotifyResults(bench.call(), notify))
    assert (told.triggered, told.error) == (N.STOPPED, 0)
    assert refused(bench, service, N.STOPPED) == 0
    # One call a request.
    assert bench.error(GetNotifyResults(bench.call(), notify)) == Error.INVALID_HANDLE
    assert bench.result(CloseNotifyHandle(bench.call(), notify)) is True


def test_other_handles_have_requests_of_their_own(bench: Bench) -> None:
    service = bench.create("A")
    others = [bench.open("A") for _ in range(5)]
    watches = [Watch(bench, handle, N.START_PENDING | N.RUNNING) for handle in (service, *others)]
    bench.running(service)
    assert {watch.triggered for watch in watches} == {int(N.START_PENDING)}


# "Report when the service is ...", each of the seven


@pytest.mark.parametrize("state", ServiceState)
def test_each_state_is_reported_when_it_is_entered(bench: Bench, state: ServiceState) -> None:
    service = bench.create("A")
    bit = int(STATE_BITS[state])
    launch = bench.running(service)
    watch = Watch(bench, service, bit)
    if state is ServiceState.RUNNING:
        # The present one, at once.
        assert watch.triggered == bit
        watch = Watch(bench, service, bit)
        bench.report(launch, service, ServiceState.PAUSED)
    for other in ServiceState:
        if other not in (state, ServiceState.STOPPED, ServiceState.RUNNING):
            bench.report(launch, service, other)
            assert watch.triggered == WAITING
    bench.report(launch, service, state)
    assert watch.triggered == bit
    assert watch.told.status == bench.status(service)
    assert watch.told.error == 0


# "If the service is already in any of the requested states ... queued immediately."


@pytest.mark.parametrize("state", ServiceState)
def test_the_present_state_is_told_at_once_the_first_time(
    bench: Bench, state: ServiceState
) -> None:
    service = bench.create("A")
    launch = bench.running(service)
    bench.report(launch, service, state)
    assert Watch(bench, service, STATES).triggered == STATE_BITS[state]


# "If the service state has not changed by the next time ... not queued immediately; ... the
# next time the service enters the requested state."


def test_a_state_that_was_told_is_not_told_again_until_it_is_entered_again(bench: Bench) -> None:
    service = bench.create("A")
    launch = bench.running(service)
    assert Watch(bench, service, N.RUNNING).triggered == N.RUNNING
    again = Watch(bench, service, N.RUNNING)
    # A check point and other fields are no entry into the state.
    bench.report(launch, service, ServiceState.RUNNING, check_point=3)
    bench.report(launch, service, ServiceState.PAUSED)
    assert again.triggered == WAITING
    bench.report(launch, service, ServiceState.RUNNING)
    assert again.triggered == N.RUNNING


def test_a_state_that_was_left_and_entered_between_two_requests_is_told_at_once(
    bench: Bench,
) -> None:
    service = bench.create("A")
    launch = bench.running(service)
    assert Watch(bench, service, N.RUNNING).triggered == N.RUNNING
    bench.report(launch, service, ServiceState.PAUSED)
    bench.report(launch, service, ServiceState.RUNNING)
    # And what came between is not seen any more.
    assert Watch(bench, service, N.PAUSED | N.RUNNING).triggered == N.RUNNING


def test_a_state_that_this_handle_was_not_told_is_told_at_once(bench: Bench) -> None:
    service = bench.create("A")
    launch = bench.running(service)
    assert Watch(bench, service, N.RUNNING).triggered == N.RUNNING
    bench.report(launch, service, ServiceState.PAUSED)
    assert Watch(bench, service, N.RUNNING | N.PAUSED).triggered == N.PAUSED
    assert Watch(bench, bench.open("A"), N.RUNNING | N.PAUSED).triggered == N.PAUSED


def test_a_request_that_was_cancelled_has_told_nothing(bench: Bench) -> None:
    service = bench.create("A")
    first = Watch(bench, service, N.RUNNING)
    bench.ask(CloseNotifyHandle(bench.call(), first.notify))
    assert Watch(bench, service, N.STOPPED).triggered == N.STOPPED


# "After the callback function is invoked, the caller must call NotifyServiceStatusChange to
# receive additional notifications."


def test_a_request_brings_one_notification(bench: Bench) -> None:
    service = bench.create("A")
    watch = Watch(bench, service, STATES)
    assert watch.triggered == N.STOPPED
    bench.running(service)
    assert len([each for each in bench.replies.values() if each.call == watch.call.id]) == 1
    assert not bench.scm.state.blocked


# CREATED, DELETED


def test_creations_and_deletions_come_with_names(bench: Bench) -> None:
    created, deleted = Watch(bench, bench.handle, N.CREATED), bench.open_scm()
    gone = Watch(bench, deleted, N.DELETED)
    service = bench.create("Web")
    assert created.triggered == N.CREATED
    assert created.told.names == ("/Web",)
    assert gone.triggered == WAITING
    bench.ask(DeleteService(bench.call(), service))
    # "An application cannot receive this notification if it has an open handle to the service."
    assert gone.triggered == WAITING
    bench.ask(CloseHandle(bench.call(), service))
    assert gone.triggered == N.DELETED
    assert gone.told.names == ("Web",)


def test_names_between_two_requests_are_kept(bench: Bench) -> None:
    assert Watch(bench, bench.handle, OF_SCM).triggered == WAITING
    service = bench.create("A")
    bench.create("B")
    bench.ask(DeleteService(bench.call(), service))
    bench.ask(CloseHandle(bench.call(), service))
    watch = Watch(bench, bench.handle, OF_SCM)
    assert watch.triggered == OF_SCM
    assert watch.told.names == ("/B", "A")
    assert Watch(bench, bench.handle, OF_SCM).triggered == WAITING


def test_of_the_names_that_are_kept_those_that_are_asked_for_are_told(bench: Bench) -> None:
    both = Watch(bench, bench.handle, N.CREATED | N.DELETED)
    bench.create("A")
    assert both.told.names == ("/A",)
    service = bench.create("B")
    bench.ask(DeleteService(bench.call(), service))
    bench.ask(CloseHandle(bench.call(), service))
    deleted = Watch(bench, bench.handle, N.DELETED).told
    assert (deleted.names, deleted.triggered) == (("B",), int(N.DELETED))
    assert Watch(bench, bench.handle, N.CREATED).triggered == WAITING


def test_what_was_there_before_the_first_request_is_not_told(bench: Bench) -> None:
    bench.create("A")
    assert Watch(bench, bench.handle, OF_SCM).triggered == WAITING


def test_a_handle_that_lags_is_refused_until_there_is_another_one(bench: Bench) -> None:
    Watch(bench, bench.handle, N.CREATED)
    bench.create("first")
    for number in range(MAX_NAMES_UNITS // 252 + 1):
        bench.create(f"{number:0250}")
    assert refused(bench, bench.handle, N.CREATED) == Error.SERVICE_NOTIFY_CLIENT_LAGGING
    assert refused(bench, bench.handle, N.CREATED) == Error.SERVICE_NOTIFY_CLIENT_LAGGING
    another = bench.open_scm()
    bench.ask(CloseHandle(bench.call(), bench.handle))
    bench.handle = another
    watch = Watch(bench, another, N.CREATED)
    bench.create("last")
    assert watch.told.names == ("/last",)


def test_the_names_that_fit_are_as_many_as_the_wire_holds(bench: Bench) -> None:
    Watch(bench, bench.handle, N.CREATED)
    bench.create("first")
    for number in range(MAX_NAMES_UNITS // 252):
        bench.create(f"{number:0250}")
    told = Watch(bench, bench.handle, N.CREATED).told
    assert len(told.names) == MAX_NAMES_UNITS // 252
    # And as many the next time.
    for number in range(MAX_NAMES_UNITS // 252):
        bench.create(f"x{number:0249}")
    told = Watch(bench, bench.handle, N.CREATED).told
    assert len(told.names) == MAX_NAMES_UNITS // 252


@pytest.mark.parametrize("more", [0, 1])
def test_the_names_may_take_all_the_room_there_is_and_no_more(bench: Bench, more: int) -> None:
    Watch(bench, bench.handle, N.CREATED)
    bench.create("first")
    rows, rest = divmod(MAX_NAMES_UNITS, 252)  # Each with its "/" and its NUL.
    for number in range(rows):
        bench.create(f"{number:0250}")
    bench.create("x" * (rest - 2 + more))
    if more:
        assert refused(bench, bench.handle, N.CREATED) == Error.SERVICE_NOTIFY_CLIENT_LAGGING
    else:
        told = Watch(bench, bench.handle, N.CREATED).told
        assert sum(len(name) + 1 for name in told.names) == MAX_NAMES_UNITS


# DELETE_PENDING, ERROR_SERVICE_MARKED_FOR_DELETE


def test_a_service_that_is_marked_says_so(bench: Bench) -> None:
    service, other = bench.create("A"), bench.open("A")
    asked = Watch(bench, service, N.DELETE_PENDING | N.RUNNING)
    not_asked = Watch(bench, other, N.RUNNING)
    bench.ask(DeleteService(bench.call(), service))
    assert (asked.triggered, asked.told.error) == (N.DELETE_PENDING, 0)
    assert (not_asked.triggered, not_asked.told.error) == (0, Error.SERVICE_MARKED_FOR_DELETE)
    for handle in (service, other):
        assert refused(bench, handle, OF_SERVICE) == Error.SERVICE_MARKED_FOR_DELETE
    # "the handle to the service must be closed": then it goes.
    bench.ask(CloseHandle(bench.call(), service))
    bench.ask(CloseHandle(bench.call(), other))
    call = OpenService(bench.call(), bench.handle, "A", 4)
    assert bench.error(call) == Error.SERVICE_DOES_NOT_EXIST


# "It cannot be used to receive notifications about driver services."


def test_drivers_are_not_watched(bench: Bench) -> None:
    watch = Watch(bench, bench.handle, OF_SCM)
    driver = bench.create("Disk", type=1)
    assert refused(bench, driver, N.RUNNING) == Error.NOT_SUPPORTED
    bench.ask(DeleteService(bench.call(), driver))
    bench.ask(CloseHandle(bench.call(), driver))
    assert watch.triggered == WAITING


# "To cancel outstanding notifications, close the service handle"


def test_closing_the_handle_cancels(bench: Bench) -> None:
    service, other = bench.create("A"), bench.open("A")
    watch = Watch(bench, service, N.RUNNING)
    closed = bench.ask(CloseHandle(bench.call(), service))
    assert closed.error == 0xFFFF_75FE
    assert watch.reply is not None
    assert watch.reply.error == Error.REQUEST_ABORTED
    assert bench.error(GetNotifyResults(bench.call(), watch.notify)) == Error.INVALID_HANDLE
    assert bench.error(CloseNotifyHandle(bench.call(), watch.notify)) == Error.INVALID_HANDLE
    Watch(bench, other, N.RUNNING)
    assert bench.ask(CloseHandle(bench.call(), other)).error == 0xFFFF_75FD
    state = bench.scm.state
    assert not any((state.requests, state.blocked))


def test_closing_a_handle_that_was_not_used_for_requests_is_just_success(bench: Bench) -> None:
    assert bench.ask(CloseHandle(bench.call(), bench.create("A"))).error == 0


def test_the_last_handle_of_a_marked_service_says_so_once_it_is_gone(bench: Bench) -> None:
    service = bench.create("A")
    Watch(bench, service, N.DELETE_PENDING)
    bench.ask(DeleteService(bench.call(), service))
    assert bench.ask(CloseHandle(bench.call(), service)).error == 0xFFFF_75FD


def test_requests_end_with_their_association(bench: Bench) -> None:
    bench.create("A")
    scm = bench.open_scm(association=2)
    service = bench.result(OpenService(bench.call(association=2), scm, "A", 4))
    watches = [Watch(bench, service, N.RUNNING, 2), Watch(bench, scm, OF_SCM, 2)]
    bench.tell(AssociationEnded(AssociationId(2)))
    for watch in watches:
        assert watch.reply is not None
        assert watch.reply.error == Error.REQUEST_ABORTED
    state = bench.scm.state
    assert not any((state.requests, state.blocked, state.scm_watchers))


# What the protocol adds


def test_a_call_that_was_abandoned_loses_nothing(bench: Bench) -> None:
    service = bench.create("A")
    watch = Watch(bench, service, N.RUNNING)
    bench.tell(CallsAbandoned((watch.call.id,)))
    assert watch.reply is not None
    assert watch.reply.error == Error.REQUEST_ABORTED
    bench.running(service)
    assert bench.result(GetNotifyResults(bench.call(), watch.notify)).triggered == N.RUNNING


def test_a_request_is_of_its_association_alone(bench: Bench) -> None:
    watch = Watch(bench, bench.handle, OF_SCM)
    stranger = bench.call(association=2)
    assert bench.error(CloseNotifyHandle(stranger, watch.notify)) == Error.INVALID_HANDLE
    assert watch.triggered == WAITING


def test_a_notify_handle_is_no_service_handle(bench: Bench) -> None:
    watch = Watch(bench, bench.handle, OF_SCM)
    assert bench.error(QueryStatus(bench.call(), watch.notify)) == Error.INVALID_HANDLE
    assert bench.error(CloseHandle(bench.call(), watch.notify)) == Error.INVALID_HANDLE
    # Of somebody else's there is nothing to be said, not even what it is.
    stranger = bench.call(association=2)
    assert bench.error(QueryStatus(stranger, watch.notify)) == CONTEXT_MISMATCH


def test_notify_handles_that_nobody_closes_are_few(bench: Bench) -> None:
    service = bench.create("A")
    for _ in range(3 * MOST_UNCLOSED):
        launch = bench.running(service)
        assert Watch(bench, service, N.RUNNING).triggered == N.RUNNING
        bench.report(launch, service, ServiceState.STOPPED)
        bench.pass_time(100_000)
    assert len(bench.scm.state.requests) <= MOST_UNCLOSED


def test_no_requests_in_a_shutdown(bench: Bench) -> None:
    bench.tell(Shutdown())
    assert refused(bench, bench.handle, OF_SCM) == Error.SHUTDOWN_IN_PROGRESS


def test_of_many_each_is_told_what_it_asked_for(bench: Bench) -> None:
    service = bench.create("A")
    launch = bench.running(service)
    both = N.PAUSED | N.STOPPED
    asked = [(int(mask), level) for mask in (N.PAUSED, N.PAUSED, both) for level in (1, 2, 2)]
    watches = [Watch(bench, bench.open("A"), mask, level=level) for mask, level in asked]
    other = Watch(bench, service, N.STOPPED)
    bench.report(launch, service, ServiceState.PAUSED)
    paused = bench.status(service)
    told = [watch.told for watch in watches]
    assert [(each.mask, each.level) for each in told] == asked
    assert {(each.triggered, each.error, each.status) for each in told} == {(N.PAUSED, 0, paused)}
    assert other.triggered == WAITING


def test_a_change_looks_at_its_own_services_requests_only(bench: Bench) -> None:
    """What 10,000 requests on other services cost is nothing: they are not met with."""
    service = bench.create("A")
    others = [bench.create(f"S{number}") for number in range(50)]
    watches = [Watch(bench, handle, N.RUNNING) for handle in others]
    record = bench.scm.state.records[bench.id(service)]
    watch = Watch(bench, service, N.RUNNING)
    assert record.watchers is not None
    assert list(record.watchers) == [watch.notify]
    bench.running(service)
    assert [each.triggered for each in watches] == [WAITING] * 50
