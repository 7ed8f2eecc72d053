"""Service records as registry keys, with the documented names and types.

A record is a key of its own name under `Services`: its own values, and the subkeys
`Security`, `TriggerInfo\\0`... and `Parameters`. Values that scmd does not know are kept
by whoever writes the document; here they are passed over. Where keys and documents live
is `linux/database.py`'s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from scmd.storage.cells import (
    Cell,
    Cells,
    RecordError,
    binary,
    cell_of,
    is_sound,
    to_base64,
    value_of,
)
from scmd.vocabulary.configuration import (
    FailureAction,
    FailureActions,
    ServiceConfig,
    Trigger,
    TriggerItem,
)
from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryType, RegistryValue
from scmd.vocabulary.service import GROUP_PREFIX, ActionType

SERVICES = "SYSTEM\\CurrentControlSet\\Services"
CONTROL = "SYSTEM\\CurrentControlSet\\Control"
SECURITY = "Security"
TRIGGER_INFO = "TriggerInfo"
PARAMETERS = "Parameters"

SubkeyDocuments = dict[str, Cells]
"""Documents by path below the service's key, `\\` between names; "" is the key itself."""

_SZ = int(RegistryType.SZ)
_EXPAND_SZ = int(RegistryType.EXPAND_SZ)
_BINARY = int(RegistryType.BINARY)
_DWORD = int(RegistryType.DWORD)
_MULTI_SZ = int(RegistryType.MULTI_SZ)
_STRINGS = (_SZ, _EXPAND_SZ)
_DEFAULTS = ServiceConfig(name="")

# Value name, type, field of ServiceConfig, and whether it is written even as the default.
_PLAIN: tuple[tuple[str, int, str, bool], ...] = (
    ("Type", _DWORD, "type", True),
    ("Start", _DWORD, "start_type", True),
    ("ErrorControl", _DWORD, "error_control", True),
    ("Tag", _DWORD, "tag", False),
    ("ImagePath", _EXPAND_SZ, "image_path", True),
    ("DisplayName", _SZ, "display_name", True),
    ("Group", _SZ, "load_order_group", False),
    ("ObjectName", _SZ, "account", True),
    ("Description", _SZ, "description", False),
    ("FailureActionsOnNonCrashFailures", _DWORD, "failure_actions_flag", False),
    ("DelayedAutostart", _DWORD, "delayed_auto_start", False),
    ("ServiceSidType", _DWORD, "sid_type", False),
    ("RequiredPrivileges", _MULTI_SZ, "required_privileges", False),
    ("ServiceUid", _DWORD, "own_id", False),
    ("PreshutdownTimeout", _DWORD, "preshutdown_timeout", False),
    ("PreferredNode", _DWORD, "preferred_node", False),
    ("RunLevel", _DWORD, "run_level", False),
    ("ServiceAccountManaged", _DWORD, "managed_account", False),
    ("LaunchProtected", _DWORD, "launch_protected", False),
)
# Values that take more than copying, and those that only the record as a whole has.
_SPECIAL: Mapping[str, int] = {
    "DependOnService": _MULTI_SZ,
    "DependOnGroup": _MULTI_SZ,
    "FailureActions": _BINARY,
    "FailureCommand": _SZ,
    "RebootMessage": _SZ,
    "DeleteFlag": _DWORD,
}
_FIELDS = {name: field for name, _, field, _ in _PLAIN}
_RULES: Mapping[str, int] = {**{name: type for name, type, _, _ in _PLAIN}, **_SPECIAL}
# The common case, decided with one look-up: a plain value of its usual type.
_USUAL = {
    name: (type, int if type == _DWORD else str, field)
    for name, type, field, _ in _PLAIN
    if type != _MULTI_SZ
}
_UNUSUAL = (-1, list, "")
_CANONICAL = {name_key(name): name for name in _RULES}
_BOOLEANS = ("failure_actions_flag", "delayed_auto_start", "managed_account")

_FAILURE_HEADER = struct.Struct("<5I")
_FAILURE_ACTION = struct.Struct("<2I")
_FIRST_ACTION = 0x14


# Out ----------------------------------------------------------------------------------------


def config_to_cells(config: ServiceConfig, deleted: bool = False) -> Cells:
    """The values of the service's own key; what is absent is to be removed from it."""
    cells: Cells = {}
    for name, type, field, always in _PLAIN:
        data = getattr(config, field)
        if always or data != getattr(_DEFAULTS, field):
            cells[name] = (type, list(data) if type == _MULTI_SZ else _plain(data))
    services = [name for name in config.dependencies if not name.startswith(GROUP_PREFIX)]
    groups = [name[1:] for name in config.dependencies if name.startswith(GROUP_PREFIX)]
    if services:
        cells["DependOnService"] = (_MULTI_SZ, services)
    if groups:
        cells["DependOnGroup"] = (_MULTI_SZ, groups)
    if config.failure_actions != _DEFAULTS.failure_actions:
        _add_failure_actions(cells, config.failure_actions)
    if deleted:
        cells["DeleteFlag"] = (_DWORD, 1)
    return cells


def subkeys_to_cells(config: ServiceConfig) -> SubkeyDocuments:
    """The documents of `Security` and `TriggerInfo`; what is absent is to be removed."""
    documents: SubkeyDocuments = {}
    if config.security is not None:
        documents[SECURITY] = {SECURITY: (_BINARY, to_base64(config.security))}
    for number, trigger in enumerate(config.triggers):
        cells: Cells = {
            "Type": (_DWORD, trigger.type),
            "Action": (_DWORD, trigger.action),
            "GUID": (_BINARY, to_base64(trigger.subtype)),
        }
        for index, item in enumerate(trigger.items):
            cells[f"DataType{index}"] = (_DWORD, item.type)
            cells[f"Data{index}"] = (_BINARY, to_base64(item.data))
        documents[f"{TRIGGER_INFO}\\{number}"] = cells
    return documents


def parameters_to_cells(parameters: Mapping[str, RegistryValue]) -> SubkeyDocuments:
    """The documents of `Parameters` and its subkeys; RecordError for data of a wrong type."""
    documents: SubkeyDocuments = {}
    for path, value in parameters.items():
        subkey, separator, name = path.rpartition("\\")
        key = f"{PARAMETERS}\\{subkey}" if separator else PARAMETERS
        try:
            documents.setdefault(key, {})[name] = cell_of(value)
        except RecordError as error:
            raise RecordError(f"{key}: value {name}: {error}") from error
    return documents


def _plain(data: str | int) -> str | int:
    return data if isinstance(data, str) else int(data)


def _add_failure_actions(cells: Cells, failure: FailureActions) -> None:
    header = _FAILURE_HEADER.pack(
        failure.reset_period_s,
        bool(failure.reboot_message),
        bool(failure.command),
        len(failure.actions),
        _FIRST_ACTION,
    )
    body = b"".join(_FAILURE_ACTION.pack(action.type, action.delay) for action in failure.actions)
    cells["FailureActions"] = (_BINARY, to_base64(header + body))
    if failure.reboot_message:
        cells["RebootMessage"] = (_SZ, failure.reboot_message)
    if failure.command:
        cells["FailureCommand"] = (_SZ, failure.command)


# In -----------------------------------------------------------------------------------------


def config_from_cells(
    name: str, cells: Cells, subkeys: SubkeyDocuments
) -> tuple[ServiceConfig, bool]:
    """The configuration and the delete flag of the record called `name`.

    RecordError names key and value: a missing Type or Start, or a known value with a wrong
    type or range. Unknown values and subkeys are passed over.
    """
    key = f"{SERVICES}\\{name}"
    fields: dict[str, object] = {"name": name, "display_name": name}
    special: Cells = {}
    for value_name, cell in cells.items():
        type, shape, field = _USUAL.get(value_name, _UNUSUAL)
        number, data = cell
        if number == type and data.__class__ is shape and (shape is str or 0 <= data < 2**32):  # type: ignore[operator] # an int
            fields[field] = data
            continue
        canonical = value_name if value_name in _RULES else _CANONICAL.get(name_key(value_name))
        if canonical is None:
            continue
        _check(cell, _RULES[canonical], key, canonical)
        if canonical in _FIELDS:
            fields[_FIELDS[canonical]] = tuple(data) if isinstance(data, list) else data
        else:
            special[canonical] = cell
    for required, value_name in (("type", "Type"), ("start_type", "Start")):
        if required not in fields:
            raise RecordError(f"{key}: value {value_name} is missing")
    for field in _BOOLEANS:
        if field in fields:
            fields[field] = bool(fields[field])
    if special:
        _apply_special(fields, special, key)
    if subkeys:
        _apply_subkeys(fields, subkeys, key)
    deleted = bool(special.get("DeleteFlag", (_DWORD, 0))[1])
    return ServiceConfig(**fields), deleted  # type: ignore[arg-type] # checked by type above


def parameters_from_cells(name: str, subkeys: SubkeyDocuments) -> dict[str, RegistryValue]:
    """The parameters of the service called `name`; RecordError names key and value."""
    parameters: dict[str, RegistryValue] = {}
    for path, cells in subkeys.items():
        if path == PARAMETERS:
            prefix = ""
        elif path.startswith(PARAMETERS + "\\"):
            prefix = path[len(PARAMETERS) + 1 :] + "\\"
        else:
            continue
        key = f"{SERVICES}\\{name}\\{path}"
        for value_name, cell in cells.items():
            parameters[prefix + value_name] = value_of(cell, key, value_name)
    return parameters


def is_known_value(name: str) -> bool:
    """Whether a value of the service's own key belongs to the record, in whatever case."""
    return name in _RULES or name_key(name) in _CANONICAL


def is_known_subkey(path: str, parameters: bool) -> bool:
    """Whether a subkey belongs to the record (`parameters`: to Parameters), so may be removed."""
    head = path.partition("\\")[0]
    return head == PARAMETERS if parameters else head in (SECURITY, TRIGGER_INFO)


def _check(cell: Cell, expected: int, key: str, name: str) -> None:
    number = cell[0]
    if number != expected and not (number in _STRINGS and expected in _STRINGS):
        wanted = RegistryType(expected).name
        raise RecordError(f"{key}: value {name} has type {number}, expected REG_{wanted}")
    if not is_sound(cell):
        raise RecordError(f"{key}: value {name} is malformed: {cell[1]!r:.80}")


def _apply_special(fields: dict[str, object], special: Cells, key: str) -> None:
    dependencies = [*_strings(special.get("DependOnService"))]
    dependencies += [GROUP_PREFIX + group for group in _strings(special.get("DependOnGroup"))]
    if dependencies:
        fields["dependencies"] = tuple(dependencies)
    reset_period_s = 0
    actions: tuple[FailureAction, ...] = ()
    if "FailureActions" in special:
        data = binary(special["FailureActions"], key, "FailureActions")
        reset_period_s, actions = _failure_actions(data, key)
    message = special.get("RebootMessage", (_SZ, ""))[1]
    command = special.get("FailureCommand", (_SZ, ""))[1]
    if reset_period_s or actions or message or command:
        fields["failure_actions"] = FailureActions(
            reset_period_s=reset_period_s,
            reboot_message=str(message),
            command=str(command),
            actions=actions,
        )


def _strings(cell: Cell | None) -> Iterable[str]:
    return cell[1] if cell is not None and isinstance(cell[1], list) else ()


def _failure_actions(data: bytes, key: str) -> tuple[int, tuple[FailureAction, ...]]:
    if len(data) < _FAILURE_HEADER.size:
        raise RecordError(f"{key}: value FailureActions has {len(data)} bytes, expected 20")
    reset_period_s, _, _, count, _ = _FAILURE_HEADER.unpack_from(data)
    if len(data) != _FAILURE_HEADER.size + count * _FAILURE_ACTION.size:
        raise RecordError(f"{key}: value FailureActions has {len(data)} bytes for {count} actions")
    actions = []
    for type, delay in _FAILURE_ACTION.iter_unpack(data[_FAILURE_HEADER.size :]):
        if type not in ActionType.__members__.values():
            raise RecordError(f"{key}: value FailureActions has an action of type {type}")
        actions.append(FailureAction(type=ActionType(type), delay=delay))
    return reset_period_s, tuple(actions)


def _apply_subkeys(fields: dict[str, object], subkeys: SubkeyDocuments, key: str) -> None:
    security = subkeys.get(SECURITY, {}).get(SECURITY)
    if security is not None:
        fields["security"] = binary(security, f"{key}\\{SECURITY}", SECURITY)
    numbered = []
    for path in subkeys:
        head, _, number = path.partition("\\")
        if head == TRIGGER_INFO and number.isascii() and number.isdigit():
            numbered.append((int(number), path))
    if numbered:
        fields["triggers"] = tuple(
            _trigger(subkeys[path], f"{key}\\{path}") for _, path in sorted(numbered)
        )


def _trigger(cells: Cells, key: str) -> Trigger:
    items: list[TriggerItem] = []
    while f"Data{len(items)}" in cells:
        index = len(items)
        items.append(
            TriggerItem(
                type=_number(cells, f"DataType{index}", key),
                data=binary(cells[f"Data{index}"], key, f"Data{index}"),
            )
        )
    subtype = binary(cells.get("GUID", (0, "")), key, "GUID")
    if len(subtype) != 16:
        raise RecordError(f"{key}: value GUID has {len(subtype)} bytes, expected 16")
    return Trigger(
        type=_number(cells, "Type", key),
        action=_number(cells, "Action", key),
        subtype=subtype,
        items=tuple(items),
    )


def _number(cells: Cells, name: str, key: str) -> int:
    cell = cells.get(name)
    if cell is None:
        raise RecordError(f"{key}: value {name} is missing")
    _check(cell, _DWORD, key, name)
    return int(cell[1])  # type: ignore[arg-type] # a DWORD
