"""The key of a service's Parameters, and being told of its changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from scmd import winsvc
from scmd.client import state_keys
from scmd.client.calls import Calls
from scmd.client.sc_handle import ScHandle
from scmd.ndr.values import ContextHandle
from scmd.vocabulary.winerror import WinError
from scmd.winsvc import REG_NOTIFY_CHANGE_LAST_SET, StateKey
from tests.client.conftest import refuse
from tests.client.world import World

PATIENCE_MS = 60_000


@pytest.fixture
def key(web: ScHandle) -> StateKey:
    return winsvc.GetServiceRegistryStateKey(web)


def test_values_are_written_read_and_deleted(key: StateKey) -> None:
    winsvc.RegSetValueEx(key, "Port", winsvc.REG_DWORD, 8080)
    winsvc.RegSetValueEx(key, "Root", winsvc.REG_SZ, "/srv")
    assert winsvc.RegQueryValueEx(key, "PORT") == (8080, winsvc.REG_DWORD)
    assert winsvc.RegQueryValueEx(key, "Root") == ("/srv", winsvc.REG_SZ)
    winsvc.RegDeleteValue(key, "root")
    for function in (winsvc.RegQueryValueEx, winsvc.RegDeleteValue):
        with pytest.raises(WinError) as refused:
            function(key, "Root")
        assert refused.value.winerror == winsvc.ERROR_FILE_NOT_FOUND


def test_every_type_of_a_value_goes_there_and_back(key: StateKey) -> None:
    for kind, data in (
        (winsvc.REG_EXPAND_SZ, "%HOME%"),
        (winsvc.REG_BINARY, b"\0\1"),
        (winsvc.REG_MULTI_SZ, ("a", "b")),
        (winsvc.REG_QWORD, 2**64 - 1),
    ):
        winsvc.RegSetValueEx(key, "It", kind, data)
        assert winsvc.RegQueryValueEx(key, "It") == (data, kind)
    winsvc.RegSetValueEx(key, "It", winsvc.REG_MULTI_SZ, ["c"])
    assert winsvc.RegQueryValueEx(key, "It") == (("c",), winsvc.REG_MULTI_SZ)


@pytest.mark.parametrize(
    ("kind", "data"),
    [(99, "text"), (0, b""), (winsvc.REG_DWORD, "1"), (winsvc.REG_DWORD, 2**32)],
)
def test_a_type_or_data_that_there_is_not_is_error_87(key: StateKey, kind: int, data: Any) -> None:
    with pytest.raises(WinError) as refused:
        winsvc.RegSetValueEx(key, "Port", kind, data)
    assert refused.value.winerror == winsvc.ERROR_INVALID_PARAMETER


def test_the_event_is_set_at_one_change(key: StateKey) -> None:
    event = winsvc.CreateEvent()
    for port in (1, 2):
        winsvc.RegNotifyChangeKeyValue(key, True, REG_NOTIFY_CHANGE_LAST_SET, event, True)
        assert winsvc.WaitForSingleObject(event, 1) == winsvc.WAIT_TIMEOUT
        winsvc.RegSetValueEx(key, "Port", winsvc.REG_DWORD, port)
        assert winsvc.WaitForSingleObject(event, PATIENCE_MS) == winsvc.WAIT_OBJECT_0
    winsvc.RegSetValueEx(key, "Port", winsvc.REG_DWORD, 3)
    assert winsvc.WaitForSingleObject(event, 1) == winsvc.WAIT_TIMEOUT


@pytest.mark.parametrize("what", ["the service is gone", "changes are missing", "it is refused"])
def test_the_event_is_set_too_when(
    world: World, web: ScHandle, key: StateKey, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    event = winsvc.CreateEvent()
    winsvc.RegNotifyChangeKeyValue(key, True, REG_NOTIFY_CHANGE_LAST_SET, event, True)
    if what == "the service is gone":
        winsvc.DeleteService(web)
        web.Close()
    else:
        if what == "it is refused":
            monkeypatch.setattr(Calls, "open_scm", refuse)
        world.scm.state.feed.epoch += 1
        connected = key.watches[0]._calls
        assert connected is not None
        connected.connection.abort()
    assert winsvc.WaitForSingleObject(event, PATIENCE_MS) == winsvc.WAIT_OBJECT_0


@pytest.mark.parametrize("when", ["before it connects", "as it connects"])
def test_a_key_that_is_closed_while_it_asks_is_waited_for_no_more(
    key: StateKey, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    open_scm, event = Calls.open_scm, winsvc.CreateEvent()

    def asks() -> None:
        winsvc.RegNotifyChangeKeyValue(key, True, REG_NOTIFY_CHANGE_LAST_SET, event, True)

    if when == "as it connects":

        def opened(calls: Calls, *arguments: Any) -> ContextHandle:
            winsvc.RegCloseKey(key)
            return open_scm(calls, *arguments)

        monkeypatch.setattr(Calls, "open_scm", opened)
        asks()
        assert winsvc.WaitForSingleObject(event, PATIENCE_MS) == winsvc.WAIT_OBJECT_0
    else:
        monkeypatch.setattr(state_keys, "expect", lambda *_: setattr(key, "is_closed", True))
        with pytest.raises(WinError) as refused:
            asks()
        assert refused.value.winerror == winsvc.ERROR_INVALID_HANDLE
        assert not event.is_set
    assert key.watches == []


def test_what_else_changes_is_not_told(web: ScHandle, key: StateKey) -> None:
    event = winsvc.CreateEvent()
    winsvc.RegNotifyChangeKeyValue(key, False, REG_NOTIFY_CHANGE_LAST_SET, event, True)
    winsvc.StartService(web)
    winsvc.WaitServiceState(web, winsvc.SERVICE_NOTIFY_RUNNING)
    assert winsvc.WaitForSingleObject(event, 1) == winsvc.WAIT_TIMEOUT
    winsvc.RegCloseKey(key)
    assert winsvc.WaitForSingleObject(event, PATIENCE_MS) == winsvc.WAIT_OBJECT_0
    for use in (lambda: winsvc.RegQueryValueEx(key, "Port"), lambda: winsvc.RegCloseKey(key)):
        with pytest.raises(WinError) as refused:
            use()
        assert refused.value.winerror == winsvc.ERROR_INVALID_HANDLE


def test_without_an_event_the_call_waits(key: StateKey) -> None:
    ended = threading.Event()

    def wait() -> None:
        winsvc.RegNotifyChangeKeyValue(key, True, REG_NOTIFY_CHANGE_LAST_SET)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    number = 0
    while not ended.wait(0.01):
        number += 1
        winsvc.RegSetValueEx(key, "Port", winsvc.REG_DWORD, number)
    thread.join()


def test_what_cannot_be_is_refused(manager: ScHandle, web: ScHandle, key: StateKey) -> None:
    def refusal(function: Callable[..., object], *arguments: object) -> int:
        with pytest.raises(WinError) as refused:
            function(*arguments)
        return refused.value.winerror

    assert refusal(winsvc.GetServiceRegistryStateKey, manager) == winsvc.ERROR_INVALID_HANDLE
    assert refusal(winsvc.GetServiceRegistryStateKey, web, 1) == winsvc.ERROR_NOT_SUPPORTED
    with winsvc.OpenService(manager, "Web", winsvc.SERVICE_START) as poor:
        assert refusal(winsvc.GetServiceRegistryStateKey, poor) == winsvc.ERROR_ACCESS_DENIED
    for filter, event, asynchronous in ((0, None, False), (16, None, False), (4, None, True)):
        error = refusal(winsvc.RegNotifyChangeKeyValue, key, True, filter, event, asynchronous)
        assert error == winsvc.ERROR_INVALID_PARAMETER
    error = refusal(winsvc.RegNotifyChangeKeyValue, key, True, 4, "event", True)
    assert error == winsvc.ERROR_INVALID_HANDLE
