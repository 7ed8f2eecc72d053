"""The part of the scmd interface that opens an SCM to other machines, and names who may come.

Both operations need SC_MANAGER_ALL_ACCESS; changes are for callers on the same machine only, since
what a password is worth must not travel. What the documents hold is in `docs/scmd-interface.md`.
"""

from __future__ import annotations

from scmd.ndr.structure import Structure
from scmd.ndr.types import HANDLE, Annotated, Bytes
from scmd.scmd_interface.operations import SCMD, CheckedResponse, JsonResponse, ScmRequest

MAX_CHANGE_BYTES = 65_536


class ChangeRemoteRequest(Structure):
    """UTF-8 JSON: an object with one member, `enable`, `disable`, `user` or `delete_user`."""

    scm: HANDLE
    change: Annotated[bytes, Bytes(MAX_CHANGE_BYTES)]


QUERY_REMOTE = SCMD.operation(18, "RQueryRemote", ScmRequest, JsonResponse)
"""settings, listening, failed, connections, users."""
CHANGE_REMOTE = SCMD.operation(19, "RChangeRemote", ChangeRemoteRequest, CheckedResponse)
