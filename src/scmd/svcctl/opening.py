"""Opening and closing: SCM handles, service handles ([MS-SCMR] 3.1.4.1, 15, 16, 64)."""

from __future__ import annotations

from scmd.ndr.structure import ANSI, Structure
from scmd.ndr.types import DWORD, HANDLE
from scmd.svcctl.interface import SVCCTL, HandleResponse, Name, UniqueMachine, UniqueName


class CloseServiceHandleRequest(Structure):
    """Any handle of the association."""

    handle: HANDLE


class OpenScManagerRequest(Structure):
    """`machine` is decoration: the server is the one that was connected to."""

    machine: UniqueMachine = None
    database: UniqueName = None
    desired_access: DWORD


class OpenScManager2Request(Structure):
    database: UniqueName = None
    desired_access: DWORD


class OpenServiceRequest(Structure):
    scm: HANDLE
    name: Name
    desired_access: DWORD


CLOSE_SERVICE_HANDLE = SVCCTL.operation(
    0, "RCloseServiceHandle", CloseServiceHandleRequest, HandleResponse
)
OPEN_SC_MANAGER_W = SVCCTL.operation(15, "ROpenSCManagerW", OpenScManagerRequest, HandleResponse)
OPEN_SC_MANAGER_A = SVCCTL.operation(
    27, "ROpenSCManagerA", OpenScManagerRequest, HandleResponse, ANSI
)
OPEN_SC_MANAGER_2 = SVCCTL.operation(64, "ROpenSCManager2", OpenScManager2Request, HandleResponse)
OPEN_SERVICE_W = SVCCTL.operation(16, "ROpenServiceW", OpenServiceRequest, HandleResponse)
OPEN_SERVICE_A = SVCCTL.operation(28, "ROpenServiceA", OpenServiceRequest, HandleResponse, ANSI)
