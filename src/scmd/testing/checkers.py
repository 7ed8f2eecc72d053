"""Checkers: what must hold whatever the world does, judged from outside the core.

They see the messages and effects and keep their own books. A violation is an
AssertionError that says what was expected. They look inside only for what is not to be
seen from there: who holds which handle, deadlines, starts that wait, what is left at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from scmd.core import instances, one_shots
from scmd.core.memory import AutoStartMemory, LaunchMemory, Memory, ServiceMemory
from scmd.core.messages import CallId, LaunchId, ServiceId
from scmd.core.messages.commands import Command, QueryStatus, StartService
from scmd.core.messages.effects import (
    Effect,
    FollowProcess,
    ForgetLaunch,
    KillProcess,
    LaunchProcess,
    LaunchSpec,
    RemoveRecord,
    Reply,
    SaveRecord,
    SendControl,
    SendStart,
    ServiceDeleted,
    ShutdownCompleted,
    SignalProcess,
    StatusChanged,
)
from scmd.core.messages.events import (
    Adopted,
    AssociationEnded,
    ChannelClosed,
    ControlAnswered,
    Event,
    ProcessExited,
    Shutdown,
    StartAnswered,
    StatusReported,
)
from scmd.core.records import BUILT_IN_IMAGE, LaunchPhase
from scmd.core.shutdown import ShutdownMemory
from scmd.testing.accounts import Accounts
from scmd.testing.adoption_checker import check_adoption, check_journal
from scmd.testing.boot_checker import BootChecker
from scmd.testing.dependency_checker import DependencyChecker
from scmd.testing.flood_checker import FloodChecker
from scmd.testing.launch_checker import LaunchChecker
from scmd.testing.readiness_checker import ReadinessChecker
from scmd.testing.record_checker import check_handles, check_records
from scmd.testing.recoveries import Recoveries
from scmd.testing.reload_checker import ReloadChecker
from scmd.testing.runs import Hears, Run
from scmd.testing.schedule_checker import ScheduleChecker
from scmd.testing.shutdown_checker import ShutdownChecker
from scmd.testing.simulated_processes import RELOAD_SIGNAL
from scmd.testing.template_checker import TemplateChecker
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import Control, ServiceState
from scmd.vocabulary.status import ServiceStatus, illegal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

LONGEST_CALL = 180_000
"""Milliseconds a call may take that does not wait for services to start."""
LONGEST_START = 3_600_000
_REPORTED = attrgetter(
    *("state", "controls_accepted", "win32_exit_code"),
    *("service_specific_exit_code", "check_point", "wait_hint"),
)
_key = lru_cache(1_024)(name_key)
JOURNAL_EVERY = 16
"""Messages between two looks at the whole journal: what was forgotten stays forgotten for long."""


class Checkers:
    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: dict[CallId, tuple[int, Command]] = {}
        self.statuses: dict[ServiceId, ServiceStatus] = {}
        self.runs: dict[LaunchId, Run] = {}
        self.shutting_down = False
        self.shutdown = ShutdownChecker(world)
        self.reported: StatusReported | None = None
        self.following: ServiceStatus | None = None
        """The first status after a report; the service may be started again at once."""
        self.replied = 0
        self.messages = 0
        self.message: Command | Event | None = None
        """The present one; None: time has passed."""
        self._stirred = False
        """The present message has led to more than an answer."""
        self.owed_exit: tuple[ServiceId, int, int] | None = None
        """A service whose program has just exited, and the exit codes that it must show."""
        self.done: set[ServiceId] = set()
        """One-shot services that have stopped because their work was done."""
        self.failed_removals: set[ServiceId] = set()
        self.recoveries = Recoveries(world)
        self.launches = LaunchChecker(world)
        self.readiness = ReadinessChecker(world, self.launches)
        self.schedules = ScheduleChecker(world)
        self.accounts = Accounts(self)
        self.boot = BootChecker(world)
        self.dependencies = DependencyChecker(self)
        self.floods = FloodChecker(world)
        self.templates = TemplateChecker(self)
        self.reloads = ReloadChecker(self)
        self._hearers: dict[type, list[Callable[[Any], object]]] = {}
        parts = (
            *(self.reloads, self.launches, self.recoveries, self.readiness, self.schedules),
            *(self.accounts, self.shutdown, self.boot, self.floods, self.templates, self),
        )
        for part in parts:
            for kind, hear in part.hears().items():
                self._hearers.setdefault(kind, []).append(hear)

    # Messages in -------------------------------------------------------------------------

    def before_message(self, message: Command | Event) -> None:
        self.reported = self.following = None
        self._stirred = False
        self.message = message
        wall = self.world.now + self.world.wall_offset
        if wall > self.schedules.latest:
            self.schedules.latest = wall
        if isinstance(message, Command) and self.world.clients.owns(message.call.id):
            self.calls[message.call.id] = self.world.now, message
        for hear in self._hearers.get(type(message), ()):
            hear(message)

    def hears(self) -> Hears:
        """Of messages, before they are handled, and of effects, before they are carried out."""
        return {
            Shutdown: self._asked_to_shut_down,
            StatusReported: self._has_reported,
            StartAnswered: lambda event: self._answered(event.launch, ("start", event.service)),
            ControlAnswered: lambda event: self._answered(event.launch, ("control", event.control)),
            ChannelClosed: self._closed,
            ProcessExited: self._process_exited,
            Reply: self._reply,
            LaunchProcess: self._launch,
            SendStart: self._send_start,
            SendControl: self._send_control,
            StatusChanged: self._status,
            KillProcess: self._kill,
            FollowProcess: self._follow,
            SignalProcess: self._signal,
            ForgetLaunch: self._forget,
            ServiceDeleted: self._deleted,
            SaveRecord: self._save,
            ShutdownCompleted: self._completed,
        }

    def _asked_to_shut_down(self, _: Shutdown) -> None:
        self.shutting_down = True

    def _has_reported(self, report: StatusReported) -> None:
        run = self.runs.get(report.launch)
        if run is not None and report.service in run.services:
            self.reported = report

    def _process_exited(self, exit: ProcessExited) -> None:
        run = self.runs.get(exit.launch)
        if run is not None:
            self._expect_exit_codes(run, exit.launch, exit)
            run.services.clear()

    def _closed(self, event: ChannelClosed) -> None:
        """Its dispatcher returned: a start that was on its way has not been seen by it."""
        if (run := self.runs.get(event.launch)) is not None:
            run.is_deaf = True
            if run.unanswered is not None and run.unanswered[0] == "start":
                run.services.discard(ServiceId(run.unanswered[1]))

    def _answered(self, launch: LaunchId, what: tuple[str, int]) -> None:
        run = self.runs.get(launch)
        if run is not None:
            run.answered(what)

    def _expect_exit_codes(self, run: Run, launch: LaunchId, exit: ProcessExited) -> None:
        """A program that was RUNNING and left alone: what its service must show then."""
        record = self.world.scm.state.records.get(run.spec_service)
        if record is None or record.launch is None or record.launch.id != launch:
            return
        background = self.world.processes[launch].background
        if background.unfollowed or background.asking:
            return  # Only its first process has exited, or that may be so.
        running = record.status.state == ServiceState.RUNNING
        if not running or run.disturbed or not run.is_program:
            return
        codes = (0, 0)
        if exit.signal is not None:
            codes = int(Error.PROCESS_ABORTED), 0
        elif exit.exit_code:
            codes = int(Error.SERVICE_SPECIFIC_ERROR), exit.exit_code
        self.owed_exit = (run.spec_service, *codes)

    def exited(self, launch: LaunchId) -> None:
        self.runs[launch].exited = True

    def never_ran(self, launch: LaunchId) -> None:
        del self.runs[launch]

    def save_failed(self, effect: Effect) -> None:
        if isinstance(effect, RemoveRecord):
            self.failed_removals.add(effect.service)

    # The death of a manager ----------------------------------------------------------------

    def manager_died(self, entries: Iterable[Memory]) -> None:
        """Calls end with it; what the journal says is what the next one has to hold on to."""
        self.calls.clear()
        entries = list(entries)
        self.shutdown.manager_died(entries)
        self.shutting_down = any(isinstance(entry, ShutdownMemory) for entry in entries)
        self.recoveries.manager_died(entries)
        self.launches.manager_died(entries)
        self.templates.manager_died(entries)
        self.reloads.manager_died()
        self.accounts.manager_died(entries)
        self.reported = self.following = self.owed_exit = None
        memories = [entry for entry in entries if isinstance(entry, ServiceMemory)]
        self.statuses = {
            ServiceId(memory.service): ServiceStatus(
                **dict(zip(ServiceStatus._fields, memory.status, strict=True))
            )
            for memory in memories
            if (stored := self.world.disk.get(ServiceId(memory.service))) is not None
            and stored.config.image_path != BUILT_IN_IMAGE
        }
        self.done |= {ServiceId(memory.service) for memory in memories if memory.completed}
        self.boot.manager_died(
            any(isinstance(entry, AutoStartMemory) for entry in entries),
            {id: status.state for id, status in self.statuses.items()},
        )
        launches = {memory.service: memory.launch for memory in memories}
        to_be_killed = {
            entry.launch
            for entry in entries
            if isinstance(entry, LaunchMemory) and entry.phase == LaunchPhase.KILLED.name
        }
        for launch, run in self.runs.items():
            run.disturbed |= launch in to_be_killed
            run.unanswered, run.repeatable = None, run.started_last
            run.services = {
                id for id in run.services if self._is_active(id) and launches[id] == launch
            }

    def manager_is_back(self) -> None:
        self.recoveries.manager_is_back()
        self.shutdown.manager_is_back()

    def _is_active(self, service: ServiceId) -> bool:
        status = self.statuses.get(service)
        return status is not None and status.state != ServiceState.STOPPED

    def after_message(self, message: Command | Event | None) -> None:
        """What holds between messages."""
        if self.world.down:
            return
        self.messages += 1
        self.reloads.after_message()
        self.message = None
        thoroughly = self.messages % JOURNAL_EVERY == 0 or isinstance(message, Adopted)
        if isinstance(message, Command) and not self._stirred and not thoroughly:
            return  # It was answered or waits, and nothing else has happened.
        if self.reported is not None:
            self._check_report(self.reported)
        if thoroughly:
            check_journal(self.world)
        state = self.world.scm.state
        self.shutdown.after_message(state, asked=self.shutting_down)
        self.shutting_down = state.shutdown is not None
        self.recoveries.after_message()
        if self.accounts.died:
            self.accounts.after_message()
        if self.templates.gathered:
            self.templates.after_message()
        if isinstance(message, Adopted):
            check_adoption(self)
        assert self.owed_exit is None, f"exit codes were lost: {self.owed_exit}"
        if isinstance(message, AssociationEnded):
            check_handles(state, message.association)
        works = check_records(state, self.statuses)
        if self.calls:
            self._check_calls(works=works)

    def _check_calls(self, *, works: bool) -> None:
        """Each is answered in time."""
        for call, (began, command) in self.calls.items():
            limit = LONGEST_START if isinstance(command, StartService) else LONGEST_CALL
            if works and limit == LONGEST_START:  # A one-shot program may take as long as it likes.
                self.calls[call] = self.world.now, command
            else:
                assert self.world.now - began <= limit, f"not answered in {limit} ms: {command}"

    def _check_report(self, report: StatusReported) -> None:
        """The status is the last legal report, with the SCM's process id and type."""
        self.reported = None
        if illegal(report.status):
            return
        status = self.following or self.statuses[report.service]
        expected, found = _REPORTED(report.status), _REPORTED(status)
        assert expected == found, f"reported was {report.status}, but it is {status}"

    # Effects out -------------------------------------------------------------------------

    def effect(self, effect: Effect) -> None:
        if type(effect) is not Reply:
            self._stirred = True
        for hear in self._hearers.get(type(effect), ()):
            hear(effect)

    def _follow(self, effect: FollowProcess) -> None:
        self.runs[effect.launch].asked_about = True

    def _signal(self, effect: SignalProcess) -> None:
        self.runs[effect.launch].disturbed |= effect.signal != RELOAD_SIGNAL

    def _forget(self, effect: ForgetLaunch) -> None:
        # What a daemon has left behind goes with the launch, if nobody followed it.
        left = self.world.processes[effect.launch].background.unfollowed
        assert self.runs.pop(effect.launch).exited or left, "forgot a process that has not exited"

    def _save(self, effect: SaveRecord) -> None:
        key = _key(effect.config.name)
        for other, stored in self.world.disk.items():
            same = _key(stored.config.name) == key
            assert other == effect.service or not same, "two records of one name"

    def _completed(self, _: ShutdownCompleted) -> None:
        assert self.shutting_down or self.world.settings.ends_with_essential
        alive = [launch for launch, run in self.runs.items() if not run.killed]
        assert not alive, f"completed while processes are alive: {alive}"

    def _reply(self, reply: Reply) -> None:
        asked = self.calls.pop(reply.call, None)
        if asked is None:
            mine = self.world.clients.owns(reply.call)
            assert not mine, f"answered twice, or never asked: {reply}"
            return
        _, command = asked
        self.accounts.replied(command, reply)
        self.replied += 1
        if isinstance(command, QueryStatus) and reply.error == 0:
            assert isinstance(reply.result, ServiceStatus)
            handle = self.world.scm.state.handles[command.service]
            assert handle.record is not None
            expected = self.statuses.get(handle.record.id)
            assert expected is None or expected == reply.result

    def _status(self, change: StatusChanged) -> None:
        status = change.status
        assert change.status != self.statuses.get(change.service), "nothing changed"
        if status.state == ServiceState.STOPPED:
            assert status.process_id == 0, "a stopped service has no process"
            self.dependencies.stopped(change.service)
            for run in self.runs.values():
                run.services.discard(change.service)
        elif status.state != ServiceState.START_PENDING:
            # But a one-shot one that stays has done its work.
            stays = (
                change.cause in (one_shots.DONE, instances.ALL_UP)
                or not self.statuses[change.service].process_id
            )
            assert status.process_id or stays, "a running service has a process"
        moves = change.before, status.state, status.win32_exit_code
        if status.state == ServiceState.START_PENDING:
            self.done.discard(change.service)
        elif moves == (ServiceState.START_PENDING, ServiceState.STOPPED, 0):
            self.done.add(change.service)
        if self.owed_exit is not None and self.owed_exit[0] == change.service:
            codes = list(self.owed_exit[1:])
            found = [status.win32_exit_code, status.service_specific_exit_code]
            assert found == codes, f"exit codes {found} instead of {codes}"
            self.owed_exit = None
        if change.cause == "its process is being started":
            self.dependencies.may_start(change.service)
        self.statuses[change.service] = status
        if self.reported is not None and self.reported.service == change.service:
            self.following = self.following or status

    def _launch(self, launch: LaunchProcess) -> None:
        assert launch.launch not in self.runs
        spec = launch.spec
        hook = "hook" in spec.argv[0]
        self._is_alone(spec)
        self.runs[launch.launch] = Run(spec.service, spec.control_channel, hook)
        if "late-hook" in spec.argv[0] or "hook-stop" in spec.argv[0]:
            return
        assert not self.shutting_down, "launched after the shutdown began"
        self.dependencies.launched(spec)

    def _kill(self, effect: KillProcess) -> None:
        assert effect.launch in self.runs, "killed a launch that is over"
        run = self.runs[effect.launch]
        assert run.asked_about or not run.exited, "killed a process that has exited"
        if run.can_be_told and not run.killed:
            self.shutdown.killed(run.services)
        run.disturbed = run.killed = True

    def _is_alone(self, spec: LaunchSpec) -> None:
        """No second instance of a service."""
        if spec.hook:
            return
        for id, run in self.runs.items():
            if run.exited or run.killed:
                continue
            same = run.spec_service == spec.service and run.is_program
            assert not same, f"launched again while {id} runs"
            assert spec.service not in run.services, f"launched while it runs in {id}"

    def _send_start(self, request: SendStart) -> None:
        run = self.runs[request.launch]
        assert run.control_channel
        assert run.unanswered is None, "two requests at a time to one process"
        for other in self.runs.values():
            again = other is run and run.repeatable == request.service
            assert again or request.service not in other.services, "started while it runs"
        run.repeatable = None
        run.started_last = request.service
        run.unanswered = run.busy_with = "start", request.service
        run.services.add(request.service)

    def _send_control(self, request: SendControl) -> None:
        run = self.runs[request.launch]
        assert run.unanswered is None, "two requests at a time to one process"
        assert request.service in run.services, "a control for a service that does not run"
        run.unanswered = run.busy_with = "control", request.control
        service = request.service
        free = self.shutting_down or self.templates.is_stopped_with_all(service)
        if request.code == Control.STOP and not free:
            self.dependencies.may_stop(service)

    def _deleted(self, effect: ServiceDeleted) -> None:
        service = effect.service
        status = self.statuses.pop(service, None)
        assert status is None or status.state == ServiceState.STOPPED, "deleted while it runs"
        handles = self.world.scm.state.handles.values()
        assert not any(h.record is not None and h.record.id == service for h in handles)
