"""A watcher of the feed, as the core's tests have it."""

from __future__ import annotations

from scmd.core.changes import ChangeKind
from scmd.core.feed import BEGINNING, FeedPart, WaitForChanges
from scmd.core.messages import HandleId
from scmd.core.messages.commands import Command
from tests.core.bench import Bench

NO_LIMIT = 0xFFFF_FFFF


class Reader:
    """A watcher that remembers its place."""

    def __init__(
        self, bench: Bench, *names: str, handle: HandleId | None = None, association: int = 1
    ) -> None:
        self.bench = bench
        self.names = names
        self.association = association
        self.handle = bench.handle if handle is None else handle
        self.place = (0, BEGINNING)
        self.command: Command | None = None
        self.picture = self.read()
        assert self.picture.behind

    def ask(self, limit: int = NO_LIMIT, resume: int = 0) -> Command:
        epoch, after = self.place
        call = self.bench.call(association=self.association)
        self.command = WaitForChanges(call, self.handle, epoch, after, limit, self.names, resume)
        self.bench.tell(self.command)
        return self.command

    @property
    def is_answered(self) -> bool:
        assert self.command is not None
        return self.bench.answered(self.command)

    @property
    def part(self) -> FeedPart | None:
        """The answer, when there is one; its place counts from now on."""
        assert self.command is not None
        reply = self.bench.replies.get(self.command.call.id)
        if reply is None:
            return None
        assert isinstance(reply.result, FeedPart)
        self.place = reply.result.epoch, reply.result.number
        return reply.result

    def read(self) -> FeedPart:
        """What there is now."""
        self.ask(0)
        part = self.part
        assert part is not None
        return part


def kinds(part: FeedPart) -> list[tuple[ChangeKind, str]]:
    return [(change.kind, change.name) for change in part.changes]
