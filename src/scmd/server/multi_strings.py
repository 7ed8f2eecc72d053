"""Strings that travel as counted bytes: dependencies, privileges, passwords.

They are data to NDR, so what is wrong with them is the operation's to refuse: error 87.
"""

from __future__ import annotations

from scmd.ndr.errors import NdrError
from scmd.svcctl.buffers import unpack_multi_string
from scmd.svcctl.text import decode_text
from scmd.vocabulary.errors import Error, Refused


def byte_multi_string(data: bytes | None, ansi: bool) -> tuple[str, ...] | None:
    """The strings up to the first empty one; None stays None. Refused: no whole characters."""
    if data is None:
        return None
    try:
        return unpack_multi_string(data, ansi=ansi)
    except NdrError as error:
        raise Refused(Error.INVALID_PARAMETER, str(error)) from error


def byte_text(data: bytes | None, ansi: bool) -> str | None:
    """The text up to the first NUL; None stays None. Refused: no whole characters."""
    if data is None:
        return None
    try:
        return decode_text(data, ansi).partition("\0")[0]
    except NdrError as error:
        raise Refused(Error.INVALID_PARAMETER, "a password of broken characters") from error
