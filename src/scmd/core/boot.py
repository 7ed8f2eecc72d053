"""The boot as it went: when each automatic start was asked for, begun and done.

Written down from the first automatic start to the end of the last delayed one, for whoever
was started in that time, dependencies that were pulled in included: its first start only.
Instants are milliseconds since the beginning. It is not journaled: a manager that takes over
knows nothing of it.
"""

from __future__ import annotations

from scmd.core.messages import ServiceId
from scmd.core.messages.commands import BootEntry
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.service import ErrorControl


class BootLog:
    """What has been written down; `is_open` until the automatic starts are over."""

    __slots__ = ("began_at", "entries", "is_open")

    def __init__(self, began_at: int) -> None:
        self.began_at = began_at
        self.entries: dict[ServiceId, Start] = {}
        self.is_open = True


class Start:
    """One service's start."""

    __slots__ = ("asked", "begun", "ended", "error", "record")

    def __init__(self, record: ServiceRecord, asked: int) -> None:
        self.record = record
        self.asked = asked
        self.begun: int | None = None
        """Its dependencies were met, and its own process asked for."""
        self.ended: int | None = None
        """It was RUNNING, or had failed."""
        self.error = 0

    def entry(self) -> BootEntry:
        config = self.record.config
        return BootEntry(
            self.record.id,
            config.name,
            config.load_order_group,
            config.dependencies,
            config.delayed_auto_start,
            self.asked,
            self.begun,
            self.ended,
            self.error,
        )


def begin(state: State) -> None:
    """The automatic starts begin."""
    state.boot = BootLog(state.now)


def end(state: State) -> None:
    """Who is started from now on is no part of the boot."""
    if state.boot is not None:
        state.boot.is_open = False


def is_silent(state: State, record: ServiceRecord) -> bool:
    """Whether its failure to start is not worth an event: SERVICE_ERROR_IGNORE, at boot."""
    ignored = record.config.error_control == ErrorControl.IGNORE
    return ignored and state.boot is not None and state.boot.is_open


def asked(state: State, record: ServiceRecord) -> None:
    """Somebody wants it started."""
    log = state.boot
    if log is not None and log.is_open and record.id not in log.entries:
        log.entries[record.id] = Start(record, state.now - log.began_at)


def begun(state: State, record: ServiceRecord) -> None:
    """Its turn has come."""
    start = _unfinished(state, record)
    if start is not None and start.begun is None and state.boot is not None:
        start.begun = state.now - state.boot.began_at


def look(state: State, record: ServiceRecord) -> None:
    """A service has changed: its start may be over."""
    start = _unfinished(state, record)
    if start is None or state.boot is None:
        return
    failed = record.is_stopped and record.attempt is None
    if record.is_up or failed:
        start.ended = state.now - state.boot.began_at
        start.error = record.status.win32_exit_code if failed else 0


def entries(state: State, after: int) -> list[BootEntry]:
    """All that is known, by record number, of services that are still there."""
    log = state.boot
    if log is None:
        return []
    return [
        log.entries[id].entry()
        for id in sorted(log.entries)
        if id > after and state.records.get(id) is log.entries[id].record
    ]


def _unfinished(state: State, record: ServiceRecord) -> Start | None:
    log = state.boot
    start = log.entries.get(record.id) if log is not None else None
    return start if start is not None and start.ended is None else None
