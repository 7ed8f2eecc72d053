"""The host's time of day and its time zones, and notice of somebody setting the clock.

A timer that is cancelled when the clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) makes
its descriptor readable then, after a suspend too; nothing wakes up otherwise.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time
import zoneinfo
from datetime import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE, _CANCEL_ON_SET = 1, 2
_NEVER = struct.pack("qqqq", 0, 0, 1 << 33, 0)
"""An itimerspec that is due in the year 2242."""
LOCAL = "/etc/localtime"


class ClockWatch:
    """A descriptor that becomes readable when the clock was set; `again` makes it ready anew."""

    def __init__(self) -> None:
        """OSError where the kernel has no such thing."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = int(self._libc.timerfd_create(time.CLOCK_REALTIME, _FLAGS))
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.again()

    def fileno(self) -> int:
        return self._descriptor

    def again(self) -> None:
        how = _ABSOLUTE | _CANCEL_ON_SET
        # ECANCELED: armed anew, and it is said once that the clock has been set meanwhile.
        if self._libc.timerfd_settime(self._descriptor, how, _NEVER, None):
            problem = ctypes.get_errno()
            if problem != errno.ECANCELED:
                raise OSError(problem, "timerfd_settime")

    def close(self) -> None:
        os.close(self._descriptor)


def wall() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def utc_now() -> datetime:
    return datetime.now(UTC)


def timestamp(instant: datetime) -> str:
    """A time in UTC as what is kept has it: `2026-01-31T12:00:00.000Z`."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def zone(name: str) -> tzinfo | None:
    """A time zone by its IANA name, the host's own for ""; None when there is no such one."""
    if not name:
        return _local()
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return None


def _local() -> tzinfo:
    """What TZ names, else /etc/localtime, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named and not named.startswith("/"):
        found = zone(named)
        if found is not None:
            return found
    path = named if named.startswith("/") else LOCAL
    try:
        with open(path, "rb") as file:
            return zoneinfo.ZoneInfo.from_file(file, key=path)
    except (OSError, ValueError):
        return UTC
