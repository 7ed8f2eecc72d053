"""The svcctl interface, [MS-SCMR] 1.9, and the field types its operations share.

The operations are declared in `opening`, `control`, `configuration` and `administration`,
so that a short command imports what it needs; `operations` has them all. IDL names lose
their prefixes: `dwDesiredAccess` is `desired_access`. Every response ends with `error`, the
Win32 result.
"""

from __future__ import annotations

from scmd.ndr.structure import Structure
from scmd.ndr.types import DWORD, HANDLE, Annotated, Text, Unique
from scmd.rpc.interface import Interface

SVCCTL = Interface("svcctl", "367abb81-9844-35f1-ad32-98f038001003", 2, 0)

Name = Annotated[str, Text(257)]
"""SC_MAX_NAME_LENGTH: a key, display or group name."""
UniqueName = Annotated[str | None, Unique(Text(257))]
UniquePath = Annotated[str | None, Unique(Text(32768))]
UniqueAccount = Annotated[str | None, Unique(Text(2048))]
UniqueMachine = Annotated[str | None, Unique(Text(1024))]

__all__ = [
    "DWORD",
    "HANDLE",
    "SVCCTL",
    "ErrorResponse",
    "HandleResponse",
    "Name",
    "ScmRequest",
    "ServiceRequest",
    "UniqueAccount",
    "UniqueMachine",
    "UniqueName",
    "UniquePath",
]


class ServiceRequest(Structure):
    """A call that names a service and nothing else."""

    service: HANDLE


class ScmRequest(Structure):
    """A call that names the SCM and nothing else."""

    scm: HANDLE


class ErrorResponse(Structure):
    """A call that only has a result."""

    error: DWORD


class HandleResponse(Structure):
    """A handle, 20 zero bytes on error, and the result."""

    handle: HANDLE
    error: DWORD
