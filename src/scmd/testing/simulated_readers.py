"""Readers of the simulated world: who may not see every service follows the feed.

The subject of the guards asks on a handle to the SCM for changes. It is told of those of the
services that it might query at the time of the change, of all of them and of no others, in order
and once, across deaths of the manager; the whole picture that it gets instead has just those
services too.

They have a source of chance of their own, so that what they do is drawn apart from the rest.
"""

from __future__ import annotations

from scmd.core.changes import REMEMBERED
from scmd.core.feed import BEGINNING, NO_LIMIT, FeedPart, WaitForChanges
from scmd.core.memory import ChangeMemory
from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import CloseHandle, Command, OpenScm
from scmd.core.messages.effects import Effect, Reply, WriteJournal
from scmd.testing.simulated_guards import CONNECT, ENUMERATE, SUBJECT
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

NOT_SEEN = {False}


class Readers(Visitors):
    """The reader of one world; in most worlds there is none."""

    NUMBER, SALT, SHARE = 8, 0x2EAD, 0.5

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self.are_there = self.are_there and world.guards.are_there
        self._scm: HandleId | None = None
        self._place = (0, BEGINNING)
        self._written: dict[int, tuple[ServiceId, set[bool]]] = {}
        """By number: what a change was about, and whether the reader might see it then."""

    def _act(self) -> None:
        if self._scm is None:
            if not self._asked:
                self._ask(OpenScm(self._call(SUBJECT), None, CONNECT | ENUMERATE))
        elif self.random.random() < 0.05:
            scm, self._scm = self._scm, None
            self._ask(CloseHandle(self._call(SUBJECT), scm))
        elif not any(isinstance(c, WaitForChanges) for c in self._asked.values()):
            limit = self.random.choice((0, 0, 50, 5_000, NO_LIMIT))
            if self.random.random() < 0.05:
                self._place = (0, BEGINNING)
            self._ask(WaitForChanges(self._call(SUBJECT), self._scm, *self._place, limit))

    # What it hears -----------------------------------------------------------------------------

    def _heard(self, command: Command, reply: Reply) -> None:
        match command:
            case OpenScm():
                self._opened(reply)
            case WaitForChanges():
                self._told(command, reply)

    def _opened(self, reply: Reply) -> None:
        if reply.error:
            assert reply.error == Error.ACCESS_DENIED, f"the SCM was not opened: {reply.error}"
            self.seen.add("denied")
            return
        assert isinstance(reply.result, int)
        self._scm = HandleId(reply.result)

    def _told(self, command: WaitForChanges, reply: Reply) -> None:
        if reply.error:
            assert reply.error == Error.REQUEST_ABORTED, f"not told: {reply.error}"
            return
        part = reply.result
        assert isinstance(part, FeedPart)
        if part.behind:
            self._shown(command.after, part)
        else:
            assert part.epoch == command.epoch, "another epoch without a word"
            self._compare(command.after, part)
        self._place = part.epoch, part.number

    def _shown(self, after: int, part: FeedPart) -> None:
        excusable = after in (BEGINNING, 0) or part.number - after > REMEMBERED
        assert excusable, f"behind at {after}, of {part.number}"
        shown = {view.id for view in part.services}
        for id in self.world.scm.state.records:
            may = self._may_see(id)
            assert (id in shown) in may, f"service {id} is shown: {id in shown}, it may be: {may}"
        self.seen.add("picture")

    def _compare(self, after: int, part: FeedPart) -> None:
        numbers = [change.number for change in part.changes]
        assert numbers == sorted(set(numbers)), f"told in the order {numbers}"
        assert all(after < number <= part.number for number in numbers), (
            f"{numbers} after {after}, up to {part.number}"
        )
        told = {change.number: change.service for change in part.changes}
        for number in range(after + 1, part.number + 1):
            service, may = self._written[number]
            assert (number in told) in may, (
                f"change {number} of service {service} was told: {number in told}, it may be: {may}"
            )
            assert told.get(number, service) == service, f"{number} is told of another service"
            if may == NOT_SEEN:
                self.seen.add("kept from it")
            elif number in told:
                self.seen.add("told")

    # What happens ------------------------------------------------------------------------------

    def effect(self, effect: Effect) -> None:
        """The numbers are the core's; who may see what is the guards' knowledge."""
        if isinstance(effect, WriteJournal):
            for entry in effect.entries:
                if isinstance(entry, ChangeMemory):
                    service = ServiceId(entry.service)
                    self._written[entry.number] = service, self._may_see(service)

    def _may_see(self, service: ServiceId) -> set[bool]:
        return self.world.guards.may_query(service)

    def cut_off(self) -> None:
        """The manager has died; the place in the feed is kept."""
        super().cut_off()
        self._scm = None
