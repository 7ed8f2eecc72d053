"""Checkers: what must hold whatever the world does, judged from outside the core.

They see the messages and effects and keep their own books. A violation is an
AssertionError that says what was expected. Two of them look inside: deadlines of pending
states, and what is left at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scmd.core.messages import (
    AssociationEnded,
    CallId,
    Command,
    ControlAnswered,
    Effect,
    Event,
    ForgetLaunch,
    KillProcess,
    LaunchId,
    LaunchProcess,
    ProcessExited,
    QueryStatus,
    Reply,
    SaveRecord,
    SendControl,
    SendStart,
    ServiceDeleted,
    ServiceId,
    Shutdown,
    ShutdownCompleted,
    StartAnswered,
    StartService,
    StatusChanged,
    StatusReported,
    StoredService,
)
from scmd.core.status import invalid
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import PENDING_STATES, Control, ServiceState, StartType
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

LONGEST_CALL = 180_000
"""Milliseconds a call may take that does not wait for services to start."""
LONGEST_START = 3_600_000
_UP = (4, 5, 6, 7)


@dataclass(slots=True)
class Run:
    """What the books say about a launch."""

    spec_service: ServiceId
    control_channel: bool
    hook: bool
    exited: bool = False
    unanswered: tuple[str, int] | None = None
    services: set[ServiceId] = field(default_factory=set)
    """Asked to start in it, and not STOPPED since."""


class Checkers:
    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: dict[CallId, tuple[int, Command]] = {}
        self.statuses: dict[ServiceId, ServiceStatus] = {}
        self.runs: dict[LaunchId, Run] = {}
        self.shutting_down = False
        self.reported: StatusReported | None = None
        self.following: ServiceStatus | None = None
        """The first status after a report; the service may be started again at once."""
        self.replied = 0

    # Messages in -------------------------------------------------------------------------

    def before_message(self, message: Command | Event) -> None:
        self.reported = self.following = None
        match message:
            case Command():
                self.calls[message.call.id] = self.world.now, message
            case Shutdown():
                self.shutting_down = True
            case StatusReported():
                run = self.runs.get(message.launch)
                if run is not None and message.service in run.services:
                    self.reported = message
            case StartAnswered(launch=launch, service=service):
                self._answered(launch, ("start", service))
            case ControlAnswered(launch=launch, control=control):
                self._answered(launch, ("control", control))
            case ProcessExited(launch=launch):
                if launch in self.runs:
                    self.runs[launch].services.clear()

    def _answered(self, launch: LaunchId, what: tuple[str, int]) -> None:
        run = self.runs.get(launch)
        if run is not None and run.unanswered == what:
            run.unanswered = None

    def exited(self, launch: LaunchId) -> None:
        """The process is really gone; the SCM is about to hear of it."""
        self.runs[launch].exited = True

    def never_ran(self, launch: LaunchId) -> None:
        del self.runs[launch]

    def after_message(self, message: Command | Event | None) -> None:
        """What holds between messages."""
        self._check_report()
        state = self.world.scm.state
        for record in state.records.values():
            if record.status.state in PENDING_STATES:
                armed = record.hang is not None and record.hang.at is not None
                assert armed or record.hung, f"{record.config.name} is pending without a deadline"
            assert record.status == self.statuses.get(record.id, record.status)
        if isinstance(message, AssociationEnded):
            left = [h for h in state.handles.values() if h.association == message.association]
            assert not left, "handles outlived their association"
        for began, command in self.calls.values():
            limit = LONGEST_START if isinstance(command, StartService) else LONGEST_CALL
            assert self.world.now - began <= limit, f"not answered in {limit} ms: {command}"

    def _check_report(self) -> None:
        """The status is the last legal report, with the SCM's process id and type."""
        report, self.reported = self.reported, None
        if report is None or invalid(report.status):
            return
        status = self.following or self.statuses[report.service]
        for name in (
            "state",
            "controls_accepted",
            "win32_exit_code",
            "service_specific_exit_code",
            "check_point",
            "wait_hint",
        ):
            expected, found = getattr(report.status, name), getattr(status, name)
            assert expected == found, f"reported {name} {expected}, but it is {found}"

    # Effects out -------------------------------------------------------------------------

    def effect(self, effect: Effect) -> None:
        match effect:
            case Reply():
                self._reply(effect)
            case LaunchProcess():
                self._launch(effect)
            case SendStart():
                self._send_start(effect)
            case SendControl():
                self._send_control(effect)
            case StatusChanged():
                self._status(effect)
            case KillProcess(launch=launch):
                assert launch in self.runs, "killed a launch that is over"
                assert not self.runs[launch].exited, "killed a process that has exited"
            case ForgetLaunch(launch=launch):
                assert self.runs.pop(launch).exited, "forgot a process that has not exited"
            case ServiceDeleted(service=service):
                self._deleted(service)
            case SaveRecord(service=service):
                for other, stored in self.world.disk.items():
                    same = name_key(stored.config.name) == name_key(effect.config.name)
                    assert other == service or not same, "two records of one name"
            case ShutdownCompleted():
                assert self.shutting_down
                assert not self.runs, "completed while processes are alive"

    def _reply(self, reply: Reply) -> None:
        assert reply.call in self.calls, f"answered twice, or never asked: {reply}"
        _, command = self.calls.pop(reply.call)
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
            for run in self.runs.values():
                run.services.discard(change.service)
        elif status.state != ServiceState.START_PENDING:
            assert status.process_id, "a running service has a process"
        if change.cause == "its process is being started":
            self._may_start(change.service)
        self.statuses[change.service] = status
        if self.reported is not None and self.reported.service == change.service:
            self.following = self.following or status

    def _launch(self, launch: LaunchProcess) -> None:
        assert launch.launch not in self.runs
        spec = launch.spec
        hook = "hook" in spec.argv[0]
        self.runs[launch.launch] = Run(spec.service, spec.control_channel, hook)
        if "late-hook" in spec.argv[0] or "hook-stop" in spec.argv[0]:
            return
        assert not self.shutting_down, "launched after the shutdown began"
        stored = self.world.disk[spec.service]
        if "hook-pre" not in spec.argv[0]:
            self._unless_hooked(stored)

    def _unless_hooked(self, stored: StoredService) -> None:
        """With a hook before it, the program itself follows when the conditions were checked."""
        if "AppEvents\\Start\\Pre" not in stored.parameters:
            self._may_start(stored.id)

    def _may_start(self, service: ServiceId) -> None:
        stored = self.world.disk[service]
        assert not stored.deleted, f"started {stored.config.name}, which is marked for delete"
        assert stored.config.start_type != StartType.DISABLED, "started a disabled service"
        for dependency in stored.config.dependencies:
            assert self._is_met(service, dependency), (
                f"{stored.config.name} is started while {dependency} is not up"
            )

    def _is_met(self, service: ServiceId, dependency: str) -> bool:
        if not dependency.startswith("+"):
            return any(self._is_up(id) for id in self._named(dependency))
        group = name_key(dependency[1:])
        return any(
            self._is_up(id)
            for id, stored in self.world.disk.items()
            if name_key(stored.config.load_order_group) == group and id != service
        )

    def _named(self, name: str) -> list[ServiceId]:
        key = name_key(name)
        return [id for id, s in self.world.disk.items() if name_key(s.config.name) == key]

    def _is_up(self, service: ServiceId) -> bool:
        status = self.statuses.get(service)
        return status is not None and status.state in _UP

    def _send_start(self, request: SendStart) -> None:
        run = self.runs[request.launch]
        assert run.control_channel
        assert run.unanswered is None, "two requests at a time to one process"
        for other in self.runs.values():
            assert request.service not in other.services, "started while it runs"
        run.unanswered = "start", request.service
        run.services.add(request.service)

    def _send_control(self, request: SendControl) -> None:
        run = self.runs[request.launch]
        assert run.unanswered is None, "two requests at a time to one process"
        assert request.service in run.services, "a control for a service that does not run"
        run.unanswered = "control", request.control
        if request.code == Control.STOP and not self.shutting_down:
            self._no_dependents(request.service)

    def _no_dependents(self, service: ServiceId) -> None:
        stored = self.world.disk[service]
        targets = {name_key(stored.config.name)}
        if stored.config.load_order_group:
            targets.add("+" + name_key(stored.config.load_order_group))
        for id, other in self.world.disk.items():
            status = self.statuses.get(id)
            if id == service or status is None or status.state == ServiceState.STOPPED:
                continue
            needed = {name_key(name) for name in other.config.dependencies}
            assert not needed & targets, f"stopped under {other.config.name}, which runs"

    def _deleted(self, service: ServiceId) -> None:
        status = self.statuses.pop(service, None)
        assert status is None or status.state == ServiceState.STOPPED, "deleted while it runs"
        handles = self.world.scm.state.handles.values()
        assert not any(h.record is not None and h.record.id == service for h in handles)

    # The end -----------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Nothing waits, nothing runs, and memory agrees with the disk."""
        state = self.world.scm.state
        assert self.world.completed, "the shutdown was never completed"
        assert not self.calls, f"never answered: {list(self.calls.values())}"
        assert not self.runs, "processes are left"
        assert not state.launches
        assert not state.saves
        assert not state.handles
        waiting = [deadline.why for deadline in state.deadlines.armed()]
        assert not waiting, f"deadlines are left: {waiting}"
        assert not state.shared
        for record in state.records.values():
            stored = self.world.disk[record.id]
            assert record.config == stored.config
            assert record.deleted == stored.deleted
            assert dict(record.parameters) == dict(stored.parameters)
            assert record.is_stopped
            assert record.attempt is None
            assert record.launch is None
            assert record.run is None
        assert set(state.records) == set(self.world.disk)
