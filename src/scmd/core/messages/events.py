"""What happened outside of the SCM, to be told to it. Owed nothing."""

from __future__ import annotations

from msgspec import Struct

from scmd.core.messages import AssociationId, CallId, ControlId, LaunchId, SaveId, ServiceId
from scmd.vocabulary.errors import Error
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.memory import Memory


class Event(Struct, frozen=True):
    pass


class AssociationEnded(Event, frozen=True):
    """The last connection of an association is gone: its handles are closed."""

    association: AssociationId


class CallsAbandoned(Event, frozen=True):
    """Nobody waits for these calls any more: those that may wait for ever are answered 1235."""

    calls: tuple[CallId, ...]


class RecordSaved(Event, frozen=True):
    save: SaveId


class SaveFailed(Event, frozen=True):
    save: SaveId
    error: Error


class ProcessStarted(Event, frozen=True):
    launch: LaunchId
    process_id: int
    without: tuple[str, ...] = ()
    """Limits that this host cannot put in force, each with the reason, for people."""


class LaunchFailed(Event, frozen=True):
    """The program could not be executed: 2, 3, 193, 5, 1069... by errno and step."""

    launch: LaunchId
    error: Error
    detail: str


class ProcessExited(Event, frozen=True):
    """`exit_code` or `signal`, the other is None; both are when only another process was told.

    Once another process is followed, it is that one's exit that counts.
    """

    launch: LaunchId
    exit_code: int | None
    signal: int | None
    out_of_memory: bool = False
    """The kernel had killed some of it at its memory limit."""


class ProbeAnswered(Event, frozen=True):
    """The answer to a `StartProbe`: what is wrong, or ""."""

    launch: LaunchId
    number: int
    problem: str


class ProcessFollowed(Event, frozen=True):
    """The answer to a `FollowProcess`: this is the launch's process now, or what is wrong."""

    launch: LaunchId
    process_id: int
    problem: str = ""


class LineSeen(Event, frozen=True):
    """A launch has written the line that its spec says is awaited."""

    launch: LaunchId


class DispatcherConnected(Event, frozen=True):
    """StartServiceCtrlDispatcher was called with this table of service names."""

    launch: LaunchId
    table: tuple[str, ...]


class ChannelClosed(Event, frozen=True):
    """The control channel ended: closed by the process, or after a malformed packet."""

    launch: LaunchId


class StartAnswered(Event, frozen=True):
    """ServiceMain's thread exists (SUCCESS) or could not be made."""

    launch: LaunchId
    service: ServiceId
    error: int


class HandlerRegistered(Event, frozen=True):
    launch: LaunchId
    service: ServiceId


class StatusReported(Event, frozen=True):
    """SetServiceStatus; only the seven SERVICE_STATUS fields of `status` mean anything."""

    launch: LaunchId
    service: ServiceId
    status: ServiceStatus


class ControlAnswered(Event, frozen=True):
    """The Handler returned `error` (0: NO_ERROR)."""

    launch: LaunchId
    control: ControlId
    error: int


class HeldLaunch(Struct, frozen=True):
    """A launch of an earlier manager that the keeper has not been told to forget."""

    launch: LaunchId
    service: ServiceId
    process_id: int
    control_channel: bool
    hook: bool = False
    """It was launched as a hook."""
    ended: bool = False
    """Its process is gone; `ProcessExited` follows."""


class Adopted(Event, frozen=True):
    """The first message to an SCM whose manager is not the first of its keeper.

    What the journal of the one before says, in the order written, and what the keeper holds.
    """

    entries: tuple[Memory, ...]
    held: tuple[HeldLaunch, ...]


class ClockRead(Event, frozen=True):
    """The time of day now: when the SCM begins, and whenever somebody has set the clock."""

    wall: int
    """Milliseconds since 1970, UTC."""


class AutoStart(Event, frozen=True):
    """The machine is up: start what is AUTO_START."""


class Shutdown(Event, frozen=True):
    """Stop everything; `ShutdownCompleted` follows within the budget."""
