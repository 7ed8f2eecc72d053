"""What the SCM wants done, in the order given."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from scmd.core.health import Probe
from scmd.core.messages import (
    SCM_ITSELF,
    Actor,
    Caller,
    CallId,
    ControlId,
    LaunchId,
    Parameters,
    SaveId,
    ServiceId,
)
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.memory import Memory


class Effect(Struct, frozen=True):
    pass


class Reply(Effect, frozen=True):
    """The answer to a call. `result` is as the command's docstring says; None on most errors."""

    call: CallId
    error: int
    result: object = None


class SaveRecord(Effect, frozen=True):
    """Make the record durable, then report RecordSaved. `parameters` None: unchanged."""

    save: SaveId
    service: ServiceId
    config: ServiceConfig
    parameters: Parameters | None = None
    deleted: bool = False
    """DeleteFlag: marked for delete."""


class RemoveRecord(Effect, frozen=True):
    """Remove the record, its Parameters and its files durably, then report RecordSaved."""

    save: SaveId
    service: ServiceId


class SaveControl(Effect, frozen=True):
    """Make SCM-wide values durable, by their paths below Control; None deletes one."""

    save: SaveId
    values: Mapping[str, RegistryValue | None]


class WriteJournal(Effect, frozen=True):
    """Append to the runtime journal; the first of the effects, and written before the others.

    It has to outlive this process, not the machine: no need to sync.
    """

    entries: tuple[Memory, ...]


class LaunchSpec(Struct, frozen=True):
    """How a process is to be run. What is absent is inherited from the SCM's clean defaults."""

    service: ServiceId
    """Whose log and cgroup it belongs to; of a shared process, its first service."""
    name: str
    argv: tuple[str, ...]
    """argv[0] is the program: an absolute path."""
    account: str
    control_channel: bool
    directory: str | None = None
    environment: tuple[tuple[str, str], ...] | None = None
    """Replaces the environment; None: the default one for the account."""
    extra_environment: tuple[tuple[str, str], ...] = ()
    umask: int | None = None
    nice: int | None = None
    affinity: tuple[int, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    """`resource` names without RLIMIT_ and both limits: ("NOFILE", 4096)."""
    shares: tuple[tuple[str, int], ...] = ()
    """What it may use together with all that it starts; see `limits`."""
    uid: int = 0
    """Of a virtual account; 0: the account is looked up."""
    groups: tuple[int, ...] = ()
    """Besides the account's."""
    capabilities: int | None = None
    """Those it has and can get, as bits; None: what the account has."""
    hook: bool = False
    """A command before or after the service's program, not the program itself."""
    essential: bool = False
    """Under `scmd init` signals are passed on to it; see `essential`."""
    awaited_line: str = ""
    """LineSeen follows when a line of its output has this text in it."""
    log_timestamps: bool = False
    log_name: bool = False
    """What stands before each captured line."""


class LaunchProcess(Effect, frozen=True):
    """Answered by ProcessStarted or LaunchFailed; a started one always by ProcessExited."""

    launch: LaunchId
    spec: LaunchSpec


class SignalProcess(Effect, frozen=True):
    """Send a signal to the process, or to everything it started."""

    launch: LaunchId
    signal: int
    tree: bool = False


class KillProcess(Effect, frozen=True):
    """SIGKILL for the whole process tree; ProcessExited follows, again if it came before."""

    launch: LaunchId


class ForgetLaunch(Effect, frozen=True):
    """The exit has been dealt with: what is left of the tree may go, and the keeper may forget."""

    launch: LaunchId
    keep_tree: bool = False
    """Leave what the process started alone (AppKillProcessTree 0)."""


class FollowProcess(Effect, frozen=True):
    """From now on the launch's process is this one, or the one that a file names.

    Answered by ProcessFollowed. It has to live and to belong to the launch.
    """

    launch: LaunchId
    process_id: int
    pid_file: str = ""


class StartProbe(Effect, frozen=True):
    """Ask a hosted program how it is, TCP or HTTP; answered by ProbeAnswered within the limit."""

    launch: LaunchId
    number: int
    probe: Probe
    limit: int
    """Milliseconds."""


class SendStart(Effect, frozen=True):
    """Ask a connected process to run ServiceMain; answered by StartAnswered."""

    launch: LaunchId
    service: ServiceId
    arguments: tuple[str, ...]
    """argv[0], the service name, included."""


class SendControl(Effect, frozen=True):
    """Deliver a control to a Handler; answered by ControlAnswered."""

    launch: LaunchId
    control: ControlId
    service: ServiceId
    code: int
    event_type: int = 0
    event_data: bytes = b""


class SendResync(Effect, frozen=True):
    """Ask an adopted process to repeat its table, and what its services said last."""

    launch: LaunchId


class LogEvent(Effect, frozen=True):
    """An entry of the SCM in the event log (source "Service Control Manager")."""

    event_id: int
    service: ServiceId | None
    strings: tuple[str, ...]
    """The inserts %1, %2... of the message."""


class Audited(Effect, frozen=True):
    """For the audit trail: what a caller asked of a service or the SCM, and what came of it."""

    caller: Caller
    action: str
    target: str
    """The service's key name, or words for what else it was."""
    error: int


class StatusChanged(Effect, frozen=True):
    """A service's status is now this one; `cause` says why, for people."""

    service: ServiceId
    name: str
    status: ServiceStatus
    cause: str
    actor: Actor = SCM_ITSELF
    """Who asked for it; the first resting state ends what somebody had asked for."""
    before: int = 0
    """The state before, which may be the same."""
    lasted: int | None = None
    """Milliseconds in the state before; None: the same state goes on, or it is not known."""


class ServiceFailed(Effect, frozen=True):
    """A service has failed, after `StatusChanged` said so: what there is to know of it."""

    launch: LaunchId
    service: ServiceId
    name: str
    cause: str
    status: ServiceStatus
    process_id: int
    exit_code: int | None
    signal: int | None
    """Both None when the process was still there: it reported an error, or was too slow."""
    config: ServiceConfig
    parameters: Parameters
    log_of: ServiceId | None = None
    """Whose log has the output of the process, when it is not the service's own."""


class ServiceCreated(Effect, frozen=True):
    service: ServiceId
    name: str


class ServiceDeleted(Effect, frozen=True):
    service: ServiceId
    name: str


class ParametersChanged(Effect, frozen=True):
    """Tell a running service process that its Parameters are now these."""

    launch: LaunchId
    service: ServiceId


class ShutdownCompleted(Effect, frozen=True):
    exit_status: int = 0
    """What the SCM's process is to end with; see `essential`."""


AnyEffect = (
    Reply
    | SaveRecord
    | RemoveRecord
    | SaveControl
    | WriteJournal
    | LaunchProcess
    | SignalProcess
    | KillProcess
    | ForgetLaunch
    | FollowProcess
    | StartProbe
    | SendStart
    | SendControl
    | SendResync
    | LogEvent
    | Audited
    | StatusChanged
    | ServiceFailed
    | ServiceCreated
    | ServiceDeleted
    | ParametersChanged
    | ShutdownCompleted
)
