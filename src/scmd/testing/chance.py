"""The source of chance of a simulated world."""

from __future__ import annotations

import random
from typing import TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

Option = TypeVar("Option")


class Chance(random.Random):
    """Draws what `random.Random` draws, but chooses in half the time."""

    def choice(self, options: SupportsLenAndGetItem[Option]) -> Option:
        count, draw = len(options), self.getrandbits
        bits = count.bit_length()
        drawn = draw(bits)
        while drawn >= count:
            drawn = draw(bits)
        return options[drawn]
