"""The SCM's event messages: type and text by number, with inserts %1, %2...

The numbers and their meaning are those of the source "Service Control Manager" on
Windows; which inserts the core gives is tabled in `core/event_ids.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scmd.storage.event_record import (
    AUDIT_FAILURE,
    AUDIT_SUCCESS,
    ERROR,
    INFORMATION,
    TYPE_WORDS,
    WARNING,
    EventRecord,
)

SCM_SOURCE = "Service Control Manager"
LOG_SOURCE = "scmd"
"""The event log's own entries."""
EVENTS_LOST = 1
AUDIT_SOURCE = "scmd audit"
AUDIT_DONE, AUDIT_REFUSED = 1, 2
_AUDIT_TEXT = "%1 (%2): %3 %4: %5"

MESSAGES: Mapping[str, Mapping[int, tuple[int, str]]] = {
    SCM_SOURCE: {
        7000: (ERROR, "The %1 service failed to start: %2"),
        7001: (ERROR, "The %1 service depends on the %2 service, which failed to start: %3"),
        7002: (
            ERROR,
            "The %1 service depends on the group %2, and no member of this group started.",
        ),
        7003: (ERROR, "The %1 service depends on the service %2, which does not exist."),
        7009: (
            ERROR,
            "%1 milliseconds passed while waiting for the %2 service to connect.",
        ),
        7011: (
            ERROR,
            "%1 milliseconds passed while waiting for the %2 service to answer a request.",
        ),
        7016: (ERROR, "The %1 service has reported an invalid current state: %2"),
        7022: (ERROR, "The %1 service hung on starting."),
        7023: (ERROR, "The %1 service terminated with the following error: %2"),
        7024: (ERROR, "The %1 service terminated with the service-specific error %2."),
        7031: (
            ERROR,
            "The %1 service terminated unexpectedly. It has done this %2 time(s). %3 ms later: %4",
        ),
        7032: (
            ERROR,
            "Recovery action %1 (%2) after the unexpected end of the %3 service failed: %4",
        ),
        7034: (
            ERROR,
            "The %1 service terminated unexpectedly. It has done this %2 time(s).",
        ),
        7036: (INFORMATION, "The %1 service entered the %2 state."),
        7040: (INFORMATION, "The start type of the %1 service was changed from %2 to %3."),
        7042: (INFORMATION, "The %1 service was asked to stop by %4, reason %2: %3"),
        7043: (ERROR, "The %1 service did not shut down in time after the %2 control."),
        7045: (
            INFORMATION,
            "A service was installed: %1. Program: %2. Type: %3. Start type: %4. Account: %5.",
        ),
        8001: (
            WARNING,
            "The %1 service has not called RegisterServiceCtrlHandler within %2 milliseconds.",
        ),
        8002: (
            ERROR,
            "The %1 service failed %2 times within %3 seconds and is not restarted any more.",
        ),
        8010: (ERROR, "The %1 service makes no progress: it hangs in the state %2."),
        8011: (WARNING, "The processes of the %1 service were killed by %2."),
        8012: (INFORMATION, "The %1 service has reloaded its configuration."),
        8013: (ERROR, "The %1 service did not reload its configuration: %2."),
        8014: (WARNING, "The %1 service was not started at its time %2: %3."),
        8020: (ERROR, "The %1 service had processes killed out of memory, at its limit %2."),
        8021: (WARNING, "The %1 service runs without these limits: %2"),
        8030: (WARNING, "%1 (%2) has said that this boot is not acceptable. Nothing was changed."),
    },
    LOG_SOURCE: {EVENTS_LOST: (WARNING, "%1 events were lost here.")},
    AUDIT_SOURCE: {
        AUDIT_DONE: (AUDIT_SUCCESS, _AUDIT_TEXT),
        AUDIT_REFUSED: (AUDIT_FAILURE, _AUDIT_TEXT),
    },
}


def scm_event_type(event_id: int) -> int:
    """EVENTLOG_*_TYPE of an event of the SCM; unknown numbers are information."""
    known = MESSAGES[SCM_SOURCE].get(event_id)
    return INFORMATION if known is None else known[0]


def audit_event(error: int) -> tuple[int, int]:
    """Number and EVENTLOG_*_TYPE of an entry of the audit trail with this result."""
    number = AUDIT_REFUSED if error else AUDIT_DONE
    return number, MESSAGES[AUDIT_SOURCE][number][0]


def message(record: EventRecord) -> str:
    """What a person reads; a source without known messages shows its strings as they are."""
    known = MESSAGES.get(record.source, {}).get(record.id)
    if known is None:
        return "\n".join(record.strings)
    return insert(known[1], record.strings)


def insert(text: str, strings: Sequence[str]) -> str:
    """The text with %1 to %9 replaced; an insert that is missing is left as it stands."""
    parts = text.split("%")
    for index, part in enumerate(parts[1:], 1):
        number = "0123456789".find(part[0]) if part else 0
        known = 0 < number <= len(strings)
        parts[index] = strings[number - 1] + part[1:] if known else "%" + part
    return "".join(parts)


def type_word(type: int) -> str:
    """The word for EVENTLOG_*_TYPE; unknown numbers count as information."""
    return TYPE_WORDS.get(type, TYPE_WORDS[INFORMATION])
