"""Spans of time for people."""

from __future__ import annotations


def span(milliseconds: int) -> str:
    """`850 ms`, `12.5 s`, `3 min 20 s`, `2 h 5 min`, `9 d 4 h`."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
