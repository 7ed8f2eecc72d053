"""Security descriptors of the SCM and of services, read and replaced over `Calls`."""

from __future__ import annotations

from scmd.security.descriptor import DescriptorError, SecurityDescriptor
from scmd.svcctl.administration import (
    QUERY_SERVICE_OBJECT_SECURITY,
    SET_SERVICE_OBJECT_SECURITY,
    QueryServiceObjectSecurityRequest,
    SetServiceObjectSecurityRequest,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle


def query_security(calls: Calls, handle: ContextHandle, information: int) -> SecurityDescriptor:
    """The components that `information` (SECURITY_INFORMATION) names; [MS-SCMR] 3.1.4.5.

    READ_CONTROL is needed, for the SACL ACCESS_SYSTEM_SECURITY.
    """
    size = 0
    while True:
        request = QueryServiceObjectSecurityRequest(
            handle=handle, security_information=information, buffer_size=size
        )
        answer = calls.call(
            QUERY_SERVICE_OBJECT_SECURITY, request, allowed=(Error.INSUFFICIENT_BUFFER,)
        )
        if not answer.error:
            break
        if answer.bytes_needed <= size:
            raise WinError(Error.RPC_CALL_FAILED, "QueryServiceObjectSecurity")
        size = answer.bytes_needed
    try:
        return SecurityDescriptor.from_bytes(answer.security_descriptor)
    except DescriptorError as error:
        raise WinError(Error.INVALID_DATA, "QueryServiceObjectSecurity", str(error)) from error


def set_security(
    calls: Calls, handle: ContextHandle, information: int, descriptor: SecurityDescriptor
) -> None:
    """Replace these components; [MS-SCMR] 3.1.4.6. WRITE_DAC, WRITE_OWNER or the SACL's right."""
    request = SetServiceObjectSecurityRequest(
        handle=handle, security_information=information, security_descriptor=descriptor.to_bytes()
    )
    calls.call(SET_SERVICE_OBJECT_SECURITY, request)
