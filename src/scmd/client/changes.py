"""What a watch tells: a `Change`; and what it is about, for whoever finds the changes out.

There are three ways to find them out: the feed (`feed_changes`), NotifyServiceStatusChange
(`notified_changes`) and looking again and again (`polled_changes`). `watching` chooses.
"""

from __future__ import annotations

from threading import Event

from scmd.scmd_interface.feed import FEED_BEGINNING
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, ServiceType, StateMask
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle


class Change(Value):
    """What has happened to a service.

    `kind`: `status`, `created`, `delete_pending` (marked), `deleted`, `config`, `parameters`; or
    `service`, the service as it is, for whoever was behind or asked for it.
    """

    kind: str
    name: str
    """The service's key name."""
    status: ServiceStatus
    """After the change; process id and exit codes too. Of one that is gone the last, or a blank."""
    before: int = 0
    """Of a `status`, the state before, a `ServiceState`; it may be the same."""
    lasted_ms: int | None = None
    """How long that was; None: the state has not changed, or it is not known."""
    cause: str = ""
    """Why, for people."""
    actor: str = ""
    """Who had asked for it: a caller, `SCM`, or `service`."""
    origin: str = ""
    """Where that call came from."""
    sequence: int = 0
    """Its number, one higher than that of the change before; 0: it has none."""
    marked: bool = False
    """Of a `service`: it is marked for deletion; servers without a feed do not say."""
    gap: bool = False
    """Something before this one is missing, or may be: the watch was behind, or not connected."""
    sampled: bool = False
    """The server has no feed: states that came and went before this one may be missing, always."""
    place: str = ""
    """For `watch(after=)`: what comes after this change. Of a picture at most the last service has
    one; at a server without a feed nothing has."""

    @property
    def state(self) -> ServiceState:
        """That of `status`."""
        return ServiceState(self.status.state)


class Scope:
    """What one watch is about, and how far it has got; it outlives the watch's connections."""

    def __init__(self, names: Iterable[str], initial: bool, after: str = "") -> None:
        """ValueError: `after` is not empty, nor a place that a change has told."""
        self.names = {name_key(name): name for name in names}
        """Of the services, by their keys; none: all."""
        self.known: dict[str, str] = {}
        """Those that are there, as far as the watch has heard."""
        self.owes_gap = False
        """Changes may be missing, and there was nobody to tell that of."""
        self.initial = initial
        self.has_begun = False
        """A first answer has come."""
        self.resumes = bool(after)
        """It goes on where another watch has been."""
        self.place = _place_from(after) if after else (0, FEED_BEGINNING)
        """In the feed: epoch and number."""
        self.covered: dict[str, int] = {}
        """Services of a large picture's later parts: their changes up to a number are in it."""
        self.closed = Event()

    @property
    def may_miss(self) -> bool:
        """Whether there are changes that it ought to hear of, so that a picture means a gap."""
        return self.has_begun or self.resumes

    def covers(self, name: str) -> bool:
        return not self.names or name_key(name) in self.names

    def note(self, changes: Iterable[Change]) -> None:
        """Keep in mind who is there now."""
        for change in changes:
            if change.kind == "deleted":
                self.known.pop(name_key(change.name), None)
            else:
                self.known[name_key(change.name)] = change.name

    def after_gap(self, picture: list[Change]) -> list[Change]:
        """The picture, and who was there and is not in it."""
        there = {name_key(service.name) for service in picture}
        whole = picture + [
            Change(kind="deleted", name=name, status=ServiceStatus(), gap=True)
            for key, name in self.known.items()
            if key not in there
        ]
        self.owes_gap = not whole
        return whole

    def told(self, changes: list[Change]) -> list[Change]:
        """What is to be handed on: the first has the gap that is owed."""
        if changes and self.owes_gap:
            self.owes_gap = False
            changes = [changes[0].replace(gap=True), *changes[1:]]
        self.note(changes)
        return changes


def place_of(epoch: int, number: int) -> str:
    """As a change tells it."""
    return f"{epoch:x}-{number}"


def _place_from(text: str) -> tuple[int, int]:
    epoch, _, number = text.partition("-")
    if not (_is_number(epoch, "0123456789abcdef") and _is_number(number, "0123456789")):
        raise ValueError(f"{text!r} is no place of a change, such as '2f6c01d4b7a395-42'")
    return int(epoch, 16), int(number)


def _is_number(text: str, digits: str) -> bool:
    """Of at most 64 bits."""
    return 0 < len(text) <= 20 and not text.strip(digits) and int(text, len(digits)) < 1 << 64


class Known:
    """The services of a scope as they were last seen, where there is no feed.

    What is seen next comes out as changes; all of them are `sampled`.
    """

    def __init__(self, scope: Scope, calls: Calls, scm: ContextHandle) -> None:
        """Look for the first time."""
        self._scope = scope
        self.services = self._look(calls, scm)
        if not scope.has_begun:
            scope.note(self.services.values())

    def _look(self, calls: Calls, scm: ContextHandle) -> dict[str, Change]:
        entries = calls.enum_services(scm, ServiceType.WIN32, StateMask.ALL)
        return {
            name_key(entry.name): Change(
                kind="service", name=entry.name, status=entry.status, sampled=True
            )
            for entry in entries
            if self._scope.covers(entry.name)
        }

    def picture(self) -> list[Change]:
        """Each as it is, if the scope wants that now."""
        gap = self._scope.may_miss
        if not (self._scope.initial or gap):
            return []
        known = [service.replace(gap=gap) for service in self.services.values()]
        whole = self._scope.after_gap(known) if gap else known
        return [service.replace(sampled=True) for service in whole]

    def look_again(self, calls: Calls, scm: ContextHandle) -> list[Change]:
        """All that is not as it was."""
        found = self._look(calls, scm)
        changes = [self.gone(key) for key in list(self.services) if key not in found]
        for seen in found.values():
            changes += self.seen(seen.name, seen.status)
        return changes

    def seen(self, name: str, status: ServiceStatus, *, is_news: bool = False) -> list[Change]:
        """A service that has this status now; if that `is_news`, even when it had it before."""
        key = name_key(name)
        before = self.services.get(key)
        if before is not None and before.status == status and not is_news:
            return []
        self.services[key] = Change(kind="service", name=name, status=status, sampled=True)
        if before is None:
            return [self.services[key].replace(kind="created")]
        return [self.services[key].replace(kind="status", before=before.status.state)]

    def gone(self, key: str) -> Change:
        """One that was known has been deleted."""
        return self.services.pop(key).replace(kind="deleted")
