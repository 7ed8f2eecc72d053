"""The checker of reloads: an answer says what has happened to the program that was asked.

0 means that the signal was sent, that the command has ended well, or that a program whose
AppReady is notify-reload has begun to reload since it was asked and is ready again. Other
answers have their reasons too, nobody waits for longer than the program may take, and no
command runs twice at a time.
"""

from __future__ import annotations

from scmd.core.event_ids import EventId
from scmd.core.messages import CallId, LaunchId, ServiceId
from scmd.core.messages.commands import ControlService
from scmd.core.messages.effects import (
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    LogEvent,
    Reply,
    SignalProcess,
)
from scmd.core.messages.events import LaunchFailed, ProcessExited
from scmd.core.notifications import ProcessNotified
from scmd.testing.runs import Hears
from scmd.testing.simulated_processes import RELOAD_SIGNAL
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.checkers import Checkers

COMMAND_LIMIT = 30_000
"""Milliseconds a reload's command may take; a signal's limit is a setting."""


class Asked:
    """A call that waits for a reload."""

    def __init__(self, service: ServiceId, at: int, limit: int) -> None:
        self.service = service
        self.at = at
        self.limit = limit
        """Milliseconds it may take, if it does not ask for more."""
        self.begun = False
        """The program has said RELOADING=1 of a reload that is later than the call."""
        self.extended = False


class ReloadChecker:
    """The reloads that hosted programs were asked for, in one world."""

    def __init__(self, checkers: Checkers) -> None:
        self.checkers = checkers
        self.world = checkers.world
        self.seen: set[int] = set()
        """How reloads have ended."""
        self._asked: dict[CallId, Asked] = {}
        self._commands: dict[LaunchId, ServiceId] = {}
        self._ended: ServiceId | None = None
        """Whose command has just ended."""
        self._signalled: set[ServiceId] = set()
        self._logged: set[ServiceId] = set()
        self._aborted: list[ServiceId] = []

    # Messages in -------------------------------------------------------------------------

    def hears(self) -> Hears:
        return {
            LaunchFailed: self._failed,
            ProcessExited: self._exited,
            ControlService: self._controlled,
            ProcessNotified: self._notified,
            LaunchProcess: self._launched,
            KillProcess: lambda effect: self._commands.pop(effect.launch, None),
            ForgetLaunch: lambda effect: self._commands.pop(effect.launch, None),
            SignalProcess: self._was_signalled,
            LogEvent: self._was_logged,
            Reply: self._replied,
        }

    def _failed(self, event: LaunchFailed) -> None:
        self._ended = self._commands.pop(event.launch, None)

    def _exited(self, event: ProcessExited) -> None:
        self._ended = self._commands.get(event.launch)

    def _controlled(self, command: ControlService) -> None:
        if command.control != Control.PARAMCHANGE:
            return
        known = self.world.scm.state.handles.get(command.service)
        if known is not None and known.record is not None and known.record.run is not None:
            by_command = known.record.run.plan.reload_command is not None
            limit = COMMAND_LIMIT if by_command else self.world.scm.state.settings.pipe_timeout
            self._asked[command.call.id] = Asked(known.record.id, self.world.now, limit)

    def _notified(self, message: ProcessNotified) -> None:
        run = self.checkers.runs.get(message.launch)
        if run is None:
            return
        for asked in self._asked.values():
            if asked.service == run.spec_service:
                asked.extended |= message.extend is not None
                later = message.monotonic is None or message.monotonic >= asked.at
                asked.begun |= message.reloading and later

    # Effects out -------------------------------------------------------------------------

    def _launched(self, effect: LaunchProcess) -> None:
        spec = effect.spec
        if "hook-reload" in spec.argv[0]:
            twice = spec.service in self._commands.values()
            assert not twice, f"{spec.name} is reloaded twice at a time"
            self._commands[effect.launch] = spec.service

    def _was_signalled(self, effect: SignalProcess) -> None:
        if effect.signal == RELOAD_SIGNAL:
            self._signalled.add(self.checkers.runs[effect.launch].spec_service)

    def _was_logged(self, event: LogEvent) -> None:
        if event.event_id in (EventId.RELOADED, EventId.RELOAD_FAILED):
            assert event.service is not None
            self._logged.add(event.service)

    def _replied(self, reply: Reply) -> None:
        asked = self._asked.pop(reply.call, None)
        if asked is not None:
            self._answered(asked, reply.error)

    def _answered(self, asked: Asked, error: int) -> None:
        service, message = asked.service, self.checkers.message
        self.seen.add(error)
        match error:
            case Error.SUCCESS if service in self._signalled:
                assert not self._says_when_reloaded(service), f"{service} was not waited for"
                return
            case Error.SUCCESS if isinstance(message, ProcessNotified):
                assert message.ready, f"{service} is not ready"
                assert asked.begun, f"{service} has not reloaded since it was asked"
            case Error.SUCCESS:
                assert self._ended == service, f"{service} has not reloaded"
                assert isinstance(message, ProcessExited)
                assert message.exit_code == 0, f"the command of {service} has failed"
            case Error.SERVICE_SPECIFIC_ERROR | Error.PROCESS_ABORTED | Error.FILE_NOT_FOUND:
                assert self._ended == service, f"a command of {service} has not ended"
                well = isinstance(message, ProcessExited) and message.exit_code == 0
                assert not well, f"the command of {service} has ended well"
            case Error.SERVICE_REQUEST_TIMEOUT:
                assert self.world.now - asked.at >= asked.limit, f"{service} still had time"
            case Error.REQUEST_ABORTED:
                self._aborted.append(service)
                return
            case _:
                return
        assert service in self._logged, f"{service}: the log does not say how the reload ended"

    def _says_when_reloaded(self, service: ServiceId) -> bool:
        planned = self.checkers.launches.planned
        running = [
            launch for launch, run in self.checkers.runs.items() if run.spec_service == service
        ]
        return any(planned.get(id, {}).get("AppReady") == "notify-reload" for id in running)

    def after_message(self) -> None:
        for service in self._aborted:
            status = self.checkers.statuses[service]
            ends = any(
                run.killed or run.exited
                for run in self.checkers.runs.values()
                if run.spec_service == service and run.is_program
            )
            assert ends or status.state != ServiceState.RUNNING, f"{service} goes on"
        self._end_message()
        for asked in self._asked.values() if self._asked else ():
            waited = self.world.now - asked.at
            assert waited <= asked.limit or asked.extended, (
                f"{asked.service} reloads for {waited} ms"
            )
            runs = self.checkers.statuses[asked.service].state == ServiceState.RUNNING
            assert runs, f"{asked.service} does not run, and who waits for its reload is not told"

    def manager_died(self) -> None:
        """Nobody is answered any more; a command goes on, and may meet another one."""
        self._asked.clear()
        self._commands.clear()
        self._end_message()

    def _end_message(self) -> None:
        self._ended = None
        if self._aborted or self._signalled or self._logged:
            self._aborted.clear()
            self._signalled.clear()
            self._logged.clear()
