"""Triggers as sc writes and reads them: `start/device/GUID/HwId`, qtriggerinfo's blocks."""

from __future__ import annotations

from scmd.ndr.values import Guid
from scmd.tools.sc_grammar import UsageError
from scmd.tools.sc_output import config2_head
from scmd.vocabulary import triggers as known
from scmd.vocabulary.configuration import Trigger, TriggerItem
from scmd.vocabulary.names import escaped
from scmd.vocabulary.triggers import TriggerAction, TriggerData, TriggerType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Word: action, type, subtype. What follows the word is nothing here.
_PLAIN: Mapping[str, tuple[TriggerAction, TriggerType, str]] = {
    "networkon": (TriggerAction.START, TriggerType.IP_ADDRESS_AVAILABILITY, known.FIRST_ADDRESS),
    "networkoff": (TriggerAction.STOP, TriggerType.IP_ADDRESS_AVAILABILITY, known.LAST_ADDRESS),
    "domainjoin": (TriggerAction.START, TriggerType.DOMAIN_JOIN, known.DOMAIN_JOINED),
    "domainleave": (TriggerAction.STOP, TriggerType.DOMAIN_JOIN, known.DOMAIN_LEFT),
    "machinepolicy": (TriggerAction.START, TriggerType.GROUP_POLICY, known.MACHINE_POLICY),
    "userpolicy": (TriggerAction.START, TriggerType.GROUP_POLICY, known.USER_POLICY),
}
# The same with data behind the word.
_WITH_DATA: Mapping[str, tuple[TriggerAction, TriggerType, str]] = {
    "portopen": (TriggerAction.START, TriggerType.FIREWALL_PORT_EVENT, known.PORT_OPEN),
    "portclose": (TriggerAction.STOP, TriggerType.FIREWALL_PORT_EVENT, known.PORT_CLOSE),
    "rpcinterface": (TriggerAction.START, TriggerType.NETWORK_ENDPOINT, known.RPC_INTERFACE),
    "namedpipe": (TriggerAction.START, TriggerType.NETWORK_ENDPOINT, known.NAMED_PIPE),
}
_ACTIONS = {"start": TriggerAction.START, "stop": TriggerAction.STOP}

_TYPE_LABELS: Mapping[int, str] = {
    TriggerType.DEVICE_INTERFACE_ARRIVAL: "DEVICE INTERFACE ARRIVAL",
    TriggerType.IP_ADDRESS_AVAILABILITY: "IP ADDRESS AVAILABILITY",
    TriggerType.DOMAIN_JOIN: "DOMAIN JOINED STATUS",
    TriggerType.FIREWALL_PORT_EVENT: "FIREWALL PORT EVENT",
    TriggerType.GROUP_POLICY: "GROUP POLICY",
    TriggerType.NETWORK_ENDPOINT: "NETWORK EVENT",
    TriggerType.CUSTOM_SYSTEM_STATE_CHANGE: "CUSTOM SYSTEM STATE CHANGE EVENT",
    TriggerType.CUSTOM: "CUSTOM",
    TriggerType.AGGREGATE: "AGGREGATE",
}
_SUBTYPE_LABELS: Mapping[str, str] = {
    known.FIRST_ADDRESS: "FIRST IP ADDRESS AVAILABLE",
    known.LAST_ADDRESS: "LAST IP ADDRESS AVAILABLE",
    known.DOMAIN_JOINED: "DOMAIN JOINED",
    known.DOMAIN_LEFT: "NOT DOMAIN JOINED",
    known.PORT_OPEN: "PORT OPEN",
    known.PORT_CLOSE: "PORT CLOSED",
    known.MACHINE_POLICY: "MACHINE POLICY PRESENT",
    known.USER_POLICY: "USER POLICY PRESENT",
    known.RPC_INTERFACE: "RPC INTERFACE EVENT",
    known.NAMED_PIPE: "NAMED PIPE EVENT",
}
_OTHER_SUBTYPES: Mapping[int, str] = {
    TriggerType.DEVICE_INTERFACE_ARRIVAL: "INTERFACE CLASS GUID",
    TriggerType.CUSTOM: "ETW PROVIDER UUID",
}


# In -------------------------------------------------------------------------------------------


def parse_trigger(text: str) -> Trigger:
    """One of the forms of `sc triggerinfo`; UsageError says what was expected."""
    parts = text.split("/")
    action, kind = parts[0].lower(), parts[1].lower() if parts[1:] else ""
    if action not in _ACTIONS:
        raise UsageError(f"ERROR:  A trigger begins with start/ or stop/, or is delete, not {text}")
    if kind in _PLAIN:
        return _plain(text, action, kind, parts[2:])
    if kind in _WITH_DATA:
        return _with_data(text, action, kind, "/".join(parts[2:]))
    if kind == "device" and _ACTIONS[action] is TriggerAction.START:
        items = [_string(id) for id in parts[3:]]
        return _made(action, TriggerType.DEVICE_INTERFACE_ARRIVAL, _guid(text, parts), items)
    if kind in _CUSTOM:
        items = [_CUSTOM[kind](data) for data in parts[3:]]
        return _made(action, TriggerType.CUSTOM, _guid(text, parts), items)
    raise UsageError(f"ERROR:  There is no trigger {text}")


def _plain(text: str, action: str, kind: str, rest: list[str]) -> Trigger:
    wanted, type, subtype = _PLAIN[kind]
    if rest or _ACTIONS[action] is not wanted:
        raise UsageError(f"ERROR:  {kind} is {wanted.name.lower()}/{kind}, not {text}")
    return _made(action, type, Guid.parse(subtype), [])


def _with_data(text: str, action: str, kind: str, data: str) -> Trigger:
    wanted, type, subtype = _WITH_DATA[kind]
    if not data or _ACTIONS[action] is not wanted:
        raise UsageError(f"ERROR:  {kind} is {wanted.name.lower()}/{kind}/..., not {text}")
    if type is TriggerType.FIREWALL_PORT_EVENT:
        # Port, protocol, image path and service, each with its NUL, and the list's last NUL.
        data = data.replace(";", "\0") + "\0"
    return _made(action, type, Guid.parse(subtype), [_string(data)])


def _made(action: str, type: TriggerType, subtype: Guid, items: list[TriggerItem]) -> Trigger:
    return Trigger(
        type=int(type), action=int(_ACTIONS[action]), subtype=bytes(subtype), items=tuple(items)
    )


def _guid(text: str, parts: list[str]) -> Guid:
    try:
        return Guid.parse(parts[2] if parts[2:] else "")
    except ValueError as error:
        raise UsageError(f"ERROR:  A UUID is expected in {text}: {error}") from error


def _string(text: str) -> TriggerItem:
    return TriggerItem(type=int(TriggerData.STRING), data=(text + "\0").encode("utf-16-le"))


def _binary(text: str) -> TriggerItem:
    try:
        return TriggerItem(type=int(TriggerData.BINARY), data=bytes.fromhex(text))
    except ValueError as error:
        raise UsageError(f"ERROR:  Data are hexadecimal digits, not {text}") from error


def _number(text: str, type: TriggerData) -> TriggerItem:
    size = known.TRIGGER_DATA_SIZES[type]
    try:
        data = int(text, 0).to_bytes(size, "little")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"ERROR:  A number of {size} bytes is expected, not {text}") from error
    return TriggerItem(type=int(type), data=data)


_CUSTOM: Mapping[str, Callable[[str], TriggerItem]] = {
    "custom": _binary,
    "strcustom": _string,
    "lvlcustom": lambda text: _number(text, TriggerData.LEVEL),
    "kwanycustom": lambda text: _number(text, TriggerData.KEYWORD_ANY),
    "kwallcustom": lambda text: _number(text, TriggerData.KEYWORD_ALL),
}


# Out ------------------------------------------------------------------------------------------


def trigger_block(name: str, triggers: Sequence[Trigger]) -> str:
    """The output of qtriggerinfo."""
    if not triggers:
        text = f"The service {escaped(name)} has not registered for any start or stop triggers.\n"
        return config2_head(name) + text
    return config2_head(name) + "\n" + "".join(map(_block, triggers))


def _block(trigger: Trigger) -> str:
    verb = "STOP" if trigger.action == TriggerAction.STOP else "START"
    label = _TYPE_LABELS.get(trigger.type, f"TYPE {trigger.type}")
    text = f"        {verb} SERVICE\n          {label:<29}: {_subtype(trigger)}\n"
    for item in trigger.items:
        text += f"            {'DATA':<27}: {escaped(item_text(item))}\n"
    return text


def _subtype(trigger: Trigger) -> str:
    guid = str(Guid(trigger.subtype))
    meaning = _SUBTYPE_LABELS.get(guid) or _OTHER_SUBTYPES.get(trigger.type, "")
    return f"{guid} [{meaning}]" if meaning else guid


def item_text(item: TriggerItem) -> str:
    """Strings as text, of several with `;` between them; numbers in hexadecimal."""
    if item.type == TriggerData.STRING:
        text = item.data.decode("utf-16-le", "replace")
        return ";".join(text.rstrip("\0").split("\0"))
    if item.type in known.TRIGGER_DATA_SIZES:
        return f"0x{int.from_bytes(item.data, 'little'):x}"
    return item.data.hex()


def trigger_object(trigger: Trigger) -> dict[str, object]:
    """For `--json`."""
    return {
        "type": _TYPE_LABELS.get(trigger.type, str(trigger.type)),
        "action": "stop" if trigger.action == TriggerAction.STOP else "start",
        "subtype": str(Guid(trigger.subtype)),
        "data": [{"type": item.type, "value": item_text(item)} for item in trigger.items],
    }
