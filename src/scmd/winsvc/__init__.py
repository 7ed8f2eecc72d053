"""winsvc.h for Python: the Win32 functions and constants that services and SCPs use.

The service half (StartServiceCtrlDispatcher, RegisterServiceCtrlHandler(Ex), SetServiceStatus)
speaks to the SCM that started this process. The half for service control programs is in
`scmd.client`, most of it in `functions`, and loads when first used, so that a service that needs
none of it does not import a client. Every function raises `error` with `winerror`, `funcname` and
`strerror`; arguments and results are Python's own.

All names are imported from here, those that `constants` and `error_codes` define as well.
"""

from __future__ import annotations

from scmd.sdk.process import RegisterServiceCtrlHandler as RegisterServiceCtrlHandler
from scmd.sdk.process import RegisterServiceCtrlHandlerEx as RegisterServiceCtrlHandlerEx
from scmd.sdk.process import SetServiceStatus as SetServiceStatus
from scmd.sdk.process import StartServiceCtrlDispatcher as StartServiceCtrlDispatcher
from scmd.vocabulary.status import ServiceStatus as ServiceStatus
from scmd.vocabulary.winerror import WinError as WinError
from scmd.winsvc.constants import *  # noqa: F403 # all that it defines are names of winsvc.h
from scmd.winsvc.error_codes import *  # noqa: F403 # all that it defines are names of winerror.h

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.administration_functions import (
        LockServiceDatabase as LockServiceDatabase,
    )
    from scmd.client.administration_functions import (
        NotifyBootConfigStatus as NotifyBootConfigStatus,
    )
    from scmd.client.administration_functions import (
        QueryServiceLockStatus as QueryServiceLockStatus,
    )
    from scmd.client.administration_functions import (
        QueryServiceObjectSecurity as QueryServiceObjectSecurity,
    )
    from scmd.client.administration_functions import (
        SetServiceObjectSecurity as SetServiceObjectSecurity,
    )
    from scmd.client.administration_functions import (
        UnlockServiceDatabase as UnlockServiceDatabase,
    )
    from scmd.client.apc import CreateEvent as CreateEvent
    from scmd.client.apc import EventObject as EventObject
    from scmd.client.apc import ResetEvent as ResetEvent
    from scmd.client.apc import SetEvent as SetEvent
    from scmd.client.apc import SleepEx as SleepEx
    from scmd.client.apc import WaitForSingleObject as WaitForSingleObject
    from scmd.client.apc import WaitForSingleObjectEx as WaitForSingleObjectEx
    from scmd.client.functions import ChangeServiceConfig as ChangeServiceConfig
    from scmd.client.functions import ChangeServiceConfig2 as ChangeServiceConfig2
    from scmd.client.functions import CloseServiceHandle as CloseServiceHandle
    from scmd.client.functions import ControlService as ControlService
    from scmd.client.functions import ControlServiceEx as ControlServiceEx
    from scmd.client.functions import CreateService as CreateService
    from scmd.client.functions import DeleteService as DeleteService
    from scmd.client.functions import EnumDependentServices as EnumDependentServices
    from scmd.client.functions import EnumServicesStatus as EnumServicesStatus
    from scmd.client.functions import EnumServicesStatusEx as EnumServicesStatusEx
    from scmd.client.functions import GetServiceDisplayName as GetServiceDisplayName
    from scmd.client.functions import GetServiceKeyName as GetServiceKeyName
    from scmd.client.functions import OpenSCManager as OpenSCManager
    from scmd.client.functions import OpenService as OpenService
    from scmd.client.functions import QueryServiceConfig as QueryServiceConfig
    from scmd.client.functions import QueryServiceConfig2 as QueryServiceConfig2
    from scmd.client.functions import QueryServiceStatus as QueryServiceStatus
    from scmd.client.functions import QueryServiceStatusEx as QueryServiceStatusEx
    from scmd.client.functions import StartService as StartService
    from scmd.client.notifications import NotifyServiceStatusChange as NotifyServiceStatusChange
    from scmd.client.notifications import ServiceNotify as ServiceNotify
    from scmd.client.state_keys import GetServiceRegistryStateKey as GetServiceRegistryStateKey
    from scmd.client.state_keys import RegCloseKey as RegCloseKey
    from scmd.client.state_keys import RegDeleteValue as RegDeleteValue
    from scmd.client.state_keys import RegNotifyChangeKeyValue as RegNotifyChangeKeyValue
    from scmd.client.state_keys import RegQueryValueEx as RegQueryValueEx
    from scmd.client.state_keys import RegSetValueEx as RegSetValueEx
    from scmd.client.state_keys import StateKey as StateKey
    from scmd.client.subscriptions import (
        SubscribeServiceChangeNotifications as SubscribeServiceChangeNotifications,
    )
    from scmd.client.subscriptions import Subscription as Subscription
    from scmd.client.subscriptions import (
        UnsubscribeServiceChangeNotifications as UnsubscribeServiceChangeNotifications,
    )
    from scmd.client.subscriptions import WaitServiceState as WaitServiceState

error = WinError

_CLIENT = (
    "ChangeServiceConfig",
    "ChangeServiceConfig2",
    "CloseServiceHandle",
    "ControlService",
    "ControlServiceEx",
    "CreateService",
    "DeleteService",
    "EnumDependentServices",
    "EnumServicesStatus",
    "EnumServicesStatusEx",
    "GetServiceDisplayName",
    "GetServiceKeyName",
    "OpenSCManager",
    "OpenService",
    "QueryServiceConfig",
    "QueryServiceConfig2",
    "QueryServiceStatus",
    "QueryServiceStatusEx",
    "StartService",
)

_ADMINISTRATION = (
    "LockServiceDatabase",
    "NotifyBootConfigStatus",
    "QueryServiceLockStatus",
    "QueryServiceObjectSecurity",
    "SetServiceObjectSecurity",
    "UnlockServiceDatabase",
)
_NOTIFICATIONS = ("NotifyServiceStatusChange", "ServiceNotify")
_WAITING = (
    "CreateEvent",
    "EventObject",
    "ResetEvent",
    "SetEvent",
    "SleepEx",
    "WaitForSingleObject",
    "WaitForSingleObjectEx",
)
_STATE_KEYS = (
    "GetServiceRegistryStateKey",
    "RegCloseKey",
    "RegDeleteValue",
    "RegNotifyChangeKeyValue",
    "RegQueryValueEx",
    "RegSetValueEx",
    "StateKey",
)
_SUBSCRIPTIONS = (
    "SubscribeServiceChangeNotifications",
    "Subscription",
    "UnsubscribeServiceChangeNotifications",
    "WaitServiceState",
)
_PLACES = {
    **dict.fromkeys(_CLIENT, "scmd.client.functions"),
    **dict.fromkeys(_ADMINISTRATION, "scmd.client.administration_functions"),
    **dict.fromkeys(_NOTIFICATIONS, "scmd.client.notifications"),
    **dict.fromkeys(_WAITING, "scmd.client.apc"),
    **dict.fromkeys(_STATE_KEYS, "scmd.client.state_keys"),
    **dict.fromkeys(_SUBSCRIPTIONS, "scmd.client.subscriptions"),
}


_OURS = {"TYPE_CHECKING", "annotations", "constants", "error_codes"}
__all__ = sorted(name for name in {*globals(), *_PLACES} - _OURS if name[0] != "_")


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'scmd.winsvc' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
