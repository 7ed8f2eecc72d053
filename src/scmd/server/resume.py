"""Resume indexes: where an enumeration goes on, in a number that the wire can carry.

The index is the record number of the next entry to be read, so it is never 0 while there is more
([MS-SCMR] 3.1.4.14). The wire's range ends at 262,144 and record numbers are never used again,
so on an old and busy machine they outgrow it; then numbers from the upper half of the range
stand for them, given in turn.
"""

from __future__ import annotations

from scmd.core.messages import ServiceId

LAST_DIRECT = 0x2_0000
"""Up to here an index is the record number itself; the wire's range is twice this."""
SUBSTITUTES = 4096
"""How many pages can be under way at once, over all clients, in large record numbers."""


class ResumeIndexes:
    """Both directions, for one SCM instance."""

    def __init__(self) -> None:
        self._numbers: dict[int, ServiceId] = {}
        self._given = 0

    def index(self, number: ServiceId) -> int:
        """The index that continues with this record."""
        if number <= LAST_DIRECT:
            return number
        self._given = self._given % SUBSTITUTES + 1
        index = LAST_DIRECT + self._given
        self._numbers[index] = number
        return index

    def after(self, index: int) -> int:
        """The record number to continue after; an index nobody was given is taken as the next."""
        return max(self._numbers.get(index, index) - 1, 0)
