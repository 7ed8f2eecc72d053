"""What happened outside of the SCM, to be told to it. Owed nothing."""

from __future__ import annotations

from scmd.core.frozen import frozen
from scmd.core.messages import AssociationId, CallId, ControlId, LaunchId, SaveId, ServiceId
from scmd.vocabulary.errors import Error
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.memory import Memory


@frozen
class Event:
    pass


@frozen
class AssociationEnded(Event):
    """The last connection of an association is gone: its handles are closed."""

    association: AssociationId


@frozen
class CallsAbandoned(Event):
    """Nobody waits for these calls any more: those that may wait for ever are answered 1235."""

    calls: tuple[CallId, ...]


@frozen
class RecordSaved(Event):
    save: SaveId


@frozen
class SaveFailed(Event):
    save: SaveId
    error: Error


@frozen
class ProcessStarted(Event):
    launch: LaunchId
    process_id: int
    without: tuple[str, ...] = ()
    """Limits that this host cannot put in force, each with the reason, for people."""


@frozen
class LaunchFailed(Event):
    """The program could not be executed: 2, 3, 193, 5, 1069... by errno and step."""

    launch: LaunchId
    error: Error
    detail: str


@frozen
class ProcessExited(Event):
    """`exit_code` or `signal`, the other is None; both are when only another process was told.

    Once another process is followed, it is that one's exit that counts.
    """

    launch: LaunchId
    exit_code: int | None
    signal: int | None
    out_of_memory: bool = False
    """The kernel had killed some of it at its memory limit."""


@frozen
class ProbeAnswered(Event):
    """The answer to a `StartProbe`: what is wrong, or ""."""

    launch: LaunchId
    number: int
    problem: str


@frozen
class ProcessFollowed(Event):
    """The answer to a `FollowProcess`: this is the launch's process now, or what is wrong."""

    launch: LaunchId
    process_id: int
    problem: str = ""


@frozen
class LineSeen(Event):
    """A launch has written the line that its spec says is awaited."""

    launch: LaunchId


@frozen
class DispatcherConnected(Event):
    """StartServiceCtrlDispatcher was called with this table of service names."""

    launch: LaunchId
    table: tuple[str, ...]


@frozen
class ChannelClosed(Event):
    """The control channel ended: closed by the process, or after a malformed packet."""

    launch: LaunchId


@frozen
class StartAnswered(Event):
    """ServiceMain's thread exists (SUCCESS) or could not be made."""

    launch: LaunchId
    service: ServiceId
    error: int


@frozen
class HandlerRegistered(Event):
    launch: LaunchId
    service: ServiceId


@frozen
class StatusReported(Event):
    """SetServiceStatus; only the seven SERVICE_STATUS fields of `status` mean anything."""

    launch: LaunchId
    service: ServiceId
    status: ServiceStatus


@frozen
class ControlAnswered(Event):
    """The Handler returned `error` (0: NO_ERROR)."""

    launch: LaunchId
    control: ControlId
    error: int


@frozen
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


@frozen
class Adopted(Event):
    """The first message to an SCM whose manager is not the first of its keeper.

    What the journal of the one before says, in the order written, and what the keeper holds.
    """

    entries: tuple[Memory, ...]
    held: tuple[HeldLaunch, ...]


@frozen
class ClockRead(Event):
    """The time of day now: when the SCM begins, and whenever somebody has set the clock."""

    wall: int
    """Milliseconds since 1970, UTC."""


@frozen
class AutoStart(Event):
    """The machine is up: start what is AUTO_START."""


@frozen
class Shutdown(Event):
    """Stop everything; `ShutdownCompleted` follows within the budget."""
