"""The sentences of NotifyServiceStatusChange's reference page, and where each is.

The page is Microsoft's (winsvc.h, NotifyServiceStatusChangeA). A sentence is said here in our own
words. Where it is about what Linux or Python has not, it goes on with what holds instead, and that
is what its check shows.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.system.notify_stage import STATES, Stage

Check = Callable[[Stage], None]
PLACES = {
    "summary": 1,
    "hService": 4,
    "dwNotifyMask": 2,
    **dict.fromkeys(("CREATED", *STATES), 2),
    **dict.fromkeys(("DELETE_PENDING", "DELETED"), 3),
    "pNotifyBuffer": 7,
    "return value": 5,
    **{f"remarks {number}": count for number, count in enumerate((2, 2, 2, 3, 1, 3, 3, 1, 2), 1)},
    "requirements": 1,
}
"""How many sentences there are under each heading, in each paragraph of the remarks; those that
only refer elsewhere do not count."""
TABLE: dict[str, tuple[str, Check]] = {}
"""By its place, heading and number: what a sentence says, and its check."""


def sentence(place: str, says: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        assert place not in TABLE
        TABLE[place] = says, check
        return check

    return add
