"""How many descriptors launches may take of those that a process of the SCM may have.

Keeper and logger have the same limit, and each of them one descriptor of every launch's output. So
that neither ever runs out of them, a launch is refused while some are left: the keeper needs these
to start a manager or a logger again, the logger for the log files that it holds open.
"""

from __future__ import annotations

import resource

_MOST = 8_192
_OTHERS = 32
"""For whatever is not a log file."""


def for_launches() -> int:
    """No launch gets a descriptor with this number or a higher one."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _kept_free()


def for_log_files() -> int:
    """So many may be open beside the launches' output."""
    return max(1, _kept_free() - _OTHERS)


def _kept_free() -> int:
    return min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
