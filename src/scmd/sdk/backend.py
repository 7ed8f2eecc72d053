"""What the small API needs of whoever runs it: the seam between services and their host.

`dispatcher.Dispatcher` is the SCM's control channel; `debug.Console` a person at a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from scmd.vocabulary.status import ServiceStatus

ServiceMain = Callable[[list[str]], object]
"""Called with argv on a thread of its own; what it returns is ignored."""
ControlHandler = Callable[[int, int, bytes], int | None]
"""Called with control, event type and event data; returns a Win32 error, None meaning 0."""


class Backend(Protocol):
    def run(self, table: Sequence[tuple[str, ServiceMain]]) -> None:
        """Serve the named services; returns when the last one that was started has stopped."""

    def register(self, name: str, handler: ControlHandler) -> int:
        """Make `handler` the service's Handler; the result names the service from here on."""

    def set_status(self, handle: int, status: ServiceStatus) -> None:
        """Report a status; WinError 13 for illegal values, 6 for a handle that has stopped."""

    def report_event(
        self, handle: int, type: int, event_id: int, category: int, strings: Sequence[str]
    ) -> None:
        """Add an entry to the event log, as far as possible; never fails, never blocks."""

    def read_parameters(self, name: str) -> Mapping[str, Any]:
        """The service's Parameters as they are stored now; WinError."""

    def on_parameters_changed(self, handle: int, callback: Callable[[bool], object]) -> None:
        """Have `callback` called, on any thread, when the service's Parameters have changed.

        With True; or with False when that is not known, as a manager has died.
        """
