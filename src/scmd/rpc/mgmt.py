"""The mgmt interface ([C706] appendix Q): what a server says of itself, on every end point.

Declared once for both ends; `server.mgmt_server` answers.
"""

from __future__ import annotations

from scmd.ndr.structure import ANSI, Structure
from scmd.ndr.types import (
    DWORD,
    GUID,
    Annotated,
    Array,
    Integer,
    NotSent,
    SizeOf,
    Struct,
    Text,
    Trailing,
    Unique,
)
from scmd.rpc.interface import Interface

MGMT = Interface("mgmt", "afa8bd80-7d8a-11c9-bef4-08002b102989", 1, 0)

MAX_INTERFACES = 256
MAX_STATISTICS = 4
"""Calls received, calls made, PDUs received, PDUs sent."""
MAX_NAME = 4096
UNKNOWN_AUTHENTICATION_SERVICE = 1747
"""RPC_S_UNKNOWN_AUTHN_SERVICE."""
BUFFER_TOO_SMALL = 122


class Statistics:
    """What the connections of one server have seen."""

    __slots__ = ("calls", "received", "sent")

    def __init__(self) -> None:
        self.calls = 0
        """Requests handed out."""
        self.received = 0
        self.sent = 0
        """PDUs; an answer counts as one, whatever its fragments."""


class InterfaceId(Structure):
    """rpc_if_id_t."""

    uuid: GUID
    major: Annotated[int, Integer(2)]
    minor: Annotated[int, Integer(2)]


class InterfaceVector(Structure):
    """rpc_if_id_vector_t."""

    count: Annotated[int, SizeOf("ids", MAX_INTERFACES)] = 0
    ids: Annotated[
        tuple[InterfaceId | None, ...], Trailing(Array(Unique(Struct(InterfaceId)), MAX_INTERFACES))
    ]


class InqIfIdsRequest(Structure):
    """No parameters."""


class InqIfIdsResponse(Structure):
    vector: Annotated[InterfaceVector | None, Unique(Struct(InterfaceVector))]
    status: DWORD = 0


class InqStatsRequest(Structure):
    """`count`: how many the client has room for."""

    count: DWORD


class InqStatsResponse(Structure):
    count: Annotated[int, SizeOf("statistics", MAX_STATISTICS)] = 0
    statistics: Annotated[tuple[int, ...], Array(Integer(4), MAX_STATISTICS)]
    status: DWORD = 0


class IsServerListeningRequest(Structure):
    """No parameters."""


class IsServerListeningResponse(Structure):
    status: DWORD = 0
    is_listening: DWORD


class StopServerListeningRequest(Structure):
    """No parameters."""


class StopServerListeningResponse(Structure):
    status: DWORD


class InqPrincNameRequest(Structure):
    authentication_service: DWORD
    """auth_type."""
    size: DWORD


class InqPrincNameResponse(Structure):
    name: Annotated[str, Text(MAX_NAME, capacity="capacity")]
    capacity: Annotated[int, NotSent()] = 0
    status: DWORD = 0


INQ_IF_IDS = MGMT.operation(0, "inq_if_ids", InqIfIdsRequest, InqIfIdsResponse)
INQ_STATS = MGMT.operation(1, "inq_stats", InqStatsRequest, InqStatsResponse)
IS_SERVER_LISTENING = MGMT.operation(
    2, "is_server_listening", IsServerListeningRequest, IsServerListeningResponse
)
STOP_SERVER_LISTENING = MGMT.operation(
    3, "stop_server_listening", StopServerListeningRequest, StopServerListeningResponse
)
INQ_PRINC_NAME = MGMT.operation(
    4, "inq_princ_name", InqPrincNameRequest, InqPrincNameResponse, ANSI
)
