"""Association groups: connections of one client that share context handles.

A client joins a group by its number, which is no secret; so a group belongs to the identity
that made it, and for anybody else it does not exist ([MS-RPCE] 3.3.1.5.6 asks for the same
machine only). When its last connection ends the group ends, and the core closes its handles.
"""

from __future__ import annotations

from collections.abc import Hashable

from scmd.core.messages import AssociationId

_NUMBERS = 0xFFFF_FFFF


class Associations:
    """The live groups. Numbers count up, so an ended group's number does not come back soon."""

    def __init__(self) -> None:
        self._owners: dict[AssociationId, Hashable] = {}
        self._connections: dict[AssociationId, int] = {}
        self._last = 0

    def join(self, wanted: int, owner: Hashable) -> AssociationId | None:
        """Add a connection to the group `wanted`, or to a new one (0); None: no such group."""
        if wanted == 0:
            association = self._next()
            self._owners[association] = owner
            self._connections[association] = 1
            return association
        association = AssociationId(wanted)
        if self._owners.get(association) != owner or association not in self._owners:
            return None
        self._connections[association] += 1
        return association

    def leave(self, association: AssociationId) -> bool:
        """Take one connection away. True: it was the last, the group has ended."""
        self._connections[association] -= 1
        if self._connections[association]:
            return False
        del self._connections[association], self._owners[association]
        return True

    def __len__(self) -> int:
        return len(self._owners)

    def _next(self) -> AssociationId:
        while True:
            self._last = self._last % _NUMBERS + 1
            if AssociationId(self._last) not in self._owners:
                return AssociationId(self._last)
