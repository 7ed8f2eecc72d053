"""What only the daemon can answer: logs, events, the state of the manager itself.

A host request leaves the server when the core has agreed to it (a handle's right was
checked). It is owed exactly one `core.messages.effects.Reply` with its call's number, as a
command is.
"""

from __future__ import annotations

from scmd.core.frozen import frozen
from scmd.core.messages import Call, ServiceId


@frozen
class HostRequest:
    call: Call


@frozen
class QueryManagerStatus(HostRequest):
    """Result: bytes, a JSON object (docs/scmd-interface.md)."""


@frozen
class ReadLog(HostRequest):
    """Result: (start, bytes, next), at most `count` bytes; positions as RReadLog has them."""

    service: ServiceId
    position: int
    count: int


@frozen
class ReadEvents(HostRequest):
    """Result: (bytes, next). JSON lines of at most `count` events numbered above `after`."""

    after: int
    count: int
    source: str | None


@frozen
class ReadHistory(HostRequest):
    """Result: bytes, JSON lines of a service's newest transitions, oldest first."""

    service: ServiceId


@frozen
class ReadCrash(HostRequest):
    """Result: bytes, the newest crash bundle or the one `age` before; empty: there is none."""

    service: ServiceId
    age: int


@frozen
class ReportEvent(HostRequest):
    """Result: None. An entry in the event log by a program that is no service."""

    source: str
    type: int
    event_id: int
    strings: tuple[str, ...]


@frozen
class QueryUsage(HostRequest):
    """Result: bytes, a JSON object, of the service with this process; 0: it has none."""

    process_id: int


@frozen
class QueryRemote(HostRequest):
    """Result: bytes, a JSON object: end points for other machines, and their users."""


@frozen
class ChangeRemote(HostRequest):
    """Result: None, or with an error a text that says what was wrong."""

    change: bytes


@frozen
class ReplaceManager(HostRequest):
    """Result: None, and then a new manager and logger from what is installed now."""
