"""Everything that enters and leaves the SCM: commands and events in, effects out.

A command is asked by a caller and owed exactly one `Reply` with its call's number, at
once or later. An event happened and is owed nothing. Effects are to be done in the order
given. Nothing here decides; the types are the contract between `scm.Scm`, the daemon's
shell, the RPC server and the simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NewType

from scmd.core.calendars import Zone, only_utc
from scmd.core.health import Probe
from scmd.security.token import Token
from scmd.vocabulary.configuration import FailureAction, ServiceConfig, Trigger
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.memory import Memory

Millis = NewType("Millis", int)
CallId = NewType("CallId", int)
AssociationId = NewType("AssociationId", int)
HandleId = NewType("HandleId", int)
ServiceId = NewType("ServiceId", int)
"""The record number: given at creation, never used again; files and cgroups are named after it."""
LaunchId = NewType("LaunchId", int)
"""One run of one process. Never used again under one state directory."""
SaveId = NewType("SaveId", int)
ControlId = NewType("ControlId", int)
"""One control on its way to a service process."""

CONTEXT_MISMATCH = 0x1C00001A
"""Not a Win32 error: the error of a `Reply` to a call whose handle is unknown or belongs to
another association. The RPC server makes it the fault nca_s_fault_context_mismatch."""

Parameters = Mapping[str, RegistryValue]
"""A service's own values; a name may hold `\\` for a subkey (`AppEvents\\Start\\Pre`)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity behind a call."""

    token: Token
    name: str
    """For people and the audit: `root`, `WORKGROUP\\alice`."""
    origin: str
    """Where the call came from: `local pid 4711`, `10.0.0.7:49152`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who or what brought a change about: a caller, or one of the two below."""

    name: str
    origin: str = ""
    """Of a caller, where the call came from; of the SCM, its reason: `automatic start`."""


SCM_ITSELF = Actor("SCM")
SERVICE_ITSELF = Actor("service")
"""Nobody had asked for it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its number, its association group (which owns handles) and its caller."""

    id: CallId
    association: AssociationId
    caller: Caller


# Commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    call: Call


@dataclass(frozen=True, slots=True)
class OpenScm(Command):
    """Result: HandleId. [MS-SCMR] 3.1.4.15."""

    database: str | None
    desired_access: int


@dataclass(frozen=True, slots=True)
class OpenService(Command):
    """Result: HandleId. [MS-SCMR] 3.1.4.16."""

    scm: HandleId
    name: str
    desired_access: int


@dataclass(frozen=True, slots=True)
class CloseHandle(Command):
    """Result: None. [MS-SCMR] 3.1.4.1."""

    handle: HandleId


@dataclass(frozen=True, slots=True)
class CreateService(Command):
    """Result: (HandleId, tag). [MS-SCMR] 3.1.4.12. `config.display_name` "" means the key name."""

    scm: HandleId
    config: ServiceConfig
    desired_access: int
    assign_tag: bool = False
    account_unknown: bool = False
    """The host knows nobody by the name of `config.account`: error 1057."""


@dataclass(frozen=True, slots=True)
class DeleteService(Command):
    service: HandleId


@dataclass(frozen=True, slots=True)
class ChangeConfig(Command):
    """Result: the tag. None keeps a value. [MS-SCMR] 3.1.4.11."""

    service: HandleId
    type: int | None = None
    start_type: int | None = None
    error_control: int | None = None
    image_path: str | None = None
    load_order_group: str | None = None
    assign_tag: bool = False
    dependencies: tuple[str, ...] | None = None
    account: str | None = None
    display_name: str | None = None
    account_unknown: bool = False
    """The host knows nobody by the name of `account`: error 1057."""


@dataclass(frozen=True, slots=True)
class FailureActionsChange:
    """What level 2 changes: None keeps. Actions None keeps the actions and the reset period."""

    reset_period_s: int
    reboot_message: str | None
    command: str | None
    actions: tuple[FailureAction, ...] | None


Config2Value = (
    str | bool | int | tuple[str, ...] | tuple[Trigger, ...] | FailureActionsChange | None
)


@dataclass(frozen=True, slots=True)
class ChangeConfig2(Command):
    """[MS-SCMR] 3.1.4.37. The value by level: 1 str; 2 FailureActionsChange; 3, 4, 11 bool; 5, 7,
    10, 12 int; 6 tuple of str; 8 tuple of Trigger; 9 int or None to delete. A None at another level
    keeps."""

    service: HandleId
    level: ConfigLevel
    value: Config2Value


@dataclass(frozen=True, slots=True)
class QueryConfig(Command):
    """Result: ServiceConfig, for QueryServiceConfig and every QueryServiceConfig2 level."""

    service: HandleId


@dataclass(frozen=True, slots=True)
class QueryStatus(Command):
    """Result: ServiceStatus with process id and flags."""

    service: HandleId


@dataclass(frozen=True, slots=True)
class QueryRecovery(Command):
    """Result: `recovery.Preview`. Needs SERVICE_QUERY_STATUS."""

    service: HandleId


@dataclass(frozen=True, slots=True)
class EnumServices(Command):
    """Result: tuple of ServiceEntry with numbers above `after`, ascending. [MS-SCMR] 3.1.4.14, 42.

    `group`: None all; "" services without a group; else members (1060 if unknown).
    """

    scm: HandleId
    type_mask: int
    state_mask: int
    group: str | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class EnumDependents(Command):
    """Result: tuple of ServiceEntry in the order in which to stop them. [MS-SCMR] 3.1.4.13."""

    service: HandleId
    state_mask: int


@dataclass(frozen=True, slots=True)
class StartService(Command):
    """Result: ServiceStatus. Replied when ServiceMain's thread exists. [MS-SCMR] 3.1.4.19."""

    service: HandleId
    arguments: tuple[str, ...] = ()
    """What follows argv[0], the service name."""


@dataclass(frozen=True, slots=True)
class ControlService(Command):
    """Result: ServiceStatus, given with the errors 1051, 1052, 1061 and 1062 too. 3.1.4.2, 51."""

    service: HandleId
    control: int
    reason: int = 0
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class SetStatus(Command):
    """A status report by whoever holds a handle with SERVICE_SET_STATUS. Result: None. 3.1.4.8.

    6: no such right, or the service runs in no process that speaks for it; 13: illegal values.
    """

    service: HandleId
    status: ServiceStatus


@dataclass(frozen=True, slots=True)
class GetDisplayName(Command):
    """Result: str."""

    scm: HandleId
    name: str


@dataclass(frozen=True, slots=True)
class GetKeyName(Command):
    """Result: str."""

    scm: HandleId
    display_name: str


@dataclass(frozen=True, slots=True)
class QueryParameters(Command):
    """Result: Parameters. Needs SERVICE_QUERY_CONFIG."""

    service: HandleId


@dataclass(frozen=True, slots=True)
class SetParameters(Command):
    """All of the values or none; None deletes a value. Needs SERVICE_CHANGE_CONFIG.

    A value that is refused for what it is: error 87, result a text that names it and says what
    was expected.
    """

    service: HandleId
    values: Mapping[str, RegistryValue | None]


@dataclass(frozen=True, slots=True)
class PrepareService(Command):
    """What the next CreateService on this SCM handle is to make besides, in one step with it.

    `values` are its Parameters, checked now for a service with this image path, as by
    SetParameters; `changes` are levels and values of ChangeConfig2, checked when it is created.
    Needs SC_MANAGER_CREATE_SERVICE.
    """

    scm: HandleId
    image_path: str
    values: Mapping[str, RegistryValue]
    changes: tuple[tuple[ConfigLevel, Config2Value], ...]


@dataclass(frozen=True, slots=True)
class IdentifyService(Command):
    """Result: ServiceId, if the handle was granted all of `access`; else error 5."""

    service: HandleId
    access: int


@dataclass(frozen=True, slots=True)
class CheckScmHandle(Command):
    """Result: None, if the SCM handle was granted all of `access`; else error 5."""

    scm: HandleId
    access: int


@dataclass(frozen=True, slots=True)
class QuerySettings(Command):
    """Result: the `Settings`. Needs SC_MANAGER_ENUMERATE_SERVICE."""

    scm: HandleId


@dataclass(frozen=True, slots=True)
class SetSettings(Command):
    """SCM-wide values, all of them or none; None deletes one. Needs SC_MANAGER_ALL_ACCESS.

    What is refused is error 87, with a text as for SetParameters.
    """

    scm: HandleId
    values: Mapping[str, RegistryValue | None]


@dataclass(frozen=True, slots=True)
class QueryBoot(Command):
    """Result: a list of BootEntry, of records above `after`. Needs ENUMERATE_SERVICE."""

    scm: HandleId
    after: int


@dataclass(frozen=True, slots=True)
class BootEntry:
    """How one service's start went when the SCM began; see `boot`. Milliseconds since then."""

    id: ServiceId
    name: str
    group: str
    dependencies: tuple[str, ...]
    delayed: bool
    asked: int
    begun: int | None
    ended: int | None
    error: int
    """0: it was RUNNING at `ended`."""


@dataclass(frozen=True, slots=True)
class ExplainService(Command):
    """Result: `why.Explanation`. Needs SERVICE_QUERY_STATUS."""

    service: HandleId


@dataclass(frozen=True, slots=True)
class KillService(Command):
    """Kill the process tree the service runs in, or break its start off. Result: None.

    Answered when the order is given; STOPPED follows. 1062 when there is nothing to kill.
    Needs SERVICE_STOP.
    """

    service: HandleId


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One line of an enumeration. `id` is the resume index."""

    id: ServiceId
    name: str
    display_name: str
    status: ServiceStatus


# Events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    pass


@dataclass(frozen=True, slots=True)
class AssociationEnded(Event):
    """The last connection of an association is gone: its handles are closed."""

    association: AssociationId


@dataclass(frozen=True, slots=True)
class CallsAbandoned(Event):
    """Nobody waits for these calls any more: those that may wait for ever are answered 1235."""

    calls: tuple[CallId, ...]


@dataclass(frozen=True, slots=True)
class RecordSaved(Event):
    save: SaveId


@dataclass(frozen=True, slots=True)
class SaveFailed(Event):
    save: SaveId
    error: Error


@dataclass(frozen=True, slots=True)
class ProcessStarted(Event):
    launch: LaunchId
    process_id: int
    without: tuple[str, ...] = ()
    """Limits that this host cannot put in force, each with the reason, for people."""


@dataclass(frozen=True, slots=True)
class LaunchFailed(Event):
    """The program could not be executed: 2, 3, 193, 5, 1069... by errno and step."""

    launch: LaunchId
    error: Error
    detail: str


@dataclass(frozen=True, slots=True)
class ProcessExited(Event):
    """`exit_code` or `signal`, the other is None; both are when only another process was told.

    Once another process is followed, it is that one's exit that counts.
    """

    launch: LaunchId
    exit_code: int | None
    signal: int | None
    out_of_memory: bool = False
    """The kernel had killed some of it at its memory limit."""


@dataclass(frozen=True, slots=True)
class ProbeAnswered(Event):
    """The answer to a `StartProbe`: what is wrong, or ""."""

    launch: LaunchId
    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class ProcessFollowed(Event):
    """The answer to a `FollowProcess`: this is the launch's process now, or what is wrong."""

    launch: LaunchId
    process_id: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LineSeen(Event):
    """A launch has written the line that its spec says is awaited."""

    launch: LaunchId


@dataclass(frozen=True, slots=True)
class DispatcherConnected(Event):
    """StartServiceCtrlDispatcher was called with this table of service names."""

    launch: LaunchId
    table: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelClosed(Event):
    """The control channel ended: closed by the process, or after a malformed packet."""

    launch: LaunchId


@dataclass(frozen=True, slots=True)
class StartAnswered(Event):
    """ServiceMain's thread exists (SUCCESS) or could not be made."""

    launch: LaunchId
    service: ServiceId
    error: int


@dataclass(frozen=True, slots=True)
class HandlerRegistered(Event):
    launch: LaunchId
    service: ServiceId


@dataclass(frozen=True, slots=True)
class StatusReported(Event):
    """SetServiceStatus; only the seven SERVICE_STATUS fields of `status` mean anything."""

    launch: LaunchId
    service: ServiceId
    status: ServiceStatus


@dataclass(frozen=True, slots=True)
class ControlAnswered(Event):
    """The Handler returned `error` (0: NO_ERROR)."""

    launch: LaunchId
    control: ControlId
    error: int


@dataclass(frozen=True, slots=True)
class HeldLaunch:
    """A launch of an earlier manager that the keeper has not been told to forget."""

    launch: LaunchId
    service: ServiceId
    process_id: int
    control_channel: bool
    hook: bool = False
    """It was launched as a hook."""
    ended: bool = False
    """Its process is gone; `ProcessExited` follows."""


@dataclass(frozen=True, slots=True)
class Adopted(Event):
    """The first message to an SCM whose manager is not the first of its keeper.

    What the journal of the one before says, in the order written, and what the keeper holds.
    """

    entries: tuple[Memory, ...]
    held: tuple[HeldLaunch, ...]


@dataclass(frozen=True, slots=True)
class ClockRead(Event):
    """The time of day now: when the SCM begins, and whenever somebody has set the clock."""

    wall: int
    """Milliseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class AutoStart(Event):
    """The machine is up: start what is AUTO_START."""


@dataclass(frozen=True, slots=True)
class Shutdown(Event):
    """Stop everything; `ShutdownCompleted` follows within the budget."""


# Effects ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    pass


@dataclass(frozen=True, slots=True)
class Reply(Effect):
    """The answer to a call. `result` is as the command's docstring says; None on most errors."""

    call: CallId
    error: int
    result: object = None


@dataclass(frozen=True, slots=True)
class SaveRecord(Effect):
    """Make the record durable, then report RecordSaved. `parameters` None: unchanged."""

    save: SaveId
    service: ServiceId
    config: ServiceConfig
    parameters: Parameters | None = None
    deleted: bool = False
    """DeleteFlag: marked for delete."""


@dataclass(frozen=True, slots=True)
class RemoveRecord(Effect):
    """Remove the record, its Parameters and its files durably, then report RecordSaved."""

    save: SaveId
    service: ServiceId


@dataclass(frozen=True, slots=True)
class SaveControl(Effect):
    """Make SCM-wide values durable, by their paths below Control; None deletes one."""

    save: SaveId
    values: Mapping[str, RegistryValue | None]


@dataclass(frozen=True, slots=True)
class WriteJournal(Effect):
    """Append to the runtime journal; the first of the effects, and written before the others.

    It has to outlive this process, not the machine: no need to sync.
    """

    entries: tuple[Memory, ...]


@dataclass(frozen=True, slots=True)
class LaunchSpec:
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


@dataclass(frozen=True, slots=True)
class LaunchProcess(Effect):
    """Answered by ProcessStarted or LaunchFailed; a started one always by ProcessExited."""

    launch: LaunchId
    spec: LaunchSpec


@dataclass(frozen=True, slots=True)
class SignalProcess(Effect):
    """Send a signal to the process, or to everything it started."""

    launch: LaunchId
    signal: int
    tree: bool = False


@dataclass(frozen=True, slots=True)
class KillProcess(Effect):
    """SIGKILL for the whole process tree; ProcessExited follows, again if it came before."""

    launch: LaunchId


@dataclass(frozen=True, slots=True)
class ForgetLaunch(Effect):
    """The exit has been dealt with: what is left of the tree may go, and the keeper may forget."""

    launch: LaunchId
    keep_tree: bool = False
    """Leave what the process started alone (AppKillProcessTree 0)."""


@dataclass(frozen=True, slots=True)
class FollowProcess(Effect):
    """From now on the launch's process is this one, or the one that a file names.

    Answered by ProcessFollowed. It has to live and to belong to the launch.
    """

    launch: LaunchId
    process_id: int
    pid_file: str = ""


@dataclass(frozen=True, slots=True)
class StartProbe(Effect):
    """Ask a hosted program how it is, TCP or HTTP; answered by ProbeAnswered within the limit."""

    launch: LaunchId
    number: int
    probe: Probe
    limit: int
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class SendStart(Effect):
    """Ask a connected process to run ServiceMain; answered by StartAnswered."""

    launch: LaunchId
    service: ServiceId
    arguments: tuple[str, ...]
    """argv[0], the service name, included."""


@dataclass(frozen=True, slots=True)
class SendControl(Effect):
    """Deliver a control to a Handler; answered by ControlAnswered."""

    launch: LaunchId
    control: ControlId
    service: ServiceId
    code: int
    event_type: int = 0
    event_data: bytes = b""


@dataclass(frozen=True, slots=True)
class SendResync(Effect):
    """Ask an adopted process to repeat its table, and what its services said last."""

    launch: LaunchId


@dataclass(frozen=True, slots=True)
class LogEvent(Effect):
    """An entry of the SCM in the event log (source "Service Control Manager")."""

    event_id: int
    service: ServiceId | None
    strings: tuple[str, ...]
    """The inserts %1, %2... of the message."""


@dataclass(frozen=True, slots=True)
class Audited(Effect):
    """For the audit trail: what a caller asked of a service or the SCM, and what came of it."""

    caller: Caller
    action: str
    target: str
    """The service's key name, or words for what else it was."""
    error: int


@dataclass(frozen=True, slots=True)
class StatusChanged(Effect):
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


@dataclass(frozen=True, slots=True)
class ServiceFailed(Effect):
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


@dataclass(frozen=True, slots=True)
class ServiceCreated(Effect):
    service: ServiceId
    name: str


@dataclass(frozen=True, slots=True)
class ServiceDeleted(Effect):
    service: ServiceId
    name: str


@dataclass(frozen=True, slots=True)
class ParametersChanged(Effect):
    """Tell a running service process that its Parameters are now these."""

    launch: LaunchId
    service: ServiceId


@dataclass(frozen=True, slots=True)
class ShutdownCompleted(Effect):
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


# What the SCM starts with --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredService:
    """A record as the database gave it."""

    id: ServiceId
    config: ServiceConfig
    parameters: Parameters
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """SCM-wide values (Control in the registry) and what the host is like. Milliseconds."""

    pipe_timeout: int = 30_000
    """ServicesPipeTimeout: connect, start and control answers."""
    register_warning: int = 1_000
    """A handler registered later than this is logged, never killed."""
    kill_timeout: int = 20_000
    """WaitToKillServiceTimeout."""
    group_order: tuple[str, ...] = ()
    """ServiceGroupOrder\\List."""
    tag_order: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """GroupOrderList: by the group's name key, its tags in their order."""
    preshutdown_order: tuple[str, ...] = ()
    """PreshutdownOrder: services that get PRESHUTDOWN before all others, one after the other."""
    first_launch: int = 1
    """No launch number below this one is given out."""
    first_service: int = 1
    """No record number below this one is given out; above every number of a removed record."""
    auto_start_delay: int = 120_000
    """AutoStartDelay: from the end of the automatic starts to the delayed ones."""
    crash_loop_limit: int = 10
    """RestartLimit: more failures than this within the period end the restarts; 0: never."""
    crash_loop_period: int = 10_000
    """RestartLimitPeriod."""
    own_ids: range = range(0x7000_0000, 0x8000_0000)
    """VirtualAccountBase, VirtualAccountCount: uids and gids for services, by record number."""
    reboot_command: str = ""
    """RebootCommand: what restarts the machine; "": nothing does."""
    stored: Mapping[str, RegistryValue] = field(default_factory=dict)
    """The values that these come from, by path below Control; see `control_values`."""
    single_user: bool = False
    """Without root: every service runs as the SCM's own user, other accounts are 1057."""
    ends_with_essential: bool = False
    """`scmd init`: the SCM ends when an essential service does."""
    security: bytes | None = None
    """The SCM's own descriptor, self-relative; None: the documented default."""
    built_in_services: bool = False
    """BuiltInServices: EventLog, RpcSs, Tcpip and LanmanServer are there; see `built_in`."""
    process_id: int = 0
    """The manager's own: where built-in services run."""
    lock_has_effect: bool = False
    """LockHasEffect: the database lock is NT 4's; see `locks`."""
    notify_socket: str = ""
    """Where hosted programs send what they say by sd_notify; "": nobody hears it."""
    zone: Callable[[str], Zone | None] = only_utc
    """The host's time zones by their names, "" for its own; None for one that it does not know."""
    environment: Mapping[str, str] = field(default_factory=dict)
