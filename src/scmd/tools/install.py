"""scmd install and remove: an unmodified program as a service, and its end."""

from __future__ import annotations

import sys

from scmd.client import instances
from scmd.client.hosting import hosting_parameters, variable
from scmd.client.scm import START_WORDS
from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.tools.parameters import value_for, warn_of_unknown
from scmd.tools.target import connect, is_remote
from scmd.vocabulary.configuration import LOCAL_SYSTEM
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_service_name, escaped
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import MAX_NAME_UNITS, ServiceState
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.service import Service

INSTALL_USAGE = """\
usage: scmd install NAME [OPTION...] -- PROGRAM [ARG...]

Makes any program a service. PROGRAM is found on PATH now and recorded by its absolute path. The
failure-actions flag is set: a stop with an error counts as a failure.

  --start auto|delayed|demand|disabled   when it starts (default demand)
  --depend A,B                           what must run first; +GROUP for a group
  --account X                            who it runs as (default LocalSystem)
  --dir D                                its working directory
  --env K=V                              a variable more in its environment; may be repeated
  --restart MS                           after a failure it is restarted, MS milliseconds later,
                                         and ever later when it fails within 10 s of its start
  --one-shot stop|stay                   it is run to its end; then it is STOPPED, or stays RUNNING
  --schedule WHEN                        the SCM starts it then: "every 15m", "30 3 * * mon-fri"
  --instances N                          N services of it, NAME@1 to NAME@N, with %i for the number;
                                         NAME stands for all of them
  --set PARAMETER=VALUE                  one more of its parameters; may be repeated
  --display TEXT                         its display name (default NAME)
  --description TEXT
"""

REMOVE_USAGE = """\
usage: scmd remove NAME

Stops the service, waits for its end, and deletes it with its parameters and logs.
"""

_VALUED = (
    "--start",
    "--depend",
    "--account",
    "--dir",
    "--env",
    "--restart",
    "--one-shot",
    "--schedule",
    "--instances",
    "--set",
    "--display",
    "--description",
)


def install(arguments: list[str]) -> int:
    """Create the record and its parameters; a failure leaves nothing behind."""
    options = Options(arguments, _VALUED, has_program=True)
    if len(options.rest) != 1 or not options.program:
        raise CommandUsageError("needs a NAME, and -- before the PROGRAM and its arguments")
    name = options.rest[0]
    _check_name(name)
    start = options.last("--start") or "demand"
    if start not in START_WORDS:
        raise CommandUsageError(f"--start is one of {', '.join(START_WORDS)}, not {start}")
    restart_delay = options.number("--restart", None)
    directory, environment = options.last("--dir"), _environment(options)
    parameters = _parameters(options)
    count = options.number("--instances", 0, 1)
    if count:
        _check_name(f"{name}@{count}")
        parameters[instances.COUNT] = RegistryValue.of(count)
    try:
        # Before the SCM is asked, so that a wrong program is refused first.
        hosting_parameters(options.program, directory, environment, here=not is_remote())
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    with connect() as scm:
        scm.install(
            name,
            options.program,
            start=start,
            depends=_list(options.last("--depend")),
            account=options.last("--account") or LOCAL_SYSTEM,
            directory=directory,
            environment=environment,
            display=options.last("--display") or "",
            description=options.last("--description") or "",
            restart_delay=restart_delay,
            parameters=parameters,
        )
        if count:
            instances.adjust(scm, name, count)
    sys.stdout.write(f"{escaped(name)} is installed.\n")
    for parameter in parameters:
        warn_of_unknown(parameter)
    return 0


def _check_name(name: str) -> None:
    try:
        check_service_name(name)
    except Refused as refused:
        raise CommandError(
            f"{escaped(name) or 'nothing'} cannot name a service: a name has 1 to "
            f"{MAX_NAME_UNITS} characters, none of them / \\ or a comma ({int(refused.error)})"
        ) from refused


def _list(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _parameters(options: Options) -> dict[str, RegistryValue]:
    settings = list(options.values.get("--set", ()))
    for option, parameter in (("--one-shot", "AppOneShot"), ("--schedule", "AppSchedule")):
        value = options.last(option)
        settings += [] if value is None else [f"{parameter}={value}"]
    parameters = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise CommandUsageError(f"--set needs PARAMETER=VALUE, not {setting}")
        parameters[name] = value_for(name, [value])
    return parameters


def _environment(options: Options) -> dict[str, str]:
    environment = {}
    for setting in options.values.get("--env", []):
        name, equals, value = setting.partition("=")
        try:
            variable(name, value)
        except ValueError as error:
            raise CommandUsageError(str(error)) from error
        if not equals:
            raise CommandUsageError(f"--env needs NAME=VALUE, not {setting}")
        environment[name] = value
    return environment


def remove(arguments: list[str]) -> int:
    """Stop, wait, delete; a service with running dependents is refused and stays as it is."""
    name = Options(arguments, ()).only()
    with connect() as scm:
        service = scm[name]
        _stop(service)
        if instances.COUNT in service.parameters:
            instances.remove_all(scm, service.name)
        service.delete()
    sys.stdout.write(f"{escaped(name)} is removed.\n")
    return 0


def _stop(service: Service) -> None:
    if service.status.state == ServiceState.STOPPED:
        return
    try:
        service.stop(wait=True)
    except WinError as error:
        if error.winerror == Error.SERVICE_CANNOT_ACCEPT_CTRL:
            service.wait_for(ServiceState.STOPPED)
        elif error.winerror == Error.DEPENDENT_SERVICES_RUNNING:
            names = ", ".join(escaped(other.name) for other in service.dependents("active"))
            raise CommandError(f"{escaped(service.name)} is needed by {names}") from error
        elif error.winerror != Error.SERVICE_NOT_ACTIVE:
            raise
