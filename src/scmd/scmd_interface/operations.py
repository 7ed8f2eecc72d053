"""The scmd interface: what [MS-SCMR] lacks, declared in the same language.

Context handles are svcctl's, opened there on the same association. Every response ends with
`error`, a Win32 result. `docs/scmd-interface.md` describes it for other languages.
"""

from __future__ import annotations

from scmd.ndr.structure import Structure
from scmd.ndr.types import (
    DWORD,
    HANDLE,
    HYPER,
    Annotated,
    Array,
    Bytes,
    Integer,
    SizeOf,
    Struct,
    Text,
    Unique,
)
from scmd.rpc.interface import Interface
from scmd.scmd_interface.feed import WaitForChangesRequest, WaitForChangesResponse
from scmd.vocabulary.service import MAX_ACTIONS

SCMD = Interface("scmd", "97a066fd-bdad-48f4-90f7-529328ef19c3", 1, 9)

MAX_PARAMETERS = 4096
MAX_PARAMETER_NAME = 1024
"""UTF-16 units with the NUL."""
MAX_PARAMETER_BYTES = 1_048_576
MAX_DETAIL = 1024
"""UTF-16 units with the NUL."""
MAX_IMAGE_PATH = 32_768
MAX_DESCRIPTION = 8193
"""UTF-16 units with the NUL."""
MAX_LOG_BYTES = 65_536
MAX_JSON_BYTES = 1_048_576
MAX_EVENTS = 65_536
MAX_EVENT_STRINGS = 256
MAX_CRASH_AGE = 1000
LOG_END = 0xFFFF_FFFF_FFFF_FFFF
"""A log position: the last `count` bytes."""
LATEST_EVENTS = 0xFFFF_FFFF_FFFF_FFFF
"""For `after`: the last `count` events."""

ParameterName = Annotated[str | None, Unique(Text(MAX_PARAMETER_NAME))]
ParameterData = Annotated[bytes | None, Unique(Bytes(MAX_PARAMETER_BYTES))]
Json = Annotated[bytes, Bytes(MAX_JSON_BYTES)]


class EmptyRequest(Structure):
    """No parameters at all."""


class ServiceRequest(Structure):
    """A service's handle and nothing else."""

    service: HANDLE


class ScmRequest(Structure):
    """The SCM's handle and nothing else."""

    scm: HANDLE


class ErrorResponse(Structure):
    """0 or why not."""

    error: DWORD


class JsonResponse(Structure):
    """A document in UTF-8, or empty: what it holds stands with the operation."""

    document: Json = b""
    error: DWORD


class CheckedResponse(Structure):
    """`detail`: with an error, perhaps, what was wrong and what was expected."""

    detail: Annotated[str | None, Unique(Text(MAX_DETAIL))] = None
    error: DWORD


class Parameter(Structure):
    """One value: a registry type and its data; see `parameters`."""

    name: ParameterName
    type: DWORD
    size: Annotated[int, SizeOf("data", MAX_PARAMETER_BYTES)] = 0
    data: ParameterData = None


ParameterList = Annotated[
    tuple[Parameter, ...] | None, Unique(Array(Struct(Parameter), MAX_PARAMETERS))
]


class QueryParametersResponse(Structure):
    count: Annotated[int, SizeOf("parameters", MAX_PARAMETERS)] = 0
    parameters: ParameterList = None
    error: DWORD


class ParameterChange(Structure):
    """`delete` nonzero removes the value; type and data then mean nothing."""

    name: ParameterName
    delete: DWORD = 0
    type: DWORD = 0
    size: Annotated[int, SizeOf("data", MAX_PARAMETER_BYTES)] = 0
    data: ParameterData = None


ParameterChanges = Annotated[
    tuple[ParameterChange, ...] | None, Unique(Array(Struct(ParameterChange), MAX_PARAMETERS))
]


class SetParametersRequest(Structure):
    """All of the changes or none. Needs SERVICE_CHANGE_CONFIG."""

    service: HANDLE
    count: Annotated[int, SizeOf("changes", MAX_PARAMETERS)] = 0
    changes: ParameterChanges = None


class ReadLogRequest(Structure):
    """`position` is 0, LOG_END, or from an earlier answer. Needs SERVICE_START."""

    service: HANDLE
    position: HYPER
    count: Annotated[int, Integer(4, 0, MAX_LOG_BYTES)]


class ReadLogResponse(Structure):
    """`start` is the beginning of what is kept when rotation dropped what was asked for."""

    start: HYPER
    data: Annotated[bytes, Bytes(MAX_LOG_BYTES)]
    next_position: HYPER
    error: DWORD


class ReadEventsRequest(Structure):
    """Records with a number above `after`, oldest first. Needs SC_MANAGER_ENUMERATE_SERVICE."""

    scm: HANDLE
    after: HYPER
    count: Annotated[int, Integer(4, 0, MAX_EVENTS)]
    source: Annotated[str | None, Unique(Text(257))] = None


class ReadEventsResponse(Structure):
    """UTF-8 JSON, one object a line; `next` is the next request's `after`."""

    events: Json
    next: HYPER
    error: DWORD


class EventString(Structure):
    text: Annotated[str | None, Unique(Text(32768))]


class ReportEventRequest(Structure):
    """An event log entry of a program that is not a service. Needs SC_MANAGER_ALL_ACCESS."""

    scm: HANDLE
    source: Annotated[str, Text(257)]
    type: DWORD
    """1 error, 2 warning, 4 information."""
    event_id: DWORD
    string_count: Annotated[int, SizeOf("strings", MAX_EVENT_STRINGS)] = 0
    strings: Annotated[
        tuple[EventString, ...] | None, Unique(Array(Struct(EventString), MAX_EVENT_STRINGS))
    ] = None


class QueryVersionResponse(Structure):
    """The newest minor version the server speaks; it speaks all older ones too."""

    major: DWORD
    minor: DWORD
    error: DWORD


class QueryBootRequest(Structure):
    """Of records numbered above `after`. Needs SC_MANAGER_ENUMERATE_SERVICE."""

    scm: HANDLE
    after: DWORD


class QueryBootResponse(Structure):
    """UTF-8 JSON, one object a line; `next`: ask again with it as `after`; 0: that was all."""

    starts: Json
    next: DWORD
    error: DWORD


class ReadCrashRequest(Structure):
    """`age` 0 is the newest bundle. Needs SERVICE_START and SERVICE_QUERY_CONFIG."""

    service: HANDLE
    age: Annotated[int, Integer(4, 0, MAX_CRASH_AGE)] = 0


class SetSettingsRequest(Structure):
    """All of the changes or none. Needs SC_MANAGER_ALL_ACCESS."""

    scm: HANDLE
    count: Annotated[int, SizeOf("changes", MAX_PARAMETERS)] = 0
    changes: ParameterChanges = None


class PreparedAction(Structure):
    """One failure action: SC_ACTION_* and milliseconds."""

    type: DWORD
    delay: DWORD


class PrepareServiceRequest(Structure):
    """What the next service that is created with this handle is to have besides, in one step.

    Needs SC_MANAGER_CREATE_SERVICE. `image_path`: what the values are checked for.
    """

    scm: HANDLE
    image_path: Annotated[str | None, Unique(Text(MAX_IMAGE_PATH))] = None
    description: Annotated[str | None, Unique(Text(MAX_DESCRIPTION))] = None
    delayed: DWORD = 0
    failure_actions_flag: DWORD = 0
    reset_period: DWORD = 0
    """Seconds; without actions it means nothing."""
    action_count: Annotated[int, SizeOf("actions", MAX_ACTIONS)] = 0
    actions: Annotated[
        tuple[PreparedAction, ...] | None, Unique(Array(Struct(PreparedAction), MAX_ACTIONS))
    ] = None
    count: Annotated[int, SizeOf("values", MAX_PARAMETERS)] = 0
    values: ParameterList = None


QUERY_MANAGER_STATUS = SCMD.operation(0, "RQueryManagerStatus", EmptyRequest, JsonResponse)
"""keeper_pid, keeper_version, manager_pid, version, uptime_ms, counts, end_points."""
QUERY_PARAMETERS = SCMD.operation(1, "RQueryParameters", ServiceRequest, QueryParametersResponse)
"""Needs SERVICE_QUERY_CONFIG."""
SET_PARAMETERS = SCMD.operation(2, "RSetParameters", SetParametersRequest, CheckedResponse)
READ_LOG = SCMD.operation(3, "RReadLog", ReadLogRequest, ReadLogResponse)
READ_EVENTS = SCMD.operation(4, "RReadEvents", ReadEventsRequest, ReadEventsResponse)
REPORT_EVENT = SCMD.operation(5, "RReportEvent", ReportEventRequest, ErrorResponse)
QUERY_VERSION = SCMD.operation(6, "RQueryVersion", EmptyRequest, QueryVersionResponse)
QUERY_BOOT = SCMD.operation(7, "RQueryBoot", QueryBootRequest, QueryBootResponse)
REPLACE_MANAGER = SCMD.operation(8, "RReplaceManager", ScmRequest, ErrorResponse)
"""Needs SC_MANAGER_ALL_ACCESS. With 0 the connection ends soon; the next manager answers at
the same place."""
QUERY_RECOVERY = SCMD.operation(9, "RQueryRecovery", ServiceRequest, JsonResponse)
"""Needs SERVICE_QUERY_STATUS. failures, failed, pending_action, due_in_ms, schedule."""
READ_HISTORY = SCMD.operation(10, "RReadHistory", ServiceRequest, JsonResponse)
"""Needs SERVICE_QUERY_STATUS. One transition a line, oldest first."""
EXPLAIN = SCMD.operation(11, "RExplain", ServiceRequest, JsonResponse)
"""Needs SERVICE_QUERY_STATUS. What the SCM knows about why the service is in its state."""
READ_CRASH = SCMD.operation(12, "RReadCrash", ReadCrashRequest, JsonResponse)
"""Empty when there is no such bundle."""
KILL_SERVICE = SCMD.operation(13, "RKillService", ServiceRequest, ErrorResponse)
"""Needs SERVICE_STOP."""
QUERY_USAGE = SCMD.operation(14, "RQueryUsage", ServiceRequest, JsonResponse)
"""Needs SERVICE_QUERY_STATUS. processes, cpu_ms, memory_bytes."""
QUERY_SETTINGS = SCMD.operation(15, "RQuerySettings", ScmRequest, JsonResponse)
"""Needs SC_MANAGER_ENUMERATE_SERVICE. One value a line: name, value, default, unit, meaning."""
SET_SETTINGS = SCMD.operation(16, "RSetSettings", SetSettingsRequest, CheckedResponse)
PREPARE_SERVICE = SCMD.operation(17, "RPrepareService", PrepareServiceRequest, CheckedResponse)
WAIT_FOR_CHANGES = SCMD.operation(
    20, "RWaitForChanges", WaitForChangesRequest, WaitForChangesResponse
)
