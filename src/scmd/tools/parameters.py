"""scmd set and get: a service's parameters, with the registry type that their name calls for."""

from __future__ import annotations

import sys

from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.tools.target import connect
from scmd.vocabulary.names import escaped, name_key
from scmd.vocabulary.registry import RegistryValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SET_USAGE = """\
usage: scmd set NAME PARAMETER VALUE...
       scmd set NAME PARAMETER --delete

Sets a parameter of a service; several values make a list. Of a hosted program the SCM knows
Application, AppParameters, AppDirectory, AppEnvironment, AppEnvironmentExtra, AppStopSignal,
AppStopTime and AppSettleTime (milliseconds), AppUmask, AppNice, AppAffinity, AppKillProcessTree,
AppTimestampLog, AppLogName, AppEvents\\Start\\Pre and other hooks.
For every service AppLimit\\MemoryMax (512M), CPUQuota (150%), CPUWeight, TasksMax, NOFILE and other
resource limits bound what it uses, and AppRestartDelay, AppThrottle (milliseconds) and
AppRestartLimit hold restarts after failures back.
They count from the next start; docs/hosting.md has them all, readiness and schedules among them.
Anything else is the service's own: digits are a number, the rest is text.
"""

GET_USAGE = """\
usage: scmd get NAME [PARAMETER] [--json]

Shows the parameters of a service, or the value of one (a list: one item a line).
"""

_NUMBERS = (
    "AppStopTime",
    "AppSettleTime",
    "AppRunTime",
    "AppInstances",
    "AppKillProcessTree",
    "AppTimestampLog",
    "AppLogName",
    "AppEssential",
    "AppRestartDelay",
    "AppRestartLimit",
    "AppThrottle",
    "AppReadyTime",
    "AppReadyInterval",
    "AppWatchdogTime",
    "AppHealthTime",
    "AppHealthInterval",
    "AppHealthFailures",
)
_LISTS = ("AppEnvironment", "AppEnvironmentExtra")
_TEXTS = (
    "Application",
    "AppParameters",
    "AppDirectory",
    "AppStopSignal",
    "AppPidFile",
    "AppSchedule",
    "AppScheduleZone",
    "AppScheduleMissed",
    "AppOneShot",
    "AppReloadSignal",
    "AppReloadCommand",
    "AppUmask",
    "AppNice",
    "AppAffinity",
    "AppReady",
    "AppHealth",
    "AppEvents\\Start\\Pre",
    "AppEvents\\Start\\Post",
    "AppEvents\\Stop\\Pre",
    "AppEvents\\Exit\\Post",
)
_LIMIT_KEY = name_key("AppLimit\\")


def warn_of_unknown(parameter: str) -> None:
    """Say when a name looks as if the SCM would act on it, and it does not."""
    key = name_key(parameter)
    if not key.startswith("APP") or not parameter[3:4].isupper() or key.startswith(_LIMIT_KEY):
        return
    if key not in map(name_key, (*_NUMBERS, *_LISTS, *_TEXTS)):
        sys.stderr.write(
            f"scmd: the SCM knows no parameter {escaped(parameter)}: it is kept for the program\n"
        )


def value_for(parameter: str, values: list[str]) -> RegistryValue:
    """The typed value of a parameter; CommandUsageError: a number that is none, a list too many."""
    key = name_key(parameter)
    if key in map(name_key, _LISTS):
        return RegistryValue.of(tuple(values))
    is_number = key in map(name_key, _NUMBERS)
    is_text = key in map(name_key, _TEXTS)
    if len(values) > 1:
        if is_number or is_text:
            raise CommandUsageError(f"{parameter} takes one value, not {len(values)}")
        return RegistryValue.of(tuple(values))
    if is_text or not values[0].isdecimal():
        if is_number:
            raise CommandUsageError(f"{parameter} takes a number, not {values[0]}")
        return RegistryValue.of(values[0])
    try:
        return RegistryValue.of(int(values[0]))
    except ValueError as error:
        raise CommandUsageError(str(error)) from error


def set_parameter(arguments: list[str]) -> int:
    """Set one value, or delete it."""
    if arguments[:1] == ["--"]:
        del arguments[0]
    if len(arguments) < 3:
        raise CommandUsageError("needs a NAME, a PARAMETER and a VALUE")
    name, parameter, *values = arguments
    change = None if values == ["--delete"] else value_for(parameter, values)
    with connect() as scm:
        own = scm[name].parameters
        if change is not None and name_key(parameter) == name_key("AppInstances"):
            from scmd.client.instances import adjust

            adjust(scm, name, int(str(change.data)))
            return 0
        if change is None and parameter not in own:
            raise CommandError(f"{escaped(name)} has no parameter {escaped(parameter)}")
        own.change({parameter: change})
        if change is not None and "Application" in own:
            warn_of_unknown(parameter)
    return 0


def get_parameters(arguments: list[str]) -> int:
    """Show one value or all."""
    options = Options(arguments, (), ("--json",))
    as_json, words = options.flag("--json"), options.rest
    if not 1 <= len(words) <= 2:
        raise CommandUsageError("needs a NAME and perhaps a PARAMETER")
    with connect() as scm:
        values = scm[words[0]].parameters.typed()
    if len(words) == 1:
        sys.stdout.write(_as_json(values) if as_json else as_lines(values))
        return 0
    for known, value in values.items():
        if name_key(known) == name_key(words[1]):
            sys.stdout.write(_as_json({known: value}) if as_json else as_text(value) + "\n")
            return 0
    raise CommandError(f"{escaped(words[0])} has no parameter {escaped(words[1])}")


def as_lines(values: Mapping[str, RegistryValue]) -> str:
    """`Name = value`, in the names' order; each item of a list on a line of its own."""
    lines = []
    for name in sorted(values, key=name_key):
        items = as_text(values[name]).split("\n")
        lines += [f"{escaped(name)} = {item}\n" for item in items]
    return "".join(lines)


def as_text(value: RegistryValue) -> str:
    """A value for people; binary data in hexadecimal digits, a list's items on lines."""
    data = value.data
    if isinstance(data, bytes):
        return data.hex()
    if isinstance(data, tuple):
        return "\n".join(escaped(item) for item in data)
    return escaped(str(data))


def _as_json(values: Mapping[str, RegistryValue]) -> str:
    """One object: strings, numbers, lists; binary data in hexadecimal digits."""
    from scmd.tools.sc_json import dump

    document: dict[str, object] = {}
    for name, value in values.items():
        data = value.data
        document[name] = data.hex() if isinstance(data, bytes) else data
    return dump(document)
