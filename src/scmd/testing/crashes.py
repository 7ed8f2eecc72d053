"""Deaths of the simulated manager: between any two effects, and what a new one finds.

Effects after the instant of death are lost, and so is everything that the core had in its
memory. The journal is kept as far as it was written, a save that was on its way has
reached the disk or has not. Processes live on: what they say waits in their sockets, and the
keeper holds their exits. Orders that reached the keeper are carried out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from scmd.core.memory import (
    AutoStartMemory,
    ChangeMemory,
    IntentMemory,
    Known,
    LaunchMemory,
    LaunchOver,
    Memory,
    ServiceMemory,
)
from scmd.core.messages import LaunchId
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import Effect, WriteJournal
from scmd.core.messages.events import (
    Adopted,
    AutoStart,
    ChannelClosed,
    ClockRead,
    ControlAnswered,
    DispatcherConnected,
    Event,
    HandlerRegistered,
    HeldLaunch,
    LineSeen,
    Shutdown,
    StartAnswered,
    StatusReported,
)
from scmd.core.notifications import ProcessNotified
from scmd.core.scm import Scm
from scmd.core.shutdown import ShutdownMemory, ShutdownOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

LAUNCH_BLOCK = 1_000_000
_PACKETS = (
    ChannelClosed,
    ControlAnswered,
    DispatcherConnected,
    HandlerRegistered,
    ProcessNotified,
    StartAnswered,
    StatusReported,
)
"""What waits in a socket; everything else the keeper knows."""


def key_of(entry: Known) -> tuple[str, int]:
    """What the entry is about; a later one about the same replaces it."""
    match entry:
        case ServiceMemory():
            return "service", entry.service
        case LaunchMemory() | LaunchOver():
            return "launch", entry.launch
        case AutoStartMemory():
            return "auto start", 0
        case ShutdownOrder():
            return "shutdown order", 0
        case ShutdownMemory():
            return "shutdown", 0


class Crashes:
    """The lives of one world's managers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deaths = 0
        self.journal: dict[tuple[str, int], Known] = {}
        self._feed: dict[int, ChangeMemory | IntentMemory] = {}
        """The journal's changes by their numbers, and intents by minus their service's."""
        self._mortal = world.random.random() < 0.5
        self._effects_left: int | None = None
        self._deaf = False
        """It dies with a message that it has read and not journaled."""
        self._fresh = False
        """Nothing has been journaled by this manager yet."""
        self._sockets: deque[Event] = deque()

    def may_die(self, probability: float) -> None:
        """From time to time, set the instant of its death: so many effects from now."""
        if self._mortal and not self.world.down and self.world.chance(probability):
            self._effects_left = self.world.random.randrange(12)
            self._deaf = self.world.random.random() < 0.4

    def dies_before(self, effect: Effect) -> bool:
        """Whether it dies now and this effect is lost, as are those after it."""
        if self._effects_left is None or self.world.calm or self.world.completed:
            return False
        self._effects_left -= 1
        if self._effects_left >= 0 or (self._deaf and not isinstance(effect, WriteJournal)):
            return False
        self._die()
        return True

    def write(self, effect: WriteJournal) -> None:
        if self._fresh:
            self._fresh = False
            self.journal.clear()
            self._feed.clear()
            self._append(self.world.scm.memory())
        else:
            self._append(effect.entries)

    def _append(self, entries: Iterable[Memory]) -> None:
        """In the order written, as in the file."""
        for entry in entries:
            if isinstance(entry, ChangeMemory):
                self._feed[entry.number] = entry
            elif isinstance(entry, IntentMemory):
                self._feed.pop(-entry.service, None)
                self._feed[-entry.service] = entry
            elif isinstance(entry, LaunchOver):
                del self.journal[key_of(entry)]
            else:
                key = key_of(entry)
                self.journal.pop(key, None)
                self.journal[key] = entry

    def keep(self, message: Command | Event) -> None:
        """Nobody reads it now."""
        if isinstance(message, _PACKETS):
            self._sockets.append(message)

    def died_at(self, message: Command | Event) -> None:
        """A notification is taken from its socket only when it has been dealt with."""
        if isinstance(message, ProcessNotified):
            self._sockets.append(message)

    def _die(self) -> None:
        world = self.world
        world.note("the manager dies")
        world.down, self._effects_left = True, None
        self.deaths += 1
        for effect in world.saving:
            if world.random.random() < 0.5:
                world.write(effect)
        world.saving.clear()
        world.clients.cut_off()
        for visitors in world.visitors:
            visitors.cut_off()
        world.checkers.manager_died(self.journal.values())
        world.later(world.random.choice((0, 1, 50, 3_000)), self._begin_again)

    def _begin_again(self) -> None:
        world = self.world
        for process in list(world.processes.values()):
            process.begin_now()
        world.manager_pid += 1
        settings = replace(
            world.settings,
            process_id=world.manager_pid,
            first_launch=1 + self.deaths * LAUNCH_BLOCK,
            epoch=1 + self.deaths,
            first_service=world.next_service,
        )
        world.scm = Scm(world.disk.values(), settings)
        world.down, self._fresh = False, True
        world.checkers.manager_is_back()
        if world.chance(0.2):
            self._effects_left = world.random.randrange(12)
        world.note("a new manager")
        world.tell(Adopted((*self.journal.values(), *self._feed.values()), self._held()))
        if world.auto_started:
            world.tell(ClockRead(world.wall))
            world.tell(AutoStart())
        for process in list(world.processes.values()):
            if process.ready and process.spec.awaited_line:
                world.tell(LineSeen(process.launch))
            if process.exit is not None:
                world.tell(process.exit)
        if world.shutdown_asked:
            world.tell(Shutdown())
        waiting, self._sockets = self._sockets, deque()
        while waiting:
            world.tell(waiting.popleft())
        if not world.down:
            world.clients.reconnect()

    def _held(self) -> tuple[HeldLaunch, ...]:
        return tuple(
            HeldLaunch(
                LaunchId(launch),
                process.spec.service,
                process.pid,
                process.spec.control_channel,
                process.spec.hook,
                process.exit is not None,
            )
            for launch, process in self.world.processes.items()
        )
