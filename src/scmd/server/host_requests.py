"""What only the daemon can answer: logs, events, the state of the manager itself.

A host request leaves the server when the core has agreed to it (a handle's right was
checked). It is owed exactly one `core.messages.effects.Reply` with its call's number, as a
command is.
"""

from __future__ import annotations

from msgspec import Struct

from scmd.core.messages import Call, ServiceId


class HostRequest(Struct, frozen=True):
    call: Call


class QueryManagerStatus(HostRequest, frozen=True):
    """Result: bytes, a JSON object (docs/scmd-interface.md)."""


class ReadLog(HostRequest, frozen=True):
    """Result: (start, bytes, next), at most `count` bytes; positions as RReadLog has them."""

    service: ServiceId
    position: int
    count: int


class ReadEvents(HostRequest, frozen=True):
    """Result: (bytes, next). JSON lines of at most `count` events numbered above `after`."""

    after: int
    count: int
    source: str | None


class ReadHistory(HostRequest, frozen=True):
    """Result: bytes, JSON lines of a service's newest transitions, oldest first."""

    service: ServiceId


class ReadCrash(HostRequest, frozen=True):
    """Result: bytes, the newest crash bundle or the one `age` before; empty: there is none."""

    service: ServiceId
    age: int


class ReportEvent(HostRequest, frozen=True):
    """Result: None. An entry in the event log by a program that is no service."""

    source: str
    type: int
    event_id: int
    strings: tuple[str, ...]


class QueryUsage(HostRequest, frozen=True):
    """Result: bytes, a JSON object, of the service with this process; 0: it has none."""

    process_id: int


class QueryRemote(HostRequest, frozen=True):
    """Result: bytes, a JSON object: end points for other machines, and their users."""


class ChangeRemote(HostRequest, frozen=True):
    """Result: None, or with an error a text that says what was wrong."""

    change: bytes


class ReplaceManager(HostRequest, frozen=True):
    """Result: None, and then a new manager and logger from what is installed now."""
