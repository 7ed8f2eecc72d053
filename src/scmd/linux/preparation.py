"""What a child does between fork and exec that CPython's fork_exec cannot do for it.

It joins the cgroups of its limits, takes its resource limits, priority and processors, and
then its account, with a service's groups and capabilities. This is Python code in a forked
child, which is safe as the caller has one thread; it allocates little and imports nothing.
"""

from __future__ import annotations

import errno
import os
import resource

from scmd.linux import capabilities
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.privileges import ALL_CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scmd.linux.accounts import Account
    from scmd.linux.controllers import Bounds
    from scmd.linux.spawn import Request


def preparation(
    request: Request, account: Account, bounds: Bounds | None
) -> Callable[[int], None] | None:
    """A function for the child, which takes the descriptor for its report; None: not needed.

    Refused: 87 for a resource limit that Linux has not, 1297 for capabilities that the SCM
    has not itself.
    """
    join = bounds.join if bounds is not None else []
    substitutes = _substitutes(request, account, bounds) if bounds is not None else []
    wanted = [*substitutes, *request.limits]
    change = _identity_change(request, account)
    if not wanted and not join and request.nice is None and not request.affinity and not change:
        return None
    change = change or _account_change(request, account)
    limits = [(_limit(name), name, _limit_value(value)) for name, value in wanted]

    def prepare(error_write: int) -> None:
        step = ""
        try:
            step = "cgroup"
            for path in join:
                _enter(path)
            for number, name, value in limits:
                step = f"limit {name}"
                resource.setrlimit(number, (value, value))
            if request.nice is not None:
                step = "nice"
                os.setpriority(os.PRIO_PROCESS, 0, request.nice)
            if request.affinity:
                step = "affinity"
                os.sched_setaffinity(0, request.affinity)
            step = "account"
            change()
        except (OSError, ValueError, OverflowError) as failed:
            # setrlimit has a ValueError for what the kernel does not permit.
            unnumbered = errno.EPERM if step.startswith("limit") else errno.EINVAL
            number = failed.errno or 0 if isinstance(failed, OSError) else unnumbered
            os.write(error_write, b"OSError:%x:%s" % (number, step.encode()))
            os._exit(255)

    return prepare


def _account_change(request: Request, account: Account) -> Callable[[], None]:
    groups = [*account.groups(), *request.groups] if account.switch else None
    if groups is None and request.groups:
        groups = [*os.getgroups(), *request.groups]

    def change() -> None:
        if groups is not None:
            os.setgroups(groups)
        if account.switch:
            os.setgid(account.gid)
            os.setuid(account.uid)

    return change


def _identity_change(request: Request, account: Account) -> Callable[[], None] | None:
    """How the child becomes who it is to be; None: fork_exec can do that, or nothing is to do."""
    wanted = request.capabilities
    if wanted is None:
        return _account_change(request, account) if request.groups else None
    available = capabilities.available()
    if wanted & ~available and wanted != ALL_CAPABILITIES:
        detail = f"scmd itself has not: {capabilities.names(wanted & ~available)}"
        raise Refused(Error.INCOMPATIBLE_SERVICE_PRIVILEGE, detail)
    change_account = _account_change(request, account)
    if not available:  # A user's SCM: there is nothing to be taken away.
        return change_account

    def change() -> None:
        capabilities.bound(wanted)
        if account.uid:
            capabilities.keep()
        change_account()
        if account.uid:
            capabilities.give(wanted & available)

    return change


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, b"0")
    os.close(descriptor)


def _substitutes(request: Request, account: Account, bounds: Bounds) -> Sequence[tuple[str, int]]:
    """Resource limits in the place of cgroups that could not be had; they go first."""
    found = []
    wanted = dict(request.shares)
    missing = bounds.missing
    if "MemoryMax" in missing:
        missing["MemoryMax"] += "; each process by itself is held to it (RLIMIT_DATA)"
        found.append(("DATA", _within_ours("DATA", wanted["MemoryMax"])))
    if "TasksMax" in missing and account.uid:
        missing["TasksMax"] += f"; user {account.name} is held to it (RLIMIT_NPROC)"
        found.append(("NPROC", _within_ours("NPROC", wanted["TasksMax"])))
    return found


def _within_ours(name: str, value: int) -> int:
    """A substitute is not refused: without root nobody can have more than the SCM itself has."""
    most = resource.getrlimit(_limit(name))[1]
    return value if most == resource.RLIM_INFINITY or not os.geteuid() else min(value, most)


def _limit(name: str) -> int:
    number = getattr(resource, f"RLIMIT_{name}", None)
    if not isinstance(number, int):
        raise Refused(Error.INVALID_PARAMETER, f"unknown limit {name!r}")
    return number


def _limit_value(value: int) -> int:
    return resource.RLIM_INFINITY if value < 0 else value
