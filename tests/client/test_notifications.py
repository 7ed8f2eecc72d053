"""NotifyServiceStatusChange for programs: the sentences of its page about the client's side."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from select import select
from typing import Any

import pytest

from scmd import winsvc
from scmd.client import sc_handle
from scmd.client.apc import current_queue
from scmd.client.multiplexing import Multiplexed
from scmd.client.notifications import fill
from scmd.client.sc_handle import ScHandle
from scmd.client.waits import wait
from scmd.ndr.values import ContextHandle
from scmd.svcctl import opening
from scmd.svcctl.administration import (
    GET_NOTIFY_RESULTS,
    GetNotifyResultsResponse,
    NotifyParams,
    NotifyParams2,
    NotifyParamsList,
)
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError
from scmd.winsvc import ServiceNotify
from tests.client.conftest import created
from tests.client.world import World

IO = winsvc.WAIT_IO_COMPLETION
PATIENCE = 60_000


class Told:
    """What a callback was told."""

    def __init__(self) -> None:
        self.masks: list[int] = []
        self.states: list[int] = []
        self.threads: list[int] = []
        self.buffer = ServiceNotify(self.callback)

    def callback(self, buffer: ServiceNotify) -> None:
        self.masks.append(buffer.notification_triggered)
        self.states.append(buffer.service_status.state)
        self.threads.append(threading.get_ident())

    def ask(self, handle: ScHandle, mask: int) -> Told:
        winsvc.NotifyServiceStatusChange(handle, mask, self.buffer)
        return self


def test_the_present_state_is_told_at_once(web: ScHandle) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    assert winsvc.SleepEx(PATIENCE, True) == IO
    assert (told.masks, told.states) == ([winsvc.SERVICE_NOTIFY_STOPPED], [winsvc.SERVICE_STOPPED])


def test_the_callback_runs_on_the_thread_that_asked_while_it_waits_alertably(
    web: ScHandle,
) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    winsvc.StartService(web)
    # Neither by waiting otherwise, nor by what other threads do.
    assert winsvc.SleepEx(1, False) == 0
    thread = threading.Thread(target=lambda: winsvc.SleepEx(1, True))
    thread.start()
    thread.join()
    assert told.masks == []
    assert winsvc.SleepEx(PATIENCE, True) == IO
    assert told.threads == [threading.get_ident()]
    assert told.states == [winsvc.SERVICE_RUNNING]


def test_an_answer_with_several_things_is_one_notification() -> None:
    """A request is told of once, and no server has to fit all into one element."""
    created, deleted = winsvc.SERVICE_NOTIFY_CREATED, winsvc.SERVICE_NOTIFY_DELETED
    elements = tuple(
        NotifyParams(
            params=NotifyParams2(
                notify_mask=created | deleted,
                service_status=ServiceStatus(check_point=number),
                notification_triggered=bit,
                service_names=text,
            )
        )
        for number, (bit, text) in enumerate(((created, "/A\0/B\0"), (deleted, "C\0")))
    )
    told = NotifyParamsList(elements=elements)
    buffer = ServiceNotify(print)
    fill(buffer, GetNotifyResultsResponse(notify_params=told, error=0))
    assert (buffer.notification_status, buffer.notification_triggered) == (0, created | deleted)
    assert buffer.service_names == ("/A", "/B", "C")
    assert buffer.service_status.check_point == 1


def test_a_wait_for_an_event_is_ended_by_a_callback_too(web: ScHandle) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    event = winsvc.CreateEvent()
    winsvc.StartService(web)
    assert winsvc.WaitForSingleObjectEx(event, PATIENCE, True) == IO
    assert told.masks == [winsvc.SERVICE_NOTIFY_RUNNING]
    winsvc.SetEvent(event)
    assert winsvc.WaitForSingleObjectEx(event, PATIENCE, True) == winsvc.WAIT_OBJECT_0
    assert winsvc.WaitForSingleObject(event, 1) == winsvc.WAIT_TIMEOUT


def test_one_wait_calls_all_that_are_queued(manager: ScHandle, web: ScHandle) -> None:
    with winsvc.OpenService(manager, "Web", winsvc.SERVICE_QUERY_STATUS) as other:
        queue = current_queue()
        queue.calls.clear()  # Of requests that other tests have cancelled.
        told = [Told().ask(handle, winsvc.SERVICE_NOTIFY_STOPPED) for handle in (web, other)]
        wait(lambda: len(queue.calls) == len(told) or None, queue.sources)
        assert winsvc.SleepEx(0, True) == IO
        assert [each.masks for each in told] == [[winsvc.SERVICE_NOTIFY_STOPPED]] * 2


@pytest.mark.parametrize("longest", [winsvc.INFINITE - 1, winsvc.INFINITE, -1])
def test_a_wait_may_be_as_long_as_can_be_said(web: ScHandle, longest: int) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    timer = threading.Timer(0.05, winsvc.StartService, (web,))
    timer.start()
    assert winsvc.SleepEx(longest, True) == IO
    timer.join()
    assert told.masks == [winsvc.SERVICE_NOTIFY_RUNNING]


def test_a_callback_whose_time_has_come_is_called_though_the_event_is_set(web: ScHandle) -> None:
    event = winsvc.CreateEvent(manual_reset=True, initial_state=True)
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    winsvc.SleepEx(PATIENCE, True)
    # All that came before has been read, so that what comes now is the notification.
    told.ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    comes_by = web.link().descriptor
    winsvc.StartService(web)
    select([comes_by], [], [])
    assert winsvc.WaitForSingleObjectEx(event, PATIENCE, True) == IO
    assert told.states == [winsvc.SERVICE_STOPPED, winsvc.SERVICE_RUNNING]
    assert winsvc.WaitForSingleObjectEx(event, PATIENCE, True) == winsvc.WAIT_OBJECT_0


def test_it_is_told_once_and_then_asked_for_again(web: ScHandle) -> None:
    """In the callback, which may call functions of the SCM."""
    states: list[int] = []

    def callback(buffer: ServiceNotify) -> None:
        states.append(winsvc.QueryServiceStatus(web).state)
        if states[-1] == winsvc.SERVICE_RUNNING:
            winsvc.ControlService(web, winsvc.SERVICE_CONTROL_STOP)
        if len(states) < 3:
            winsvc.NotifyServiceStatusChange(web, 0x9, buffer)

    winsvc.NotifyServiceStatusChange(web, 0x9, ServiceNotify(callback))
    winsvc.SleepEx(PATIENCE, True)
    assert states[0] == winsvc.SERVICE_STOPPED
    winsvc.StartService(web)
    while len(states) < 3:
        assert winsvc.SleepEx(PATIENCE, True) == IO
    assert states == [winsvc.SERVICE_STOPPED, winsvc.SERVICE_RUNNING, winsvc.SERVICE_STOPPED]
    assert winsvc.SleepEx(1, True) == 0


def test_the_notify_handle_is_closed_before_the_next_request(world: World, web: ScHandle) -> None:
    told = Told()
    for mask in (winsvc.SERVICE_NOTIFY_STOPPED, winsvc.SERVICE_NOTIFY_RUNNING):
        told.ask(web, mask)
        assert len(world.scm.state.requests) == 1
        if mask == winsvc.SERVICE_NOTIFY_RUNNING:
            winsvc.StartService(web)
        assert winsvc.SleepEx(PATIENCE, True) == IO
    # Or when nothing is asked any more.
    winsvc.SleepEx(0, True)
    assert not web.link().has_unsent
    closing = opening.CloseServiceHandleRequest(handle=ContextHandle(bytes(20)))
    with suppress(WinError):
        web.link().call(opening.CLOSE_SERVICE_HANDLE, closing)
    assert not world.scm.state.requests


def test_a_handle_and_a_buffer_have_one_request_each(manager: ScHandle, web: ScHandle) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    with pytest.raises(WinError) as refused:
        Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    assert refused.value.winerror == winsvc.ERROR_ALREADY_REGISTERED
    with (
        winsvc.OpenService(manager, "Web", winsvc.SERVICE_QUERY_STATUS) as other,
        pytest.raises(WinError) as refused,
    ):
        told.ask(other, winsvc.SERVICE_NOTIFY_RUNNING)
    assert refused.value.winerror == winsvc.ERROR_ALREADY_REGISTERED


def test_no_callback_after_the_handle_was_closed(manager: ScHandle, web: ScHandle) -> None:
    """Though it was queued already."""
    with winsvc.OpenService(manager, "Web", winsvc.SERVICE_QUERY_STATUS) as other:
        told = Told().ask(other, winsvc.SERVICE_NOTIFY_STOPPED)
        later = Told().ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    winsvc.SleepEx(PATIENCE, True)
    while not later.masks:
        winsvc.SleepEx(PATIENCE, True)
    assert told.masks == []
    assert told.buffer.outstanding is None


def test_closing_frees_each_buffer_of_the_handle(web: ScHandle) -> None:
    """One is outstanding when the notification of the one before has come and was not run."""
    first = Told().ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    second = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    winsvc.CloseServiceHandle(web)
    assert winsvc.SleepEx(0, True) == 0
    assert (first.masks, first.buffer.outstanding) == ([], None)
    assert (second.masks, second.buffer.outstanding) == ([], None)


def test_no_callback_of_an_earlier_connection_after_the_handle_was_closed(web: ScHandle) -> None:
    aborted = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    web.link().close()
    Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    winsvc.CloseServiceHandle(web)
    assert winsvc.SleepEx(0, True) == 0
    assert (aborted.masks, aborted.buffer.outstanding) == ([], None)


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """When a handle is about to ask for the first time another thread does this, so to speak."""
    link, acts = ScHandle.link, [act]

    def linked(handle: ScHandle) -> Multiplexed:
        found = link(handle)
        while acts:
            acts.pop()()
        return found

    monkeypatch.setattr(ScHandle, "link", linked)


def test_a_handle_that_is_closed_while_it_asks_is_not_told(
    manager: ScHandle, web: ScHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    meanwhile(monkeypatch, web.Close)
    with pytest.raises(WinError) as refused:
        told.ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    assert refused.value.winerror == winsvc.ERROR_INVALID_HANDLE
    assert winsvc.SleepEx(0, True) == 0
    assert (told.masks, told.buffer.outstanding) == ([], None)
    with winsvc.OpenService(manager, "Web", winsvc.DELETE) as service:
        winsvc.DeleteService(service)
    with pytest.raises(WinError) as gone:
        winsvc.OpenService(manager, "Web", winsvc.SERVICE_QUERY_STATUS)
    assert gone.value.winerror == winsvc.ERROR_SERVICE_DOES_NOT_EXIST


def test_two_that_ask_with_a_handle_for_the_first_time_have_one_request(
    world: World, web: ScHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    sooner, later = Told(), Told()
    meanwhile(monkeypatch, lambda: sooner.ask(web, winsvc.SERVICE_NOTIFY_RUNNING))
    with pytest.raises(WinError) as refused:
        later.ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    assert refused.value.winerror == winsvc.ERROR_ALREADY_REGISTERED
    assert len(world.scm.state.requests) == 1
    winsvc.CloseServiceHandle(web)
    assert sooner.buffer.outstanding is None


def test_many_handles_share_as_few_connections_as_hold_them(
    manager: ScHandle, web: ScHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sc_handle, "MOST_ON_A_LINK", 2)
    told = [Told() for _ in range(5)]
    handles = [winsvc.OpenService(manager, "Web", winsvc.SERVICE_ALL_ACCESS) for _ in told]
    for each, handle in zip(told, handles, strict=True):
        each.ask(handle, winsvc.SERVICE_NOTIFY_RUNNING)
    links = {handle.watching.link for handle in handles if handle.watching is not None}
    assert sorted(link.handles for link in links) == [1, 2, 2]
    winsvc.StartService(web)
    while not all(each.masks for each in told):
        winsvc.SleepEx(PATIENCE, True)
    for handle in handles[:2]:
        handle.Close()
    for handle in (web, manager):
        Told().ask(handle, 0x40 if handle.name else 0x80)
    # There is room where the first two were.
    assert {each.watching.link for each in (web, manager) if each.watching is not None} <= links
    for handle in handles[2:]:
        handle.Close()


def test_creations_and_deletions_have_names(manager: ScHandle) -> None:
    names: list[str] = []
    buffer = ServiceNotify(lambda told: names.extend(told.service_names))
    both = winsvc.SERVICE_NOTIFY_CREATED | winsvc.SERVICE_NOTIFY_DELETED
    winsvc.NotifyServiceStatusChange(manager, both, buffer)
    service = created(manager, "New")
    winsvc.SleepEx(PATIENCE, True)
    winsvc.NotifyServiceStatusChange(manager, both, buffer)
    winsvc.DeleteService(service)
    winsvc.CloseServiceHandle(service)
    winsvc.SleepEx(PATIENCE, True)
    assert names == ["/New", "New"]


def test_a_mark_for_deletion_is_told_and_ends_it(web: ScHandle) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_DELETE_PENDING)
    winsvc.DeleteService(web)
    winsvc.SleepEx(PATIENCE, True)
    assert told.masks == [winsvc.SERVICE_NOTIFY_DELETE_PENDING]
    with pytest.raises(WinError) as refused:
        told.ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    assert refused.value.winerror == winsvc.ERROR_SERVICE_MARKED_FOR_DELETE


def test_the_handle_needs_the_right(manager: ScHandle, web: ScHandle) -> None:
    blind = winsvc.OpenService(manager, "Web", winsvc.SERVICE_QUERY_CONFIG)
    connected = winsvc.OpenSCManager(None, None, winsvc.SC_MANAGER_CONNECT)
    for handle, mask in ((blind, 0x8), (connected, 0x80)):
        with handle, pytest.raises(WinError) as refused:
            Told().ask(handle, mask)
        assert refused.value.winerror == winsvc.ERROR_ACCESS_DENIED


@pytest.mark.parametrize(("version", "error"), [(0, 124), (3, 50), (-1, 50)])
def test_a_version_that_there_is_not_is_refused(web: ScHandle, version: int, error: int) -> None:
    with pytest.raises(WinError) as refused:
        winsvc.NotifyServiceStatusChange(web, 0x8, ServiceNotify(lambda _: None, version=version))
    assert refused.value.winerror == error


def test_the_older_version_of_the_buffer_will_do(web: ScHandle) -> None:
    told = Told()
    told.buffer.version = 1
    told.ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    winsvc.SleepEx(PATIENCE, True)
    assert told.states == [winsvc.SERVICE_STOPPED]


def test_a_connection_that_breaks_aborts_the_request(web: ScHandle) -> None:
    told = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING)
    web.link().close()
    winsvc.SleepEx(PATIENCE, True)
    assert told.buffer.notification_status == winsvc.ERROR_REQUEST_ABORTED
    told.ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    winsvc.SleepEx(PATIENCE, True)
    assert told.masks[-1] == winsvc.SERVICE_NOTIFY_STOPPED


def test_a_connection_that_broke_while_nobody_read_is_made_anew(
    manager: ScHandle, web: ScHandle
) -> None:
    aborted, told = Told().ask(web, winsvc.SERVICE_NOTIFY_RUNNING), Told()
    web.link()._connection.abort()
    with winsvc.OpenService(manager, "Web", winsvc.SERVICE_QUERY_STATUS) as other:
        told.ask(other, winsvc.SERVICE_NOTIFY_STOPPED)
        while not told.masks:
            winsvc.SleepEx(PATIENCE, True)
    assert aborted.buffer.notification_status == winsvc.ERROR_REQUEST_ABORTED
    assert current_queue().sources == {web.link()}


def test_a_request_that_cannot_be_fetched_is_none(
    web: ScHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, begin = Told(), Multiplexed.begin

    def broken(self: Multiplexed, operation: Any, *rest: Any, **kept: Any) -> None:
        if operation is GET_NOTIFY_RESULTS:
            self.close()
        begin(self, operation, *rest, **kept)

    with monkeypatch.context() as breaking:
        breaking.setattr(Multiplexed, "begin", broken)
        with pytest.raises(WinError) as refused:
            told.ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    assert refused.value.winerror == winsvc.RPC_S_CALL_FAILED
    told.ask(web, winsvc.SERVICE_NOTIFY_STOPPED)
    winsvc.SleepEx(PATIENCE, True)
    assert told.masks == [winsvc.SERVICE_NOTIFY_STOPPED]


FORKING = """
import os, sys
import scmd
from scmd import winsvc as w

manager = w.OpenSCManager(None, None, w.SC_MANAGER_ALL_ACCESS)
service = w.OpenService(manager, "Web", w.SERVICE_ALL_ACCESS)
told = []
w.NotifyServiceStatusChange(service, w.SERVICE_NOTIFY_RUNNING, w.ServiceNotify(told.append))
changes = scmd.watch("Web")
w.StartService(service)
w.WaitServiceState(service, w.SERVICE_NOTIFY_RUNNING)
child = os.fork()
if not child:
    ran = w.SleepEx(0, True)
    for handle in (service, manager):
        w.CloseServiceHandle(handle)
    changes.close()
    sys.exit(ran)
assert os.waitpid(child, 0)[1] == 0
assert w.SleepEx(w.INFINITE, True) == w.WAIT_IO_COMPLETION
assert len(told) == 1
assert w.QueryServiceStatus(service).state == w.SERVICE_RUNNING
w.ControlService(service, w.SERVICE_CONTROL_STOP)
while (change := next(changes)).state != w.SERVICE_STOPPED:
    assert not change.gap
assert not change.gap
w.CloseServiceHandle(service)
"""


def test_a_forked_child_leaves_its_parents_handles_and_requests_alone(
    world: World, web: ScHandle
) -> None:
    """Whatever it closes; a watch by requests would tell of a connection that was made anew."""
    assert web
    world.has_feed = False
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)
