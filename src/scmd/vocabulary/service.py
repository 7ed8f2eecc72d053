"""winsvc.h as enumerations: types, states, controls, access rights, limits.

Members lose the SERVICE_ and SC_ prefixes; the numbers are those of winsvc.h and
[MS-SCMR] 2.2 and 3.1.4. Nothing here decides anything.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NO_CHANGE = 0xFFFFFFFF
"""SERVICE_NO_CHANGE: keep the stored value ([MS-SCMR] 3.1.4.11)."""

INFINITE = 0xFFFFFFFF

LAST_HANDLE_CLOSED = 0xFFFF_75FD
HANDLE_CLOSED = 0xFFFF_75FE
"""Successes of RCloseServiceHandle, of a handle that RNotifyServiceStatusChange was called on: the
last one of its service, or not the last one ([MS-SCMR] 3.1.4.1)."""


class ServiceType(IntFlag):
    """SERVICE_STATUS.dwServiceType, [MS-SCMR] 2.2.47."""

    KERNEL_DRIVER = 0x001
    FILE_SYSTEM_DRIVER = 0x002
    ADAPTER = 0x004
    RECOGNIZER_DRIVER = 0x008
    WIN32_OWN_PROCESS = 0x010
    WIN32_SHARE_PROCESS = 0x020
    USER_SERVICE = 0x040
    USERSERVICE_INSTANCE = 0x080
    INTERACTIVE_PROCESS = 0x100
    PKG_SERVICE = 0x200
    DRIVER = 0x00B
    WIN32 = 0x030


class StartType(IntEnum):
    """dwStartType, [MS-SCMR] 2.2.15."""

    BOOT_START = 0
    SYSTEM_START = 1
    AUTO_START = 2
    DEMAND_START = 3
    DISABLED = 4


class ErrorControl(IntEnum):
    """dwErrorControl, [MS-SCMR] 2.2.15."""

    IGNORE = 0
    NORMAL = 1
    SEVERE = 2
    CRITICAL = 3


class ServiceState(IntEnum):
    """SERVICE_STATUS.dwCurrentState, [MS-SCMR] 2.2.47."""

    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    RUNNING = 4
    CONTINUE_PENDING = 5
    PAUSE_PENDING = 6
    PAUSED = 7


PENDING_STATES = (
    ServiceState.START_PENDING,
    ServiceState.STOP_PENDING,
    ServiceState.CONTINUE_PENDING,
    ServiceState.PAUSE_PENDING,
)


class StateMask(IntFlag):
    """Which states an enumeration asks for: dwServiceState, [MS-SCMR] 3.1.4.14."""

    ACTIVE = 1
    INACTIVE = 2
    ALL = 3


class Control(IntEnum):
    """Control codes a client or the SCM sends; 128 to 255 are the service's own."""

    STOP = 0x01
    PAUSE = 0x02
    CONTINUE = 0x03
    INTERROGATE = 0x04
    SHUTDOWN = 0x05
    PARAMCHANGE = 0x06
    NETBINDADD = 0x07
    NETBINDREMOVE = 0x08
    NETBINDENABLE = 0x09
    NETBINDDISABLE = 0x0A
    DEVICEEVENT = 0x0B
    HARDWAREPROFILECHANGE = 0x0C
    POWEREVENT = 0x0D
    SESSIONCHANGE = 0x0E
    PRESHUTDOWN = 0x0F
    TIMECHANGE = 0x10
    USER_LOGOFF = 0x11
    TRIGGEREVENT = 0x20
    LOWRESOURCES = 0x60
    SYSTEMLOWRESOURCES = 0x61


FIRST_USER_CONTROL = 128
LAST_USER_CONTROL = 255


class ControlsAccepted(IntFlag):
    """SERVICE_STATUS.dwControlsAccepted, [MS-SCMR] 2.2.47."""

    STOP = 0x0001
    PAUSE_CONTINUE = 0x0002
    SHUTDOWN = 0x0004
    PARAMCHANGE = 0x0008
    NETBINDCHANGE = 0x0010
    HARDWAREPROFILECHANGE = 0x0020
    POWEREVENT = 0x0040
    SESSIONCHANGE = 0x0080
    PRESHUTDOWN = 0x0100
    TIMECHANGE = 0x0200
    TRIGGEREVENT = 0x0400
    USER_LOGOFF = 0x0800
    LOWRESOURCES = 0x2000
    SYSTEMLOWRESOURCES = 0x4000


class StandardAccess(IntFlag):
    """Standard and generic rights, [MS-DTYP] 2.4.3."""

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


class ScmAccess(IntFlag):
    """SC_MANAGER_*: rights on the SCM, [MS-SCMR] 3.1.4."""

    CONNECT = 0x0001
    CREATE_SERVICE = 0x0002
    ENUMERATE_SERVICE = 0x0004
    LOCK = 0x0008
    QUERY_LOCK_STATUS = 0x0010
    MODIFY_BOOT_CONFIG = 0x0020
    ALL_ACCESS = 0xF003F


class ServiceAccess(IntFlag):
    """SERVICE_*: rights on a service, [MS-SCMR] 3.1.4."""

    QUERY_CONFIG = 0x0001
    CHANGE_CONFIG = 0x0002
    QUERY_STATUS = 0x0004
    ENUMERATE_DEPENDENTS = 0x0008
    START = 0x0010
    STOP = 0x0020
    PAUSE_CONTINUE = 0x0040
    INTERROGATE = 0x0080
    USER_DEFINED_CONTROL = 0x0100
    SET_STATUS = 0x8000
    DELETE = 0x0001_0000
    READ_CONTROL = 0x0002_0000
    WRITE_DAC = 0x0004_0000
    WRITE_OWNER = 0x0008_0000
    ALL_ACCESS = 0xF01FF


class SecurityInformation(IntFlag):
    """SECURITY_INFORMATION: which components of a security descriptor, [MS-SCMR] 3.1.4.5."""

    OWNER = 0x01
    GROUP = 0x02
    DACL = 0x04
    SACL = 0x08
    LABEL = 0x10


class ConfigLevel(IntEnum):
    """dwInfoLevel of ChangeServiceConfig2 and QueryServiceConfig2, [MS-SCMR] 3.1.4.35 and 37."""

    DESCRIPTION = 1
    FAILURE_ACTIONS = 2
    DELAYED_AUTO_START_INFO = 3
    FAILURE_ACTIONS_FLAG = 4
    SERVICE_SID_INFO = 5
    REQUIRED_PRIVILEGES_INFO = 6
    PRESHUTDOWN_INFO = 7
    TRIGGER_INFO = 8
    PREFERRED_NODE = 9
    RUNLEVEL_INFO = 10
    MANAGED_ACCOUNT_INFO = 11
    LAUNCH_PROTECTED = 12


class ActionType(IntEnum):
    """SC_ACTION_TYPE, [MS-SCMR] 2.2.18."""

    NONE = 0
    RESTART = 1
    REBOOT = 2
    RUN_COMMAND = 3


OWN_RESTART = 4
"""SC_ACTION_OWN_RESTART of winsvc.h; not in [MS-SCMR] 2.2.18: only other servers say it."""


class SidType(IntEnum):
    """SERVICE_SID_INFO.dwServiceSidType, [MS-SCMR] 2.2.46."""

    NONE = 0
    UNRESTRICTED = 1
    RESTRICTED = 3


class Protection(IntEnum):
    """SERVICE_LAUNCH_PROTECTED_INFO.dwLaunchProtected."""

    NONE = 0
    WINDOWS = 1
    WINDOWS_LIGHT = 2
    ANTIMALWARE_LIGHT = 3


class NotifyMask(IntFlag):
    """SERVICE_NOTIFY_*: dwNotifyMask, [MS-SCMR] 3.1.4.43."""

    STOPPED = 0x001
    START_PENDING = 0x002
    STOP_PENDING = 0x004
    RUNNING = 0x008
    CONTINUE_PENDING = 0x010
    PAUSE_PENDING = 0x020
    PAUSED = 0x040
    CREATED = 0x080
    DELETED = 0x100
    DELETE_PENDING = 0x200


STATE_BITS: Mapping[int, NotifyMask] = {
    state: NotifyMask(1 << (state - 1)) for state in ServiceState
}
"""The bit that reports a state: they are in the states' order."""

RUNS_IN_SYSTEM_PROCESS = 0x1
"""SERVICE_STATUS_PROCESS.dwServiceFlags."""

GROUP_PREFIX = "+"
"""SC_GROUP_IDENTIFIER: marks a dependency on a load-order group."""

MAX_NAME_UNITS = 256
"""Longest key, display, group name, in UTF-16 units without the NUL (SC_MAX_NAME_LENGTH - 1)."""
MAX_PATH_UNITS = 32767
MAX_ACCOUNT_UNITS = 2047
MAX_DEPENDENCIES_BYTES = 4096
"""SC_MAX_DEPEND_SIZE: the multi-string in UTF-16, both final NULs included."""
MAX_DESCRIPTION_UNITS = 8191
MAX_ARGUMENTS = 1024
MAX_ARGUMENT_UNITS = 1023
MAX_ACTIONS = 1024
MAX_PRIVILEGES_BYTES = 4096
MAX_COMMENT_UNITS = 127
