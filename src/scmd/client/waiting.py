"""Waiting for a service: how long to believe its wait hint, how often to ask.

A service in a pending state promises a check point or a new state within its wait hint
(SERVICE_STATUS in winsvc.h). As long as it keeps that promise it is waited for;
past it, it hangs. The questions start a millisecond apart and double, so that a fast service costs
nothing and a slow one no processor time. Time comes in as seconds of a monotonic clock.
"""

from __future__ import annotations

from scmd.vocabulary.service import PENDING_STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.vocabulary.status import ServiceStatus

FIRST_DELAY_S = 0.001
LAST_DELAY_S = 0.25
PATIENCE_S = 30.0
"""Many services give no wait hint, or one that is too short: none is called hung sooner."""


class Progress:
    """What a sequence of statuses says about one wait. `started` is its first instant.

    `leaving` is the state after an accepted control that is to end in the state `wanted`: a
    Handler that only queues leaves the service where it was for a while, which is no rest.
    """

    __slots__ = ("_check_point", "_delay", "_hint", "_leaving", "_since", "_state", "started")

    def __init__(
        self,
        status: ServiceStatus,
        now: float,
        leaving: int | None = None,
        wanted: int | None = None,
    ) -> None:
        self.started = now
        self._delay = FIRST_DELAY_S
        self._leaving = leaving if leaving != wanted else None
        self._note(status, now)

    def update(self, status: ServiceStatus, now: float) -> None:
        """Take the next answer: a new state or a higher check point restarts the clock."""
        if status.state != self._state or status.check_point > self._check_point:
            self._note(status, now)
        self._hint = status.wait_hint / 1000

    def _note(self, status: ServiceStatus, now: float) -> None:
        self._state = status.state
        self._check_point = status.check_point
        self._hint = status.wait_hint / 1000
        self._since = now
        if status.state != self._leaving:
            self._leaving = None

    @property
    def is_under_way(self) -> bool:
        """Pending, or not yet out of the state it is to leave; anything else is a rest."""
        return self._state in PENDING_STATES or self._state == self._leaving

    def delay(self) -> float:
        """Seconds to sleep before asking again; longer each time, up to a quarter second."""
        delay = self._delay
        self._delay = min(2 * delay, LAST_DELAY_S)
        return delay

    def remaining(self, now: float) -> float:
        """Seconds left of the wait hint; 0 when it is over."""
        return max(0.0, self._since + self._hint - now)

    def is_hung(self, now: float) -> bool:
        """Whether a state on the way has outlived its wait hint without a new check point."""
        patience = max(self._hint, PATIENCE_S)
        return self.is_under_way and now - self._since > patience
