"""GetServiceRegistryStateKey for `scmd.winsvc`, and what programs do with the key of Parameters.

The key is a service's Parameters. `RegNotifyChangeKeyValue` tells of one change, as in Windows:
ask again after it, then look. A service of one's own has `svc.parameters` for all of this.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from scmd.client.apc import EventObject, SetEvent
from scmd.client.management import query_parameters, set_parameters
from scmd.client.sc_handle import ScHandle, use
from scmd.client.watching import Watch
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryType, RegistryValue
from scmd.vocabulary.winerror import WinError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle

GET_KEY = "GetServiceRegistryStateKey"
NOTIFY = "RegNotifyChangeKeyValue"
ServiceRegistryStateParameters = 0
_FILTERS = 15
"""All of REG_NOTIFY_CHANGE_*."""


class StateKey:
    """HKEY of a service's Parameters; it is as good as the handle that it was got with."""

    def __init__(self, handle: ScHandle) -> None:
        self._handle = handle
        self.name = handle.name
        self.is_closed = False
        self.watches: list[Watch] = []
        """Of requests that have not been answered."""

    def use(self, function: str) -> tuple[Calls, ContextHandle]:
        """As the handle's; WinError 6."""
        if self.is_closed:
            raise WinError(Error.INVALID_HANDLE, function)
        return use(self._handle, function)


def _use(key: StateKey, function: str) -> tuple[Calls, ContextHandle]:
    expect(StateKey, key, function)
    return key.use(function)


def GetServiceRegistryStateKey(
    handle: ScHandle, state_type: int = ServiceRegistryStateParameters
) -> StateKey:
    """The key of the service's Parameters; the handle needs SERVICE_QUERY_CONFIG.

    Errors: 5, 6 (no handle to a service), 50 (a state other than the parameters).
    """
    calls, raw = use(handle, GET_KEY)
    if not handle.name:
        raise WinError(Error.INVALID_HANDLE, GET_KEY)
    if state_type != ServiceRegistryStateParameters:
        raise WinError(Error.NOT_SUPPORTED, GET_KEY)
    query_parameters(calls, raw)
    return StateKey(handle)


def RegQueryValueEx(key: StateKey, name: str) -> tuple[Any, int]:
    """A value's data and its REG_* type; error 2 without one of that name."""
    value = _value(key, name, "RegQueryValueEx")
    return value.data, int(value.type)


def _value(key: StateKey, name: str, function: str) -> RegistryValue:
    calls, raw = _use(key, function)
    for known, value in query_parameters(calls, raw).items():
        if name_key(known) == name_key(name):
            return value
    raise WinError(Error.FILE_NOT_FOUND, function)


def RegSetValueEx(key: StateKey, name: str, type: int, data: Any) -> None:
    """Write a value of a REG_* type; the handle needs SERVICE_CHANGE_CONFIG too.

    Data is str, int, bytes or, for REG_MULTI_SZ, strings. Errors: 87 (a type that there is not, or
    data that is none of its type).
    """
    calls, raw = _use(key, "RegSetValueEx")
    if type not in tuple(RegistryType):
        raise WinError(Error.INVALID_PARAMETER, "RegSetValueEx")
    data = tuple(data) if isinstance(data, list) else data
    set_parameters(calls, raw, {name: RegistryValue(type=RegistryType(type), data=data)})


def RegDeleteValue(key: StateKey, name: str) -> None:
    """Delete a value; error 2 without one of that name."""
    _value(key, name, "RegDeleteValue")
    calls, raw = _use(key, "RegDeleteValue")
    set_parameters(calls, raw, {name: None})


def RegNotifyChangeKeyValue(
    key: StateKey,
    watch_subtree: bool,
    notify_filter: int,
    event: EventObject | None = None,
    asynchronous: bool = False,
) -> None:
    """Return, or set the event, at the next change of the Parameters: once, whatever changed.

    The filter is a sum of REG_NOTIFY_CHANGE_*; attributes and security never change here, and a
    change in a subkey always counts. The event is set too when the key is closed or the service
    is gone. Errors: 6, 87 (the filter, or asynchronous without an event), 120.
    """
    calls, _ = _use(key, NOTIFY)
    if not notify_filter or notify_filter & ~_FILTERS or (asynchronous and event is None):
        raise WinError(Error.INVALID_PARAMETER, NOTIFY)
    if event is not None:
        expect(EventObject, event, NOTIFY)
    watch = Watch(calls.another, (key.name,), lossless=True)
    key.watches.append(watch)

    try:
        key.use(NOTIFY)  # Another thread may have closed it meanwhile.
        watch.begin()
    except WinError:
        key.watches.remove(watch)
        raise

    def wait() -> None:
        try:
            with watch:
                for change in watch:
                    if change.gap or change.kind in ("parameters", "deleted"):
                        return
        finally:
            key.watches.remove(watch)
            if event is not None:
                SetEvent(event)

    def wait_aside() -> None:
        with suppress(WinError):  # The server refuses the caller from now on: who looks will see.
            wait()

    if asynchronous:
        Thread(target=wait_aside, name=NOTIFY, daemon=True).start()
    else:
        wait()


def RegCloseKey(key: StateKey) -> None:
    """Close it; what is waited for ends, with its event set. 6 when it is closed already."""
    expect(StateKey, key, "RegCloseKey")
    if key.is_closed:
        raise WinError(Error.INVALID_HANDLE, "RegCloseKey")
    key.is_closed = True
    for watch in list(key.watches):
        watch.close()
