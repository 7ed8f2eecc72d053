"""Characters in flat buffers: NUL-terminated, UTF-16LE or one byte each (UTF-8).

UTF-8 is our ANSI code page. Lone surrogates pass through UTF-16, so that the name rules
can refuse them, not the wire.
"""

from __future__ import annotations

from scmd.ndr.errors import NdrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT_UNITS = 32_768
"""Of one string in a buffer: no sender has longer ones, and many may share their bytes."""
MAX_NAME_UNITS = 1024


def unit_size(ansi: bool) -> int:
    return 1 if ansi else 2


def encode_text(text: str, ansi: bool) -> bytes:
    """The text and its NUL; in UTF-8 what cannot be encoded becomes `?`."""
    if ansi:
        return text.encode("utf-8", "replace") + b"\0"
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"


def texts_size(texts: Sequence[str], ansi: bool) -> int:
    """How many bytes `encode_text` makes of all of them."""
    return len(encode_text("\0".join(texts), ansi)) if texts else 0


def decode_text(data: bytes, ansi: bool) -> str:
    try:
        if ansi:
            return data.decode("utf-8", "surrogateescape")
        return data.decode("utf-16-le", "surrogatepass")
    except UnicodeDecodeError as error:
        raise NdrError(f"text that is none: {error}") from error


def text_at(buffer: bytes, offset: int, ansi: bool, limit: int = MAX_NAME_UNITS) -> str:
    """The string at an offset, at most `limit` units; NdrError: outside, too long or endless."""
    unit = unit_size(ansi)
    end = offset
    last = min(len(buffer), offset + (limit + 1) * unit)
    while True:
        end = buffer.find(bytes(unit), end, last)
        if end < 0:
            raise NdrError(f"no string of up to {limit} units at offset {offset}")
        if (end - offset) % unit == 0:
            return decode_text(buffer[offset:end], ansi)
        end += 1
