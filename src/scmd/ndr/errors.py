"""NdrError: the one exception for bytes that are not what the declaration says."""

from __future__ import annotations

BAD_STUB_DATA = 0x0000_06F7
"""RPC_X_BAD_STUB_DATA: a count, range, NULL or end that the declaration does not allow."""
INVALID_TAG = 0x1C00_0006
"""nca_s_fault_invalid_tag: a union tag without an arm."""


class NdrError(Exception):
    """Bytes or values that do not fit their declaration; `status` is the fault to answer."""

    def __init__(self, message: str, status: int = BAD_STUB_DATA) -> None:
        super().__init__(message)
        self.status = status
