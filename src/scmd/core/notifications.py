"""sd_notify: what a hosted program says by itself, lines of `NAME=value` in a datagram.

Read leniently, as systemd does: a name that means nothing here is skipped, and so is a
value that makes no sense. Who may speak for a launch is the daemon's to check, what
follows from it `announcements`'.
"""

from __future__ import annotations

from scmd.core.messages import LaunchId
from scmd.core.messages.events import Event
from scmd.vocabulary.numbers import decimal

MAX_NOTIFICATION = 4096
"""Bytes; what is longer is cut off."""
LARGEST_PROCESS_ID = 1 << 22
MAX_TEXT = 256
"""Characters of a STATUS."""
LONGEST_SPAN = 3_600_000
"""Milliseconds; a longer span counts as an hour."""


class ProcessNotified(Event, frozen=True):
    """A process of this launch has said so. Spans are milliseconds; None: not said."""

    launch: LaunchId
    ready: bool = False
    reloading: bool = False
    monotonic: int | None = None
    """MONOTONIC_USEC: when the reload began, on the machine's clock."""
    stopping: bool = False
    alive: bool = False
    """WATCHDOG=1."""
    in_trouble: bool = False
    """WATCHDOG=trigger: it wants to be taken for dead."""
    watchdog: int | None = None
    """WATCHDOG_USEC: it will say WATCHDOG=1 this often; 0: no more."""
    extend: int | None = None
    """EXTEND_TIMEOUT_USEC: it needs so much time from now."""
    main: int | None = None
    """MAINPID: which process the program is."""
    text: str | None = None
    errno: int | None = None


def parse(launch: LaunchId, datagram: bytes) -> ProcessNotified:
    """The last of several values of a name counts."""
    said: dict[str, str] = {}
    for line in datagram[:MAX_NOTIFICATION].decode(errors="replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            said[name] = value
    text = said.get("STATUS")
    if text is not None:
        text = "".join(c if c.isprintable() else "?" for c in text[:MAX_TEXT])
    return ProcessNotified(
        launch,
        ready=said.get("READY") == "1",
        reloading=said.get("RELOADING") == "1",
        monotonic=_instant(said.get("MONOTONIC_USEC")),
        stopping=said.get("STOPPING") == "1",
        alive=said.get("WATCHDOG") == "1",
        in_trouble=said.get("WATCHDOG") == "trigger",
        watchdog=_span(said.get("WATCHDOG_USEC")),
        extend=_span(said.get("EXTEND_TIMEOUT_USEC")),
        main=_process_id(said.get("MAINPID")),
        text=text,
        errno=_number(said.get("ERRNO")),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else decimal(text)


def _process_id(text: str | None) -> int | None:
    number = _number(text)
    return number if number is not None and 1 < number <= LARGEST_PROCESS_ID else None


def _instant(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else number // 1000


def _span(text: str | None) -> int | None:
    """Whole milliseconds, rounded up, of microseconds."""
    number = _number(text)
    return None if number is None else min(LONGEST_SPAN, (number + 999) // 1000)
