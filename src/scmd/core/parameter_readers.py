"""Reading a hosted program's parameters: each value's own form, and what was expected of it.

A reader gets a value's name as it was given and the value; it returns what that means, or
refuses with 87 and a text for people. Which name has which reader is `srvany`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from scmd.core.messages import Parameters
from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.registry import RegistryValue

T = TypeVar("T")

SIGNALS: Mapping[str, int] = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "TRAP": 5,
    "ABRT": 6,
    "BUS": 7,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
    "STKFLT": 16,
    "CHLD": 17,
    "CONT": 18,
    "STOP": 19,
    "TSTP": 20,
    "TTIN": 21,
    "TTOU": 22,
    "URG": 23,
    "XCPU": 24,
    "XFSZ": 25,
    "VTALRM": 26,
    "PROF": 27,
    "WINCH": 28,
    "IO": 29,
    "PWR": 30,
    "SYS": 31,
}
"""Linux signal numbers (x86, ARM, RISC-V)."""

LAST_SIGNAL = 64
LONGEST_TIME = 0x7FFFFFFF
MAX_CPUS = 4096


def wrong(name: str, expected: str) -> Refused:
    return Refused(Error.INVALID_PARAMETER, f"{name}: expected {expected}")


def read_or(
    default: T, parameters: Parameters, name: str, read: Callable[[str, RegistryValue], T]
) -> T:
    """What the parameter means, its name in any case; the default if it is absent or wrong."""
    key = name.upper()
    for given, value in parameters.items():
        if given.upper() == key:
            try:
                return read(given, value)
            except Refused:
                break
    return default


def read_text(name: str, value: RegistryValue) -> str:
    if not isinstance(value.data, str) or "\0" in value.data:
        raise wrong(name, "a string")
    return value.data


def read_path(name: str, value: RegistryValue) -> str:
    text = read_text(name, value)
    if text and not text.startswith("/"):
        raise wrong(name, "an absolute path")
    return text


def read_program(name: str, value: RegistryValue) -> str:
    """An absolute path that is one: without it there is nothing to run."""
    text = read_path(name, value)
    if not text:
        raise wrong(name, "an absolute path")
    return text


def read_milliseconds(name: str, value: RegistryValue) -> int:
    number = decimal(value.data) if isinstance(value.data, str) else value.data
    if not isinstance(number, int) or not 0 <= number <= LONGEST_TIME:
        raise wrong(name, f"a number from 0 to {LONGEST_TIME}")
    return number


def read_environment(name: str, value: RegistryValue) -> tuple[tuple[str, str], ...]:
    """`K=V` strings; a single string may hold one."""
    lines = (value.data,) if isinstance(value.data, str) else value.data
    if not isinstance(lines, tuple):
        raise wrong(name, "strings of the form NAME=value")
    pairs = []
    for line in lines:
        key, equals, text = line.partition("=")
        if not key or not equals or "\0" in line:
            raise wrong(name, f"NAME=value, not {line!r}")
        pairs.append((key, text))
    return tuple(pairs)


def read_signal(name: str, value: RegistryValue) -> int:
    number: object = value.data
    if isinstance(number, str):
        bare = number.strip().upper().removeprefix("SIG")
        number = SIGNALS.get(bare) or decimal(bare)
    if not isinstance(number, int) or not 1 <= number <= LAST_SIGNAL:
        raise wrong(name, f"a signal such as SIGTERM, TERM or 15, not {value.data!r}")
    return number


def read_umask(name: str, value: RegistryValue) -> int:
    number = _integer(value.data, 8) if isinstance(value.data, str) else value.data
    if not isinstance(number, int) or not 0 <= number <= 0o777:
        raise wrong(name, f"a mask from 000 to 777 in octal, not {value.data!r}")
    return number


def read_nice(name: str, value: RegistryValue) -> int:
    number = _integer(value.data, 10) if isinstance(value.data, str) else value.data
    if isinstance(number, int) and number >= 0x8000_0000:
        number -= 0x1_0000_0000
    if not isinstance(number, int) or not -20 <= number <= 19:
        raise wrong(name, f"a number from -20 to 19, not {value.data!r}")
    return number


def read_one_shot(name: str, value: RegistryValue) -> str:
    """`stop` or `stay`; "" for `no`. 1 and 0 are `stop` and `no`."""
    word = str(value.data).strip().lower()
    meant = {"": "", "0": "", "no": "", "1": "stop", "stop": "stop", "stay": "stay"}.get(word)
    if meant is None or not isinstance(value.data, str | int):
        raise wrong(name, f"no, stop or stay, not {value.data!r}")
    return meant


def read_affinity(name: str, value: RegistryValue) -> tuple[int, ...]:
    """`All`, a list such as `0,2-3`, or a number whose bits are processors."""
    if isinstance(value.data, int):
        return tuple(bit for bit in range(64) if value.data >> bit & 1)
    text = read_text(name, value).strip()
    if not text or text.lower() == "all":
        return ()
    cpus: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = _integer(first, 10), _integer(last if dash else first, 10)
        if low is None or high is None or not 0 <= low <= high < MAX_CPUS:
            raise wrong(name, f"All or a list such as 0,2-3, not {text!r}")
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))


def read_command(name: str, value: RegistryValue) -> tuple[str, ...]:
    words = split_command_line(read_text(name, value))
    if words and not words[0].startswith("/"):
        raise wrong(name, "a command line that begins with an absolute path")
    return tuple(words)


def _integer(text: str, base: int) -> int | None:
    try:
        return int(text.strip(), base)
    except ValueError:
        return None
