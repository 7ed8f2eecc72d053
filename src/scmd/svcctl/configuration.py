"""Service records: create, delete, query and change configuration.

Dependencies travel as a byte multi-string in, and as one `/`-joined string out; level 2
to 9 answers travel as flat buffers. `buffers` packs and unpacks all of these.
"""

from __future__ import annotations

from scmd.ndr.structure import ANSI, Structure
from scmd.ndr.types import (
    BYTE,
    DWORD,
    DWORD_8K,
    GUID,
    HANDLE,
    WORD,
    Annotated,
    Array,
    Bytes,
    SizeOf,
    Struct,
    Text,
    Union,
    Unique,
    UniqueDword,
    UniqueString,
)
from scmd.ndr.values import Guid
from scmd.svcctl.control import Query8KResponse
from scmd.svcctl.interface import (
    SVCCTL,
    ErrorResponse,
    Name,
    ServiceRequest,
    UniqueAccount,
    UniqueName,
    UniquePath,
)
from scmd.vocabulary.service import NO_CHANGE

UniqueDependencies = Annotated[bytes | None, Unique(Bytes(4096))]
DependenciesSize = Annotated[int, SizeOf("dependencies", 4096)]
MAX_PASSWORD_BYTES = 514
UniquePassword = Annotated[bytes | None, Unique(Bytes(MAX_PASSWORD_BYTES))]
PasswordSize = Annotated[int, SizeOf("password", MAX_PASSWORD_BYTES, strict=False)]
"""Some clients send a password of N bytes and say 0; N counts."""


class ChangeServiceConfigRequest(Structure):
    """None and NO_CHANGE keep what is stored."""

    service: HANDLE
    type: DWORD = NO_CHANGE
    start_type: DWORD = NO_CHANGE
    error_control: DWORD = NO_CHANGE
    binary_path_name: UniquePath = None
    load_order_group: UniqueName = None
    tag_id: UniqueDword = None
    dependencies: UniqueDependencies = None
    dependencies_size: DependenciesSize = 0
    service_start_name: UniqueAccount = None
    password: UniquePassword = None
    password_size: PasswordSize = 0
    display_name: UniqueName = None


class ChangeServiceConfigResponse(Structure):
    tag_id: UniqueDword = None
    error: DWORD


class CreateServiceRequest(Structure):
    scm: HANDLE
    name: Name
    display_name: UniqueName = None
    desired_access: DWORD
    type: DWORD
    start_type: DWORD
    error_control: DWORD
    binary_path_name: Annotated[str, Text(32768)]
    load_order_group: UniqueName = None
    tag_id: UniqueDword = None
    dependencies: UniqueDependencies = None
    dependencies_size: DependenciesSize = 0
    service_start_name: UniqueAccount = None
    password: UniquePassword = None
    password_size: PasswordSize = 0


class CreateWowServiceRequest(CreateServiceRequest):
    """RCreateWowService adds the architecture: 1 is the host's own."""

    wow_type: WORD = 1


class CreateServiceResponse(Structure):
    tag_id: UniqueDword = None
    handle: HANDLE
    error: DWORD


class QueryServiceConfigRequest(Structure):
    service: HANDLE
    buffer_size: DWORD_8K


class QueryServiceConfig(Structure):
    """QUERY_SERVICE_CONFIGW and A, [MS-SCMR] 2.2.15: an NDR structure, not a flat buffer.

    `dependencies` is the `/`-joined form. All zero and None on error 122.
    """

    type: DWORD = 0
    start_type: DWORD = 0
    error_control: DWORD = 0
    binary_path_name: UniqueString = None
    load_order_group: UniqueString = None
    tag_id: DWORD = 0
    dependencies: UniqueString = None
    service_start_name: UniqueString = None
    display_name: UniqueString = None


class QueryServiceConfigResponse(Structure):
    config: Annotated[QueryServiceConfig, Struct(QueryServiceConfig)]
    bytes_needed: DWORD_8K
    error: DWORD


class ServiceDescription(Structure):
    """SERVICE_DESCRIPTION, level 1, [MS-SCMR] 2.2.34 and 2.2.35."""

    description: UniqueString = None


class ScAction(Structure):
    """SC_ACTION, [MS-SCMR] 2.2.19; `delay` in milliseconds."""

    type: DWORD
    delay: DWORD


class ServiceFailureActions(Structure):
    """SERVICE_FAILURE_ACTIONS, level 2, [MS-SCMR] 2.2.39 and 2.2.40; `reset_period` in seconds.

    None keeps; an empty string and an empty tuple delete. Actions None keeps the reset period.
    """

    reset_period: DWORD
    reboot_message: UniqueString = None
    command: UniqueString = None
    action_count: Annotated[int, SizeOf("actions", 1024)] = 0
    actions: Annotated[tuple[ScAction, ...] | None, Unique(Array(Struct(ScAction), 1024))] = None


class ServiceFlag(Structure):
    """Levels 3, 4, 5, 7 and 10 to 12: one u32 (a BOOL, a type or level, milliseconds)."""

    value: DWORD


class RequiredPrivileges(Structure):
    """SERVICE_RPC_REQUIRED_PRIVILEGES_INFO, level 6, [MS-SCMR] 2.2.48: UTF-16 in A too."""

    size: Annotated[int, SizeOf("required_privileges", 4096)] = 0
    required_privileges: Annotated[bytes | None, Unique(Bytes(4096))] = None


class TriggerDataItem(Structure):
    """SERVICE_TRIGGER_SPECIFIC_DATA_ITEM, [MS-SCMR] 2.2.52."""

    data_type: DWORD
    size: Annotated[int, SizeOf("data", 1024)] = 0
    data: Annotated[bytes | None, Unique(Bytes(1024))] = None


class ServiceTrigger(Structure):
    """SERVICE_TRIGGER, [MS-SCMR] 2.2.53."""

    trigger_type: DWORD
    action: DWORD
    trigger_subtype: Annotated[Guid | None, Unique(GUID)] = None
    data_item_count: Annotated[int, SizeOf("data_items", 64)] = 0
    data_items: Annotated[
        tuple[TriggerDataItem, ...] | None, Unique(Array(Struct(TriggerDataItem), 64))
    ] = None


class TriggerInfo(Structure):
    """SERVICE_TRIGGER_INFO, level 8, [MS-SCMR] 2.2.54."""

    trigger_count: Annotated[int, SizeOf("triggers", 64)] = 0
    triggers: Annotated[
        tuple[ServiceTrigger, ...] | None, Unique(Array(Struct(ServiceTrigger), 64))
    ] = None
    reserved: Annotated[int | None, Unique(BYTE)] = None


class PreferredNode(Structure):
    """SERVICE_PREFERRED_NODE_INFO, level 9, [MS-SCMR] 2.2.55; `delete` is a BOOLEAN."""

    preferred_node: WORD
    delete: BYTE = 0


CONFIG_ARMS = {
    1: Unique(Struct(ServiceDescription)),
    2: Unique(Struct(ServiceFailureActions)),
    3: Unique(Struct(ServiceFlag)),
    4: Unique(Struct(ServiceFlag)),
    5: Unique(Struct(ServiceFlag)),
    6: Unique(Struct(RequiredPrivileges)),
    7: Unique(Struct(ServiceFlag)),
    8: Unique(Struct(TriggerInfo)),
    9: Unique(Struct(PreferredNode)),
    10: Unique(Struct(ServiceFlag)),
    11: Unique(Struct(ServiceFlag)),
    12: Unique(Struct(ServiceFlag)),
}


class ConfigInfo(Structure):
    """SC_RPC_CONFIG_INFO, [MS-SCMR] 2.2.22: a level and its structure; None keeps all.

    The published union ends at level 9; newer Windows has 10 to 12 besides.
    """

    level: DWORD
    info: Annotated[
        ServiceDescription
        | ServiceFailureActions
        | ServiceFlag
        | RequiredPrivileges
        | TriggerInfo
        | PreferredNode
        | None,
        Union("level", CONFIG_ARMS),
    ]


class ChangeServiceConfig2Request(Structure):
    service: HANDLE
    config: Annotated[ConfigInfo, Struct(ConfigInfo)]


class QueryServiceConfig2Request(Structure):
    service: HANDLE
    level: DWORD
    buffer_size: DWORD_8K


class QueryServiceConfigExRequest(Structure):
    """Level 8 alone; answer any other with a fault, INVALID_TAG."""

    service: HANDLE
    level: DWORD


class QueryServiceConfigExResponse(Structure):
    config: Annotated[ConfigInfo, Struct(ConfigInfo)]
    error: DWORD


DELETE_SERVICE = SVCCTL.operation(2, "RDeleteService", ServiceRequest, ErrorResponse)
CHANGE_SERVICE_CONFIG_W = SVCCTL.operation(
    11, "RChangeServiceConfigW", ChangeServiceConfigRequest, ChangeServiceConfigResponse
)
CREATE_SERVICE_W = SVCCTL.operation(
    12, "RCreateServiceW", CreateServiceRequest, CreateServiceResponse
)
QUERY_SERVICE_CONFIG_W = SVCCTL.operation(
    17, "RQueryServiceConfigW", QueryServiceConfigRequest, QueryServiceConfigResponse
)
CHANGE_SERVICE_CONFIG_A = SVCCTL.operation(
    23, "RChangeServiceConfigA", ChangeServiceConfigRequest, ChangeServiceConfigResponse, ANSI
)
CREATE_SERVICE_A = SVCCTL.operation(
    24, "RCreateServiceA", CreateServiceRequest, CreateServiceResponse, ANSI
)
QUERY_SERVICE_CONFIG_A = SVCCTL.operation(
    29, "RQueryServiceConfigA", QueryServiceConfigRequest, QueryServiceConfigResponse, ANSI
)
CHANGE_SERVICE_CONFIG_2_A = SVCCTL.operation(
    36, "RChangeServiceConfig2A", ChangeServiceConfig2Request, ErrorResponse, ANSI
)
CHANGE_SERVICE_CONFIG_2_W = SVCCTL.operation(
    37, "RChangeServiceConfig2W", ChangeServiceConfig2Request, ErrorResponse
)
QUERY_SERVICE_CONFIG_2_A = SVCCTL.operation(
    38, "RQueryServiceConfig2A", QueryServiceConfig2Request, Query8KResponse, ANSI
)
QUERY_SERVICE_CONFIG_2_W = SVCCTL.operation(
    39, "RQueryServiceConfig2W", QueryServiceConfig2Request, Query8KResponse
)
CREATE_SERVICE_WOW64_A = SVCCTL.operation(
    44, "RCreateServiceWOW64A", CreateServiceRequest, CreateServiceResponse, ANSI
)
CREATE_SERVICE_WOW64_W = SVCCTL.operation(
    45, "RCreateServiceWOW64W", CreateServiceRequest, CreateServiceResponse
)
QUERY_SERVICE_CONFIG_EX = SVCCTL.operation(
    56, "RQueryServiceConfigEx", QueryServiceConfigExRequest, QueryServiceConfigExResponse
)
CREATE_WOW_SERVICE = SVCCTL.operation(
    60, "RCreateWowService", CreateWowServiceRequest, CreateServiceResponse
)
