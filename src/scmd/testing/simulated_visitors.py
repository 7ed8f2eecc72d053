"""Visitors of the simulated world: callers beside its clients, with something to hold the SCM to.

Each kind is there in some worlds only, has a source of chance of its own, so that what it does is
drawn apart from the rest, and asks under call and association numbers that nobody else has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from scmd.core.messages import AssociationId, Call, Caller, CallId
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import Effect, Reply
from scmd.core.messages.events import AssociationEnded
from scmd.testing.chance import Chance
from scmd.testing.simulated_clients import ADMINISTRATOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

CALLS_EACH = 10**9
"""Each kind's calls have numbers from its own number times this."""


class Visitors:
    """One kind of them in one world."""

    NUMBER: ClassVar[int]
    """Tells the kinds apart."""
    SALT: ClassVar[int]
    """Makes another source of chance of the world's seed."""
    SHARE: ClassVar[float]
    """Of the worlds that they are in."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Chance(seed ^ self.SALT)
        self.are_there = self.random.random() < self.SHARE
        self.seen: set[str] = set()
        """What kinds of things have happened, for the test that they do."""
        self._calls = self.NUMBER * CALLS_EACH
        self._associations = self.NUMBER * 10**6
        self._association = self._new_association()
        self._asked: dict[CallId, Command] = {}

    def sees(self, what: Callable[..., None]) -> bool:
        """Whether this kind has something to do at this method of `Visitors`."""
        return getattr(type(self), what.__name__) is not what

    def _new_association(self) -> AssociationId:
        self._associations += 1
        return AssociationId(self._associations)

    def act(self) -> None:
        """Perhaps one thing."""
        if self.are_there and not self.world.down:
            self._act()

    def _act(self) -> None:
        raise NotImplementedError

    def _call(self, caller: Caller = ADMINISTRATOR) -> Call:
        self._calls += 1
        return Call(CallId(self._calls), self._association, caller)

    def _ask(self, command: Command) -> None:
        """Unless the manager has died: then nobody hears it."""
        if not self.world.down:
            self._asked[command.call.id] = command
            self.world.tell(command)

    def answered(self, reply: Reply) -> None:
        """Each call is answered once."""
        self._heard(self._asked.pop(reply.call), reply)

    def _heard(self, command: Command, reply: Reply) -> None:
        raise NotImplementedError

    def effect(self, effect: Effect) -> None:
        """What the core wants done, before it is done."""

    def after_message(self) -> None:
        """What holds between messages."""

    def cut_off(self) -> None:
        """The manager has died: associations, handles and calls end with it."""
        self._asked.clear()
        self._association = self._new_association()

    def finish(self) -> None:
        """The world is at rest, and they may still ask."""

    def leave(self) -> None:
        """The last associations end, and with them what they hold."""
        if self.are_there:
            self.world.tell(AssociationEnded(self._association))
            assert not self._asked, f"never answered: {list(self._asked.values())}"
