"""What happened outside of the SCM, to be told to it. Owed nothing."""

from __future__ import annotations

from dataclasses import dataclass

from scmd.core.messages import AssociationId, CallId, ControlId, LaunchId, SaveId, ServiceId
from scmd.vocabulary.errors import Error
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.memory import Memory


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
