"""Limits: what a service's processes may use, the values `AppLimit\\...` of its Parameters.

They mean the same for every kind of service. Resource limits of setrlimit(2) count for each
process by itself. Shares of the machine, with the names systemd has for them, count for the
service and all that it starts together. Putting them in force, and saying which of them this
host cannot put in force, is the keeper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from scmd.core.messages import Parameters
from scmd.core.parameter_readers import wrong
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.registry import RegistryValue

PREFIX = "APPLIMIT\\"
UNLIMITED = -1
"""resource.RLIM_INFINITY."""
RESOURCE_LIMITS = frozenset(
    (
        *("AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE"),
        *("NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK"),
    )
)
MEMORY = "MemoryMax"
"""Bytes."""
CPU_QUOTA = "CPUQuota"
"""Percent of one processor."""
CPU_WEIGHT = "CPUWeight"
"""Against others that want the processor; 100 is everybody's."""
TASKS = "TasksMax"
"""Processes and threads."""

_SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_NO_LIMIT = ("unlimited", "infinity")
_LARGEST_QUOTA = 100 * 4096
_LARGEST_WEIGHT = 10_000
_LARGEST_TASKS = 1 << 22


class Limits(Struct, frozen=True):
    """What a launch is given, each in the names' order."""

    limits: tuple[tuple[str, int], ...] = ()
    """`resource` names without RLIMIT_."""
    shares: tuple[tuple[str, int], ...] = ()
    """MemoryMax, CPUQuota, CPUWeight, TasksMax."""


def is_limit(upper: str) -> bool:
    """Whether a value with this name, in upper case, is a limit."""
    return upper.startswith(PREFIX)


def of(parameters: Parameters) -> Limits:
    """All limits among the values; Refused(87) for the first that is wrong."""
    found = sorted(
        read(name, value) for name, value in parameters.items() if is_limit(name.upper())
    )
    shares = [(name, number) for name, number in found if name in SHARES and number != UNLIMITED]
    return Limits(
        tuple((name, number) for name, number in found if name not in SHARES), tuple(shares)
    )


def check(values: Mapping[str, RegistryValue]) -> None:
    """Refuse with 87 the first limit that is none; the detail says what was expected."""
    of(values)


def read(name: str, value: RegistryValue) -> tuple[str, int]:
    """`AppLimit\\NOFILE`, `AppLimit\\MemoryMax`...: the limit's own name, and its number."""
    last = name.rpartition("\\")[2].upper()
    if last in _SHARES_BY_UPPER:
        share = _SHARES_BY_UPPER[last]
        return share, _number(name, value, *SHARES[share])
    limit = last.removeprefix("RLIMIT_")
    if limit not in RESOURCE_LIMITS:
        known = ", ".join([*SHARES, *sorted(RESOURCE_LIMITS)])
        raise wrong(name, f"one of {known} as the limit's name")
    return limit, _number(name, value, decimal, "a number or unlimited", range(2**63))


def _number(
    name: str,
    value: RegistryValue,
    parse: Callable[[str], int | None],
    expected: str,
    within: range,
) -> int:
    data = value.data
    if data in (UNLIMITED, 2**64 - 1) or str(data).strip().lower() in ("-1", *_NO_LIMIT):
        return UNLIMITED
    number = parse(data.strip()) if isinstance(data, str) else data
    if not isinstance(number, int) or number not in within:
        raise wrong(name, f"{expected}, not {data!r}")
    return number


def _size(text: str) -> int | None:
    """Bytes, or with K, M, G or T so many times 1024, 1024 * 1024..."""
    bare = text.upper().removesuffix("B").removesuffix("I")
    digits = bare.rstrip("KMGT")
    shift, number = _SUFFIXES.get(bare[len(digits) :]), decimal(digits.rstrip())
    return None if shift is None or number is None else number << shift


def _percent(text: str) -> int | None:
    return decimal(text.removesuffix("%").rstrip())


SHARES: Mapping[str, tuple[Callable[[str], int | None], str, range]] = {
    MEMORY: (_size, "a size such as 512M, or unlimited", range(1, 2**63)),
    CPU_QUOTA: (
        _percent,
        f"a percentage of one processor from 1% to {_LARGEST_QUOTA}%, or unlimited",
        range(1, _LARGEST_QUOTA + 1),
    ),
    CPU_WEIGHT: (
        decimal,
        f"a number from 1 to {_LARGEST_WEIGHT}",
        range(1, _LARGEST_WEIGHT + 1),
    ),
    TASKS: (
        decimal,
        f"a number from 1 to {_LARGEST_TASKS}, or unlimited",
        range(1, _LARGEST_TASKS + 1),
    ),
}
_SHARES_BY_UPPER = {name.upper(): name for name in SHARES}
