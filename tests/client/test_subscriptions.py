"""SubscribeServiceChangeNotifications and WaitServiceState: what their pages say."""

from __future__ import annotations

import threading
from queue import Queue
from typing import Any

import pytest

from scmd import winsvc
from scmd.client import subscriptions
from scmd.client.calls import Calls
from scmd.client.connection import Connection, ConnectionFailed
from scmd.client.sc_handle import ScHandle
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceState
from scmd.vocabulary.winerror import WinError
from tests.client.conftest import created, refuse
from tests.client.world import World, report

PATIENCE_S = 60.0
Told = Queue[tuple[int, object]]


class Subscribed:
    """A subscription, and what its callback was given."""

    def __init__(self, handle: ScHandle, event_type: int, context: object = None) -> None:
        self.calls: Told = Queue()
        self.subscription = winsvc.SubscribeServiceChangeNotifications(
            handle, event_type, lambda notify, given: self.calls.put((notify, given)), context
        )

    def next(self) -> tuple[int, object]:
        return self.calls.get(timeout=PATIENCE_S)

    def end(self) -> None:
        winsvc.UnsubscribeServiceChangeNotifications(self.subscription)


def test_each_state_is_called_with_its_bit_and_the_context(web: ScHandle) -> None:
    context = object()
    subscribed = Subscribed(web, winsvc.SC_EVENT_STATUS_CHANGE, context)
    winsvc.StartService(web)
    seen = [subscribed.next()]
    while seen[-1][0] != winsvc.SERVICE_NOTIFY_RUNNING:
        seen.append(subscribed.next())
    assert seen[0] == (winsvc.SERVICE_NOTIFY_START_PENDING, context)
    winsvc.ControlService(web, winsvc.SERVICE_CONTROL_STOP)
    while subscribed.next()[0] != winsvc.SERVICE_NOTIFY_STOPPED:
        pass
    winsvc.DeleteService(web)
    assert subscribed.next() == (winsvc.SERVICE_NOTIFY_DELETE_PENDING, context)
    subscribed.end()


def test_services_that_come_and_go_are_the_databases_changes(manager: ScHandle) -> None:
    subscribed = Subscribed(manager, winsvc.SC_EVENT_DATABASE_CHANGE)
    with created(manager, "New") as service:
        assert subscribed.next() == (winsvc.SERVICE_NOTIFY_CREATED, None)
        winsvc.StartService(service)
        winsvc.ControlService(service, winsvc.SERVICE_CONTROL_STOP)
        winsvc.WaitServiceState(service, winsvc.SERVICE_NOTIFY_STOPPED)
        winsvc.DeleteService(service)
    assert subscribed.next() == (winsvc.SERVICE_NOTIFY_DELETED, None)
    subscribed.end()


def test_a_property_that_changes_is_to_be_looked_at(web: ScHandle) -> None:
    subscribed = Subscribed(web, winsvc.SC_EVENT_PROPERTY_CHANGE)
    keep = winsvc.SERVICE_NO_CHANGE
    winsvc.ChangeServiceConfig(
        web, keep, winsvc.SERVICE_DISABLED, keep, None, None, False, None, None, None, None
    )
    assert subscribed.next() == (0, None)
    subscribed.end()


def test_a_check_point_is_no_change_of_the_state(world: World, web: ScHandle) -> None:
    pending, stopped = ServiceState.STOP_PENDING, ServiceState.STOPPED
    world.program("Web").reports[Control.STOP] = [
        *(report(pending, check_point=number) for number in (1, 2, 3)),
        report(stopped),
    ]
    winsvc.StartService(web)
    winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_RUNNING)
    subscribed = Subscribed(web, winsvc.SC_EVENT_STATUS_CHANGE)
    winsvc.ControlService(web, winsvc.SERVICE_CONTROL_STOP)
    while winsvc.QueryServiceStatus(web).state != stopped:
        pass
    told = [subscribed.next(), subscribed.next()]
    assert told == [
        (winsvc.SERVICE_NOTIFY_STOP_PENDING, None),
        (winsvc.SERVICE_NOTIFY_STOPPED, None),
    ]
    subscribed.end()


@pytest.mark.parametrize("event_type", [0, 1, 2])
def test_after_changes_that_are_missing_one_has_to_look(
    world: World, manager: ScHandle, web: ScHandle, event_type: int
) -> None:
    subscribed = Subscribed(web if event_type else manager, event_type)
    world.scm.state.feed.epoch += 1
    connected = subscribed.subscription._watch._calls
    assert connected is not None
    connected.connection.abort()
    assert subscribed.next() == (0, None)
    subscribed.end()


@pytest.mark.parametrize(
    ("of_service", "event_type", "error"),
    [(True, 0, 6), (False, 1, 6), (False, 2, 6), (True, 3, 87), (False, -1, 87)],
)
def test_the_kind_of_handle_is_the_events(
    manager: ScHandle, web: ScHandle, of_service: bool, event_type: int, error: int
) -> None:
    with pytest.raises(WinError) as refused:
        Subscribed(web if of_service else manager, event_type)
    assert refused.value.winerror == error


def test_the_handles_need_their_rights(manager: ScHandle, web: ScHandle) -> None:
    with (
        winsvc.OpenService(manager, "Web", winsvc.SERVICE_START) as service,
        winsvc.OpenSCManager(None, None, winsvc.SC_MANAGER_CONNECT) as connected,
    ):
        for handle, event_type in ((service, 2), (service, 1), (connected, 0)):
            with pytest.raises(WinError) as refused:
                Subscribed(handle, event_type)
            assert refused.value.winerror == winsvc.ERROR_ACCESS_DENIED
        with pytest.raises(WinError) as refused:
            winsvc.WaitServiceState(service, winsvc.SERVICE_NOTIFY_STOPPED)
        assert refused.value.winerror == winsvc.ERROR_ACCESS_DENIED


def test_nothing_is_called_once_it_is_unsubscribed(web: ScHandle) -> None:
    """A callback that runs is waited for; one that unsubscribes is not."""
    entered, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    def callback(notify: int, _: object) -> None:
        calls.append(notify)
        entered.set()
        go_on.wait(PATIENCE_S)

    slow = winsvc.SubscribeServiceChangeNotifications(web, 2, callback)
    alone: Queue[object] = Queue()
    own: list[winsvc.Subscription] = []

    def unsubscribe(_: int, __: object) -> None:
        winsvc.UnsubscribeServiceChangeNotifications(own[0])
        alone.put(None)

    own.append(winsvc.SubscribeServiceChangeNotifications(web, 2, unsubscribe))
    winsvc.StartService(web)
    assert entered.wait(PATIENCE_S)
    ending = threading.Thread(target=winsvc.UnsubscribeServiceChangeNotifications, args=(slow,))
    ending.start()
    assert ending.is_alive()
    go_on.set()
    ending.join(PATIENCE_S)
    alone.get(timeout=PATIENCE_S)
    winsvc.ControlService(web, winsvc.SERVICE_CONTROL_STOP)
    winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_STOPPED)
    assert len(calls) == 1
    assert alone.empty()


def test_a_subscription_whose_right_was_taken_says_so_and_ends(
    web: ScHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed = Subscribed(web, winsvc.SC_EVENT_STATUS_CHANGE, "context")
    connected = subscribed.subscription._watch._calls
    assert connected is not None
    monkeypatch.setattr(Calls, "open_scm", refuse)
    connected.connection.abort()
    assert subscribed.next() == (0, "context")
    subscribed.subscription._thread.join()
    subscribed.end()


class Unreachable:
    """Who connects to the server waits until the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_asked, self.end = threading.Event(), threading.Event()
        monkeypatch.setattr(Calls, "another", lambda _: Calls(self.connect))

    def connect(self) -> Connection:
        self.is_asked.set()
        self.end.wait()
        raise ConnectionFailed(Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", "it was not there")


def test_unsubscribing_waits_for_no_connection(
    web: ScHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed = Subscribed(web, winsvc.SC_EVENT_STATUS_CHANGE)
    watch = subscribed.subscription._watch
    unreachable = Unreachable(monkeypatch)
    assert watch._calls is not None
    watch._connect = lambda: Calls(unreachable.connect)
    watch._calls.connection.abort()
    assert unreachable.is_asked.wait(PATIENCE_S)
    subscribed.end()
    unreachable.end.set()
    subscribed.subscription._thread.join()
    assert subscribed.calls.empty()


@pytest.mark.parametrize(("cancelled", "error"), [(False, 1460), (True, 1223)])
def test_the_time_of_a_wait_has_connecting_in_it(
    web: ScHandle, monkeypatch: pytest.MonkeyPatch, cancelled: bool, error: int
) -> None:
    monkeypatch.setattr(subscriptions, "LOOK_S", 0.01)
    unreachable = Unreachable(monkeypatch)
    event = winsvc.CreateEvent(initial_state=cancelled)
    with pytest.raises(WinError) as refused:
        winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_STOPPED, 1, event)
    assert refused.value.winerror == error
    unreachable.end.set()


def test_the_first_look_of_a_wait_has_time(web: ScHandle) -> None:
    winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_STOPPED, 0)
    with pytest.raises(WinError) as refused:
        winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_RUNNING, 0)
    assert refused.value.winerror == winsvc.ERROR_TIMEOUT


def test_a_wait_says_why_it_cannot_go_on(web: ScHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "open_scm", refuse)
    with pytest.raises(WinError) as refused:
        winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_RUNNING)
    assert refused.value.winerror == winsvc.ERROR_ACCESS_DENIED


def test_a_wait_ends_at_once_or_when_the_state_comes(web: ScHandle) -> None:
    winsvc.WaitServiceState(
        web, winsvc.SERVICE_NOTIFY_STOPPED | winsvc.SERVICE_NOTIFY_PAUSED, 0xFFFF
    )
    winsvc.StartService(web)
    winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_RUNNING)
    assert winsvc.QueryServiceStatus(web).state == winsvc.SERVICE_RUNNING


def test_a_wait_ends_with_its_time_its_event_or_the_service(
    manager: ScHandle, web: ScHandle
) -> None:
    def refused(*arguments: Any) -> int:
        with pytest.raises(WinError) as raised:
            winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_PAUSED, *arguments)
        return raised.value.winerror

    assert refused(1) == winsvc.ERROR_TIMEOUT
    cancel = winsvc.CreateEvent()
    timer = threading.Timer(0.05, winsvc.SetEvent, (cancel,))
    timer.start()
    assert refused(winsvc.INFINITE, cancel) == winsvc.ERROR_CANCELLED
    assert refused(-2) == winsvc.ERROR_TIMEOUT
    cancel = winsvc.CreateEvent(False, True)
    assert refused(-1, cancel) == winsvc.ERROR_CANCELLED
    assert refused(-1, 5) == winsvc.ERROR_INVALID_HANDLE
    for handle, mask, error in ((manager, 1, 6), (web, 0, 87), (web, 0x80, 87)):
        with pytest.raises(WinError) as raised:
            winsvc.WaitServiceState(handle, mask)
        assert raised.value.winerror == error


def test_a_wait_for_a_service_that_is_marked_ends_with_what_can_still_come(web: ScHandle) -> None:
    states, pending = winsvc.SERVICE_NOTIFY_PAUSED, winsvc.SERVICE_NOTIFY_DELETE_PENDING
    winsvc.StartService(web)
    winsvc.DeleteService(web)
    winsvc.WaitServiceState(web, pending)
    timer = threading.Timer(0.05, winsvc.ControlService, (web, winsvc.SERVICE_CONTROL_STOP))
    timer.start()
    for _ in ("as it stops", "once it has"):
        with pytest.raises(WinError) as raised:
            winsvc.WaitServiceState(web, states)
        assert raised.value.winerror == winsvc.ERROR_SERVICE_MARKED_FOR_DELETE
    winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_STOPPED)


def test_a_subscription_ends_with_its_service(manager: ScHandle, web: ScHandle) -> None:
    subscribed = Subscribed(web, winsvc.SC_EVENT_STATUS_CHANGE)
    database = Subscribed(manager, winsvc.SC_EVENT_DATABASE_CHANGE)
    winsvc.DeleteService(web)
    web.Close()
    with created(manager, "Web") as another:
        winsvc.StartService(another)
    for notify in (winsvc.SERVICE_NOTIFY_DELETED, winsvc.SERVICE_NOTIFY_CREATED):
        assert database.next() == (notify, None)
    # The thread has ended by itself: what the other service does would have come before.
    subscribed.subscription._thread.join(PATIENCE_S)
    assert subscribed.next() == (winsvc.SERVICE_NOTIFY_DELETE_PENDING, None)
    assert subscribed.calls.empty()
    for each in (subscribed, database):
        each.end()
