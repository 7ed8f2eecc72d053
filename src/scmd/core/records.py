"""The things the core keeps: service records, start attempts, launches, saves.

Plain data with slots; what happens to them is decided elsewhere. A record is one
installed service. An attempt is one try to start it, alive until it has succeeded or
failed. A launch is one run of one process, alive until its exit. A save is one change on
its way to the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from scmd.core.deadlines import Deadline
from scmd.core.messages import (
    SCM_ITSELF,
    Actor,
    AssociationId,
    CallId,
    ControlId,
    HandleId,
    LaunchId,
    Parameters,
    SaveId,
    ServiceId,
)
from scmd.core.messages.commands import Command, ServiceEntry
from scmd.core.messages.effects import LaunchSpec
from scmd.core.messages.events import ProcessExited
from scmd.security.descriptor import SecurityDescriptor
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, ServiceType
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.hosted_runs import HostedRun
    from scmd.core.notify_requests import Request
    from scmd.core.recovery import Recovery
    from scmd.core.schedules import Schedule
    from scmd.core.shutdown import Notice

_never_started: dict[int, ServiceStatus] = {}


def never_started(type: int) -> ServiceStatus:
    """The status before the first start, with exit code 1077; shared, since it is a value."""
    status = _never_started.get(type)
    if status is None:
        status = _never_started[type] = ServiceStatus(
            type=type, win32_exit_code=int(Error.SERVICE_NEVER_STARTED)
        )
    return status


BUILT_IN_IMAGE = "scmd run"
"""The image path of a service that runs in the manager itself; see `built_in`."""
BUILT_IN_KEYS = frozenset(map(name_key, ("EventLog", "RpcSs", "Tcpip", "LanmanServer")))
_WIN32 = int(ServiceType.WIN32)


class ServiceRecord:
    """One installed service: what is stored, and what is true now."""

    __slots__ = (
        "actor",
        "attempt",
        "cause",
        "changed_by",
        "changes",
        "completed",
        "config",
        "deleted",
        "descriptor",
        "entry",
        "essential",
        "failures",
        "handles",
        "hang",
        "hung",
        "id",
        "is_built_in",
        "key",
        "killed",
        "last_change",
        "last_lost",
        "launch",
        "listed",
        "log_of",
        "noted",
        "notice",
        "parameters",
        "process_exit",
        "progress",
        "recovery",
        "run",
        "save",
        "schedule",
        "since",
        "started_at",
        "status",
        "stop_asked",
        "waiters",
        "watchers",
    )

    def __init__(
        self, id: ServiceId, config: ServiceConfig, parameters: Parameters, deleted: bool
    ) -> None:
        self.id = id
        self.key = name_key(config.name)
        self.is_built_in = config.image_path == BUILT_IN_IMAGE and self.key in BUILT_IN_KEYS
        self.config = config
        self.parameters = parameters
        self.deleted = deleted
        self.status = never_started(config.type)
        self.handles = 0
        self.save: Save | None = None
        """The change on its way to the disk; others wait for it."""
        self.attempt: StartAttempt | None = None
        self.launch: Launch | None = None
        """The process it runs in, from the decision to launch until it is STOPPED."""
        self.log_of: ServiceId | None = None
        """Whose log has the output of the process it ran in last: whom that was launched for."""
        self.run: HostedRun | None = None
        self.hang: Deadline | None = None
        self.hung = False
        """A pending state has seen no progress for too long."""
        self.failures = 0
        """Since boot, or since the reset period was over; see `recovery.failure_count`."""
        self.recovery: Recovery | None = None
        """Since its first failure."""
        self.started_at = 0
        """When it was started last."""
        self.stop_asked = False
        """The present run, or the wait for a restart, is to end: no failure brings it back."""
        self.essential = False
        """It was marked so when it was started last."""
        self.schedule: Schedule | None = None
        self.completed = False
        """It has stopped because its work was done; see `one_shots`."""
        self.process_exit: int | None = None
        """How its process ended without a STOPPED report, as a shell says it; see `essential`."""
        self.noted: dict[tuple[int, int], str] | None = None
        """Oddities of this run and what was logged of them: a flood is logged once."""
        self.changes: tuple[int, int] | None = None
        """Since when its own changes of state are counted, and how many there were."""
        self.actor: Actor | None = None
        """Who asked for what is going on; None: nobody has asked for anything."""
        self.cause = ""
        """Why it is in its state, for people; "" before the first change."""
        self.changed_by = SCM_ITSELF
        self.since: int | None = None
        """When its state began; None: before this SCM knew of it."""
        self.progress: int | None = None
        """When its status last changed."""
        self.killed = False
        """Somebody had its process killed, so that its end is no failure."""
        self.notice: Notice | None = None
        """What it was told about the shutdown."""
        self.waiters: dict[ServiceId, StartAttempt] | None = None
        """Attempts that look again when this service changes."""
        self.entry = 0
        """Counts the states it enters."""
        self.watchers: dict[HandleId, Request] | None = None
        """Notification requests that wait for its next states."""
        self.last_change = 0
        """The number in the feed of its last change."""
        self.last_lost = 0
        """That of the last one by its name that the feed keeps no more, or a higher one."""
        self.descriptor: SecurityDescriptor | None = None
        """`config.security`, parsed; kept with the bytes it came from by `handles`."""
        self.listed: ServiceEntry | None = None
        """Its line in enumerations, kept by `queries`."""

    @property
    def is_up(self) -> bool:
        """It runs and is neither starting nor stopping, so that dependents may start."""
        return self.status.state not in _DOWN

    @property
    def is_stopped(self) -> bool:
        return self.status.state == ServiceState.STOPPED

    @property
    def is_recovering(self) -> bool:
        """It has failed, and its restart is waited for or on its way."""
        if self.attempt is not None:
            return self.attempt.restart
        return self.recovery is not None and self.recovery.restart_waits

    @property
    def is_driver(self) -> bool:
        return not self.config.type & _WIN32


_DOWN = (ServiceState.STOPPED, ServiceState.START_PENDING, ServiceState.STOP_PENDING)


class AttemptPhase(Enum):
    WAITING = auto()
    """For dependencies; it has started nothing of its own."""
    LAUNCHING = auto()
    """Its process is on the way, or its start request is queued or sent."""


class StartAttempt:
    """One try to start a service, by a client's call or for a dependent."""

    __slots__ = ("arguments", "awaited", "call", "phase", "record", "restart", "retried", "tried")

    def __init__(
        self, record: ServiceRecord, call: CallId | None, arguments: tuple[str, ...]
    ) -> None:
        self.record = record
        self.call = call
        self.arguments = arguments
        self.phase = AttemptPhase.WAITING
        self.tried: set[ServiceId] = set()
        """Dependencies that were started, or found starting: one that is down now has failed."""
        self.awaited: set[ServiceId] = set()
        """Those that were on their way when it was looked at last, and may be still."""
        self.retried = False
        self.restart = False
        """The service has failed, and this is to bring it back."""


class Failure(Enum):
    """How a service has failed."""

    DIED = auto()
    """Its process ended without a STOPPED report."""
    STOPPED_WITH_ERROR = auto()
    """And its record says that this is a failure."""
    NOT_RESTARTED = auto()
    """The restart after a failure has failed."""


class LaunchKind(Enum):
    PROTOCOL = auto()
    """Speaks the control protocol."""
    PROGRAM = auto()
    """Hosted: an unmodified program."""
    HOOK = auto()
    """A command run before or after a hosted program."""
    COMMAND = auto()
    """A recovery command, or the machine's command to reboot."""


class LaunchPhase(Enum):
    LAUNCHING = auto()
    CONNECTING = auto()
    READY = auto()
    ENDING = auto()
    """Nothing more is asked of it; it is killed unless it exits soon."""
    KILLED = auto()


class Launch:
    """One run of one process."""

    __slots__ = (
        "account",
        "cause",
        "current",
        "deadline",
        "done",
        "drained",
        "exit",
        "gone",
        "id",
        "kind",
        "owner",
        "phase",
        "process_id",
        "queue",
        "registering",
        "services",
        "share_key",
        "spec",
        "table",
        "without",
    )

    def __init__(
        self, id: LaunchId, kind: LaunchKind, spec: LaunchSpec, owner: ServiceRecord
    ) -> None:
        self.id = id
        self.kind = kind
        self.spec = spec
        self.owner = owner
        """The service it was launched for."""
        self.phase = LaunchPhase.LAUNCHING
        self.process_id = 0
        self.deadline: Deadline | None = None
        self.cause = ""
        """Why it is being ended, for people."""
        self.exit: ProcessExited | None = None
        self.gone = False
        """Adopted with an exit that is still to come: nothing is asked of it."""
        self.without: tuple[str, ...] = ()
        """Limits that are not in force, for people."""
        self.done: Callable[[int, int], None] | None = None
        """Of a hook: what to do with its outcome, a Win32 error and with 1066 the exit code."""
        # What follows is about the control protocol only.
        self.share_key: str | None = None
        self.account = ""
        self.services: dict[ServiceId, ServiceRecord] = {}
        """Those asked to start in it that have not been STOPPED since."""
        self.table: frozenset[str] = frozenset()
        self.current: StartRequest | ControlRequest | None = None
        self.queue: deque[StartRequest | ControlRequest] = deque()
        self.registering: dict[ServiceId, Deadline] = {}
        """Services whose Handler is not registered yet, and when that is worth a warning."""
        self.drained = False
        """Some service of it has STOPPED, so its dispatcher may be about to return."""


class StartRequest:
    """A start on its way through a process; abandoned when nobody waits any more."""

    __slots__ = ("attempt", "deadline", "record")

    def __init__(self, attempt: StartAttempt) -> None:
        self.attempt: StartAttempt | None = attempt
        self.record = attempt.record
        self.deadline: Deadline | None = None


class ControlRequest:
    """A control on its way to a Handler."""

    __slots__ = ("call", "code", "deadline", "id", "record")

    def __init__(
        self, id: ControlId, record: ServiceRecord, code: int, call: CallId | None
    ) -> None:
        self.id = id
        self.record = record
        self.code = code
        self.call = call
        """None: the SCM's own control, or one whose caller has been answered."""
        self.deadline: Deadline | None = None


class Save:
    """A change on its way to the disk, and what waits for it."""

    __slots__ = (
        "association",
        "config",
        "failed",
        "id",
        "names",
        "record",
        "saved",
        "service",
        "waiting",
    )

    def __init__(
        self,
        id: SaveId,
        record: ServiceRecord | None,
        service: ServiceId,
        config: ServiceConfig | None,
        names: tuple[str, ...],
        saved: Callable[[], None],
        failed: Callable[[Error], None],
    ) -> None:
        self.id = id
        self.record = record
        """None: one that is being created, or values of the SCM."""
        self.service = service
        """The record's id; 0: values of the SCM."""
        self.config = config
        """The record's configuration once saved; None when it will be removed."""
        self.names = names
        """Name keys that nobody else may take meanwhile."""
        self.saved = saved
        self.failed = failed
        self.association: AssociationId | None = None
        """Of a creation: who gets the handle; None once that association has ended."""
        self.waiting: deque[Command] = deque()
        """Commands to be looked at again when the outcome is known."""
