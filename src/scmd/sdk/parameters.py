"""`svc.parameters`: the service's own values in the database, as it last was told.

Read through the client on first use and again after the SCM said they changed, or after the death
of a manager, which may not have come to say so; never written here. Names are compared as the
registry does, without regard to case.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from scmd.vocabulary.names import name_key
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_parameters(service_name: str) -> Mapping[str, Any]:
    """The stored Parameters, from the local SCM; WinError when it cannot be asked."""
    from scmd.client.scm import connect

    with connect() as scm:
        return dict(scm[service_name].parameters)


class Parameters(Mapping[str, "Any"]):
    """Read-only; iteration gives the names as they were stored.

    Values are str, int, bytes or a tuple of str, as they were set; reading raises WinError when
    the SCM does not answer.
    """

    def __init__(
        self,
        service_name: str,
        queue: Callable[[Callable[[], object]], None],
        read: Callable[[str], Mapping[str, Any]],
    ) -> None:
        """`queue` takes what has to run on the service's thread, `read` asks the database."""
        self._service_name = service_name
        self._queue = queue
        self._read = read
        self._lock = threading.Lock()
        self._version = 0
        self._values: Mapping[str, tuple[str, Any]] | None = None
        self._callbacks: list[Callable[[], object]] = []

    def on_change(self, callback: Callable[[], object]) -> Callable[[], object]:
        """Have `callback` called by `svc.wait` after each change; usable as a decorator."""
        self._callbacks.append(callback)
        return callback

    def invalidate(self, is_certain: bool) -> None:
        """The values have changed, or may have: read them again when they are next asked for."""
        with self._lock:
            self._version += 1
            before, self._values = self._values, None
        for callback in self._callbacks:
            self._queue(callback if is_certain else partial(self._call_if_other, before, callback))

    def _call_if_other(
        self, before: Mapping[str, tuple[str, Any]] | None, callback: Callable[[], object]
    ) -> None:
        with suppress(WinError):  # The callback will meet the error too, and knows what to do.
            if self._current() == before:
                return
        callback()

    def _current(self) -> Mapping[str, tuple[str, Any]]:
        while True:
            with self._lock:
                if self._values is not None:
                    return self._values
                version = self._version
            stored = self._read(self._service_name)
            values = {name_key(name): (name, value) for name, value in stored.items()}
            with self._lock:
                # What was read before a change must not be kept after it.
                if version == self._version:
                    self._values = values
                    return values

    def __getitem__(self, name: str) -> Any:
        try:
            return self._current()[name_key(name)][1]
        except KeyError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._current().values()])

    def __len__(self) -> int:
        return len(self._current())

    def __repr__(self) -> str:
        return f"<Parameters of {self._service_name}>"
