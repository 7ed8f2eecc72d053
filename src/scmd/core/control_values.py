"""SCM-wide values: what is stored under `Control`, and the settings they make.

Names are paths below `SYSTEM\\CurrentControlSet\\Control`. A value that is absent or
makes no sense counts as its documented default, since a mistyped number must not keep
the machine's services from starting; one that is set by command is checked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct

import msgspec
from msgspec.structs import replace

from scmd.core.messages import Settings
from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import name_key
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.registry import RegistryType, RegistryValue

GROUP_ORDER = "ServiceGroupOrder\\List"
TAG_ORDERS = "GroupOrderList\\"
_TAG_ORDERS = TAG_ORDERS.upper()
PRESHUTDOWN_ORDER = "PreshutdownOrder"
KILL_TIMEOUT = "WaitToKillServiceTimeout"
PIPE_TIMEOUT = "ServicesPipeTimeout"
AUTO_START_DELAY = "AutoStartDelay"
RESTART_LIMIT = "RestartLimit"
RESTART_LIMIT_PERIOD = "RestartLimitPeriod"
REBOOT_COMMAND = "RebootCommand"
SECURITY = "ServiceGroupOrder\\Security"
"""The SCM's own descriptor; absent: the documented default."""
LOCK_HAS_EFFECT = "LockHasEffect"
BUILT_IN_SERVICES = "BuiltInServices"
BUILT_IN_DEFAULT = 1
VIRTUAL_BASE = "VirtualAccountBase"
VIRTUAL_COUNT = "VirtualAccountCount"

Values = Mapping[str, RegistryValue]

_WORD = Struct("<I")


def group_order(values: Values) -> tuple[str, ...]:
    """ServiceGroupOrder\\List, a REG_MULTI_SZ: load-order groups, first to last."""
    return names(values, GROUP_ORDER)


def names(values: Values, name: str) -> tuple[str, ...]:
    """A REG_MULTI_SZ of names in an order."""
    value = values.get(name)
    data = value.data if value is not None else ()
    return data if isinstance(data, tuple) else ()


def text(values: Values, name: str) -> str:
    """A REG_SZ or REG_EXPAND_SZ; "" when it is absent or something else."""
    value = values.get(name)
    data = value.data if value is not None else ""
    return data if isinstance(data, str) else ""


def data(values: Values, name: str) -> bytes | None:
    """A REG_BINARY; None when it is absent or something else."""
    value = values.get(name)
    found = value.data if value is not None else None
    return found if isinstance(found, bytes) else None


def tag_order(values: Values) -> dict[str, tuple[int, ...]]:
    """GroupOrderList: by the group's name key the tags of a REG_BINARY, a count and as many u32."""
    found = {}
    for path, value in values.items():
        group = path[len(TAG_ORDERS) :]
        if group and path.upper().startswith(_TAG_ORDERS) and isinstance(value.data, bytes):
            words = [word for (word,) in _WORD.iter_unpack(value.data[: len(value.data) // 4 * 4])]
            found[name_key(group)] = tuple(words[1 : 1 + words[0]]) if words else ()
    return found


def number(values: Values, name: str, default: int) -> int:
    """A span or count: REG_DWORD, or decimal digits in a REG_SZ (WaitToKillServiceTimeout)."""
    value = values.get(name)
    if value is None:
        return default
    data = value.data
    if value.type is RegistryType.DWORD and isinstance(data, int):
        return data
    found = decimal(data) if isinstance(data, str) else None
    return default if found is None else found


# The table -----------------------------------------------------------------------------------


class Setting(msgspec.Struct, frozen=True):
    """One value, or with a name that ends in `\\` one for each load-order group."""

    name: str
    unit: str
    """`ms`, `s`, a count (""), `list`, `text` or `tags`."""
    meaning: str
    read: Callable[[Values, Settings], Mapping[str, object]]
    """Fields of `Settings` that follow from the values."""
    shown: Callable[[Settings], object]
    """What is in force, in the value's own unit."""
    within: range = range(2**32)
    """Of a number."""


def _in(field: str, name: str, factor: int = 1) -> Callable[[Values, Settings], dict[str, object]]:
    def read(values: Values, default: Settings) -> dict[str, object]:
        whole: int = getattr(default, field)
        return {field: number(values, name, whole // factor) * factor}

    return read


def _own_ids(values: Values, default: Settings) -> dict[str, object]:
    first = number(values, VIRTUAL_BASE, default.own_ids.start)
    count = number(values, VIRTUAL_COUNT, len(default.own_ids))
    # Numbers that are also somebody else's, or none, are worse than a mistyped value.
    if first < _LOWEST_ID or first + count > _LAST_ID:
        return {"own_ids": default.own_ids}
    return {"own_ids": range(first, first + count)}


_LOWEST_ID = 1000
_LAST_ID = 2**32 - 2
_DAY_MS = 86_400_000

SETTINGS: tuple[Setting, ...] = (
    Setting(
        PIPE_TIMEOUT,
        "ms",
        "a process to connect, and a start or control to be answered",
        _in("pipe_timeout", PIPE_TIMEOUT),
        lambda settings: settings.pipe_timeout,
        range(1, _DAY_MS + 1),
    ),
    Setting(
        KILL_TIMEOUT,
        "ms",
        "all services together to shut down, before what is left is killed",
        _in("kill_timeout", KILL_TIMEOUT),
        lambda settings: settings.kill_timeout,
        range(_DAY_MS + 1),
    ),
    Setting(
        AUTO_START_DELAY,
        "s",
        "from the last automatic start to the delayed ones",
        _in("auto_start_delay", AUTO_START_DELAY, 1000),
        lambda settings: settings.auto_start_delay // 1000,
        range(_DAY_MS // 1000 + 1),
    ),
    Setting(
        RESTART_LIMIT,
        "",
        "more failures than this within the period end the restarts; 0: never",
        _in("crash_loop_limit", RESTART_LIMIT),
        lambda settings: settings.crash_loop_limit,
    ),
    Setting(
        RESTART_LIMIT_PERIOD,
        "ms",
        "the period of RestartLimit",
        _in("crash_loop_period", RESTART_LIMIT_PERIOD),
        lambda settings: settings.crash_loop_period,
        range(1, 2**32),
    ),
    Setting(
        REBOOT_COMMAND,
        "text",
        "the command that restarts the machine, for the failure action REBOOT",
        lambda values, default: {"reboot_command": text(values, REBOOT_COMMAND)},
        lambda settings: settings.reboot_command,
    ),
    Setting(
        GROUP_ORDER,
        "list",
        "load-order groups, in the order in which they start",
        lambda values, default: {"group_order": group_order(values)},
        lambda settings: list(settings.group_order),
    ),
    Setting(
        TAG_ORDERS,
        "tags",
        "of a load-order group, its services' tags in their order",
        lambda values, default: {"tag_order": tag_order(values)},
        lambda settings: {group: list(tags) for group, tags in settings.tag_order.items()},
    ),
    Setting(
        PRESHUTDOWN_ORDER,
        "list",
        "services that get PRESHUTDOWN before all others, one after the other",
        lambda values, default: {"preshutdown_order": names(values, PRESHUTDOWN_ORDER)},
        lambda settings: list(settings.preshutdown_order),
    ),
    Setting(
        BUILT_IN_SERVICES,
        "",
        "1: EventLog, RpcSs, Tcpip and LanmanServer are created when the SCM starts",
        lambda values, default: {
            "built_in_services": number(values, BUILT_IN_SERVICES, BUILT_IN_DEFAULT) != 0
        },
        lambda settings: int(settings.built_in_services),
        range(2),
    ),
    Setting(
        LOCK_HAS_EFFECT,
        "",
        "1: while somebody holds the database's lock nobody starts a service, as in NT 4",
        lambda values, default: {"lock_has_effect": number(values, LOCK_HAS_EFFECT, 0) != 0},
        lambda settings: int(settings.lock_has_effect),
        range(2),
    ),
    Setting(
        VIRTUAL_BASE,
        "",
        "the first uid and gid for virtual accounts and service SIDs",
        _own_ids,
        lambda settings: settings.own_ids.start,
        range(_LOWEST_ID, _LAST_ID),
    ),
    Setting(
        VIRTUAL_COUNT,
        "",
        "how many uids and gids there are for services",
        _own_ids,
        lambda settings: len(settings.own_ids),
        range(1, _LAST_ID),
    ),
)
_DEFAULT = Settings()
_KEYED = [(name_key(setting.name), setting) for setting in SETTINGS]


def settings_from(values: Values, host: Settings) -> Settings:
    """The settings that the values make; what they do not say is the host's, or the default."""
    fields: dict[str, object] = {"stored": dict(values), "security": data(values, SECURITY)}
    for setting in SETTINGS:
        fields.update(setting.read(values, _DEFAULT))
    return replace(host, **fields)


Changes = Mapping[str, RegistryValue | None]


def spelled(present: Values, changes: Changes) -> dict[str, RegistryValue | None]:
    """The changes, by the names that the values have already or that the table gives them."""
    known = {key: setting.name for key, setting in _KEYED}
    known.update((name_key(name), name) for name in present)
    return {known.get(name_key(name), name): value for name, value in changes.items()}


def merged(present: Values, changes: Changes) -> dict[str, RegistryValue]:
    """The values after the changes."""
    after: dict[str, RegistryValue | None] = {**present, **spelled(present, changes)}
    return {name: value for name, value in after.items() if value is not None}


def check(name: str, value: RegistryValue | None) -> None:
    """Refuse with 87 what is no setting's name, or no value for it; the detail says why."""
    setting = _setting(name)
    if value is None:
        return
    data = value.data
    match setting.unit:
        case "list":
            if not isinstance(data, tuple):
                raise _wrong(name, "a list of names")
        case "text":
            _check_command(name, data)
        case "tags":
            if not isinstance(data, bytes) or not _is_tag_list(data):
                raise _wrong(name, "tags: a count and as many numbers")
        case _:
            found = decimal(data) if isinstance(data, str) else data
            if not isinstance(found, int) or found not in setting.within:
                lowest, highest = setting.within[0], setting.within[-1]
                raise _wrong(name, f"a number from {lowest} to {highest}")


def _check_command(name: str, data: object) -> None:
    words = split_command_line(data) if isinstance(data, str) and "\0" not in data else None
    if words is None or (words and not words[0].startswith("/")):
        raise _wrong(name, "a command line that begins with an absolute path")


def _is_tag_list(data: bytes) -> bool:
    return len(data) >= 4 and len(data) == 4 + 4 * int(_WORD.unpack_from(data)[0])


def _setting(name: str) -> Setting:
    key = name_key(name)
    for own, setting in _KEYED:
        group = key.removeprefix(own)
        if setting.unit == "tags":
            is_it = 0 < len(group) < len(key) and "\\" not in group
        else:
            is_it = key == own
        if is_it:
            return setting
    known = ", ".join(setting.name for setting in SETTINGS)
    raise Refused(Error.INVALID_PARAMETER, f"there is no setting {name}; there are {known}")


def _wrong(name: str, expected: str) -> Refused:
    return Refused(Error.INVALID_PARAMETER, f"{name}: expected {expected}")
