"""What an enumeration gives: its services, and where it goes on."""

from __future__ import annotations

from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.vocabulary.status import ServiceStatus


class Entry(Value):
    """One service of an enumeration."""

    name: str
    display_name: str
    status: ServiceStatus


class EntriesPart(Value):
    """A part of an enumeration; `resume` is where to go on when it `is_cut`.

    `needed` is the size in bytes of what is left.
    """

    entries: list[Entry]
    needed: int
    resume: int
    is_cut: bool
    """Whether there is more."""
