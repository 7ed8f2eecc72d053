"""Places of remote end points: as people write them, made canonical, or refused with a reason."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace

from scmd.daemon.keeper_listeners import PIPE, TCP
from scmd.endpoint_mapper.operations import PORT
from scmd.storage.remote_settings import LEVELS, RemoteSettings
from scmd.transport.places import MAX_SOCKET_PATH_BYTES
from scmd.vocabulary.numbers import decimal

PIPE_NAME = "svcctl"
_ROOM_FOR_TEMPORARY = 12


class WrongPlace(ValueError):
    """The text says what was expected."""


def checked(settings: RemoteSettings) -> RemoteSettings:
    """The settings with canonical places."""
    if settings.level not in LEVELS:
        raise WrongPlace(f"the level is one of {', '.join(LEVELS)}, not {settings.level}")
    if settings.epm and not settings.tcp:
        raise WrongPlace("an endpoint mapper without a TCP port has nothing to tell: --tcp too")
    tcp = _endpoint(settings.tcp, None) if settings.tcp else ""
    epm = _endpoint(settings.epm, PORT) if settings.epm else ""
    if tcp and tcp == epm:
        raise WrongPlace(f"the endpoint mapper and the SCM cannot both be at {tcp}")
    smbd = ""
    if settings.smbd:
        smbd = os.path.abspath(settings.smbd)
        size = len(os.fsencode(pipe_path(smbd)))
        if size > MAX_SOCKET_PATH_BYTES - _ROOM_FOR_TEMPORARY:
            raise WrongPlace(f"{smbd} is too long for a socket's name")
    if settings.keytab and not os.path.isabs(settings.keytab):
        raise WrongPlace(f"the keytab's path must be absolute, not {settings.keytab}")
    return replace(settings, tcp=tcp, epm=epm, smbd=smbd)


def pipe_path(folder: str) -> str:
    """Where smbd hands svcctl over below this folder."""
    return os.path.join(folder, "np", PIPE_NAME)


def tcp_name(place: str) -> str:
    """The keeper's name of a TCP end point."""
    return TCP + place


def are_in_the_way(name: str, other: str) -> bool:
    """Whether two names may be of one TCP port, so that only one of them can be listened at."""
    return (
        name.startswith(TCP)
        and other.startswith(TCP)
        and name.rpartition(":")[2] == other.rpartition(":")[2]
    )


def pipe_name(folder: str) -> str:
    """The keeper's name of smbd's end point."""
    return PIPE + pipe_path(folder)


def host_and_port(place: str) -> tuple[str, int]:
    """The two halves of a canonical place; brackets are taken off."""
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def _endpoint(place: str, port: int | None) -> str:
    """`ADDRESS:PORT`; the port may be left out where there is a usual one."""
    host, colon, digits = place.rpartition(":")
    if port is not None and (not colon or _is_address(place.strip("[]"))):
        host, digits = place, str(port)
    host = host.removeprefix("[").removesuffix("]")
    number = decimal(digits)
    if number is None or not 0 < number < 65536:
        raise WrongPlace(f"{place}: ADDRESS:PORT with a port from 1 to 65535 is expected")
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise WrongPlace(f"{place}: {host!r} is not an IP address; 0.0.0.0 is all") from error
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"{shown}:{number}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
