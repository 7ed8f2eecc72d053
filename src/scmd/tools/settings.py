"""scmd settings: the SCM-wide values, shown with what they mean, and changed."""

from __future__ import annotations

import sys

from scmd.client.management import query_settings, set_settings
from scmd.tools.commands import CommandError, CommandUsageError
from scmd.tools.target import open_calls
from scmd.vocabulary.names import escaped, name_key
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.registry import RegistryType, RegistryValue
from scmd.vocabulary.service import ScmAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Setting = dict[str, Any]

USAGE = """\
usage: scmd settings [NAME] [--json]
       scmd settings NAME VALUE...
       scmd settings NAME --default

Shows the values that count for the whole SCM, or one of them; sets one (several VALUEs make a list,
"" an empty one); takes the default again. They are kept, and count at once for what begins
from then on. GroupOrderList\\GROUP takes the tags of a load-order group in their order.
"""

_TAGS = name_key("GroupOrderList\\")


def run(arguments: list[str]) -> int:
    words = [argument for argument in arguments if argument != "--json"]
    as_json = len(words) < len(arguments)
    if any(word.startswith("-") and word != "--default" for word in words[:2]):
        raise CommandUsageError(f"there is no option {next(w for w in words if w[:1] == '-')}")
    if len(words) < 2:
        sys.stdout.write(_shown(_query(), words, as_json))
        return 0
    name, *values = words
    known = _find(_query(), name)
    change = None if values == ["--default"] else _value(known, values)
    with open_calls() as calls:
        set_settings(calls, calls.open_scm(ScmAccess.ALL_ACCESS), {name: change})
    return 0


def _query() -> list[Setting]:
    import json

    with open_calls() as calls:
        lines = query_settings(calls, calls.open_scm(ScmAccess.ENUMERATE_SERVICE))
    return [json.loads(line) for line in lines.splitlines()]


def _find(settings: list[Setting], name: str) -> Setting:
    key = name_key(name)
    for setting in settings:
        own = name_key(setting["name"])
        if own == key or (own == _TAGS and key.startswith(own)):
            return setting
    raise CommandError(f"there is no setting {escaped(name)}; `scmd settings` shows all")


def _shown(settings: list[Setting], names: list[str], as_json: bool) -> str:
    if names:
        settings = [_find(settings, names[0])]
    if as_json:
        from scmd.tools.sc_json import dump

        return dump(settings[0] if names else settings)
    if names:
        return _text(settings[0], names[0]) + "\n"
    return "".join(map(_paragraph, settings))


def _paragraph(setting: Setting) -> str:
    unit = f" {setting['unit']}" if setting["unit"] in ("ms", "s") else ""
    changed = "" if setting["value"] == setting["default"] else "   (changed)"
    text = _text(setting, setting["name"]).replace("\n", ", ") or "(none)"
    return f"{setting['name']} = {text}{unit}{changed}\n    {setting['meaning']}\n"


def _text(setting: Setting, name: str) -> str:
    """A list's items on lines; tags of one group, or of each group on a line."""
    value = setting["value"]
    if isinstance(value, dict):
        group = name_key(name)[len(_TAGS) :]
        orders = {key: " ".join(map(str, tags)) for key, tags in value.items()}
        if group:
            return orders.get(group, "")
        return "\n".join(f"{escaped(key)}: {tags}" for key, tags in orders.items())
    if isinstance(value, list):
        return "\n".join(map(escaped, value))
    return escaped(str(value))


def _value(setting: Setting, values: list[str]) -> RegistryValue:
    """As the registry has it: numbers are REG_DWORD, tags a count and as many 32-bit numbers."""
    name, unit = setting["name"], setting["unit"]
    if unit == "list":
        return RegistryValue.of(tuple(filter(None, values)))
    if unit == "tags":
        numbers = [_number(name, value) for value in values]
        words = (len(numbers), *numbers)
        data = b"".join(word.to_bytes(4, "little") for word in words)
        return RegistryValue(type=RegistryType.BINARY, data=data)
    if len(values) > 1:
        raise CommandUsageError(f"{name} takes one value, not {len(values)}")
    return RegistryValue.of(values[0] if unit == "text" else _number(name, values[0]))


def _number(name: str, text: str) -> int:
    number = decimal(text)
    if number is None or number >= 2**32:
        raise CommandUsageError(f"{name} takes a number, not {text}")
    return number
