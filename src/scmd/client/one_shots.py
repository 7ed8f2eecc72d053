"""One-shot services, seen from outside: STOPPED without an error may mean that all is well."""

from __future__ import annotations

from scmd.client.management import query_parameters
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceAccess, ServiceState
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.status import ServiceStatus

_ONE_SHOT = name_key("AppOneShot")


def has_done_its_work(calls: Calls, scm: ContextHandle, name: str, status: ServiceStatus) -> bool:
    """Whether a start that ended in this status has succeeded: its program was run to its end.

    False for servers that know no such services, and for those who may not ask.
    """
    if status.state != ServiceState.STOPPED or status.win32_exit_code:
        return False
    try:
        handle = calls.open_service(scm, name, ServiceAccess.QUERY_CONFIG)
        try:
            values = query_parameters(calls, handle)
        finally:
            if not calls.is_closed:
                calls.close_handle(handle)
    except WinError:
        return False
    return any(
        name_key(known) == _ONE_SHOT and value.data not in (0, "0", "no", "")
        for known, value in values.items()
    )
