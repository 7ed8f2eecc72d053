"""Association groups: connections of one client that share context handles.

A client joins a group by its number, which is no secret; so a group belongs to the machine, or
on this machine to the identity, that made it, and for anybody else it does not exist ([MS-RPCE]
3.3.1.5.6). Handles are shared by those connections and not by identities: each caller in a group
has an association of its own with the core, for which the others' handles do not exist. When its
last connection ends the group ends, and the core closes all handles.
"""

from __future__ import annotations

from collections.abc import Hashable

from scmd.core.messages import AssociationId

_NUMBERS = 0xFFFF_FFFF


class _Group:
    """A live group: whose it is, how many connections it has, and its callers' associations."""

    __slots__ = ("associations", "connections", "owner")

    def __init__(self, owner: Hashable) -> None:
        self.owner = owner
        self.connections = 1
        self.associations: dict[Hashable, AssociationId] = {}


class Associations:
    """The live groups. Numbers count up, so an ended group's number does not come back soon."""

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}
        self._numbers: set[int] = set()
        self._last = 0

    def join(self, wanted: int, owner: Hashable) -> int | None:
        """Add a connection to the group `wanted`, or to a new one (0); None: no such group."""
        if wanted == 0:
            number = self._next()
            self._groups[number] = _Group(owner)
            return number
        group = self._groups.get(wanted)
        if group is None or group.owner != owner:
            return None
        group.connections += 1
        return wanted

    def association(self, number: int, caller: Hashable) -> AssociationId:
        """The association that this caller of a group has with the core."""
        associations = self._groups[number].associations
        found = associations.get(caller)
        if found is None:
            found = associations[caller] = AssociationId(self._next() if associations else number)
        return found

    def leave(self, number: int) -> tuple[AssociationId, ...]:
        """Take one connection away; the associations that have ended with the group, if it was
        the last."""
        group = self._groups[number]
        group.connections -= 1
        if group.connections:
            return ()
        del self._groups[number]
        ended = tuple(group.associations.values())
        self._numbers -= {number, *ended}
        return ended

    def __len__(self) -> int:
        return len(self._groups)

    def _next(self) -> int:
        while True:
            self._last = self._last % _NUMBERS + 1
            if self._last not in self._numbers:
                self._numbers.add(self._last)
                return self._last
