"""A host that runs a service as the SCM would: real context and queue, no process, no SCM."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from scmd import Service, ServiceState, ServiceStatus
from scmd.sdk.backend import ControlHandler, ServiceMain
from scmd.vocabulary.service import Control

T = TypeVar("T")
LIMIT_S = 20.0
"""How long a test waits for what must come; a bound on failing, never a pace."""


class Host:
    """One start of one service: a backend that keeps what it is told, and its controls."""

    def __init__(self, service: Service, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self.reports: queue.Queue[ServiceStatus] = queue.Queue()
        self.entries: queue.Queue[str] = queue.Queue()
        self._handler: ControlHandler | None = None
        main = service.service_main(self)
        self._thread = threading.Thread(target=main, args=([service.name],))
        self._thread.start()

    def run(self, table: Sequence[tuple[str, ServiceMain]]) -> None:
        raise AssertionError("the host runs its one service from the start")

    def register(self, name: str, handler: ControlHandler) -> int:
        self._handler = handler
        return 1

    def set_status(self, handle: int, status: ServiceStatus) -> None:
        self.reports.put(status)

    def report_event(
        self, handle: int, type: int, event_id: int, category: int, strings: Sequence[str]
    ) -> None:
        self.entries.put(strings[0])

    def read_parameters(self, name: str) -> Mapping[str, Any]:
        return self._parameters

    def on_parameters_changed(self, handle: int, callback: Callable[[bool], object]) -> None:
        """The parameters of a test stay as they are."""

    def control(self, code: int) -> None:
        assert self._handler is not None
        assert not self._handler(code, 0, b"")

    def reach(self, state: ServiceState) -> ServiceStatus:
        """Waits for the report of a state."""
        for report in _until_limit(self.reports):
            if report.state == state:
                return report
        raise AssertionError("unreachable")

    def entry(self, part: str) -> str:
        """Waits for the log entry with this text."""
        seen: list[str] = []
        try:
            for entry in _until_limit(self.entries):
                seen.append(entry)
                if part in entry:
                    return entry
        except queue.Empty:
            raise AssertionError(f"no {part!r} in {seen}") from None
        raise AssertionError("unreachable")

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> ServiceStatus:
        """Stops it, if it runs; its last report."""
        if self.is_running:
            self.control(Control.STOP)
        stopped = self.reach(ServiceState.STOPPED)
        self._thread.join(LIMIT_S)
        assert not self.is_running
        return stopped


def _until_limit(source: queue.Queue[T]) -> Iterator[T]:
    end = time.monotonic() + LIMIT_S
    while True:
        yield source.get(timeout=max(0.0, end - time.monotonic()))
