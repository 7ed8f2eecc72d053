"""Connections that a test cuts, for whoever connects again."""

from __future__ import annotations

from scmd.client.calls import Calls, open_calls
from scmd.client.connection import ConnectionFailed


class Reaching:
    """Connects; given a failure, the second time fails with it."""

    def __init__(self, failure: ConnectionFailed | None = None) -> None:
        self.failure = failure
        self.opened: list[Calls] = []

    def __call__(self) -> Calls:
        if self.opened and self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.opened.append(open_calls())
        return self.opened[-1]

    def cut(self) -> None:
        """Break the newest connection."""
        self.opened[-1].connection.abort()
