"""Operations 47 to 49 and RWaitForChanges: on the wire, and what waits for ever harms nobody."""

from __future__ import annotations

from itertools import product

import pytest

from scmd.core.changes import Change, ChangeKind
from scmd.core.feed import FeedPart, ServiceView, WaitForChanges
from scmd.core.messages import Actor, AssociationId, HandleId, ServiceId
from scmd.core.messages.events import AssociationEnded, CallsAbandoned
from scmd.core.notify_requests import (
    MAX_NAMES_UNITS,
    CloseNotifyHandle,
    GetNotifyResults,
    Notification,
    NotifyStatusChange,
)
from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.ndr.values import NULL_HANDLE, Guid
from scmd.rpc.client import Fault, Response
from scmd.scmd_interface.feed import WaitForChangesRequest, WatchedName
from scmd.scmd_interface.operations import SCMD, WAIT_FOR_CHANGES
from scmd.server.session import MAX_PENDING, Sessions
from scmd.svcctl.administration import (
    CLOSE_NOTIFY_HANDLE,
    GET_NOTIFY_RESULTS,
    NOTIFY_SERVICE_STATUS_CHANGE,
    NotifyHandleRequest,
    NotifyParams,
    NotifyParams1,
    NotifyParams2,
    NotifyServiceStatusChangeRequest,
)
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.status import ServiceStatus
from tests.server.exchange import HANDLES, SERVICE, WIRE_SCM, WIRE_SERVICE, Exchange, error, ok
from tests.server.test_session import Client

FORMS = (0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN)
NOTIFY = HandleId(9)
WIRE_NOTIFY = HANDLES.to_wire(NOTIFY)
RUNNING = ServiceStatus(state=4, process_id=4711)


def request(level: int, mask: int, absent: bool = False) -> NotifyServiceStatusChangeRequest:
    kind = NotifyParams1 if level == 1 else NotifyParams2
    params = None if absent else kind(notify_mask=mask, service_status=ServiceStatus())
    return NotifyServiceStatusChangeRequest(
        handle=WIRE_SERVICE,
        notify_params=NotifyParams(level=level, params=params),
        client_process=Guid(bytes(16)),
    )


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(b"exchange")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", [1, 2])
def test_a_request_is_made_and_gives_a_notify_handle(level: int, form: int) -> None:
    exchange = Exchange(form)
    answer = exchange.run(NOTIFY_SERVICE_STATUS_CHANGE, request(level, 0x249), ok(NOTIFY))
    (asked,) = exchange.asked
    assert isinstance(asked, NotifyStatusChange)
    assert (asked.handle, asked.mask, asked.level) == (SERVICE, 0x249, level)
    assert (answer.error, answer.notify_handle) == (0, WIRE_NOTIFY)


@pytest.mark.parametrize("form", FORMS)
def test_the_most_names_that_are_kept_fit_the_wire(form: int) -> None:
    """pszServiceNames has 65,536 characters at most, its own NUL among them."""
    names = ("/" + "x" * 250,) * (MAX_NAMES_UNITS // 252) + ("/" + "y" * 13,)
    assert sum(len(name) + 1 for name in names) == MAX_NAMES_UNITS
    told = Notification(2, 0x80, 0, 0x80, None, names)
    question = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
    answer = Exchange(form).run(GET_NOTIFY_RESULTS, question, ok(told))
    assert answer.notify_params is not None
    [element] = answer.notify_params.elements or ()
    assert isinstance(element.params, NotifyParams2)
    assert element.params.service_names == "".join(f"{name}\0" for name in names)


def test_without_parameters_there_is_no_mask() -> None:
    exchange = Exchange()
    answer = exchange.run(NOTIFY_SERVICE_STATUS_CHANGE, request(2, 1, absent=True), error(87))
    (asked,) = exchange.asked
    assert isinstance(asked, NotifyStatusChange)
    assert asked.mask == 0
    assert (answer.error, answer.notify_handle) == (87, NULL_HANDLE)


@pytest.mark.parametrize("form", FORMS)
def test_a_notification_of_each_level(form: int) -> None:
    kinds = ((1, NotifyParams1), (2, NotifyParams2))
    for (level, kind), ended in product(kinds, (0, 1072)):
        told = Notification(level, 0x18, ended, 0x8, RUNNING)
        exchange = Exchange(form)
        asked = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
        answer = exchange.run(GET_NOTIFY_RESULTS, asked, ok(told))
        assert isinstance(exchange.asked[0], GetNotifyResults)
        assert answer.notify_params is not None
        (element,) = answer.notify_params.elements
        assert type(element.params) is kind
        assert (element.level, element.params.service_status) == (level, RUNNING)
        assert element.params.notify_mask == 0x18
        # dwNotificationStatus says how the request has ended, the result that there is an answer.
        assert (answer.error, element.params.notification_status) == (0, ended)
        if isinstance(element.params, NotifyParams2):
            assert element.params.notification_triggered == 0x8
            assert element.params.service_names is None


def test_a_crowd_is_told_the_same_each_in_its_form(sessions: Sessions) -> None:
    clients = [Client(sessions, form=form) for form in FORMS for _ in range(2)]
    for told in (Notification(2, 0x8, 0, 0x8, RUNNING), Notification(1, 0x8, 0, 0x8, RUNNING)):
        for client in clients:
            wait(client)
        for client in clients:
            client.reply(0, told)
            answer = client.last
            assert isinstance(answer, Response)
            results = GET_NOTIFY_RESULTS.decode_response(answer.stub, answer.form)
            assert results.notify_params is not None
            (element,) = results.notify_params.elements
            assert element.params is not None
            assert (element.level, element.params.service_status) == (told.level, RUNNING)


def test_names_are_strings_with_a_nul_each() -> None:
    told = Notification(2, 0x180, 0, 0x180, None, ("/Web", "Old"))
    asked = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
    answer = Exchange().run(GET_NOTIFY_RESULTS, asked, ok(told))
    assert answer.notify_params is not None
    params = answer.notify_params.elements[0].params
    assert isinstance(params, NotifyParams2)
    assert params.service_names == "/Web\0Old\0"


def test_a_request_that_ended_gives_nothing() -> None:
    asked = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
    answer = Exchange().run(GET_NOTIFY_RESULTS, asked, error(1235))
    assert (answer.notify_params, answer.error) == (None, 1235)


@pytest.mark.parametrize("fired", [True, False])
def test_closing_says_whether_it_had_come(fired: bool) -> None:
    exchange = Exchange()
    asked = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
    answer = exchange.run(CLOSE_NOTIFY_HANDLE, asked, ok(fired))
    assert isinstance(exchange.asked[0], CloseNotifyHandle)
    assert (answer.notify_handle, answer.apc_fired, answer.error) == (NULL_HANDLE, fired, 0)


@pytest.mark.parametrize("form", FORMS)
def test_changes_and_services_as_they_are(form: int) -> None:
    asked = WaitForChangesRequest(
        handle=WIRE_SCM, epoch=3, after=4, limit=5, names=(WatchedName(text="Web"),)
    )
    change = Change(
        8, ChangeKind.STATUS, ServiceId(1), "Web", RUNNING, 2, None, "x" * 5_000, Actor("a", "b")
    )
    after_50_days = Change(9, ChangeKind.STATUS, ServiceId(1), "Web", RUNNING, 2, 1 << 32)
    soon = Change(10, ChangeKind.PARAMETERS, ServiceId(1), "Web", RUNNING, 2, 5)
    exchange = Exchange(form)
    part = FeedPart(3, 8, (change, after_50_days, soon))
    answer = exchange.run(WAIT_FOR_CHANGES, asked, ok(part))
    (question,) = exchange.asked
    assert isinstance(question, WaitForChanges)
    assert (question.epoch, question.after, question.limit) == (3, 4, 5)
    assert (question.names, question.resume) == (("Web",), 0)
    assert answer.entries is not None
    entry, later, latest = answer.entries
    assert (entry.number, entry.kind, entry.name, entry.status) == (8, 1, "Web", RUNNING)
    assert (entry.before, entry.lasted, later.lasted) == (2, 0xFFFF_FFFF, 0xFFFF_FFFF)
    assert (latest.number, latest.kind, latest.lasted) == (10, 6, 5)
    assert (entry.actor, entry.origin, entry.cause) == ("a", "b", "x" * 511)
    view = ServiceView(ServiceId(1), "Web", "The Web", RUNNING, True)
    answer = Exchange(form).run(WAIT_FOR_CHANGES, asked, ok(FeedPart(3, 8, (), True, (view,), 1)))
    assert (answer.behind, answer.resume) == (1, 1)
    assert answer.entries is not None
    (entry,) = answer.entries
    assert (entry.kind, entry.display_name, entry.marked) == (0, "The Web", 1)
    refused = Exchange(form).run(WAIT_FOR_CHANGES, asked, error(1235))
    assert (refused.epoch, refused.number, refused.entries, refused.error) == (0, 0, None, 1235)


# What waits for ever


def wait(client: Client) -> int:
    asked = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
    form = client.connection.form
    return client.call(48, GET_NOTIFY_RESULTS.encode_request(asked, form))


def test_calls_that_wait_for_ever_keep_no_others_waiting(sessions: Sessions) -> None:
    client = Client(sessions)
    for _ in range(2 * MAX_PENDING):
        wait(client)
    changes = WaitForChangesRequest(handle=WIRE_SCM, epoch=0, after=0)
    client.call(WAIT_FOR_CHANGES.opnum, WAIT_FOR_CHANGES.encode_request(changes), SCMD)
    client.query_status()
    assert len(client.asked) == 2 * MAX_PENDING + 2
    assert not client.session.is_backed_up


def test_a_call_that_is_cancelled_is_given_up(sessions: Sessions) -> None:
    client = Client(sessions)
    number = wait(client)
    client.send(client.connection.cancel(number))
    assert client.abandoned == (client.asked[0].call.id,)
    client.reply(1235)
    assert isinstance(client.last, Response)
    assert client.session.closed() == (AssociationEnded(AssociationId(1)),), "none waits any more"


def test_nothing_is_sent_for_a_call_that_is_orphaned(sessions: Sessions) -> None:
    client = Client(sessions)
    client.send(client.connection.abandon(wait(client)))
    assert client.abandoned == (client.asked[0].call.id,)
    before = len(client.answers)
    client.reply(1235)
    assert len(client.answers) == before


def test_a_call_that_does_not_wait_for_ever_is_carried_out_though_cancelled(
    sessions: Sessions,
) -> None:
    client = Client(sessions)
    number = client.query_status()
    client.send(client.connection.cancel(number))
    assert client.abandoned == ()
    client.reply(5)
    assert not isinstance(client.last, Fault)


def test_what_was_cancelled_before_its_turn_is_cancelled_then_and_no_later_call(
    sessions: Sessions,
) -> None:
    client = Client(sessions)
    for _ in range(MAX_PENDING):
        client.query_status()
    query, waiting = client.query_status(), wait(client)
    client.send(client.connection.cancel(query) + client.connection.cancel(waiting))
    assert (len(client.asked), client.abandoned) == (MAX_PENDING, ())
    client.reply()
    client.reply()
    assert client.abandoned == (client.asked[-1].call.id,)
    # The number of a call that was carried out may be used again.
    asked = NotifyHandleRequest(notify_handle=WIRE_NOTIFY)
    stub = GET_NOTIFY_RESULTS.encode_request(asked, 0)
    _, data = client.connection.call(SVCCTL, GET_NOTIFY_RESULTS.opnum, stub)
    for _ in range(MAX_PENDING - 1):
        client.reply()
    client.send(data[:12] + query.to_bytes(4, "little") + data[16:])
    assert len(client.abandoned) == 1


def test_a_connection_that_ends_gives_up_what_waited_on_it(sessions: Sessions) -> None:
    first = Client(sessions)
    second = Client(sessions, group=1)
    wait(second)
    assert second.session.closed() == (CallsAbandoned((second.asked[0].call.id,)),)
    assert sessions.calls == 0
    assert first.session.closed() == (AssociationEnded(AssociationId(1)),)
