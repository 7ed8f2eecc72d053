"""Win32 error codes: the numbers every layer speaks; their texts load on demand."""

from __future__ import annotations

from enum import IntEnum


class Error(IntEnum):
    """ERROR_* of winerror.h, as far as the service API uses them ([MS-ERREF] 2.2)."""

    SUCCESS = 0
    FILE_NOT_FOUND = 2
    PATH_NOT_FOUND = 3
    ACCESS_DENIED = 5
    INVALID_HANDLE = 6
    NOT_ENOUGH_MEMORY = 8
    INVALID_DATA = 13
    WRITE_FAULT = 29
    READ_FAULT = 30
    NOT_SUPPORTED = 50
    INVALID_PARAMETER = 87
    DISK_FULL = 112
    CALL_NOT_IMPLEMENTED = 120
    INSUFFICIENT_BUFFER = 122
    INVALID_NAME = 123
    INVALID_LEVEL = 124
    BAD_EXE_FORMAT = 193
    NO_DATA = 232
    MORE_DATA = 234
    WAIT_TIMEOUT = 258
    NO_MORE_ITEMS = 259
    DIRECTORY = 267
    DEPENDENT_SERVICES_RUNNING = 1051
    INVALID_SERVICE_CONTROL = 1052
    SERVICE_REQUEST_TIMEOUT = 1053
    SERVICE_NO_THREAD = 1054
    SERVICE_DATABASE_LOCKED = 1055
    SERVICE_ALREADY_RUNNING = 1056
    INVALID_SERVICE_ACCOUNT = 1057
    SERVICE_DISABLED = 1058
    CIRCULAR_DEPENDENCY = 1059
    SERVICE_DOES_NOT_EXIST = 1060
    SERVICE_CANNOT_ACCEPT_CTRL = 1061
    SERVICE_NOT_ACTIVE = 1062
    FAILED_SERVICE_CONTROLLER_CONNECT = 1063
    EXCEPTION_IN_SERVICE = 1064
    DATABASE_DOES_NOT_EXIST = 1065
    SERVICE_SPECIFIC_ERROR = 1066
    PROCESS_ABORTED = 1067
    SERVICE_DEPENDENCY_FAIL = 1068
    SERVICE_LOGON_FAILED = 1069
    SERVICE_START_HANG = 1070
    INVALID_SERVICE_LOCK = 1071
    SERVICE_MARKED_FOR_DELETE = 1072
    SERVICE_EXISTS = 1073
    ALREADY_RUNNING_LKG = 1074
    SERVICE_DEPENDENCY_DELETED = 1075
    BOOT_ALREADY_ACCEPTED = 1076
    SERVICE_NEVER_STARTED = 1077
    DUPLICATE_SERVICE_NAME = 1078
    DIFFERENT_SERVICE_ACCOUNT = 1079
    CANNOT_DETECT_DRIVER_FAILURE = 1080
    CANNOT_DETECT_PROCESS_ABORT = 1081
    NO_RECOVERY_PROGRAM = 1082
    SERVICE_NOT_IN_EXE = 1083
    NOT_SAFEBOOT_SERVICE = 1084
    SHUTDOWN_IN_PROGRESS = 1115
    CANCELLED = 1223
    REQUEST_ABORTED = 1235
    ALREADY_REGISTERED = 1242
    SERVICE_NOTIFY_CLIENT_LAGGING = 1294
    INCOMPATIBLE_SERVICE_PRIVILEGE = 1297
    INVALID_SECURITY_DESCR = 1338
    TIMEOUT = 1460
    INVALID_COMMAND_LINE = 1639
    RPC_SERVER_UNAVAILABLE = 1722
    RPC_CALL_FAILED = 1726
    RPC_PROCNUM_OUT_OF_RANGE = 1745
    RPC_BAD_STUB_DATA = 1783

    @property
    def text(self) -> str:
        """The system message, as SC and NET print it."""
        return error_text(self)


class Refused(Exception):
    """A request that was refused, with the Win32 code the specification gives.

    Nothing has changed when it is raised. `detail` says more to a person, never to a program.
    """

    def __init__(self, error: Error, detail: str = "") -> None:
        super().__init__(error, detail)
        self.error = error
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.error.name} ({int(self.error)})" + (
            f": {self.detail}" if self.detail else ""
        )


def error_text(number: int) -> str:
    """The system message of a Win32 error; for a number without one, its decimal form."""
    from scmd.vocabulary.error_texts import TEXTS

    return TEXTS.get(number, f"Win32 error {number}.")
