"""Admission: which connections from the network may be there at the same time.

A connection is *new* until its client has proved who it is. Whoever connects and says nothing, or
says it slowly, can hold only new ones, so those are few and short-lived; and when there are too
many, the oldest of the origin that has the most makes room. An origin that floods thereby fights
with itself, and nobody is locked out by it. Decides only; the time a new connection has is the
server's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Connection = TypeVar("Connection")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and how long and how much a new one may take."""

    new: int = 2048
    new_of_origin: int = 1024
    proved_of_origin: int = 2048
    in_all: int = 16384
    new_seconds: float = 30.0
    new_bytes: int = 256 * 1024


class Admission(Generic[Connection]):
    """The connections there are, by origin (an address)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._new: dict[str, dict[Connection, None]] = {}
        self._new_count = 0
        self._proved: dict[str, int] = {}
        self._proved_count = 0

    def admit(self, origin: str, connection: Connection) -> tuple[bool, Connection | None]:
        """Whether it may stay, and who has to go for it."""
        limits = self._limits
        if self._new_count + self._proved_count >= limits.in_all:
            return False, None
        if self._proved.get(origin, 0) >= limits.proved_of_origin:
            return False, None
        victim = None
        if len(self._new.get(origin, ())) >= limits.new_of_origin:
            victim = self._oldest(origin)
        elif self._new_count >= limits.new:
            victim = self._oldest(max(self._new, key=lambda other: len(self._new[other])))
        if victim is not None:
            self.forget_new(*victim)
        self._new.setdefault(origin, {})[connection] = None
        self._new_count += 1
        return True, None if victim is None else victim[1]

    def prove(self, origin: str, connection: Connection) -> None:
        """It is not new any more."""
        if self.forget_new(origin, connection):
            self._proved[origin] = self._proved.get(origin, 0) + 1
            self._proved_count += 1

    def forget_new(self, origin: str, connection: Connection) -> bool:
        """A new connection is over; False: it was not among them."""
        of_origin = self._new.get(origin, {})
        if connection not in of_origin:
            return False
        del of_origin[connection]
        self._new_count -= 1
        if not of_origin:
            del self._new[origin]
        return True

    def forget_proved(self, origin: str) -> None:
        """A connection that was proved is over."""
        self._proved_count -= 1
        self._proved[origin] -= 1
        if not self._proved[origin]:
            del self._proved[origin]

    def __len__(self) -> int:
        return self._new_count + self._proved_count

    def _oldest(self, origin: str) -> tuple[str, Connection]:
        return origin, next(iter(self._new[origin]))
