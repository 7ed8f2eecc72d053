"""Where the SCM can be reached from other machines: the values under `Control\\Remote`.

An absent value means that nobody listens there. Places are checked and made canonical when they
are set, so what is stored is what the keeper is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scmd.vocabulary.registry import RegistryValue

PRIVACY = "privacy"
INTEGRITY = "integrity"
LEVELS = (PRIVACY, INTEGRITY)


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """All of it; the default is closed."""

    tcp: str = ""
    """`ADDRESS:PORT`, numeric, IPv6 in brackets."""
    epm: str = ""
    """The address whose port 135 answers as the endpoint mapper."""
    smbd: str = ""
    """The folder whose `np/svcctl` smbd hands the pipe over at."""
    level: str = PRIVACY
    """The least protection of calls by TCP."""
    administrators: str = ""
    """A Unix group whose members are Administrators when they come from elsewhere."""
    keytab: str = ""
    """With it Kerberos is spoken."""

    @property
    def is_open(self) -> bool:
        return bool(self.tcp or self.smbd)


VALUE_NAMES: Mapping[str, str] = {
    "tcp": "Remote\\Tcp",
    "epm": "Remote\\EndpointMapper",
    "smbd": "Remote\\SmbDirectory",
    "level": "Remote\\MinimumLevel",
    "administrators": "Remote\\Administrators",
    "keytab": "Remote\\Keytab",
}


def settings_of(values: Mapping[str, RegistryValue]) -> RemoteSettings:
    """What is stored; a level that makes no sense is the stronger one."""
    stored = {}
    for field, name in VALUE_NAMES.items():
        value = values.get(name)
        stored[field] = value.data if value is not None and isinstance(value.data, str) else ""
    if stored["level"] not in LEVELS:
        stored["level"] = PRIVACY
    return RemoteSettings(**stored)


def changes_to(settings: RemoteSettings) -> dict[str, RegistryValue | None]:
    """The values to write so that these settings are stored; None deletes."""
    changes: dict[str, RegistryValue | None] = {}
    for field, name in VALUE_NAMES.items():
        value = getattr(settings, field)
        changes[name] = RegistryValue.of(value) if value else None
    return changes
