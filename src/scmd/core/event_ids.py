"""The SCM's entries in the event log: numbers and what their inserts are.

Source "Service Control Manager". The message texts belong to `scmd.storage`; here stands
which inserts the core gives, in order. "name" is the display name throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class EventId(IntEnum):
    START_FAILED = 7000
    DEPENDENCY_FAILED = 7001
    DEPENDENCY_GROUP_FAILED = 7002
    DEPENDENCY_MISSING = 7003
    CONNECT_TIMEOUT = 7009
    TRANSACTION_TIMEOUT = 7011
    INVALID_STATUS = 7016
    HUNG_ON_STARTING = 7022
    EXITED_WITH_ERROR = 7023
    EXITED_WITH_SPECIFIC_ERROR = 7024
    DIED_ACTION_FOLLOWS = 7031
    ACTION_FAILED = 7032
    DIED = 7034
    ENTERED_STATE = 7036
    START_TYPE_CHANGED = 7040
    STOP_WITH_REASON = 7042
    SHUTDOWN_LATE = 7043
    INSTALLED = 7045
    HANDLER_LATE = 8001
    """scmd's own: the article's one second until RegisterServiceCtrlHandler has passed."""
    CRASH_LOOP = 8002
    """scmd's own: a service is not restarted any more."""
    NO_PROGRESS = 8010
    """scmd's own, as 7022 for the other pending states."""
    KILLED = 8011
    """scmd's own: by `KillService`."""
    RELOADED = 8012
    """scmd's own: a hosted program has read its configuration again."""
    RELOAD_FAILED = 8013
    """scmd's own: it has not, or not in time."""
    RUN_LEFT_OUT = 8014
    """scmd's own: a scheduled service was not started at its time."""
    OUT_OF_MEMORY = 8020
    """scmd's own: the kernel has killed processes of a service at its memory limit."""
    LIMITS_MISSING = 8021
    """scmd's own: a service runs without limits that its Parameters ask for."""
    BOOT_REJECTED = 8030
    """scmd's own: NotifyBootConfigStatus said that the boot was no good."""


INSERTS: Mapping[EventId, tuple[str, ...]] = {
    EventId.START_FAILED: ("name", "error text"),
    EventId.DEPENDENCY_FAILED: ("name", "dependency's name", "error text"),
    EventId.DEPENDENCY_GROUP_FAILED: ("name", "group"),
    EventId.DEPENDENCY_MISSING: ("name", "dependency's key name"),
    EventId.CONNECT_TIMEOUT: ("milliseconds", "name"),
    EventId.TRANSACTION_TIMEOUT: ("milliseconds", "name"),
    EventId.INVALID_STATUS: ("name", "what was reported and why it is odd"),
    EventId.HUNG_ON_STARTING: ("name",),
    EventId.EXITED_WITH_ERROR: ("name", "error text"),
    EventId.EXITED_WITH_SPECIFIC_ERROR: ("name", "service-specific error, decimal"),
    EventId.DIED_ACTION_FOLLOWS: ("name", "count", "delay in ms", "action"),
    EventId.ACTION_FAILED: ("action type", "action", "name", "error text"),
    EventId.DIED: ("name", "count"),
    EventId.ENTERED_STATE: ("name", "running or stopped"),
    EventId.START_TYPE_CHANGED: ("name", "old start type", "new start type"),
    EventId.STOP_WITH_REASON: ("name", "reason", "comment", "caller"),
    EventId.SHUTDOWN_LATE: ("name", "preshutdown or shutdown"),
    EventId.INSTALLED: ("key name", "image path", "type", "start type", "account"),
    EventId.HANDLER_LATE: ("name", "milliseconds"),
    EventId.CRASH_LOOP: ("name", "count", "seconds"),
    EventId.NO_PROGRESS: ("name", "state"),
    EventId.KILLED: ("name", "who had it killed"),
    EventId.RELOADED: ("name",),
    EventId.RELOAD_FAILED: ("name", "error text"),
    EventId.RUN_LEFT_OUT: ("name", "its time", "why"),
    EventId.OUT_OF_MEMORY: ("name", "the limit"),
    EventId.LIMITS_MISSING: ("name", "which limits, and why"),
    EventId.BOOT_REJECTED: ("caller", "where the call came from"),
}
