"""What the feed of changes has on the wire: RWaitForChanges."""

from __future__ import annotations

from enum import IntEnum

from scmd.ndr.structure import Structure
from scmd.ndr.types import (
    DWORD,
    HANDLE,
    HYPER,
    Annotated,
    Array,
    Dwords,
    SizeOf,
    Struct,
    Text,
    Unique,
)
from scmd.vocabulary.status import ServiceStatus

MAX_WATCHED_NAMES = 1024
MAX_FEED_ENTRIES = 4096
MAX_FEED_TEXT = 1024
"""UTF-16 units with the NUL."""
FEED_BEGINNING = 0xFFFF_FFFF_FFFF_FFFF
"""For `after` of RWaitForChanges: the services as they are, and the place to go on from."""


class FeedKind(IntEnum):
    """What an entry tells of."""

    SERVICE = 0
    """No change, but the service as it is."""
    STATUS = 1
    CREATED = 2
    MARKED = 3
    """For deletion."""
    DELETED = 4
    CONFIG = 5
    PARAMETERS = 6


FeedText = Annotated[str | None, Unique(Text(MAX_FEED_TEXT))]


class WatchedName(Structure):
    text: Annotated[str | None, Unique(Text(257))]


class WaitForChangesRequest(Structure):
    """What has changed since a place, or will have. A service's handle: QUERY_STATUS, no names;
    the SCM's: ENUMERATE_SERVICE, no names means every service."""

    handle: HANDLE
    epoch: HYPER
    after: HYPER
    """With the epoch the place; FEED_BEGINNING asks for the services as they are."""
    limit: DWORD = 0xFFFF_FFFF
    """Milliseconds to wait; 0xFFFFFFFF: for ever."""
    resume: DWORD = 0
    count: Annotated[int, SizeOf("names", MAX_WATCHED_NAMES)] = 0
    names: Annotated[
        tuple[WatchedName, ...] | None, Unique(Array(Struct(WatchedName), MAX_WATCHED_NAMES))
    ] = None


class FeedEntry(Structure):
    """A change, or a service as it is."""

    number: HYPER = 0
    kind: DWORD
    """A FeedKind."""
    name: FeedText
    display_name: FeedText = None
    status: Annotated[ServiceStatus, Dwords(ServiceStatus, 9)]
    before: DWORD = 0
    """The state before."""
    lasted: DWORD = 0xFFFF_FFFF
    """Milliseconds in that state, or 0xFFFFFFFF."""
    cause: FeedText = None
    actor: FeedText = None
    origin: FeedText = None
    marked: DWORD = 0
    """A service as it is: it is marked for deletion."""


class WaitForChangesResponse(Structure):
    """The place to go on from, and what has come to pass until there.

    `behind`: the changes cannot be told any more, and `entries` are the services as they are. If
    `resume` is not 0 there are more of them.
    """

    epoch: HYPER = 0
    number: HYPER = 0
    behind: DWORD = 0
    resume: DWORD = 0
    count: Annotated[int, SizeOf("entries", MAX_FEED_ENTRIES)] = 0
    entries: Annotated[
        tuple[FeedEntry, ...] | None, Unique(Array(Struct(FeedEntry), MAX_FEED_ENTRIES))
    ] = None
    error: DWORD
