"""Security descriptors of the SCM and of services, read and replaced over `Calls`."""

from __future__ import annotations

from scmd.client import administration
from scmd.security.descriptor import DescriptorError, SecurityDescriptor
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle


def query_security(calls: Calls, handle: ContextHandle, information: int) -> SecurityDescriptor:
    """The components that `information` (SECURITY_INFORMATION) names; [MS-SCMR] 3.1.4.5.

    READ_CONTROL is needed, for the SACL ACCESS_SYSTEM_SECURITY. WinError 13: the server has sent
    something else than a descriptor.
    """
    data = administration.query_security(calls, handle, information)
    try:
        return SecurityDescriptor.from_bytes(data)
    except DescriptorError as error:
        raise WinError(Error.INVALID_DATA, "QueryServiceObjectSecurity", str(error)) from error


def set_security(
    calls: Calls, handle: ContextHandle, information: int, descriptor: SecurityDescriptor
) -> None:
    """Replace these components; [MS-SCMR] 3.1.4.6. WRITE_DAC, WRITE_OWNER or the SACL's right."""
    administration.set_security(calls, handle, information, descriptor.to_bytes())
