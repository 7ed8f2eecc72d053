"""What a service's process is on Linux: whose, in which groups, with which capabilities.

A virtual account (`NT SERVICE\\name`) is a uid of the service's own, and a service SID a gid of
its own: the same number for both, from a range that is nobody else's. It is the range's first
number plus the record's, so it is never given out again, and it is in the record from then on.

Required privileges become capabilities. Without a list a process has what its account has.
With one, and whatever its account, it has these and can get no others; a process that several
services share gets what any of them requires, and everything if one of them has no list.
"""

from __future__ import annotations

from msgspec import Struct

from scmd.core.messages import ServiceId, Settings
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import name_key
from scmd.vocabulary.privileges import capabilities_of
from scmd.vocabulary.service import ServiceType, SidType

_DOMAIN = name_key("NT SERVICE\\")


class Identity(Struct, frozen=True):
    """As the fields of `LaunchSpec`."""

    account: str
    uid: int = 0
    groups: tuple[int, ...] = ()
    capabilities: int | None = None


def is_virtual(account: str) -> bool:
    return name_key(account).startswith(_DOMAIN)


def check_virtual(config: ServiceConfig) -> None:
    """Refuse with 1057 a virtual account that is another service's."""
    if is_virtual(config.account):
        name = name_key(config.account)[len(_DOMAIN) :]
        if name != name_key(config.name):
            raise Refused(Error.INVALID_SERVICE_ACCOUNT, "a virtual account is its service's own")


def with_number(config: ServiceConfig, id: ServiceId, settings: Settings) -> ServiceConfig:
    """With a number of its own, once it needs one; it keeps it. 1057: none is left."""
    wanted = is_virtual(config.account) or config.sid_type != SidType.NONE
    if config.own_id or not wanted or settings.single_user:
        return config
    numbers = settings.own_ids
    if id >= len(numbers):
        raise Refused(Error.INVALID_SERVICE_ACCOUNT, "the range of virtual accounts is used up")
    return config.replace(own_id=numbers[id])


def of(config: ServiceConfig) -> Identity:
    """Of a process of this service alone; Refused(1297) for a privilege nobody knows."""
    uid = config.own_id if is_virtual(config.account) else 0
    groups = (config.own_id,) if config.own_id and config.sid_type != SidType.NONE else ()
    return Identity(config.account, uid, groups, _capabilities(config))


def of_process(state: State, record: ServiceRecord) -> Identity:
    """Of the process that this service is started in; see above for those that share it."""
    own = of(record.config)
    if not record.config.type & ServiceType.WIN32_SHARE_PROCESS:
        return own
    groups: set[int] = set()
    needed: int | None = 0
    for other in state.records.values():
        config = other.config
        if config.image_path != record.config.image_path or not _shares(config, own.account):
            continue
        identity = of(config)
        groups.update(identity.groups)
        if needed is None or identity.capabilities is None:
            needed = None
        else:
            needed |= identity.capabilities
    return Identity(own.account, own.uid, tuple(sorted(groups)), needed)


def _shares(config: ServiceConfig, account: str) -> bool:
    is_shared = bool(config.type & ServiceType.WIN32_SHARE_PROCESS)
    return is_shared and name_key(config.account) == name_key(account)


def _capabilities(config: ServiceConfig) -> int | None:
    if not config.required_privileges:
        return None
    bits = 0
    for privilege in config.required_privileges:
        found = capabilities_of(privilege)
        if found is None:
            detail = f"it requires a privilege that does not exist: {privilege}"
            raise Refused(Error.INCOMPATIBLE_SERVICE_PRIVILEGE, detail)
        bits |= found
    return bits
