"""The rest: security descriptors, the database lock, boot verdict, notifications."""

from __future__ import annotations

from operator import attrgetter
from struct import Struct as Packer
from struct import error as StructError

from scmd.ndr.structure import ANSI, NDR, Structure
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
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

MAX_DESCRIPTOR_BYTES = 0x40_0000
"""What a request may have at most: cbBufSize of RSetServiceObjectSecurity has no range."""

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
    """SERVICE_NOTIFY_STATUS_CHANGE_PARAMS_1, [MS-SCMR] 2.2.43."""

    thread_id: HYPER = 0
    notify_mask: DWORD
    callback_address: Opaque16 = bytes(16)
    callback_parameter: Opaque16 = bytes(16)
    service_status: SERVICE_STATUS_PROCESS
    notification_status: DWORD = 0
    sequence: DWORD = 0


class NotifyParams2(NotifyParams1):
    """SERVICE_NOTIFY_STATUS_CHANGE_PARAMS_2, [MS-SCMR] 2.2.44.

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
    """SC_RPC_NOTIFY_PARAMS_LIST, [MS-SCMR] 2.2.24."""

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
    """As a rule it tells one thing of one service, and somebody waits for it: that is quicker."""

    notify_params: Annotated[NotifyParamsList | None, Unique(Struct(NotifyParamsList))] = None
    error: DWORD

    def encode(self, form: int = NDR) -> bytes:
        packed = _packed(self) if form == NDR else None
        return super().encode(form) if packed is None else packed

    @classmethod
    def decode(cls, data: bytes, form: int = NDR) -> Self:
        usual = form == NDR and len(data) == _USUAL.size
        params = _unpacked(data) if usual else None
        if params is None:
            return super().decode(data, form)
        told = NotifyParamsList(element_count=1, elements=(NotifyParams(params=params),))
        return cls(notify_params=told, error=int.from_bytes(data[-4:], "little"))


class CloseNotifyHandleResponse(Structure):
    notify_handle: HANDLE
    apc_fired: DWORD
    error: DWORD


_USUAL = Packer("<32s I 32s 9I 5I")
"""One NotifyParams2 without names and with nothing in what only its maker knows."""
_START = Packer("<6I 8x").pack(0x2_0004, 1, 1, 2, 2, 0x2_0008)
"""Its pointers, as we number them, counts and levels."""
_NOTHING = bytes(32)
_MAKERS_OWN = attrgetter("thread_id", "callback_address", "callback_parameter")
_STATUS = attrgetter(*ServiceStatus._fields)


def _packed(response: GetNotifyResultsResponse) -> bytes | None:
    """The stub, when the response is a usual one and its values fit."""
    elements = response.notify_params.elements if response.notify_params is not None else ()
    if len(elements) != 1 or elements[0].level != 2:
        return None
    params = elements[0].params
    if type(params) is not NotifyParams2 or params.service_names is not None:
        return None
    if _MAKERS_OWN(params) != (0, _NOTHING[:16], _NOTHING[:16]):
        return None
    try:
        return _USUAL.pack(
            _START,
            params.notify_mask,
            _NOTHING,
            *_STATUS(params.service_status),
            params.notification_status,
            params.sequence,
            params.notification_triggered,
            0,
            response.error,
        )
    except StructError:
        return None


def _unpacked(data: bytes) -> NotifyParams2 | None:
    """What a stub of this size says, when it is a usual one; not its error."""
    start, mask, nothing, *status, result, sequence, triggered, names, _ = _USUAL.unpack(data)
    if start != _START or nothing != _NOTHING or names:
        return None
    return NotifyParams2(
        notify_mask=mask,
        service_status=ServiceStatus(**dict(zip(ServiceStatus._fields, status, strict=True))),
        notification_status=result,
        sequence=sequence,
        notification_triggered=triggered,
    )


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
