"""Strings that travel as counted bytes: dependencies and privileges.

They are data to NDR, so what is wrong with them is the operation's to refuse: error 87.
"""

from __future__ import annotations

from scmd.ndr.errors import NdrError
from scmd.svcctl.buffers import unpack_multi_string
from scmd.vocabulary.errors import Error, Refused


def byte_multi_string(data: bytes | None, ansi: bool) -> tuple[str, ...] | None:
    """The strings up to the first empty one; None stays None. Refused: no whole characters."""
    if data is None:
        return None
    try:
        return unpack_multi_string(data, ansi=ansi)
    except NdrError as error:
        raise Refused(Error.INVALID_PARAMETER, str(error)) from error
