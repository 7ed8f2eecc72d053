"""What to ask of a server that lacks an operation or declares it otherwise, such as Samba's svcctl.

Samba serves no EnumServicesStatusEx, its EnumServicesStatus looks at no mask, and its
GetServiceDisplayName and GetServiceKeyName take pointers where [MS-SCMR] has none.
"""

from __future__ import annotations

from scmd.client.calls import unpacked_entries
from scmd.client.connection import function_name
from scmd.svcctl import control
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key, utf16_units
from scmd.vocabulary.service import ScmAccess, ServiceState, ServiceType, StateMask
from scmd.vocabulary.winerror import BufferTooSmall, WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.client.entries import Entry
    from scmd.ndr.values import ContextHandle
    from scmd.rpc.interface import Operation

_EVERY_TYPE = ServiceType.DRIVER | ServiceType.WIN32


def enum_services_basic(
    calls: Calls, scm: ContextHandle, type_mask: int, state_mask: int, resume: int, size: int
) -> tuple[control.EnumServicesResponse, list[Entry]]:
    """EnumServicesStatus once, and those of its entries that were asked for."""
    request = control.EnumServicesStatusRequest(
        scm=scm, type=type_mask, state=state_mask, buffer_size=size, resume_index=resume
    )
    answer = calls.call(control.ENUM_SERVICES_STATUS_W, request, allowed=(Error.MORE_DATA,))
    entries = unpacked_entries(answer.buffer, answer.returned, False)
    return answer, [entry for entry in entries if _is_meant(entry, type_mask, state_mask)]


def _is_meant(entry: Entry, type_mask: int, state_mask: int) -> bool:
    stopped = entry.status.state == ServiceState.STOPPED
    state = StateMask.INACTIVE if stopped else StateMask.ACTIVE
    return bool(entry.status.type & type_mask and state & state_mask)


def other_name(
    calls: Calls,
    operation: Operation[control.NameRequest, control.NameResponse],
    name: str,
    size: int | None,
) -> str:
    """What one of the two operations would say, found by enumerating. 1060, BufferTooSmall."""
    scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
    entries = calls.enum_services(scm, _EVERY_TYPE, StateMask.ALL)
    calls.close_handle(scm)
    wanted = name_key(name)
    for entry in entries:
        names = (entry.name, entry.display_name)
        known, other = names if operation is control.GET_SERVICE_DISPLAY_NAME_W else names[::-1]
        if name_key(known) == wanted:
            if size is not None and utf16_units(other) >= size:
                error, needed = Error.INSUFFICIENT_BUFFER, utf16_units(other) + 1
                raise BufferTooSmall(error, function_name(operation.name), needed)
            return other
    raise WinError(Error.SERVICE_DOES_NOT_EXIST, function_name(operation.name))
