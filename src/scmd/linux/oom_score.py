"""Whom the kernel kills when the machine has run out of memory: anybody rather than the SCM itself.

It kills who has the highest score: the share of the memory in thousandths, with
`/proc/self/oom_score_adj` added, which children inherit. Anybody may raise that; to lower it takes
CAP_SYS_RESOURCE, which root in a container usually has not.
"""

from __future__ import annotations

_PATH = "/proc/self/oom_score_adj"
_PROTECTED = -900
"""As the daemons have that a machine cannot do without; at -1000 the kernel would rather panic."""


def protect() -> int | None:
    """Be among the last; the adjustment before, or None when it stays as it is."""
    try:
        with open(_PATH, encoding="ascii") as file:
            before = int(file.read())
        if before <= _PROTECTED:
            return None
        put(_PROTECTED)
    except OSError:
        return None
    return before


def put(adjustment: int) -> None:
    """Give this process an adjustment, which a child has from the beginning; raises OSError."""
    with open(_PATH, "w", encoding="ascii") as file:
        file.write(str(adjustment))
