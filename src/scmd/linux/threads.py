"""Threads that cannot be had: a line instead of a traceback."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def with_threads(main: Callable[[], int]) -> int:
    """What `main` returns; 1, after a line, when it cannot have a thread that it needs."""
    try:
        return main()
    except RuntimeError as error:
        # Python has no class of its own for it.
        if not str(error).startswith("can't start new thread"):
            raise
        reason = "RLIMIT_NPROC, or pids.max of the cgroup, allows no more"
        print(f"scmd: no thread can be started: {reason}", file=sys.stderr)
        return 1
