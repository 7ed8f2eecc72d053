"""winsvc.h for Python: the Win32 functions and constants that services and SCPs use.

The service half (StartServiceCtrlDispatcher, RegisterServiceCtrlHandler(Ex), SetServiceStatus)
speaks to the SCM that started this process. The half for service control programs is in
`scmd.client`, most of it in `functions`, and loads when first used, so that a service that needs
none of it does not import a client. Every function raises `error` with `winerror`,
`funcname` and `strerror`; arguments and results are Python's own.
"""

from __future__ import annotations

from scmd.sdk.process import RegisterServiceCtrlHandler as RegisterServiceCtrlHandler
from scmd.sdk.process import RegisterServiceCtrlHandlerEx as RegisterServiceCtrlHandlerEx
from scmd.sdk.process import SetServiceStatus as SetServiceStatus
from scmd.sdk.process import StartServiceCtrlDispatcher as StartServiceCtrlDispatcher
from scmd.vocabulary.status import ServiceStatus as ServiceStatus
from scmd.vocabulary.winerror import WinError as WinError

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

# dwServiceType
SERVICE_KERNEL_DRIVER = 0x001
SERVICE_FILE_SYSTEM_DRIVER = 0x002
SERVICE_ADAPTER = 0x004
SERVICE_RECOGNIZER_DRIVER = 0x008
SERVICE_WIN32_OWN_PROCESS = 0x010
SERVICE_WIN32_SHARE_PROCESS = 0x020
SERVICE_USER_SERVICE = 0x040
SERVICE_USERSERVICE_INSTANCE = 0x080
SERVICE_INTERACTIVE_PROCESS = 0x100
SERVICE_PKG_SERVICE = 0x200
SERVICE_DRIVER = 0x00B
SERVICE_WIN32 = 0x030

# dwStartType
SERVICE_BOOT_START = 0
SERVICE_SYSTEM_START = 1
SERVICE_AUTO_START = 2
SERVICE_DEMAND_START = 3
SERVICE_DISABLED = 4

# dwErrorControl
SERVICE_ERROR_IGNORE = 0
SERVICE_ERROR_NORMAL = 1
SERVICE_ERROR_SEVERE = 2
SERVICE_ERROR_CRITICAL = 3

# dwCurrentState
SERVICE_STOPPED = 1
SERVICE_START_PENDING = 2
SERVICE_STOP_PENDING = 3
SERVICE_RUNNING = 4
SERVICE_CONTINUE_PENDING = 5
SERVICE_PAUSE_PENDING = 6
SERVICE_PAUSED = 7

# dwServiceState of an enumeration
SERVICE_ACTIVE = 0x1
SERVICE_INACTIVE = 0x2
SERVICE_STATE_ALL = 0x3

# Controls
SERVICE_CONTROL_STOP = 1
SERVICE_CONTROL_PAUSE = 2
SERVICE_CONTROL_CONTINUE = 3
SERVICE_CONTROL_INTERROGATE = 4
SERVICE_CONTROL_SHUTDOWN = 5
SERVICE_CONTROL_PARAMCHANGE = 6
SERVICE_CONTROL_NETBINDADD = 7
SERVICE_CONTROL_NETBINDREMOVE = 8
SERVICE_CONTROL_NETBINDENABLE = 9
SERVICE_CONTROL_NETBINDDISABLE = 10
SERVICE_CONTROL_DEVICEEVENT = 11
SERVICE_CONTROL_HARDWAREPROFILECHANGE = 12
SERVICE_CONTROL_POWEREVENT = 13
SERVICE_CONTROL_SESSIONCHANGE = 14
SERVICE_CONTROL_PRESHUTDOWN = 15
SERVICE_CONTROL_TIMECHANGE = 16
SERVICE_CONTROL_USER_LOGOFF = 17
SERVICE_CONTROL_TRIGGEREVENT = 32
SERVICE_CONTROL_LOWRESOURCES = 96
SERVICE_CONTROL_SYSTEMLOWRESOURCES = 97

# dwReason of ControlServiceEx: one flag, one major and one minor code
SERVICE_STOP_REASON_FLAG_UNPLANNED = 0x10000000
SERVICE_STOP_REASON_FLAG_CUSTOM = 0x20000000
SERVICE_STOP_REASON_FLAG_PLANNED = 0x40000000
SERVICE_STOP_REASON_MAJOR_OTHER = 0x00010000
SERVICE_STOP_REASON_MAJOR_HARDWARE = 0x00020000
SERVICE_STOP_REASON_MAJOR_OPERATINGSYSTEM = 0x00030000
SERVICE_STOP_REASON_MAJOR_SOFTWARE = 0x00040000
SERVICE_STOP_REASON_MAJOR_APPLICATION = 0x00050000
SERVICE_STOP_REASON_MAJOR_NONE = 0x00060000
SERVICE_STOP_REASON_MAJOR_MIN_CUSTOM = 0x00400000
SERVICE_STOP_REASON_MAJOR_MAX_CUSTOM = 0x00FF0000
SERVICE_STOP_REASON_MINOR_OTHER = 0x00000001
SERVICE_STOP_REASON_MINOR_MAINTENANCE = 0x00000002
SERVICE_STOP_REASON_MINOR_INSTALLATION = 0x00000003
SERVICE_STOP_REASON_MINOR_UPGRADE = 0x00000004
SERVICE_STOP_REASON_MINOR_RECONFIG = 0x00000005
SERVICE_STOP_REASON_MINOR_HUNG = 0x00000006
SERVICE_STOP_REASON_MINOR_UNSTABLE = 0x00000007
SERVICE_STOP_REASON_MINOR_DISK = 0x00000008
SERVICE_STOP_REASON_MINOR_NETWORKCARD = 0x00000009
SERVICE_STOP_REASON_MINOR_ENVIRONMENT = 0x0000000A
SERVICE_STOP_REASON_MINOR_HARDWARE_DRIVER = 0x0000000B
SERVICE_STOP_REASON_MINOR_OTHERDRIVER = 0x0000000C
SERVICE_STOP_REASON_MINOR_SERVICEPACK = 0x0000000D
SERVICE_STOP_REASON_MINOR_SOFTWARE_UPDATE = 0x0000000E
SERVICE_STOP_REASON_MINOR_SECURITYFIX = 0x0000000F
SERVICE_STOP_REASON_MINOR_SECURITY = 0x00000010
SERVICE_STOP_REASON_MINOR_NETWORK_CONNECTIVITY = 0x00000011
SERVICE_STOP_REASON_MINOR_WMI = 0x00000012
SERVICE_STOP_REASON_MINOR_SERVICEPACK_UNINSTALL = 0x00000013
SERVICE_STOP_REASON_MINOR_SOFTWARE_UPDATE_UNINSTALL = 0x00000014
SERVICE_STOP_REASON_MINOR_SECURITYFIX_UNINSTALL = 0x00000015
SERVICE_STOP_REASON_MINOR_MMC = 0x00000016
SERVICE_STOP_REASON_MINOR_NONE = 0x00000017
SERVICE_STOP_REASON_MINOR_MIN_CUSTOM = 0x00000100
SERVICE_STOP_REASON_MINOR_MAX_CUSTOM = 0x0000FFFF

# dwControlsAccepted
SERVICE_ACCEPT_STOP = 0x0001
SERVICE_ACCEPT_PAUSE_CONTINUE = 0x0002
SERVICE_ACCEPT_SHUTDOWN = 0x0004
SERVICE_ACCEPT_PARAMCHANGE = 0x0008
SERVICE_ACCEPT_NETBINDCHANGE = 0x0010
SERVICE_ACCEPT_HARDWAREPROFILECHANGE = 0x0020
SERVICE_ACCEPT_POWEREVENT = 0x0040
SERVICE_ACCEPT_SESSIONCHANGE = 0x0080
SERVICE_ACCEPT_PRESHUTDOWN = 0x0100
SERVICE_ACCEPT_TIMECHANGE = 0x0200
SERVICE_ACCEPT_TRIGGEREVENT = 0x0400
SERVICE_ACCEPT_USER_LOGOFF = 0x0800
SERVICE_ACCEPT_LOWRESOURCES = 0x2000
SERVICE_ACCEPT_SYSTEMLOWRESOURCES = 0x4000

# Standard and generic rights
DELETE = 0x0001_0000
READ_CONTROL = 0x0002_0000
WRITE_DAC = 0x0004_0000
WRITE_OWNER = 0x0008_0000
ACCESS_SYSTEM_SECURITY = 0x0100_0000
MAXIMUM_ALLOWED = 0x0200_0000
GENERIC_ALL = 0x1000_0000
GENERIC_EXECUTE = 0x2000_0000
GENERIC_WRITE = 0x4000_0000
GENERIC_READ = 0x8000_0000

# Rights on the SCM
SC_MANAGER_CONNECT = 0x0001
SC_MANAGER_CREATE_SERVICE = 0x0002
SC_MANAGER_ENUMERATE_SERVICE = 0x0004
SC_MANAGER_LOCK = 0x0008
SC_MANAGER_QUERY_LOCK_STATUS = 0x0010
SC_MANAGER_MODIFY_BOOT_CONFIG = 0x0020
SC_MANAGER_ALL_ACCESS = 0x000F_003F

# Rights on a service
SERVICE_QUERY_CONFIG = 0x0001
SERVICE_CHANGE_CONFIG = 0x0002
SERVICE_QUERY_STATUS = 0x0004
SERVICE_ENUMERATE_DEPENDENTS = 0x0008
SERVICE_START = 0x0010
SERVICE_STOP = 0x0020
SERVICE_PAUSE_CONTINUE = 0x0040
SERVICE_INTERROGATE = 0x0080
SERVICE_USER_DEFINED_CONTROL = 0x0100
SERVICE_SET_STATUS = 0x8000
SERVICE_ALL_ACCESS = 0x000F_01FF

# dwInfoLevel of ChangeServiceConfig2 and QueryServiceConfig2
SERVICE_CONFIG_DESCRIPTION = 1
SERVICE_CONFIG_FAILURE_ACTIONS = 2
SERVICE_CONFIG_DELAYED_AUTO_START_INFO = 3
SERVICE_CONFIG_FAILURE_ACTIONS_FLAG = 4
SERVICE_CONFIG_SERVICE_SID_INFO = 5
SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO = 6
SERVICE_CONFIG_PRESHUTDOWN_INFO = 7
SERVICE_CONFIG_TRIGGER_INFO = 8
SERVICE_CONFIG_PREFERRED_NODE = 9
SERVICE_CONFIG_RUNLEVEL_INFO = 10
SERVICE_CONFIG_MANAGED_ACCOUNT_INFO = 11
SERVICE_CONFIG_LAUNCH_PROTECTED = 12

# SECURITY_INFORMATION
OWNER_SECURITY_INFORMATION = 0x01
GROUP_SECURITY_INFORMATION = 0x02
DACL_SECURITY_INFORMATION = 0x04
SACL_SECURITY_INFORMATION = 0x08
LABEL_SECURITY_INFORMATION = 0x10

# dwLaunchProtected
SERVICE_LAUNCH_PROTECTED_NONE = 0
SERVICE_LAUNCH_PROTECTED_WINDOWS = 1
SERVICE_LAUNCH_PROTECTED_WINDOWS_LIGHT = 2
SERVICE_LAUNCH_PROTECTED_ANTIMALWARE_LIGHT = 3

# SC_ACTION_TYPE
SC_ACTION_NONE = 0
SC_ACTION_RESTART = 1
SC_ACTION_REBOOT = 2
SC_ACTION_RUN_COMMAND = 3
SC_ACTION_OWN_RESTART = 4

# dwServiceSidType
SERVICE_SID_TYPE_NONE = 0
SERVICE_SID_TYPE_UNRESTRICTED = 1
SERVICE_SID_TYPE_RESTRICTED = 3

# dwNotifyMask
SERVICE_NOTIFY_STOPPED = 0x001
SERVICE_NOTIFY_START_PENDING = 0x002
SERVICE_NOTIFY_STOP_PENDING = 0x004
SERVICE_NOTIFY_RUNNING = 0x008
SERVICE_NOTIFY_CONTINUE_PENDING = 0x010
SERVICE_NOTIFY_PAUSE_PENDING = 0x020
SERVICE_NOTIFY_PAUSED = 0x040
SERVICE_NOTIFY_CREATED = 0x080
SERVICE_NOTIFY_DELETED = 0x100
SERVICE_NOTIFY_DELETE_PENDING = 0x200

# SC_EVENT_TYPE
SC_EVENT_DATABASE_CHANGE = 0
SC_EVENT_PROPERTY_CHANGE = 1
SC_EVENT_STATUS_CHANGE = 2

# GetServiceRegistryStateKey and RegNotifyChangeKeyValue
ServiceRegistryStateParameters = 0
REG_NOTIFY_CHANGE_NAME = 1
REG_NOTIFY_CHANGE_ATTRIBUTES = 2
REG_NOTIFY_CHANGE_LAST_SET = 4
REG_NOTIFY_CHANGE_SECURITY = 8
REG_SZ = 1
REG_EXPAND_SZ = 2
REG_BINARY = 3
REG_DWORD = 4
REG_MULTI_SZ = 7
REG_QWORD = 11

# Results of waiting
WAIT_OBJECT_0 = 0
WAIT_IO_COMPLETION = 0xC0

# Others
NO_ERROR = 0
SERVICE_NO_CHANGE = 0xFFFF_FFFF
INFINITE = 0xFFFF_FFFF
SC_ENUM_PROCESS_INFO = 0
SC_STATUS_PROCESS_INFO = 0
SERVICE_RUNS_IN_SYSTEM_PROCESS = 1
SC_GROUP_IDENTIFIER = "+"
SERVICES_ACTIVE_DATABASE = "ServicesActive"
SERVICES_FAILED_DATABASE = "ServicesFailed"
EVENTLOG_ERROR_TYPE = 1
EVENTLOG_WARNING_TYPE = 2
EVENTLOG_INFORMATION_TYPE = 4

# Errors
ERROR_SUCCESS = 0
ERROR_FILE_NOT_FOUND = 2
ERROR_PATH_NOT_FOUND = 3
ERROR_ACCESS_DENIED = 5
ERROR_INVALID_HANDLE = 6
ERROR_NOT_ENOUGH_MEMORY = 8
ERROR_INVALID_DATA = 13
ERROR_WRITE_FAULT = 29
ERROR_READ_FAULT = 30
ERROR_NOT_SUPPORTED = 50
ERROR_INVALID_PARAMETER = 87
ERROR_DISK_FULL = 112
ERROR_CALL_NOT_IMPLEMENTED = 120
ERROR_INSUFFICIENT_BUFFER = 122
ERROR_INVALID_NAME = 123
ERROR_INVALID_LEVEL = 124
ERROR_BAD_EXE_FORMAT = 193
ERROR_NO_DATA = 232
ERROR_MORE_DATA = 234
WAIT_TIMEOUT = 258
ERROR_NO_MORE_ITEMS = 259
ERROR_DIRECTORY = 267
ERROR_DEPENDENT_SERVICES_RUNNING = 1051
ERROR_INVALID_SERVICE_CONTROL = 1052
ERROR_SERVICE_REQUEST_TIMEOUT = 1053
ERROR_SERVICE_NO_THREAD = 1054
ERROR_SERVICE_DATABASE_LOCKED = 1055
ERROR_SERVICE_ALREADY_RUNNING = 1056
ERROR_INVALID_SERVICE_ACCOUNT = 1057
ERROR_SERVICE_DISABLED = 1058
ERROR_CIRCULAR_DEPENDENCY = 1059
ERROR_SERVICE_DOES_NOT_EXIST = 1060
ERROR_SERVICE_CANNOT_ACCEPT_CTRL = 1061
ERROR_SERVICE_NOT_ACTIVE = 1062
ERROR_FAILED_SERVICE_CONTROLLER_CONNECT = 1063
ERROR_EXCEPTION_IN_SERVICE = 1064
ERROR_DATABASE_DOES_NOT_EXIST = 1065
ERROR_SERVICE_SPECIFIC_ERROR = 1066
ERROR_PROCESS_ABORTED = 1067
ERROR_SERVICE_DEPENDENCY_FAIL = 1068
ERROR_SERVICE_LOGON_FAILED = 1069
ERROR_SERVICE_START_HANG = 1070
ERROR_INVALID_SERVICE_LOCK = 1071
ERROR_SERVICE_MARKED_FOR_DELETE = 1072
ERROR_SERVICE_EXISTS = 1073
ERROR_ALREADY_RUNNING_LKG = 1074
ERROR_SERVICE_DEPENDENCY_DELETED = 1075
ERROR_BOOT_ALREADY_ACCEPTED = 1076
ERROR_SERVICE_NEVER_STARTED = 1077
ERROR_DUPLICATE_SERVICE_NAME = 1078
ERROR_DIFFERENT_SERVICE_ACCOUNT = 1079
ERROR_CANNOT_DETECT_DRIVER_FAILURE = 1080
ERROR_CANNOT_DETECT_PROCESS_ABORT = 1081
ERROR_NO_RECOVERY_PROGRAM = 1082
ERROR_SERVICE_NOT_IN_EXE = 1083
ERROR_NOT_SAFEBOOT_SERVICE = 1084
ERROR_SHUTDOWN_IN_PROGRESS = 1115
ERROR_CANCELLED = 1223
ERROR_REQUEST_ABORTED = 1235
ERROR_ALREADY_REGISTERED = 1242
ERROR_SERVICE_NOTIFY_CLIENT_LAGGING = 1294
ERROR_INCOMPATIBLE_SERVICE_PRIVILEGE = 1297
ERROR_INVALID_SECURITY_DESCR = 1338
ERROR_TIMEOUT = 1460
ERROR_INVALID_COMMAND_LINE = 1639
RPC_S_SERVER_UNAVAILABLE = 1722
RPC_S_CALL_FAILED = 1726
RPC_S_PROCNUM_OUT_OF_RANGE = 1745
RPC_X_BAD_STUB_DATA = 1783

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


_OURS = {"TYPE_CHECKING", "annotations"}
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
