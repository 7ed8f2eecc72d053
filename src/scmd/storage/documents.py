"""Values as JSON in UTF-8, whatever text is in them.

Lone surrogates, which UTF-8 cannot say, come in with paths that are no UTF-8, and with clients'
strings. Nothing that is written or sent for people to read may fail of one.
"""

from __future__ import annotations

from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()

NOT_READABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that are not its document, however deeply nested they are."""


def to_json(value: object) -> bytes:
    """The document of a value that msgspec can encode; lone surrogates are replaced."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_sound(msgspec.to_builtins(value)))


def sound_text(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return sound_text(value)
    if isinstance(value, dict):
        return {_sound(name): _sound(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sound(item) for item in value]
    return value
