"""The SCM's state, and the few ways in which every part of the core acts on it.

Parts are modules of functions that take the `State`. They append effects, arm deadlines
and put what has to be looked at again into one of four queues, which `scm.Scm` empties:
failures, records that changed, attempts to advance, commands whose turn has come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from scmd.core.changes import Feed
from scmd.core.deadlines import Deadline, Deadlines
from scmd.core.dependencies import DependencyIndex
from scmd.core.event_ids import EventId
from scmd.core.messages import (
    AssociationId,
    CallId,
    ControlId,
    HandleId,
    LaunchId,
    SaveId,
    ServiceId,
    Settings,
)
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import AnyEffect, LogEvent, Reply
from scmd.core.records import Failure, Launch, Save, ServiceRecord, StartAttempt
from scmd.security.defaults import SCM_DESCRIPTOR
from scmd.security.descriptor import DescriptorError, SecurityDescriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.auto_start import AutoStartRun
    from scmd.core.boot import BootLog
    from scmd.core.handles import Handle
    from scmd.core.locks import DatabaseLock
    from scmd.core.notify_requests import Request
    from scmd.core.shutdown import ShutdownRun


class State:
    """Everything one SCM knows."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = 0
        self.effects: list[AnyEffect] = []
        self.deadlines = Deadlines()
        self.records: dict[ServiceId, ServiceRecord] = {}
        """In ascending order of record numbers."""
        self.by_key: dict[str, ServiceRecord] = {}
        self.by_display: dict[str, ServiceRecord] = {}
        self.by_own_id: dict[int, ServiceRecord] = {}
        """Those that have a uid and gid of their own; see `identities`."""
        self.index = DependencyIndex()
        self.cyclic: frozenset[str] = frozenset()
        """Key names on dependency cycles: only what was stored so, since no change makes one."""
        self.handles: dict[HandleId, Handle] = {}
        self.associations: dict[AssociationId, dict[HandleId, Handle]] = {}
        self.handles_of: dict[str, int] = {}
        """How many handles users have that are no administrators, by their SIDs."""
        self.requests: dict[HandleId, Request] = {}
        """Notification requests, by their notify handles, whose numbers no other handle has."""
        self.scm_watchers: dict[HandleId, Handle] = {}
        """Handles to the SCM that were used for notification requests."""
        self.feed = Feed(settings.epoch)
        self.blocked: dict[CallId, Callable[[], None]] = {}
        """Calls that may wait for ever, and how to answer them without what they wait for."""
        self.saves: dict[SaveId, Save] = {}
        self.reserved: dict[str, Save] = {}
        """Name keys, of key and display names, that a pending save is about to take."""
        self.tags: dict[str, int] = {}
        """The highest tag given out in each group."""
        self.launches: dict[LaunchId, Launch] = {}
        self.shared: dict[str, Launch] = {}
        """Processes that take further services, by image path."""
        self.changed: deque[ServiceRecord] = deque()
        self.work: deque[StartAttempt] = deque()
        self.failures: deque[tuple[ServiceRecord, Failure]] = deque()
        self.commands: deque[Command] = deque()
        self.audits: dict[CallId, Callable[[int], None]] = {}
        """What to do with the error of calls that the audit trail has to tell of."""
        self.touched: dict[ServiceId, ServiceRecord] = {}
        """What the journal may have to be told of, besides launches named by effects."""
        self.touched_launches: dict[LaunchId, None] = {}
        self.strays: set[LaunchId] = set()
        """Adopted launches that belong to nothing; forgotten when they exit."""
        self.auto_start: AutoStartRun | None = None
        self.boot: BootLog | None = None
        self.shutdown: ShutdownRun | None = None
        self.schedules_count = False
        """From the automatic starts on."""
        self.wall_offset: int | None = None
        """The time of day less `now`, milliseconds since 1970; None: nobody has said it yet."""
        self.lock: DatabaseLock | None = None
        self.scm_descriptor = _scm_descriptor(settings)
        self.scm_save: Save | None = None
        """A new descriptor of the SCM on its way to the disk."""
        self.boot_accepted = False
        self.fronted_by_smbd = False
        self.next_handle = 1
        self.next_save = 1
        self.next_service = settings.first_service
        self.next_launch = settings.first_launch
        # Never one of an earlier manager, whose answers may still be on their way.
        self.next_control = (settings.first_launch << 20) + 1

    def emit(self, effect: AnyEffect) -> None:
        self.effects.append(effect)

    def reply(self, call: CallId | None, error: int, result: object = None) -> None:
        """Answer a call; nothing when there is none to answer."""
        if call is not None:
            if call in self.audits:
                self.audits.pop(call)(int(error))
            self.effects.append(Reply(call, int(error), result))

    def log(self, event: EventId, record: ServiceRecord, *strings: str) -> None:
        self.effects.append(LogEvent(int(event), record.id, strings))

    def after(self, delay: int, action: Callable[[], None], why: str) -> Deadline:
        """A new deadline, armed to be due in `delay` ms."""
        deadline = Deadline(action, why)
        self.deadlines.arm(deadline, self.now + delay)
        return deadline

    def new_launch_id(self) -> LaunchId:
        self.next_launch += 1
        return LaunchId(self.next_launch - 1)

    def new_control_id(self) -> ControlId:
        self.next_control += 1
        return ControlId(self.next_control - 1)


def _scm_descriptor(settings: Settings) -> SecurityDescriptor:
    """What was stored, unless it makes no sense: then the documented default."""
    if settings.security is not None:
        try:
            return SecurityDescriptor.from_bytes(settings.security)
        except DescriptorError:
            pass
    return SCM_DESCRIPTOR
