"""The epm interface ([C706] appendix O), as far as it is served to other machines.

Registering end points is a local matter with us, so operations 0, 1, 5, 6 and 7 are not declared.
"""

from __future__ import annotations

from scmd.endpoint_mapper.towers import MAX_TOWER_BYTES
from scmd.ndr.structure import Structure
from scmd.ndr.types import (
    DWORD,
    GUID,
    HANDLE,
    Annotated,
    Array,
    Count,
    Fixed,
    Integer,
    NotSent,
    SizeOf,
    Struct,
    Trailing,
    Unique,
    Varying,
)
from scmd.ndr.values import NULL_GUID, NULL_HANDLE, Guid
from scmd.rpc.interface import Interface
from scmd.rpc.mgmt import InterfaceId

PORT = 135
"""Where every machine has its mapper, by TCP."""
EPM = Interface("epmp", "e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 0)

MAX_ENTRIES = 500
"""[MS-RPCE] 2.2.1.2.4: of max_towers and max_ents."""
NOT_REGISTERED = 0x16C9_A0D6
"""ept_s_not_registered: there is nothing, or nothing more."""
CANNOT_PERFORM = 0x0000_06D8

UniqueGuid = Annotated[Guid | None, Unique(Fixed(16, 4, Guid))]


class TowerBytes(Structure):
    """twr_t; `towers` reads and writes the bytes."""

    length: Annotated[int, SizeOf("octets", MAX_TOWER_BYTES)] = 0
    octets: Annotated[tuple[int, ...], Trailing(Array(Integer(1), MAX_TOWER_BYTES))]


UniqueTower = Annotated[TowerBytes | None, Unique(Struct(TowerBytes))]


class Entry(Structure):
    """ept_entry_t; its annotation is a varying string of four characters, the NUL included."""

    object: GUID = NULL_GUID
    tower: UniqueTower
    annotation_offset: Annotated[int, Count()] = 0
    annotation_length: Annotated[int, Count()] = 4
    annotation: Annotated[bytes, Fixed(4)] = b"SCM\0"


class MapRequest(Structure):
    object: UniqueGuid = None
    tower: UniqueTower
    handle: HANDLE = NULL_HANDLE
    max_towers: Annotated[int, Integer(4, 0, MAX_ENTRIES)]


class MapResponse(Structure):
    handle: HANDLE = NULL_HANDLE
    count: DWORD
    capacity: Annotated[int, NotSent()] = 0
    towers: Annotated[
        tuple[TowerBytes | None, ...],
        Varying(Unique(Struct(TowerBytes)), MAX_ENTRIES, "capacity"),
    ]
    error: DWORD


class LookupRequest(Structure):
    """`inquiry` 0: all, 1: by interface, 2: by object, 3: by both."""

    inquiry: DWORD
    object: UniqueGuid = None
    interface: Annotated[InterfaceId | None, Unique(Struct(InterfaceId))] = None
    version_option: DWORD
    handle: HANDLE = NULL_HANDLE
    max_entries: Annotated[int, Integer(4, 0, MAX_ENTRIES)]


class LookupResponse(Structure):
    handle: HANDLE = NULL_HANDLE
    count: DWORD
    capacity: Annotated[int, NotSent()] = 0
    entries: Annotated[tuple[Entry, ...], Varying(Struct(Entry), MAX_ENTRIES, "capacity")]
    error: DWORD


class FreeRequest(Structure):
    handle: HANDLE


class FreeResponse(Structure):
    handle: HANDLE
    error: DWORD


LOOKUP = EPM.operation(2, "ept_lookup", LookupRequest, LookupResponse)
MAP = EPM.operation(3, "ept_map", MapRequest, MapResponse)
LOOKUP_HANDLE_FREE = EPM.operation(4, "ept_lookup_handle_free", FreeRequest, FreeResponse)
