"""Numbers that somebody has written as text."""

from __future__ import annotations

MOST_DIGITS = 20
"""As many as 64 bits have; `int` raises for a text of some thousands, though it is all digits."""


def decimal(text: str) -> int | None:
    """The number; None for what is not made of the digits 0 to 9 alone, or has too many."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
