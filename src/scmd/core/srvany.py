"""Hosted programs: what the Parameters that SRVANY and NSSM users know mean.

A record whose ImagePath is `srvany` hosts any unmodified program. `check_parameters` says
at once what is wrong with a value; `plan` turns the values into what is to be launched and
how it is to be stopped. Names compare without case; values this module does not know are
the program's own business. What happens to the launch is `hosting`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from scmd.core import essential, health, identities, limits
from scmd.core.messages import Parameters, ServiceId
from scmd.core.messages.effects import LaunchSpec
from scmd.core.parameter_readers import (
    SIGNALS,
    read_affinity,
    read_command,
    read_environment,
    read_milliseconds,
    read_nice,
    read_one_shot,
    read_path,
    read_program,
    read_signal,
    read_text,
    read_umask,
)
from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.registry import RegistryValue

START_PRE = "AppEvents\\Start\\Pre"
START_POST = "AppEvents\\Start\\Post"
STOP_PRE = "AppEvents\\Stop\\Pre"
EXIT_POST = "AppEvents\\Exit\\Post"
RELOAD_COMMAND = "AppReloadCommand"
ONE_SHOT = "AppOneShot"


class Plan(Struct, frozen=True):
    """What is to be launched, and how it is to be settled and stopped. Milliseconds."""

    spec: LaunchSpec
    stop_signal: int
    stop_time: int
    settle_time: int
    kill_tree: bool
    one_shot: str
    """`stop` or `stay`: what its service does when the program has done its work; "": none."""
    run_time: int
    """How long it may work; 0: as long as it takes."""
    pid_file: str
    """Names the process of a daemon that goes into the background; "": it does not."""
    health: health.HealthPlan
    start_pre: LaunchSpec | None
    start_post: LaunchSpec | None
    stop_pre: LaunchSpec | None
    exit_post: LaunchSpec | None
    reload_signal: int | None
    """What makes it read its configuration again; not sent when there is a command for that."""
    reload_command: LaunchSpec | None


def is_hosted(image_path: str) -> bool:
    """Whether the first word's base name is `srvany` or `srvany.exe`, in any case."""
    if "srvany" not in image_path.lower():
        return False
    words = split_command_line(image_path)
    if not words:
        return False
    base = words[0].replace("\\", "/").rpartition("/")[2].lower()
    return base in ("srvany", "srvany.exe")


def check_parameters(values: Parameters) -> None:
    """Refuse with 87 the first value that is not what its name demands.

    The detail names the value and what was expected. A missing value is no error here.
    """
    _meaning(values)


def _meaning(values: Parameters) -> dict[str, Any]:
    """What the known ones mean, as their readers say, by their names in upper case."""
    meant = {}
    for name, value in values.items():
        upper = name.upper()
        reader = _reader(upper)
        if reader is not None:
            meant[upper] = reader(name, value)
    return meant


def plan(service: ServiceId, config: ServiceConfig, parameters: Parameters) -> Plan:
    """What to do to run this service.

    Refused: 2 without an absolute Application, 87 for an illegal value.
    """
    meant = _meaning(parameters)
    application = meant.get("APPLICATION", "").strip()
    if not application.startswith("/"):
        raise Refused(Error.FILE_NOT_FOUND, "Application is not an absolute path")
    bounds = limits.of(parameters)
    identity = identities.of(config)
    spec = LaunchSpec(
        service=service,
        name=config.name,
        argv=(application, *split_command_line(meant.get("APPPARAMETERS", ""))),
        account=config.account,
        control_channel=False,
        uid=identity.uid,
        groups=identity.groups,
        capabilities=identity.capabilities,
        directory=meant.get("APPDIRECTORY") or None,
        environment=meant.get("APPENVIRONMENT"),
        extra_environment=meant.get("APPENVIRONMENTEXTRA", ()),
        umask=meant.get("APPUMASK"),
        nice=meant.get("APPNICE"),
        affinity=meant.get("APPAFFINITY", ()),
        limits=bounds.limits,
        shares=bounds.shares,
        essential=essential.is_essential(parameters),
        log_timestamps=bool(meant.get("APPTIMESTAMPLOG")),
        log_name=bool(meant.get("APPLOGNAME")),
    )
    asked = health.plan(
        lambda name: meant.get(name.upper(), ""),
        lambda name, default: meant.get(name.upper(), default),
    )
    reload_signal = meant.get("APPRELOADSIGNAL")
    if reload_signal is None and asked.says_when_reloaded:
        reload_signal = SIGNALS["HUP"]
    return Plan(
        spec=spec,
        stop_signal=meant.get("APPSTOPSIGNAL", SIGNALS["TERM"]),
        stop_time=meant.get("APPSTOPTIME", 20_000),
        settle_time=meant.get("APPSETTLETIME", 0),
        kill_tree=bool(meant.get("APPKILLPROCESSTREE", 1)),
        one_shot=meant.get("APPONESHOT", ""),
        run_time=meant.get("APPRUNTIME", 0),
        pid_file=meant.get("APPPIDFILE", ""),
        health=asked,
        start_pre=_hook(meant, spec, START_PRE),
        start_post=_hook(meant, spec, START_POST),
        stop_pre=_hook(meant, spec, STOP_PRE),
        exit_post=_hook(meant, spec, EXIT_POST),
        reload_signal=reload_signal,
        reload_command=_hook(meant, spec, RELOAD_COMMAND),
    )


# Which name has which reader -------------------------------------------------------------------

_Reader = Callable[[str, RegistryValue], object]


def _ready(name: str, value: RegistryValue) -> str:
    text = read_text(name, value)
    health.parse_ready(name, text)
    return text


def _health(name: str, value: RegistryValue) -> str:
    text = read_text(name, value)
    health.parse_health(name, text)
    return text


READERS: Mapping[str, _Reader] = {
    "Application": read_program,
    "AppParameters": read_text,
    "AppDirectory": read_path,
    health.PID_FILE: read_path,
    "AppEnvironment": read_environment,
    "AppEnvironmentExtra": read_environment,
    "AppStopSignal": read_signal,
    "AppStopTime": read_milliseconds,
    "AppSettleTime": read_milliseconds,
    "AppRestartDelay": read_milliseconds,
    "AppRestartLimit": read_milliseconds,
    "AppThrottle": read_milliseconds,
    "AppKillProcessTree": read_milliseconds,
    "AppTimestampLog": read_milliseconds,
    "AppLogName": read_milliseconds,
    essential.PARAMETER: read_milliseconds,
    health.READY: _ready,
    health.HEALTH: _health,
    **dict.fromkeys(health.NUMBERS, read_milliseconds),
    ONE_SHOT: read_one_shot,
    "AppRunTime": read_milliseconds,
    "AppUmask": read_umask,
    "AppNice": read_nice,
    "AppAffinity": read_affinity,
    START_PRE: read_command,
    START_POST: read_command,
    STOP_PRE: read_command,
    EXIT_POST: read_command,
    "AppReloadSignal": read_signal,
    RELOAD_COMMAND: read_command,
}
"""Every name with a meaning, besides `AppLimit\\<resource>`."""

_BY_UPPER = {name.upper(): reader for name, reader in READERS.items()}


def _reader(upper: str) -> _Reader | None:
    return limits.read if limits.is_limit(upper) else _BY_UPPER.get(upper)


# Parts of a plan ------------------------------------------------------------------------------


def _hook(meant: Mapping[str, Any], spec: LaunchSpec, name: str) -> LaunchSpec | None:
    words = meant.get(name.upper())
    if not words:
        return None
    return LaunchSpec(
        service=spec.service,
        name=spec.name,
        argv=words,
        account=spec.account,
        control_channel=False,
        uid=spec.uid,
        groups=spec.groups,
        capabilities=spec.capabilities,
        directory=spec.directory,
        environment=spec.environment,
        extra_environment=spec.extra_environment,
        umask=spec.umask,
        hook=True,
    )
