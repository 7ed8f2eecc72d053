"""Processes of the simulated world: what they do is drawn when they are launched.

Most behave. Others cannot be executed, never connect, answer late or not at all, report
nonsense, ignore what they are told, close the channel or die at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from scmd.core import health, srvany
from scmd.core.messages import LaunchId, ServiceId
from scmd.core.messages.effects import LaunchSpec, SendControl, SendStart, StartProbe
from scmd.core.messages.events import (
    ChannelClosed,
    ControlAnswered,
    DispatcherConnected,
    Event,
    HandlerRegistered,
    LaunchFailed,
    LineSeen,
    ProbeAnswered,
    ProcessExited,
    ProcessStarted,
    StartAnswered,
    StatusReported,
)
from scmd.core.notifications import ProcessNotified, parse
from scmd.testing.simulated_daemons import Background
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceState
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

ALL_CONTROLS = 0x1F
RELOAD_SIGNAL = 1
FLOOD = 260
"""So many changes of state come at once."""
SICK = 4
"""Every so many services there is one whose program hardly ever lives long."""
CRASH = 11
"""The signal of a program that ends as it should not, some of them out of memory."""
MISSING = ("MemoryMax: this world has no cgroups",)
"""What some programs have to do without."""
_STATES = tuple(ServiceState)
_DELAYS = (0, 0, 1, 1, 3, 10, 50, 500)


@lru_cache(256)
def _heard(launch: LaunchId, lines: str) -> ProcessNotified:
    """The notification; watchdogs say the same again and again."""
    return parse(launch, lines.encode())


class SimulatedProcess:
    """One run of one process, from the request to launch it to the end."""

    def __init__(self, world: World, launch: LaunchId, spec: LaunchSpec) -> None:
        self.world = world
        self.launch = launch
        self.spec = spec
        self.pid = 0
        self.alive = True
        self.background = Background(self)
        self.exit: ProcessExited | None = None
        """How it ended; kept as the keeper keeps it."""
        self._begin: Callable[[], None] | None = None
        self._turn = 0
        """When its dispatcher thread has dealt with everything sent so far."""
        self._resync_asked = False
        self.last: dict[ServiceId, ServiceStatus] = {}
        """The last report of the newest run of each service."""
        self.kill_asked = False
        self.connected = False
        self.ready = self.beats = False
        """Of a hosted program: it answers probes well; it keeps its watchdog quiet."""
        self.accepts = ALL_CONTROLS | world.random.choice((0, 0, 0x100))
        self._lingers = world.random.choice((0, 0, 0, 0, 2_000, 9_000, 15_000))
        """Milliseconds between the check points of its shutdown."""
        self.running: dict[ServiceId, int] = {}
        """Services and the state each believes itself in."""
        self.temper = world.random.random() if not world.calm else 1.0
        """Below 0.4 it misbehaves here and there; above, it behaves."""
        if self._bad(0.15):
            self._launched(self._cannot_be_executed)
        else:
            self._launched(self._begins)
        if self._bad(0.2):
            world.later(world.random.choice((1, 100, 20_000, 100_000)), self._dies)
        elif world.chance(0.9 if spec.service % SICK == 3 else 0.35):
            world.later(world.random.choice((1, 1, 100, 3_000)), self._crashes)

    @property
    def behaves(self) -> bool:
        """Whether it always does what a service should."""
        return self.temper >= 0.4

    def lies(self) -> bool:
        """Whether it may say what it was not asked."""
        return self.temper < 0.2

    def _bad(self, probability: float) -> bool:
        return self.temper < 0.4 and self.world.chance(probability)

    def _soon(self, action: Callable[[], None]) -> None:
        world = self.world
        delays = _DELAYS if not self._bad(0.1) else (29_990, 31_000, 70_000)
        world.later(world.random.choice(delays), lambda: action() if self.alive else None)

    def _in_turn(self, action: Callable[[], None]) -> None:
        """What is sent is read in order, by one thread."""
        delays = _DELAYS if not self._bad(0.1) else (29_990, 31_000, 70_000)
        delay = self.world.random.choice(delays)
        self._turn = max(self._turn, self.world.now + delay)
        self.world.later(self._turn - self.world.now, lambda: action() if self.alive else None)

    def _launched(self, action: Callable[[], None]) -> None:
        """The keeper may be slow, but not slower than a shutdown can wait."""
        self._begin = action
        delays = (0, 0, 1, 5) if not self._bad(0.1) else (15_000,)
        self.world.later(self.world.random.choice(delays), self.begin_now)

    def begin_now(self) -> None:
        """The keeper does what it was ordered, if it has not yet."""
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()

    def _say(self, event: Event) -> None:
        if self.alive:
            self.world.tell(event)

    # Life and death ----------------------------------------------------------------------

    def _cannot_be_executed(self) -> None:
        self.alive = False
        error = self.world.random.choice((Error.FILE_NOT_FOUND, Error.ACCESS_DENIED))
        del self.world.processes[self.launch]
        self.world.checkers.never_ran(self.launch)
        self.world.tell(LaunchFailed(self.launch, error, "no such program"))

    def _begins(self) -> None:
        self.pid = self.world.new_process_id()
        without = MISSING if self.pid % 7 == 0 else ()
        self.world.tell(ProcessStarted(self.launch, self.pid, without))
        if self.kill_asked:
            self._exits(None, 9)
        elif self.spec.control_channel:
            if not self._bad(0.2):
                self._soon(self._connects)
        elif "hook" in self.spec.argv[0] or self._bad(0.2):
            self._soon(self._dies)
        else:
            self._works()

    def _dies(self) -> None:
        if not self.alive or not self.pid:
            return
        code = self.world.random.choice((0, 0, 1, 3)) if not self.world.calm else 0
        if self._bad(0.3):
            self._exits(None, CRASH)
        else:
            self._exits(code, None)

    def _crashes(self) -> None:
        """So does the best program; or one of its services ends with an error."""
        if not self.alive or not self.pid or self.world.calm:
            return
        up = [id for id, state in self.running.items() if state == ServiceState.RUNNING]
        if up and self.world.random.random() < 0.4:
            self._report(self.world.random.choice(up), ServiceState.STOPPED, exit_code=3)
        else:
            self._exits(None, CRASH)

    def _exits(self, code: int | None, signal: int | None) -> None:
        if not self.alive:
            return
        self.alive = False
        if self.connected and self.world.random.random() < 0.5:
            self.world.tell(ChannelClosed(self.launch))
        self.world.checkers.exited(self.launch)
        if self.background.unfollowed:
            if self.kill_asked and self.exit is not None:
                self.world.tell(self.exit)
            return  # The keeper knows of the first process only.
        out_of_memory = signal == CRASH and self.pid % 5 == 0
        self.exit = ProcessExited(self.launch, code, signal, out_of_memory)
        self.world.tell(self.exit)

    def signalled(self, signal: int) -> None:
        if self.background.unfollowed:
            return
        if signal == 9:
            self.killed()
        elif signal == RELOAD_SIGNAL:
            self._soon(self._reloads)
        elif not self._bad(0.5):
            self._soon(lambda: self._exits(None, signal))

    def killed(self) -> None:
        """Rarely it is where no signal reaches it, for longer than a shutdown waits."""
        self.kill_asked = True
        delay = self.world.random.choice((0, 1, 100)) if not self._bad(0.02) else 45_000
        self.world.later(delay, self._is_killed)

    def _is_killed(self) -> None:
        if self.alive and self.pid:
            self._exits(None, 9)
        elif self.exit is not None:
            self.world.tell(self.exit)

    # A hosted program ------------------------------------------------------------------------

    def _works(self) -> None:
        """It becomes ready, late or never; it says so, and more, where it is heard."""
        if self._bad(0.3):
            self._notifies("STATUS=not yet", "EXTEND_TIMEOUT_USEC=5000000", "READY=0")
        if srvany.ONE_SHOT in self.world.disk[self.spec.service].parameters:
            self._soon(self._dies)
        elif health.PID_FILE in self.world.disk[self.spec.service].parameters:
            self._soon(self._goes_into_background)
        elif not self._bad(0.2):
            self._soon(self._becomes_ready)

    def _goes_into_background(self) -> None:
        """As it should, or it stays, or it never says where it is."""
        if not self._bad(0.3):
            self.background.begin()
        if not self._bad(0.3):
            self._soon(self.background.leave)
        self._soon(self._becomes_ready)

    def _names_another(self) -> None:
        """By MAINPID, truly or not; the one before exits soon, or at once."""
        pid = self.background.begin() if not self.background.pid else self.background.pid
        self._notifies(f"MAINPID={pid if not self._bad(0.2) else 1 + pid}")
        if self.world.chance(0.5):
            self.background.leave()
        else:
            self._soon(self.background.leave)

    def _notifies(self, *lines: str) -> None:
        if "NOTIFY_SOCKET" in dict(self.spec.extra_environment):
            self._say(_heard(self.launch, "\n".join(lines)))

    def _reloads(self) -> None:
        if self.ready and not self._bad(0.3):
            if self.world.chance(0.3):
                self._notifies("READY=1")
            self._notifies("RELOADING=1", f"MONOTONIC_USEC={self.world.now * 1000}")
            self._soon(lambda: self._notifies("READY=1"))

    def _becomes_ready(self) -> None:
        self.ready = True
        if self.spec.awaited_line:
            self._say(LineSeen(self.launch))
        period = int(dict(self.spec.extra_environment).get("WATCHDOG_USEC", 0)) // 1000
        self.beats = period > 0 and not self._bad(0.3)
        self._notifies("READY=1")
        if self.world.chance(0.2) and "NOTIFY_SOCKET" in dict(self.spec.extra_environment):
            self._soon(self._names_another)
        if self.beats:
            self._beat(period)
        if self._bad(0.2):
            self._notifies("STOPPING=1", "ERRNO=5")
            self._soon(lambda: None if self._bad(0.5) else self._exits(3, None))

    def _beat(self, period: int) -> None:
        if self.alive and self.beats:
            self._notifies("WATCHDOG=1")
            self.world.later(period // 2, lambda: self._beat(period))
            self.beats = not self._bad(0.01)

    def probed(self, question: StartProbe) -> None:
        """Answered by the manager that asked, or not at all."""
        deaths = self.world.manager.deaths
        delay = self.world.random.choice((0, 0, 1, 50))
        if self._bad(0.1):
            delay = 10_000

        def answer() -> None:
            well = self.alive and self.ready and not self._bad(0.2)
            problem = "" if well else "refused"
            if self.world.manager.deaths == deaths:
                self.world.tell(ProbeAnswered(self.launch, question.number, problem))

        self.world.later(delay, answer)

    # Speaking the control protocol -----------------------------------------------------------

    def _connects(self) -> None:
        self.connected = True
        table = ("A", "B", "C", "D", "E", "F", "G", "H")
        self._say(DispatcherConnected(self.launch, table[:2] if self._bad(0.3) else table))
        if self._resync_asked:
            self._repeat()
        if self._bad(0.1):
            self._soon(lambda: self._say(ChannelClosed(self.launch)))

    def asked_to_resync(self) -> None:
        """A new manager wants to hear again what an earlier one may have read."""
        self._in_turn(self._repeat)

    def _repeat(self) -> None:
        self._resync_asked = not self.connected
        if not self.connected or self._bad(0.1):
            return
        self._say(DispatcherConnected(self.launch, ("A", "B", "C", "D", "E", "F", "G", "H")))
        for service, status in list(self.last.items()):
            self._say(HandlerRegistered(self.launch, service))
            self._say(StatusReported(self.launch, service, status))

    def asked_to_start(self, request: SendStart) -> None:
        if self._bad(0.15):
            return
        self._in_turn(lambda: self._starts(request.service))

    def _starts(self, service: ServiceId) -> None:
        if self.running.get(service, 1) != ServiceState.STOPPED:
            self._say(StartAnswered(self.launch, service, Error.SERVICE_ALREADY_RUNNING))
            return
        error = Error.SERVICE_NO_THREAD if self._bad(0.1) else Error.SUCCESS
        early = self.world.random.random() < 0.2
        if not error:
            self.last.pop(service, None)
            self.running[service] = ServiceState.START_PENDING
            self._soon(lambda: self._comes_up(service, 3))
        if early and not error:
            self._report(service, ServiceState.RUNNING)
        self._say(StartAnswered(self.launch, service, error))
        if not error and not self._bad(0.3):
            self._say(HandlerRegistered(self.launch, service))

    def _comes_up(self, service: ServiceId, steps: int) -> None:
        if self.running.get(service) != ServiceState.START_PENDING or self._bad(0.1):
            return
        if steps and self.world.chance(0.4):
            self._report(service, ServiceState.START_PENDING, check_point=4 - steps)
            self._soon(lambda: self._comes_up(service, steps - 1))
        elif self._bad(0.15):
            self._report(service, ServiceState.STOPPED, exit_code=5)
        else:
            self._report(service, ServiceState.RUNNING)
            if self.lies() and self._bad(0.06):
                self._floods(service)

    def _floods(self, service: ServiceId) -> None:
        """It cannot make up its mind."""
        for number in range(FLOOD):
            if not self.alive or service not in self.running:
                return
            state = (ServiceState.PAUSED, ServiceState.RUNNING)[number % 2]
            self.running[service] = state
            status = self.last[service] = self.last[service].replace(state=int(state))
            self._say(StatusReported(self.launch, service, status))

    def _report(
        self, service: ServiceId, state: int, *, check_point: int = 0, exit_code: int = 0
    ) -> None:
        if self._bad(0.05):
            state = self.world.random.choice((*_STATES, 0, 8, 0xFFFFFFFF))
        self.running[service] = state
        pending = state in (2, 3, 5, 6)
        status = ServiceStatus(
            type=0x10 if not self._bad(0.02) else 0x77,
            state=state,
            controls_accepted=0 if pending else self.accepts,
            win32_exit_code=exit_code,
            check_point=check_point,
            wait_hint=self.world.random.choice((0, 500, 60_000)) if pending else 0,
        )
        self.last[service] = status
        self._say(StatusReported(self.launch, service, status))
        if state == ServiceState.STOPPED:
            self.running.pop(service, None)
            if not self.running and not self._bad(0.4):
                self._soon(lambda: None if self.running else self._exits(0, None))

    def asked(self, request: SendControl) -> None:
        if self._bad(0.15):
            return
        self._in_turn(lambda: self._handles(request))

    def _lingers_on(self, service: ServiceId, check_point: int) -> None:
        """Much is to be written before the machine goes down."""
        if not self.alive:
            return
        if check_point > 4:
            self._report(service, ServiceState.STOPPED)
            return
        self._report(service, ServiceState.STOP_PENDING, check_point=check_point)
        self.world.later(self._lingers, lambda: self._lingers_on(service, check_point + 1))

    def _handles(self, request: SendControl) -> None:
        service = request.service
        first = self.world.random.random() < 0.5
        answer = ControlAnswered(self.launch, request.control, 120 if self._bad(0.1) else 0)
        if first:
            self._say(answer)
        match request.code:
            case Control.SHUTDOWN | Control.PRESHUTDOWN if self._lingers:
                self._lingers_on(service, 1)
            case Control.STOP | Control.SHUTDOWN | Control.PRESHUTDOWN:
                if not self._bad(0.2):
                    self._report(service, ServiceState.STOP_PENDING, check_point=1)
                    self._soon(lambda: self._report(service, ServiceState.STOPPED))
            case Control.PAUSE:
                self._report(service, ServiceState.PAUSE_PENDING)
                self._soon(lambda: self._report(service, ServiceState.PAUSED))
            case Control.CONTINUE:
                self._report(service, ServiceState.RUNNING)
            case Control.INTERROGATE:
                self._report(service, self.running.get(service, ServiceState.RUNNING))
        if not first:
            self._say(answer)
