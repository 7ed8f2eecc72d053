"""RpcError, the fault statuses, and what a client makes of them."""

from __future__ import annotations

from scmd.ndr.errors import BAD_STUB_DATA, INVALID_TAG

ACCESS_DENIED = 0x0000_0005
SECURITY_PACKAGE_ERROR = 0x0000_0721
"""A signature that is wrong."""
CONTEXT_MISMATCH = 0x1C00_001A
"""A context handle that is unknown or of another association."""
UNSUPPORTED_LEVEL = 0x1C00_001D
OPERATION_RANGE = 0x1C01_0002
UNKNOWN_INTERFACE = 0x1C01_0003
PROTOCOL_ERROR = 0x1C01_000B
TOO_BUSY = 0x1C01_0014

_WIN32 = {
    ACCESS_DENIED: 5,
    SECURITY_PACKAGE_ERROR: 1825,
    BAD_STUB_DATA: 1783,
    INVALID_TAG: 1781,
    0x1C00_0007: 1734,
    CONTEXT_MISMATCH: 6,
    0x1C00_001B: 1130,
    UNSUPPORTED_LEVEL: 1821,
    OPERATION_RANGE: 1745,
    UNKNOWN_INTERFACE: 1717,
    PROTOCOL_ERROR: 1728,
    TOO_BUSY: 1723,
}


class RpcError(Exception):
    """The other end broke the protocol; the connection is of no more use."""

    def __init__(self, message: str, call_id: int = 0) -> None:
        super().__init__(message)
        self.call_id = call_id
        """Of the PDU that was wrong, as far as it is known."""


class OtherVersion(RpcError):
    """A bind of another version of the protocol: the answer to it names ours."""


def win32_error(status: int) -> int:
    """What a Windows client's run time makes of a fault: the code it raises."""
    if status in _WIN32:
        return _WIN32[status]
    return status if 0 < status < 0x10000 else 1726
