"""Parameters: which values a service may be given, and what a change makes of those it has."""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core import instances, limits, schedules, srvany
from scmd.core.messages import Parameters
from scmd.core.messages.commands import SetParameters
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_text, name_key, utf16_units
from scmd.vocabulary.registry import RegistryValue

MAX_VALUE_NAME_UNITS = 16_383
"""What the registry allows."""


def check(state: State, image_path: str, values: Mapping[str, RegistryValue | None]) -> None:
    """Refuse with 87 what is no value, limit or schedule, or wrong for its hosted program."""
    for name in values:
        if not 0 < utf16_units(name) <= MAX_VALUE_NAME_UNITS:
            expected = f"1 to {MAX_VALUE_NAME_UNITS} characters"
            raise Refused(Error.INVALID_PARAMETER, f"a value's name has {expected}")
        check_text(name, 0, Error.INVALID_PARAMETER)
    given = {name: value for name, value in values.items() if value is not None}
    limits.check(given)
    schedules.check(state, given)
    for name, value in given.items():
        if name.upper() == instances.COUNT.upper():
            instances.read_count(name, value)
    if srvany.is_hosted(image_path):
        srvany.check_parameters(given)


def merged(present: Parameters, command: SetParameters) -> dict[str, RegistryValue]:
    """The values after the change; names compare without case and keep their first spelling."""
    merged = dict(present)
    spelling = {name_key(name): name for name in merged}
    for name, value in command.values.items():
        known = spelling.get(name_key(name), name)
        if value is None:
            merged.pop(known, None)
        else:
            merged[known] = value
            spelling[name_key(name)] = known
    return merged
