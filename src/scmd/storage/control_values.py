"""SCM-wide values: what is stored under `Control`, and what a value there must look like.

Names are paths below `SYSTEM\\CurrentControlSet\\Control`. A value that is absent or
makes no sense counts as its documented default, since a mistyped number must not keep
the machine's services from starting.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryType, RegistryValue

GROUP_ORDER = "ServiceGroupOrder\\List"
TAG_ORDERS = "GroupOrderList\\"
PRESHUTDOWN_ORDER = "PreshutdownOrder"
KILL_TIMEOUT = "WaitToKillServiceTimeout"
PIPE_TIMEOUT = "ServicesPipeTimeout"
AUTO_START_DELAY = "AutoStartDelay"
RESTART_LIMIT = "RestartLimit"
RESTART_LIMIT_PERIOD = "RestartLimitPeriod"
REBOOT_COMMAND = "RebootCommand"
SECURITY = "ServiceGroupOrder\\Security"
LOCK_HAS_EFFECT = "LockHasEffect"
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
        if group and path.upper().startswith(TAG_ORDERS.upper()) and isinstance(value.data, bytes):
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
    if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= 10:
        return int(data)
    return default
