"""What the checkers' books say about a launch, and what checkers hear of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scmd.core.messages import ServiceId

Hears = Mapping[type, Callable[[Any], object]]
"""What a checker does before a message and with an effect, by the class of it."""


@dataclass(slots=True)
class Run:
    """One launch, from its order until the keeper may forget it."""

    spec_service: ServiceId
    control_channel: bool
    hook: bool
    exited: bool = False
    unanswered: tuple[str, int] | None = None
    busy_with: tuple[str, int] | None = None
    """The last that its process was asked and has not answered, by whatever manager."""
    is_deaf: bool = False
    """Its dispatcher has returned: it cannot be told anything."""
    services: set[ServiceId] = field(default_factory=set)
    """Asked to start in it, and not STOPPED since."""
    disturbed: bool = False
    """It was sent a signal, or killed, or is to be."""
    killed: bool = False
    asked_about: bool = False
    """The keeper was asked to follow another process of it, so an exit may not be the end."""
    started_last: ServiceId | None = None
    repeatable: ServiceId | None = None
    """A manager died after it had asked for this start, so the next one may ask again."""

    @property
    def is_program(self) -> bool:
        return not self.control_channel and not self.hook

    @property
    def can_be_told(self) -> bool:
        return self.busy_with is None and not self.is_deaf

    def answered(self, what: tuple[str, int]) -> None:
        """Its process has answered; to this manager, if that is what it was asked last."""
        if self.unanswered == what:
            self.unanswered = None
        if self.busy_with == what:
            self.busy_with = None
