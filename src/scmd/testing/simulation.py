"""The simulation: the real core in a world drawn from a seed.

Clients ask at random, processes hang, lie and die, the disk is slow and fails, time
jumps, the manager dies between two effects and a new one adopts what is left. `checkers`
watches from outside. The same seed gives the same story, message by message: the only
source of chance is one `Chance(seed)`. After its steps the world calms, is shut
down, and everything must come to rest.
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Callable, Mapping
from typing import Any

from scmd.core import control_values
from scmd.core.messages import ControlId, LaunchId, SaveId, ServiceId, Settings, StoredService
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import (
    AnyEffect,
    Effect,
    FollowProcess,
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    RemoveRecord,
    Reply,
    SaveControl,
    SaveRecord,
    SendControl,
    SendResync,
    SendStart,
    ShutdownCompleted,
    SignalProcess,
    StartProbe,
    WriteJournal,
)
from scmd.core.messages.events import (
    AutoStart,
    ChannelClosed,
    ClockRead,
    ControlAnswered,
    DispatcherConnected,
    Event,
    ProcessExited,
    RecordSaved,
    SaveFailed,
    Shutdown,
    StartAnswered,
    StatusReported,
)
from scmd.core.notifications import parse
from scmd.core.scm import Scm
from scmd.testing.chance import Chance
from scmd.testing.checkers import Checkers
from scmd.testing.crashes import Crashes
from scmd.testing.rest_checker import check_agreement, check_rest, is_waiting
from scmd.testing.simulated_built_ins import BuiltIns
from scmd.testing.simulated_clients import Clients
from scmd.testing.simulated_guards import Guards
from scmd.testing.simulated_listeners import Listeners
from scmd.testing.simulated_lockers import Lockers
from scmd.testing.simulated_operators import Operators
from scmd.testing.simulated_processes import SimulatedProcess
from scmd.testing.simulated_readers import Readers
from scmd.testing.simulated_tuners import Tuners
from scmd.testing.simulated_visitors import CALLS_EACH, Visitors
from scmd.testing.simulated_watchers import Watchers
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.status import ServiceStatus

REST_TIME = 4 * 3_600_000
"""Milliseconds a calm world may take to come to rest."""
COLLECT_EVERY = 20_000
"""Objects."""
STORMY_STEPS = 40
"""How long a shutdown is disturbed, at most."""
JUMPS = (0, 0, 0, 0, 1, 1, 5, 20, 100, 100, 1_000, 5_000, 31_000, 90_000)


AnySave = SaveRecord | RemoveRecord | SaveControl
DATAGRAMS = (
    b"READY=1",
    b"READY=1\nSTOPPING=1\nRELOADING=1\nWATCHDOG=trigger",
    b"WATCHDOG_USEC=1",
    b"WATCHDOG_USEC=18446744073709551615\nEXTEND_TIMEOUT_USEC=18446744073709551615",
    b"STATUS=\xff\xfe\x00\x1b[2J" + 3_000 * b"=",
    b"MAINPID=1\nERRNO=-5\n\n==\n=",
    b"RELOADING=1\nMONOTONIC_USEC=9999999999999999999",
)
"""What a process may say that means harm, or nothing."""


class World:
    """One seeded world around one SCM."""

    def __init__(self, seed: int, *, keep_story: bool = False) -> None:
        self.random = Chance(seed)
        self.built_ins = BuiltIns(self, seed)
        self.lockers = Lockers(self, seed)
        self.control: dict[str, RegistryValue] = {
            control_values.GROUP_ORDER: RegistryValue.of(("First", "Second")),
            control_values.PRESHUTDOWN_ORDER: RegistryValue.of(("C", "B")),
            control_values.RESTART_LIMIT: RegistryValue.of(3),
            control_values.REBOOT_COMMAND: RegistryValue.of("/bin/hook-recover reboot"),
            control_values.AUTO_START_DELAY: RegistryValue.of(self.random.choice((1, 20, 120))),
            control_values.BUILT_IN_SERVICES: RegistryValue.of(int(self.built_ins.are_there)),
            control_values.LOCK_HAS_EFFECT: RegistryValue.of(int(self.lockers.has_effect)),
        }
        """SCM-wide values on the disk."""
        self._host = Settings(
            notify_socket="/notify.sock",
            ends_with_essential=self.random.random() < 0.15,
            process_id=50,
        )
        self.settings = control_values.settings_from(self.control, self._host)
        self.disk: dict[ServiceId, StoredService] = {}
        self.saving: list[AnySave] = []
        """On their way to the disk."""
        self.saves_failed = False
        self.next_service = 1
        self.scm = Scm((), self.settings)
        self.manager_pid = self.settings.process_id
        self.now = 1_000
        self.wall_offset = 1_770_000_000_000 + self.random.randrange(10**10)
        """The time of day less `now`."""
        self.calm = False
        self.shutdown_asked = False
        self.completed = False
        self.down = False
        """The manager is dead and no new one is there yet."""
        self.auto_started = False
        self.processes: dict[LaunchId, SimulatedProcess] = {}
        self.manager: Crashes = Crashes(self)
        self.story: list[tuple[int, Command | Event | Effect | str]] | None = (
            [] if keep_story else None
        )
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self._process_id = 100
        self.checkers = Checkers(self)
        self.clients = Clients(self)
        self.watchers = Watchers(self, seed)
        self.operators = Operators(self, seed)
        self.guards = Guards(self, seed)
        self.tuners = Tuners(self, seed)
        self.listeners = Listeners(self, seed)
        self.readers = Readers(self, seed)
        self.visitors: tuple[Visitors, ...] = (
            *(self.watchers, self.lockers, self.operators),
            *(self.guards, self.readers, self.tuners),
            *(self.built_ins, self.listeners),
        )
        self._present = [each for each in self.visitors if each.are_there]
        self._witnesses = [each for each in self._present if each.sees(Visitors.effect)]
        self._onlookers = [each for each in self._present if each.sees(Visitors.after_message)]
        self._callers = {0: self.clients, **{each.NUMBER: each for each in self.visitors}}

    # Time --------------------------------------------------------------------------------

    def later(self, delay: int, action: Callable[[], None]) -> None:
        """Let something happen in `delay` ms."""
        self._serial += 1
        heapq.heappush(self._later, (self.now + delay, self._serial, action))

    def chance(self, probability: float) -> bool:
        """Whether something with this probability happens now; never when the world is calm."""
        return self.random.random() < probability and not self.calm

    def new_process_id(self) -> int:
        self._process_id += 1
        return self._process_id

    def _advance_to(self, instant: int) -> None:
        """Let everything happen that is due until then, the SCM's deadlines among it."""
        while True:
            deadline = None if self.down else self.scm.next_deadline()
            own = self._later[0][0] if self._later else None
            due = own if deadline is None or (own is not None and own < deadline) else deadline
            if due is None or due > instant:
                break
            if due > self.now:
                self.now = due
            if own is not None and own <= self.now:
                heapq.heappop(self._later)[2]()
            else:
                self._tell_time()
        if instant > self.now:
            self.now = instant

    def _tell_time(self) -> None:
        self.note("time")
        self._perform(self.scm.expire(self.now))
        self.checkers.after_message(None)

    # Messages ----------------------------------------------------------------------------

    def tell(self, message: Command | Event) -> None:
        """Give the SCM a message and carry its effects out."""
        if self.down:
            self.manager.keep(message)
            return
        if self.story is not None:
            self.note(message)
        self.checkers.before_message(message)
        if not self._perform(self.scm.handle(message, self.now)):
            self.manager.died_at(message)
        self.checkers.after_message(message)
        for visitors in self._onlookers:
            visitors.after_message()

    def note(self, entry: Command | Event | Effect | str) -> None:
        if self.story is not None:
            self.story.append((self.now, entry))

    def _perform(self, effects: list[AnyEffect]) -> bool:
        """Whether the manager lived to do all of it."""
        for place, effect in enumerate(effects):
            kind = type(effect)
            assert place == 0 or kind is not WriteJournal, "the journal comes late"
            if self.manager.dies_before(effect):
                return False
            if self.story is not None:
                self.note(effect)
            self.checkers.effect(effect)
            for visitors in self._witnesses:
                visitors.effect(effect)
            carry_out = _HANDS.get(kind)
            if carry_out is not None:
                carry_out(self, effect)
        return True

    def _answered(self, reply: Reply) -> None:
        self._callers[reply.call // CALLS_EACH].answered(reply)

    def _launched(self, effect: LaunchProcess) -> None:
        self.processes[effect.launch] = SimulatedProcess(self, effect.launch, effect.spec)

    def _forgotten(self, effect: ForgetLaunch) -> None:
        # What a daemon has left behind ends with its launch.
        self.processes.pop(effect.launch).alive = False

    def _completed(self) -> None:
        self.completed = True

    def _save(self, effect: AnySave) -> None:
        delay = self.random.choice((0, 0, 0, 3, 50, 2_000))
        failed = self.chance(0.08)
        self.saving.append(effect)
        self.later(delay, lambda: self._saved(effect, failed))

    def _saved(self, effect: AnySave, failed: bool) -> None:
        if all(effect is not waiting for waiting in self.saving):
            return
        self.saving = [waiting for waiting in self.saving if waiting is not effect]
        if failed:
            self.saves_failed = True
            self.checkers.save_failed(effect)
            self.tell(SaveFailed(effect.save, Error.DISK_FULL))
            return
        self.write(effect)
        if isinstance(effect, SaveRecord) and effect.deleted:
            self.watchers.marked(effect.service)
        self.tell(RecordSaved(effect.save))

    def write(self, effect: AnySave) -> None:
        """The change is on the disk."""
        if isinstance(effect, SaveControl):
            self.control = control_values.merged(self.control, effect.values)
            self.settings = control_values.settings_from(self.control, self._host)
        elif isinstance(effect, RemoveRecord):
            del self.disk[effect.service]
        else:
            old = self.disk.get(effect.service)
            parameters = effect.parameters
            if parameters is None:
                parameters = old.parameters if old is not None else {}
            self.disk[effect.service] = StoredService(
                effect.service, effect.config, parameters, effect.deleted
            )
            self.next_service = max(self.next_service, effect.service + 1)

    # A life ------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        """A life of so many steps, then calm, shutdown and rest."""
        before = gc.get_threshold()
        # What a world has made is in use until its end: looking for garbage often finds none.
        gc.set_threshold(COLLECT_EVERY)
        try:
            self._run(steps)
        finally:
            gc.set_threshold(*before)

    def _run(self, steps: int) -> None:
        self.clients.open_all()
        auto_start_at = self.random.randrange(steps) if steps else 0
        for step in range(steps):
            if step == auto_start_at:
                self.auto_started = True
                self.tell(ClockRead(self.wall))
                self.tell(AutoStart())
            self._live()
            if self._is_shutting_down():
                break
        if self._is_shutting_down() or self.chance(0.5):
            self._shut_down_in_a_storm()
        self._come_to_rest()

    def _live(self) -> None:
        """One step: anything may happen, and time passes."""
        self.manager.may_die(0.3 if self.shutdown_asked else 0.03)
        if self.chance(0.05):
            self._tell_nonsense()
        if self.chance(0.02):
            self._set_clock()
        self.clients.act()
        for visitors in self._present:
            visitors.act()
        self._advance_to(self.now + self.random.choice(JUMPS))

    def _is_shutting_down(self) -> bool:
        return not self.down and self.scm.state.shutdown is not None

    def _shut_down(self) -> None:
        """Somebody asks the keeper for it, which asks each manager until it is done."""
        self.shutdown_asked = True
        self.tell(Shutdown())

    def _shut_down_in_a_storm(self) -> None:
        """Clients, processes and managers go on as before."""
        if not self._is_shutting_down():
            self._shut_down()
        for _ in range(STORMY_STEPS):
            if self.completed:
                break
            self._live()

    @property
    def wall(self) -> int:
        """Milliseconds since 1970."""
        return self.now + self.wall_offset

    def _set_clock(self) -> None:
        """Somebody corrects it, or the machine has slept."""
        jump = self.random.choice((-7_200_000, -60_000, -500, 900, 50_000, 3_600_000, 40_000_000))
        self.wall_offset += jump
        if not self.down:
            self.tell(ClockRead(self.wall))

    def _tell_nonsense(self) -> None:
        """Events of launches, services and controls that are over or never were."""
        if self.down:
            return
        launch = LaunchId(self.random.randrange(1, 60))
        if launch in self.processes:
            process = self.processes[launch]
            if not process.lies() or not process.pid:
                return
            process.beats = False
        service = ServiceId(self.random.randrange(1, 12))
        status = ServiceStatus(state=self.random.randrange(9), controls_accepted=7)
        control, datagram = self.random.randrange(1, 50), self.random.choice(DATAGRAMS)
        events: tuple[Callable[[], Event], ...] = (
            lambda: StatusReported(launch, service, status),
            lambda: StartAnswered(launch, service, 0),
            lambda: ControlAnswered(launch, ControlId(control), 0),
            lambda: ChannelClosed(launch),
            lambda: DispatcherConnected(launch, ("A", "B")),
            lambda: parse(launch, datagram),
        )
        if launch not in self.processes:
            events += (lambda: ProcessExited(launch, 0, None), lambda: RecordSaved(SaveId(10**9)))
        self.tell(self.random.choice(events)())

    def _agree(self) -> None:
        """Let every answer come in that is on its way; then all must know the same."""
        while is_waiting(self.checkers):
            self._advance_to(self.now + 100)
        if self.scm.state.shutdown is None:
            check_agreement(self.checkers)

    def _come_to_rest(self) -> None:
        self.calm = True
        self.note("the world calms")
        while self.down:
            self._advance_to(self.now + 1_000)
        calm_time = self.random.choice((0, 1_000, 100_000, 100_000))
        self._advance_to(self.now + calm_time)
        if calm_time == 100_000:
            self._agree()
        self.clients.close_some()
        self._shut_down()
        end = self.now + REST_TIME
        while self.now < end:
            upcoming = self.scm.next_deadline()
            if upcoming is None and not self._later:
                break
            own = self._later[0][0] if self._later else upcoming
            self._advance_to(min(at for at in (own, upcoming) if at is not None))
        for visitors in self.visitors:
            visitors.finish()
        for visitors in self.visitors:
            visitors.leave()
        self.clients.close_all()
        self._advance_to(self.now + 10_000)
        check_rest(self.checkers)


_HANDS: Mapping[type, Callable[[World, Any], object]] = {
    Reply: World._answered,
    WriteJournal: lambda world, effect: world.manager.write(effect),
    SaveRecord: World._save,
    RemoveRecord: World._save,
    SaveControl: World._save,
    LaunchProcess: World._launched,
    SignalProcess: lambda world, effect: world.processes[effect.launch].signalled(effect.signal),
    KillProcess: lambda world, effect: world.processes[effect.launch].killed(),
    ForgetLaunch: World._forgotten,
    FollowProcess: lambda world, effect: world.processes[effect.launch].background.asked(effect),
    StartProbe: lambda world, effect: world.processes[effect.launch].probed(effect),
    SendStart: lambda world, effect: world.processes[effect.launch].asked_to_start(effect),
    SendControl: lambda world, effect: world.processes[effect.launch].asked(effect),
    SendResync: lambda world, effect: world.processes[effect.launch].asked_to_resync(),
    ShutdownCompleted: lambda world, _: world._completed(),
}
"""Who does what the core wants done; the rest are words."""


def simulate(seed: int, steps: int = 200, *, keep_story: bool = False) -> World:
    """Run one world; AssertionError, with what is wrong, when a checker objects."""
    world = World(seed, keep_story=keep_story)
    world.run(steps)
    return world
