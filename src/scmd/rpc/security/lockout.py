"""Lockout: when guessing passwords is no longer listened to.

Two counts. An account and an origin together lock each other out after few failures, so that a
guesser locks out itself and nobody else; an account locks for everybody only after many, which
limits guessing from many places and what a malicious lockout costs. A lock ends by itself, and
counts are forgotten when nothing failed for a while. Counts are kept for a bounded number of
names: the one that failed longest ago is forgotten first. Names that nobody has are counted too, as
their answers must not tell, but on their own: however many are made up, no account's is forgotten.
"""

from __future__ import annotations

from scmd.vocabulary.names import name_key
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MAX_ENTRIES = 10_000
"""Of accounts, and as many of names that nobody has."""
MAX_NAME = 256
"""A longer user name is cut: it exists nowhere, and must not fill the memory."""


class LockoutPolicy(Value):
    """How many failures lock, and for how long. Milliseconds."""

    failures_per_origin: int = 5
    failures_per_account: int = 50
    lock: int = 60_000
    forget: int = 15 * 60_000
    """A failure counts for so long."""


class _Entry:
    """Failures of one account, from one origin or in all."""

    __slots__ = ("failures", "last", "locked_until")

    def __init__(self) -> None:
        self.failures = 0
        self.last = 0
        self.locked_until = 0


class Lockout:
    """The counts of one SCM. Time is an argument everywhere, and never runs backwards."""

    def __init__(self, policy: LockoutPolicy | None = None) -> None:
        self.policy = policy or LockoutPolicy()
        self._accounts: dict[Hashable, _Entry] = {}
        self._strangers: dict[Hashable, _Entry] = {}
        """Of names that nobody has."""

    def locked_until(self, user: str, origin: str, now: int) -> int | None:
        """When the lock ends that this attempt meets; None: it may be made."""
        ends = [
            entry.locked_until
            for key in self._keys(user, origin)
            for entries in (self._accounts, self._strangers)
            if (entry := entries.get(key)) is not None and entry.locked_until > now
        ]
        return max(ends, default=None)

    def failed(self, user: str, origin: str, now: int, *, exists: bool = True) -> None:
        """`exists`: somebody has that name."""
        entries = self._accounts if exists else self._strangers
        limits = (self.policy.failures_per_origin, self.policy.failures_per_account)
        for key, limit in zip(self._keys(user, origin), limits, strict=True):
            entry = entries.pop(key, None)
            if entry is None or now - entry.last > self.policy.forget:
                entry = _Entry()
            entry.failures += 1
            entry.last = now
            if entry.failures >= limit:
                entry.failures = 0
                entry.locked_until = now + self.policy.lock
            entries[key] = entry  # As the newest.
        while len(entries) > MAX_ENTRIES:
            del entries[next(iter(entries))]

    def succeeded(self, user: str, origin: str) -> None:
        """Forgives what failed from here. The count of all origins stays: a guesser's does."""
        self._accounts.pop(self._keys(user, origin)[0], None)

    def __len__(self) -> int:
        return len(self._accounts) + len(self._strangers)

    @staticmethod
    def _keys(user: str, origin: str) -> tuple[Hashable, Hashable]:
        account = name_key(user[:MAX_NAME])
        return (account, origin), account


class OriginAttempts:
    """One origin's attempts, as a mechanism asks for them; `clock` gives milliseconds."""

    def __init__(self, lockout: Lockout, origin: str, clock: Callable[[], int]) -> None:
        self._lockout = lockout
        self._origin = origin
        self._clock = clock

    def is_locked(self, user: str) -> bool:
        return self._lockout.locked_until(user, self._origin, self._clock()) is not None

    def failed(self, user: str, *, exists: bool) -> None:
        self._lockout.failed(user, self._origin, self._clock(), exists=exists)

    def succeeded(self, user: str) -> None:
        self._lockout.succeeded(user, self._origin)
