"""The core's shell: feeds it messages, performs its effects, keeps its one timer.

It decides nothing. Messages that arise while effects are performed wait their turn, so
the core is never entered twice, and effects are done in the order given, except that answers come
before the changes of status that are written down. Time is the loop's clock (CLOCK_MONOTONIC: it
stands still while the machine is suspended, so nothing is overdue when it wakes). What fails here
is a bug, and leaves a core that nobody should ask again: `on_failure` is told and must end the
process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import assert_never

from scmd.control_pipe import packets
from scmd.core import messages
from scmd.core.messages import commands, effects, events
from scmd.core.messages.effects import Reply
from scmd.core.scm import Scm
from scmd.daemon.channels import Channels
from scmd.daemon.keeper_link import KeeperLink
from scmd.daemon.main_processes import MainProcesses
from scmd.daemon.probes import Probes
from scmd.linux.database import Database
from scmd.linux.runtime_journal import RuntimeJournal
from scmd.vocabulary.errors import Error

Message = commands.Command | events.Event
"""What goes in."""
Notice = (
    effects.LogEvent
    | effects.Audited
    | effects.StatusChanged
    | effects.ServiceFailed
    | effects.ServiceCreated
    | effects.ServiceDeleted
    | effects.ShutdownCompleted
)
"""What is only to be told."""


class Shell:
    """Everything around one `Scm`."""

    def __init__(
        self,
        scm: Scm,
        keeper: KeeperLink,
        channels: Channels,
        database: Database,
        journal: RuntimeJournal,
        *,
        on_reply: Callable[[effects.Reply], None],
        on_notice: Callable[[Notice], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._scm = scm
        self._keeper = keeper
        self._channels = channels
        self._database = database
        self._journal = journal
        self._on_reply = on_reply
        self._on_notice = on_notice
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._probes = Probes(self.submit)
        self._mains = MainProcesses(self._follow, self.submit)
        self._waiting: deque[Message] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0
        """The instant of the timer, which may be earlier than the next deadline."""
        self._saves = 0
        """How many the disk has not answered."""
        self._saved = asyncio.Event()
        self._saved.set()

    async def saved(self) -> None:
        """Return once the disk has answered all that it was given."""
        await self._saved.wait()

    def submit(self, message: Message) -> None:
        """Hand a command or an event to the core, after whatever is being handled now."""
        waiting = self._waiting
        waiting.append(message)
        if self._busy:
            return
        self._busy = True
        try:
            while waiting:
                self._perform_all(self._scm.handle(waiting.popleft(), now()))
        except Exception as failed:
            self._on_failure(failed)
            raise
        finally:
            self._busy = False
        self._arm()

    def _follow(self, launch: messages.LaunchId, process_id: int) -> None:
        self._keeper.follow(launch, process_id)

    def _arm(self) -> None:
        """Have the timer fire at the next deadline, or before; there is none without a deadline.

        Most deadlines are over before they come. A timer that fires too early sets the next one,
        which costs less than to move it at each of them.
        """
        deadline = self._scm.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._due <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._due = deadline
            self._timer = self._loop.call_at(deadline / 1000, self._expired)

    def _expired(self) -> None:
        self._timer = None
        self._busy = True
        try:
            self._perform_all(self._scm.expire(now()))
        except Exception as failed:
            self._on_failure(failed)
            raise
        finally:
            self._busy = False
        if self._waiting:
            self.submit(self._waiting.popleft())
        else:
            self._arm()

    def _perform_all(self, caused: list[effects.AnyEffect]) -> None:
        """In order, but somebody waits for the answers, and for the history nobody does."""
        changes: list[effects.StatusChanged] = []
        for effect in caused:
            if type(effect) is Reply:
                self._on_reply(effect)
            elif type(effect) is effects.StatusChanged:
                changes.append(effect)
            else:
                if changes:
                    self._tell(changes)
                self._perform(effect)
        if changes:
            self._tell(changes)

    def _tell(self, changes: list[effects.StatusChanged]) -> None:
        for change in changes:
            self._on_notice(change)
        changes.clear()

    def _perform(self, effect: effects.AnyEffect) -> None:
        match effect:
            case effects.Reply():
                self._on_reply(effect)
            case effects.WriteJournal():
                self._journal.append(effect.entries)
            case (
                effects.LogEvent()
                | effects.Audited()
                | effects.StatusChanged()
                | effects.ServiceFailed()
                | effects.ServiceCreated()
                | effects.ServiceDeleted()
                | effects.ShutdownCompleted()
            ):
                self._on_notice(effect)
            case effects.LaunchProcess():
                self._keeper.launch(effect.launch, effect.spec)
            case effects.SaveRecord() | effects.RemoveRecord() | effects.SaveControl():
                self._saves += 1
                self._saved.clear()
                self._database.submit(effect, self._written)
            case effects.SignalProcess():
                self._keeper.signal(effect.launch, effect.signal, effect.tree)
            case effects.KillProcess():
                self._keeper.kill(effect.launch)
            case effects.ForgetLaunch():
                self._channels.close(effect.launch)
                self._probes.cancel(effect.launch)
                self._keeper.forget(effect.launch, keep_tree=effect.keep_tree)
            case effects.FollowProcess():
                self._mains.find(effect)
            case effects.StartProbe():
                self._probes.start(effect)
            case effects.SendStart():
                start = packets.Start(service=effect.service, arguments=effect.arguments)
                self._channels.send(effect.launch, start)
            case effects.SendControl():
                self._channels.send(effect.launch, _control(effect))
            case effects.SendResync():
                self._channels.send(effect.launch, packets.Resync())
            case effects.ParametersChanged():
                changed = packets.ParametersChanged(service=effect.service)
                self._channels.send(effect.launch, changed)
            case _:
                assert_never(effect)

    def _written(self, save: messages.SaveId, error: Error) -> None:
        """On the writer's thread: the change is durable, or never will be."""
        event = events.SaveFailed(save, error) if error else events.RecordSaved(save)
        self._loop.call_soon_threadsafe(self._answered, event)

    def _answered(self, event: events.SaveFailed | events.RecordSaved) -> None:
        self.submit(event)
        self._saves -= 1
        if not self._saves:
            self._saved.set()


def now() -> int:
    """Milliseconds of the loop's clock."""
    return int(monotonic() * 1000)


def _control(effect: effects.SendControl) -> packets.Control:
    return packets.Control(
        service=effect.service,
        control=effect.control,
        code=effect.code,
        event_type=effect.event_type,
        data=effect.event_data,
    )
