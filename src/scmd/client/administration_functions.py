"""The Win32 functions that administer the SCM itself; `scmd.winsvc` has them under these names.

As in `functions`: Python's own values in and out, `WinError` on failure.
"""

from __future__ import annotations

from scmd.client import administration
from scmd.client.calls import open_calls
from scmd.client.sc_handle import ScHandle, use
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.administration import LockStatus
    from scmd.ndr.values import ContextHandle


class ScLock:
    """SC_LOCK: the lock of the database, held until it is given back or the handle's end."""

    __slots__ = ("_raw", "_scm")

    def __init__(self, scm: ScHandle, raw: ContextHandle) -> None:
        self._scm = scm
        self._raw: ContextHandle | None = raw

    def __bool__(self) -> bool:
        return self._raw is not None

    def release(self) -> None:
        """Give it back; 1071 when that was done before."""
        raw, self._raw = self._raw, None
        if raw is None:
            raise WinError(Error.INVALID_SERVICE_LOCK, "UnlockServiceDatabase")
        calls, _ = use(self._scm, "UnlockServiceDatabase")
        administration.unlock_database(calls, raw)


def LockServiceDatabase(scm: ScHandle) -> ScLock:
    """The lock, if nobody has it (1055). [MS-SCMR] 3.1.4.4. Needs SC_MANAGER_LOCK."""
    calls, raw = use(scm, "LockServiceDatabase")
    return ScLock(scm, administration.lock_database(calls, raw))


def UnlockServiceDatabase(lock: ScLock) -> None:
    """Give it back; 1071 when that was done before. [MS-SCMR] 3.1.4.9."""
    expect(ScLock, lock, "UnlockServiceDatabase", Error.INVALID_SERVICE_LOCK)
    lock.release()


def QueryServiceLockStatus(scm: ScHandle) -> LockStatus:
    """is_locked, owner, duration in seconds. [MS-SCMR] 3.1.4.18.

    Needs SC_MANAGER_QUERY_LOCK_STATUS.
    """
    calls, raw = use(scm, "QueryServiceLockStatus")
    return administration.query_lock_status(calls, raw)


def QueryServiceObjectSecurity(handle: ScHandle, security_information: int) -> bytes:
    """The asked components as a self-relative security descriptor. [MS-SCMR] 3.1.4.5.

    Of a service or the SCM. Needs READ_CONTROL, for the SACL ACCESS_SYSTEM_SECURITY. Errors: 87,
    bits that there are not.
    """
    calls, raw = use(handle, "QueryServiceObjectSecurity")
    return administration.query_security(calls, raw, security_information)


def SetServiceObjectSecurity(
    handle: ScHandle, security_information: int, security_descriptor: bytes
) -> None:
    """Replace the components that the bits name. [MS-SCMR] 3.1.4.6.

    Needs WRITE_DAC, for owner, group and label WRITE_OWNER, for the SACL ACCESS_SYSTEM_SECURITY.
    Errors: 87 (other bits, or a component that is not there or may not be), 1072.
    """
    calls, raw = use(handle, "SetServiceObjectSecurity")
    administration.set_security(calls, raw, security_information, security_descriptor)


def NotifyBootConfigStatus(boot_acceptable: bool) -> None:
    """Accept this boot, or say that it is no good. [MS-SCMR] 3.1.4.10.

    Needs SC_MANAGER_MODIFY_BOOT_CONFIG (5). Errors: 1076 when it was accepted before.
    """
    with open_calls() as calls:
        administration.notify_boot_config_status(calls, bool(boot_acceptable))
