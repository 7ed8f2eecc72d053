"""A crash bundle as a document: all that there was to know when a service failed.

`traceback_in` finds the last Python traceback in captured output, with those it was raised
from. What an environment holds is kept out, names of variables excepted; other values of
the service's own are not taken in at all, since they may be secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.value import Value

FORMAT = 1
MAX_OUTPUT = 100_000
"""Characters of output in a bundle; the oldest lines go first."""
MAX_LINES = 200
MAX_TRANSITIONS = 50

_START = "Traceback (most recent call last):"
_LINKS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_ENVIRONMENT = ("APPENVIRONMENT", "APPENVIRONMENTEXTRA")


class CrashDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored and sent; fields are only ever added."""

    scmd_crash: int = FORMAT
    number: int
    """Counts the failures of one service that were bundled."""
    time: str
    service: str
    cause: str
    win32_exit_code: int
    service_specific_exit_code: int
    process_id: int
    exit_code: int | None
    signal: int | None
    traceback: str | None
    output: Sequence[str]
    history: Sequence[Mapping[str, Any]]
    configuration: Mapping[str, Any]
    parameters: Mapping[str, Any]


def output_lines(data: bytes) -> list[str]:
    """The last lines of captured output that a bundle has room for."""
    lines = data.decode(errors="replace").splitlines()[-MAX_LINES:]
    size = 0
    for index in range(len(lines) - 1, -1, -1):
        size += len(lines[index])
        if size > MAX_OUTPUT:
            return lines[index + 1 :]
    return lines


def traceback_in(lines: Sequence[str]) -> str | None:
    """The last traceback, from its beginning to the exception's line; None without one.

    What stands before the words in the first line, such as a time stamp, is taken for a
    prefix that every line has.
    """
    starts = [index for index, line in enumerate(lines) if line.endswith(_START)]
    if not starts:
        return None
    column = len(lines[starts[-1]]) - len(_START)
    first = len(starts) - 1
    while first and any(lines[starts[first] - 2][column:] == link for link in _LINKS):
        first -= 1
    end = starts[-1] + 1
    while end < len(lines) and lines[end][column : column + 1] in (" ", ""):
        end += 1
    return "\n".join(line[column:] for line in lines[starts[first] : end + 1])


def configuration(config: ServiceConfig) -> dict[str, Any]:
    """The record as it was, without its security descriptor and its triggers' data."""
    return {
        name: _plain(value)
        for name, value in config.as_dict().items()
        if name not in ("security", "triggers")
    }


def hosting_parameters(parameters: Mapping[str, RegistryValue]) -> dict[str, Any]:
    """The parameters with which srvany runs a program; of an environment, the names."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        if name.upper() in _ENVIRONMENT and isinstance(value.data, tuple):
            found[name] = [text.partition("=")[0] for text in value.data]
        elif name.upper().startswith("APP") and not isinstance(value.data, bytes):
            found[name] = _plain(value.data)
    return found


def _plain(value: object) -> Any:
    if isinstance(value, Value):
        return {name: _plain(field) for name, field in value.as_dict().items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
