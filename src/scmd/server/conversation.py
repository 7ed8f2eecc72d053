"""Conversations: a session between its connection and whoever performs what it asks.

The glue that decides nothing: outputs go where they belong, a client that does not take its
replies is given no more, one that asks much takes turns with the others. A `Conversation` has
the methods of `transport.streams.Handler`; connection, performer and event loop come
in as protocols, so everything here is as pure as the sessions are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from scmd.core.messages import Caller
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded, CallsAbandoned
from scmd.rpc.events import Authenticated
from scmd.server.session import LOCAL, Close, Session, Sessions, Terms
from scmd.server.steps import Asked

TURN = 16
"""Calls begun for one connection before the others' turn."""


class Channel(Protocol):
    """A connection, as `transport.streams.StreamConnection` is one."""

    @property
    def congested(self) -> bool: ...

    def send(self, data: bytes) -> None: ...

    def hold(self, held: bool) -> None: ...

    def close(self) -> None: ...


class Performer(Protocol):
    """Who carries out what sessions ask. Replies go to `Conversations.answer`, at once or later."""

    def perform(self, asked: Asked) -> None:
        """Hand a command to the core, answer a host request."""

    def happened(self, event: AssociationEnded | CallsAbandoned) -> None:
        """Hand the event to the core."""


class Conversations:
    """All conversations of one SCM instance.

    `later` runs a function when the loop has been round: `loop.call_soon`.
    """

    def __init__(
        self,
        sessions: Sessions,
        performer: Performer,
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self.sessions = sessions
        self.performer = performer
        self.later = later
        self._open: dict[Session, Conversation] = {}

    def open(self, caller: Caller, channel: Channel, terms: Terms = LOCAL) -> Conversation:
        """The handler of a new connection."""
        session = self.sessions.open(caller, terms)
        conversation = self._open[session] = Conversation(self, session, channel)
        return conversation

    def answer(self, reply: Reply) -> None:
        """Give a reply to the call that waits for it, if its connection still does."""
        session = self.sessions.answer(reply)
        if session is not None:
            self._open[session].pump()

    def forget(self, session: Session) -> None:
        """A connection is over. For `Conversation`."""
        del self._open[session]

    def __len__(self) -> int:
        return len(self._open)


class Conversation:
    """One connection's handler. Made by `Conversations.open`."""

    __slots__ = (
        "_channel",
        "_conversations",
        "_is_held",
        "_is_pumping",
        "_is_scheduled",
        "_session",
    )

    def __init__(self, conversations: Conversations, session: Session, channel: Channel) -> None:
        self._conversations = conversations
        self._session = session
        self._channel = channel
        self._is_held = False
        self._is_pumping = False
        self._is_scheduled = False

    def received(self, data: bytes) -> None:
        self._session.receive(data)
        self.pump()

    def resumed(self) -> None:
        self.pump()

    def lost(self) -> None:
        ended = self._session.closed()
        self._conversations.forget(self._session)
        for event in ended:
            self._conversations.performer.happened(event)

    def pump(self) -> None:
        """Pass outputs on, for one turn at most.

        What is performed may be answered before `perform` returns, which comes back here: the
        answer's bytes are then left to the turn under way, however long the queue of calls is.
        """
        if self._is_pumping or self._is_scheduled:
            return
        self._is_pumping = True
        try:
            more = self._turn()
        finally:
            self._is_pumping = False
        if more:
            self._is_scheduled = True
            self._conversations.later(self._resume)
        held = self._session.is_backed_up
        if held != self._is_held:
            self._is_held = held
            self._channel.hold(held)

    def _turn(self) -> bool:
        """True: the turn is over and there may be more."""
        channel, session = self._channel, self._session
        performer = self._conversations.performer
        begun = 0
        while not channel.congested:
            output = session.next()
            if output is None:
                return False
            if type(output) is bytes:
                channel.send(output)
            elif isinstance(output, Close):
                channel.close()
            elif isinstance(output, CallsAbandoned):
                performer.happened(output)
            elif isinstance(output, Authenticated):
                session.terms.find_caller(output.identity, partial(self._identified, output))
            else:
                assert not isinstance(output, bytes)
                performer.perform(output)
                begun += 1
                if begun >= TURN:
                    return True
        return False

    def _identified(self, event: Authenticated, caller: Caller | None) -> None:
        self._session.identified(event, caller)
        self.pump()

    def _resume(self) -> None:
        self._is_scheduled = False
        self.pump()
