"""A stream to a server that answers as a test says, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from scmd.rpc import events
from scmd.rpc.interface import Interface
from scmd.rpc.security.provider import TRUSTED_TRANSPORT, SecurityPolicy
from scmd.rpc.server import ServerConnection

Answer = Callable[[ServerConnection, events.Request], None]


class Canned:
    """Answers each request so; without an answer it refuses to be bound to."""

    def __init__(
        self,
        interfaces: Iterable[Interface],
        answer: Answer | None,
        *,
        piece: int = 100_000,
        policy: SecurityPolicy = TRUSTED_TRANSPORT,
    ) -> None:
        self.far = ServerConnection(interfaces, secondary_address="135", policy=policy)
        self.answer = answer
        self.piece = piece
        self.sent = b""
        self.asked: list[bytes] = []
        self.is_closed = False

    def send(self, data: bytes) -> None:
        for event in self.far.receive_data(data):
            if isinstance(event, events.BindRequested):
                if self.answer is None:
                    self.far.refuse_bind()
                else:
                    self.far.accept_bind(1)
            elif isinstance(event, events.Request):
                assert self.answer is not None
                self.asked.append(event.stub)
                self.answer(self.far, event)
        self.sent += self.far.data_to_send()

    def receive(self, count: int) -> bytes:
        """A piece at a time, and the end when there is nothing more."""
        taken, self.sent = self.sent[: self.piece], self.sent[self.piece :]
        return taken

    def set_timeout(self, timeout: float | None) -> None: ...

    def close(self) -> None:
        self.is_closed = True

    def diagnosis(self) -> str:
        return ""
