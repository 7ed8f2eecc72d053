"""Changes and the feed's own state; `feed` is what is done with them."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from itertools import islice

from msgspec import Struct

from scmd.core.messages import SCM_ITSELF, Actor, CallId, ServiceId
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.feed import Watcher

KEPT = 8_192
KEPT_BYTES = 16 << 20
"""So large all their descriptors may be; of services with large ones fewer changes are kept."""
REMEMBERED = 1_024
"""Of these, as many outlive a manager whose journal has just been written anew."""
REMEMBERED_BYTES = 4 << 20
"""So large all their descriptors may be."""


class ChangeKind(StrEnum):
    STATUS = "status"
    CREATED = "created"
    MARKED = "delete_pending"
    DELETED = "deleted"
    CONFIG = "config"
    PARAMETERS = "parameters"


class Change(Struct, frozen=True):
    """One change. Of a STATUS, `status` is the new one, and who and what brought it about."""

    number: int
    kind: ChangeKind
    service: ServiceId
    name: str
    status: ServiceStatus
    before: int = 0
    """The state before, which may be the same."""
    lasted: int | None = None
    """Milliseconds in the state before; None: the same state goes on, or it is not known."""
    cause: str = ""
    actor: Actor = SCM_ITSELF
    security: bytes | None = None
    """The service's own descriptor at that time; None: the default one."""


class Intent(Struct, frozen=True):
    """A change of a record that is on its way to the disk."""

    kind: ChangeKind
    service: ServiceId
    name: str
    security: bytes | None


class Feed:
    """The changes, and who waits for the next ones."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.last = 0
        """The number of the last change."""
        self.kept: deque[Change] = deque(maxlen=KEPT)
        self._kept_bytes = 0
        self.unwritten: list[Change] = []
        """Those that the journal has not got yet."""
        self.intents: dict[ServiceId, Intent] = {}
        """Changes of records on their way to the disk."""
        self.unwritten_intents: list[Intent] = []
        self.by_key: dict[str, dict[CallId, Watcher]] = {}
        self.of_all: dict[CallId, Watcher] = {}
        self.awake: dict[CallId, Watcher] = {}
        """Those that have something to be told."""

    @property
    def first(self) -> int:
        """The number of the oldest change that is kept."""
        return self.last - len(self.kept) + 1

    def remembered(self) -> list[Change]:
        """The last changes, for a journal that is written anew; oldest first."""
        size = 0
        last: list[Change] = []
        for change in islice(reversed(self.kept), REMEMBERED):
            size += _size(change)
            if size > REMEMBERED_BYTES:
                break
            last.append(change)
        last.reverse()
        return last

    def keep(self, change: Change) -> list[Change]:
        """The number after the last one's comes; what has to go for it, oldest first."""
        lost: list[Change] = []
        kept = self.kept
        self._kept_bytes += _size(change)
        while kept and (len(kept) == kept.maxlen or self._kept_bytes > KEPT_BYTES):
            oldest = kept.popleft()
            self._kept_bytes -= _size(oldest)
            lost.append(oldest)
        kept.append(change)
        self.last = change.number
        return lost


def _size(change: Change) -> int:
    """Of its descriptor, in bytes; all else is small."""
    return len(change.security or b"")
