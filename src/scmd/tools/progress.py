"""Watching a pending service on a terminal: its check points and what is left of its wait hint.

One line on standard error, rewritten in place and gone at the end.
"""

from __future__ import annotations

import sys
import time

from scmd.client.waiting import Progress
from scmd.tools.sc_output import word
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import PENDING_STATES, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.statuses import Statuses
    from scmd.vocabulary.status import ServiceStatus

_QUIET_S = 0.3
"""What is over sooner is not worth a line."""
_CLEAR = "\r\x1b[K"


def on_terminal() -> bool:
    """Whether a person is watching both outputs."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def follow(
    name: str,
    statuses: Statuses,
    status: ServiceStatus,
    wanted: ServiceState | None = None,
) -> None:
    """Show what comes after `status` until it rests or breaks its promise; then say what came.

    With `wanted`, the state that `status` has, even one of rest, is one that is to be left.
    """
    sys.stdout.flush()
    progress = Progress(status, time.monotonic(), status.state, wanted)
    shown = False
    while progress.is_under_way and not progress.is_hung(time.monotonic()):
        if time.monotonic() - progress.started > _QUIET_S:
            sys.stderr.write(_CLEAR + progress_line(name, status, progress, time.monotonic()))
            sys.stderr.flush()
            shown = True
        status = statuses.next(progress)
        progress.update(status, time.monotonic())
    if shown:
        sys.stderr.write(_CLEAR)
    sys.stderr.write(outcome_line(name, progress.is_under_way, status))


def progress_line(name: str, status: ServiceStatus, progress: Progress, now: float) -> str:
    """`Web: STOP_PENDING, check point 3, 12 s of the wait hint left`."""
    state = word(ServiceState, status.state)
    if status.state not in PENDING_STATES:
        return f"{escaped(name)}: still {state}"
    return (
        f"{escaped(name)}: {state}, check point {status.check_point}, "
        f"{progress.remaining(now):.0f} s of the wait hint left"
    )


def outcome_line(name: str, is_under_way: bool, status: ServiceStatus) -> str:
    """What it came to, with the error of a service that stopped with one."""
    state = word(ServiceState, status.state)
    if is_under_way:
        return f"{escaped(name)} is still {state} past its wait hint; it may hang.\n"
    text = f"{escaped(name)} is {state}"
    if status.state == ServiceState.STOPPED and status.win32_exit_code:
        text += f", exit code {status.win32_exit_code}"
        if status.service_specific_exit_code:
            text += f" ({status.service_specific_exit_code})"
    return text + ".\n"
