"""Running services: status, start, controls, enumerations, names.

Statuses are `vocabulary.status.ServiceStatus` on both sides: SERVICE_STATUS is its first
seven fields, SERVICE_STATUS_PROCESS all nine. Enumeration buffers are bytes here; see `buffers`.
"""

from __future__ import annotations

from scmd.ndr.structure import ANSI, Structure
from scmd.ndr.types import (
    DWORD,
    DWORD_8K,
    DWORD_256K,
    HANDLE,
    Annotated,
    Array,
    Buffer8K,
    Buffer256K,
    Dwords,
    Integer,
    NotSent,
    SizeOf,
    Struct,
    Text,
    Union,
    Unique,
)
from scmd.svcctl.interface import SVCCTL, ErrorResponse, Name, ServiceRequest, UniqueName
from scmd.vocabulary.status import ServiceStatus

SERVICE_STATUS = Annotated[ServiceStatus, Dwords(ServiceStatus, 7)]
"""28 bytes, [MS-SCMR] 2.2.47."""
SERVICE_STATUS_PROCESS = Annotated[ServiceStatus, Dwords(ServiceStatus, 9)]
"""36 bytes, [MS-SCMR] 2.2.49."""
ResumeIndex = Annotated[int | None, Unique(Integer(4, 0, 262_144))]


class StatusResponse(Structure):
    status: SERVICE_STATUS
    error: DWORD


class ControlServiceRequest(Structure):
    service: HANDLE
    control: DWORD


class SetServiceStatusRequest(Structure):
    service: HANDLE
    status: SERVICE_STATUS


class QueryServiceStatusExRequest(Structure):
    """Level 0 only: the buffer is a SERVICE_STATUS_PROCESS, 36 bytes."""

    service: HANDLE
    level: DWORD = 0
    buffer_size: DWORD_8K


class Query8KResponse(Structure):
    """A buffer of exactly the size asked for, and what was needed (clamped to 8192)."""

    buffer: Buffer8K
    bytes_needed: DWORD_8K
    error: DWORD


class Argument(Structure):
    """STRING_PTRSA and STRING_PTRSW, [MS-SCMR] 2.2.50 and 2.2.51."""

    text: Annotated[str | None, Unique(Text(1024))]


class StartServiceRequest(Structure):
    """By convention the first argument is the service name."""

    service: HANDLE
    argument_count: Annotated[int, SizeOf("arguments", 1024)] = 0
    arguments: Annotated[tuple[Argument, ...] | None, Unique(Array(Struct(Argument), 1024))] = None


class NameRequest(Structure):
    """RGetServiceDisplayName and RGetServiceKeyName; `buffer_size` in characters, no NUL."""

    scm: HANDLE
    name: Name
    buffer_size: DWORD


class NameResponse(Structure):
    """`length` leaves out the NUL. `capacity` is the string's maximum count, 0 for just enough.

    Wide servers give the request's `buffer_size` + 1, ANSI ones `buffer_size`.
    """

    name: Annotated[str, Text(4097, capacity="capacity")]
    capacity: Annotated[int, NotSent()] = 0
    length: DWORD
    error: DWORD


class EnumDependentServicesRequest(Structure):
    service: HANDLE
    state: DWORD
    buffer_size: DWORD_256K


class EnumDependentServicesResponse(Structure):
    """Entries are ENUM_SERVICE_STATUS."""

    buffer: Buffer256K
    bytes_needed: DWORD_256K
    returned: DWORD_256K
    error: DWORD


class EnumServicesStatusRequest(Structure):
    scm: HANDLE
    type: DWORD
    state: DWORD
    buffer_size: DWORD_256K
    resume_index: ResumeIndex = None


class EnumServiceGroupRequest(Structure):
    scm: HANDLE
    type: DWORD
    state: DWORD
    buffer_size: DWORD_256K
    resume_index: ResumeIndex = None
    group: UniqueName = None


class EnumServicesStatusExRequest(Structure):
    """Level 0 only: entries are ENUM_SERVICE_STATUS_PROCESS."""

    scm: HANDLE
    level: DWORD = 0
    type: DWORD
    state: DWORD
    buffer_size: DWORD_256K
    resume_index: ResumeIndex = None
    group: UniqueName = None


class EnumServicesResponse(Structure):
    """The resume index is a pointer as the request's was."""

    buffer: Buffer256K
    bytes_needed: DWORD_256K
    returned: DWORD_256K
    resume_index: ResumeIndex = None
    error: DWORD


class ControlReasonIn(Structure):
    """SERVICE_CONTROL_STATUS_REASON_IN_PARAMS, [MS-SCMR] 2.2.30 and 2.2.31."""

    reason: DWORD
    comment: Annotated[str | None, Unique(Text(128))] = None


class ControlReasonOut(Structure):
    """SERVICE_CONTROL_STATUS_REASON_OUT_PARAMS, [MS-SCMR] 2.2.32."""

    status: SERVICE_STATUS_PROCESS


class ControlServiceExRequest(Structure):
    service: HANDLE
    control: DWORD
    level: DWORD = 1
    parameters: Annotated[
        ControlReasonIn | None, Union("level", {1: Unique(Struct(ControlReasonIn))})
    ]


class ControlServiceExResponse(Structure):
    """`level` is the tag alone: the answer has no level of its own."""

    level: Annotated[int, NotSent()] = 1
    parameters: Annotated[
        ControlReasonOut | None, Union("level", {1: Unique(Struct(ControlReasonOut))})
    ]
    error: DWORD


CONTROL_SERVICE = SVCCTL.operation(1, "RControlService", ControlServiceRequest, StatusResponse)
QUERY_SERVICE_STATUS = SVCCTL.operation(6, "RQueryServiceStatus", ServiceRequest, StatusResponse)
SET_SERVICE_STATUS = SVCCTL.operation(
    7, "RSetServiceStatus", SetServiceStatusRequest, ErrorResponse
)
ENUM_DEPENDENT_SERVICES_W = SVCCTL.operation(
    13, "REnumDependentServicesW", EnumDependentServicesRequest, EnumDependentServicesResponse
)
ENUM_SERVICES_STATUS_W = SVCCTL.operation(
    14, "REnumServicesStatusW", EnumServicesStatusRequest, EnumServicesResponse
)
START_SERVICE_W = SVCCTL.operation(19, "RStartServiceW", StartServiceRequest, ErrorResponse)
GET_SERVICE_DISPLAY_NAME_W = SVCCTL.operation(
    20, "RGetServiceDisplayNameW", NameRequest, NameResponse
)
GET_SERVICE_KEY_NAME_W = SVCCTL.operation(21, "RGetServiceKeyNameW", NameRequest, NameResponse)
ENUM_DEPENDENT_SERVICES_A = SVCCTL.operation(
    25, "REnumDependentServicesA", EnumDependentServicesRequest, EnumDependentServicesResponse, ANSI
)
ENUM_SERVICES_STATUS_A = SVCCTL.operation(
    26, "REnumServicesStatusA", EnumServicesStatusRequest, EnumServicesResponse, ANSI
)
START_SERVICE_A = SVCCTL.operation(31, "RStartServiceA", StartServiceRequest, ErrorResponse, ANSI)
GET_SERVICE_DISPLAY_NAME_A = SVCCTL.operation(
    32, "RGetServiceDisplayNameA", NameRequest, NameResponse, ANSI
)
GET_SERVICE_KEY_NAME_A = SVCCTL.operation(
    33, "RGetServiceKeyNameA", NameRequest, NameResponse, ANSI
)
ENUM_SERVICE_GROUP_W = SVCCTL.operation(
    35, "REnumServiceGroupW", EnumServiceGroupRequest, EnumServicesResponse
)
QUERY_SERVICE_STATUS_EX = SVCCTL.operation(
    40, "RQueryServiceStatusEx", QueryServiceStatusExRequest, Query8KResponse
)
ENUM_SERVICES_STATUS_EX_A = SVCCTL.operation(
    41, "REnumServicesStatusExA", EnumServicesStatusExRequest, EnumServicesResponse, ANSI
)
ENUM_SERVICES_STATUS_EX_W = SVCCTL.operation(
    42, "REnumServicesStatusExW", EnumServicesStatusExRequest, EnumServicesResponse
)
CONTROL_SERVICE_EX_A = SVCCTL.operation(
    50, "RControlServiceExA", ControlServiceExRequest, ControlServiceExResponse, ANSI
)
CONTROL_SERVICE_EX_W = SVCCTL.operation(
    51, "RControlServiceExW", ControlServiceExRequest, ControlServiceExResponse
)
