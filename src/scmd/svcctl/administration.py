"""The rest: security descriptors, the database lock, boot verdict, notifications."""

from __future__ import annotations

from scmd.ndr.structure import ANSI, Structure
from scmd.ndr.types import (
    DWORD,
    DWORD_4K,
    DWORD_256K,
    GUID,
    HANDLE,
    HYPER,
    Annotated,
    Array,
    Buffer256K,
    Bytes,
    Fixed,
    SizeOf,
    Struct,
    Text,
    Trailing,
    Union,
    Unique,
    UniqueString,
)
from scmd.svcctl.control import SERVICE_STATUS_PROCESS
from scmd.svcctl.interface import (
    SVCCTL,
    ErrorResponse,
    HandleResponse,
    ScmRequest,
    UniqueMachine,
)

MAX_DESCRIPTOR_BYTES = 262_144
"""Ours: cbBufSize of RSetServiceObjectSecurity has no range in the IDL."""

Opaque16 = Annotated[bytes, Fixed(16)]


class LockRequest(Structure):
    lock: HANDLE


class QueryServiceObjectSecurityRequest(Structure):
    """A handle of either kind; SECURITY_INFORMATION bits."""

    handle: HANDLE
    security_information: DWORD
    buffer_size: DWORD_256K


class QueryServiceObjectSecurityResponse(Structure):
    security_descriptor: Buffer256K
    bytes_needed: DWORD_256K
    error: DWORD


class SetServiceObjectSecurityRequest(Structure):
    handle: HANDLE
    security_information: DWORD
    security_descriptor: Annotated[bytes, Bytes(MAX_DESCRIPTOR_BYTES)]
    size: Annotated[int, SizeOf("security_descriptor", MAX_DESCRIPTOR_BYTES)] = 0


class NotifyBootConfigStatusRequest(Structure):
    machine: UniqueMachine = None
    boot_acceptable: DWORD


class QueryServiceLockStatusRequest(Structure):
    scm: HANDLE
    buffer_size: DWORD_4K


class QueryServiceLockStatus(Structure):
    """QUERY_SERVICE_LOCK_STATUS, [MS-SCMR] 2.2.16 and 2.2.17; `lock_duration` in seconds."""

    is_locked: DWORD = 0
    lock_owner: UniqueString = None
    lock_duration: DWORD = 0


class QueryServiceLockStatusResponse(Structure):
    status: Annotated[QueryServiceLockStatus, Struct(QueryServiceLockStatus)]
    bytes_needed: DWORD_4K
    error: DWORD


class NotifyParams1(Structure):
    """SERVICE_NOTIFY_STATUS_CHANGE_PARAMS_1, [MS-SCMR] 2.2.24."""

    thread_id: HYPER = 0
    notify_mask: DWORD
    callback_address: Opaque16 = bytes(16)
    callback_parameter: Opaque16 = bytes(16)
    service_status: SERVICE_STATUS_PROCESS
    notification_status: DWORD = 0
    sequence: DWORD = 0


class NotifyParams2(NotifyParams1):
    """SERVICE_NOTIFY_STATUS_CHANGE_PARAMS_2, [MS-SCMR] 2.2.25.

    `service_names` of SC_MANAGER notifications is a multi-string: names with a NUL each.
    """

    notification_triggered: DWORD = 0
    service_names: Annotated[str | None, Unique(Text(65536, multiple=True))] = None


NOTIFY_ARMS = {1: Unique(Struct(NotifyParams1)), 2: Unique(Struct(NotifyParams2))}


class NotifyParams(Structure):
    """SC_RPC_NOTIFY_PARAMS, [MS-SCMR] 2.2.23."""

    level: DWORD = 2
    params: Annotated[NotifyParams1 | NotifyParams2 | None, Union("level", NOTIFY_ARMS)]


class NotifyParamsList(Structure):
    """SC_RPC_NOTIFY_PARAMS_LIST, [MS-SCMR] 2.2.27."""

    element_count: Annotated[int, SizeOf("elements", 4096)] = 0
    elements: Annotated[tuple[NotifyParams, ...], Trailing(Array(Struct(NotifyParams), 4096))]


class NotifyServiceStatusChangeRequest(Structure):
    """`handle`: the SCM for creations and deletions, a service for its states."""

    handle: HANDLE
    notify_params: Annotated[NotifyParams, Struct(NotifyParams)]
    client_process: GUID


class NotifyServiceStatusChangeResponse(Structure):
    scm_process: GUID
    create_remote_queue: DWORD
    notify_handle: HANDLE
    error: DWORD


class NotifyHandleRequest(Structure):
    notify_handle: HANDLE


class GetNotifyResultsResponse(Structure):
    notify_params: Annotated[NotifyParamsList | None, Unique(Struct(NotifyParamsList))] = None
    error: DWORD


class CloseNotifyHandleResponse(Structure):
    notify_handle: HANDLE
    apc_fired: DWORD
    error: DWORD


LOCK_SERVICE_DATABASE = SVCCTL.operation(3, "RLockServiceDatabase", ScmRequest, HandleResponse)
QUERY_SERVICE_OBJECT_SECURITY = SVCCTL.operation(
    4,
    "RQueryServiceObjectSecurity",
    QueryServiceObjectSecurityRequest,
    QueryServiceObjectSecurityResponse,
)
SET_SERVICE_OBJECT_SECURITY = SVCCTL.operation(
    5, "RSetServiceObjectSecurity", SetServiceObjectSecurityRequest, ErrorResponse
)
UNLOCK_SERVICE_DATABASE = SVCCTL.operation(8, "RUnlockServiceDatabase", LockRequest, HandleResponse)
NOTIFY_BOOT_CONFIG_STATUS = SVCCTL.operation(
    9, "RNotifyBootConfigStatus", NotifyBootConfigStatusRequest, ErrorResponse
)
QUERY_SERVICE_LOCK_STATUS_W = SVCCTL.operation(
    18, "RQueryServiceLockStatusW", QueryServiceLockStatusRequest, QueryServiceLockStatusResponse
)
QUERY_SERVICE_LOCK_STATUS_A = SVCCTL.operation(
    30,
    "RQueryServiceLockStatusA",
    QueryServiceLockStatusRequest,
    QueryServiceLockStatusResponse,
    ANSI,
)
NOTIFY_SERVICE_STATUS_CHANGE = SVCCTL.operation(
    47,
    "RNotifyServiceStatusChange",
    NotifyServiceStatusChangeRequest,
    NotifyServiceStatusChangeResponse,
)
GET_NOTIFY_RESULTS = SVCCTL.operation(
    48, "RGetNotifyResults", NotifyHandleRequest, GetNotifyResultsResponse
)
CLOSE_NOTIFY_HANDLE = SVCCTL.operation(
    49, "RCloseNotifyHandle", NotifyHandleRequest, CloseNotifyHandleResponse
)
