"""Privileges: the names Windows has for them, and the Linux capabilities that come closest.

A privilege without a capability stands for something that every Linux process may do, or that
none needs: it is known, and gives nothing. Linux has rights that Windows has no privilege for;
a capability's own name (`CAP_NET_BIND_SERVICE`) stands for itself wherever a privilege's does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# capabilities(7), in the order of their numbers in linux/capability.h.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID"),
    *("SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST"),
    *("NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO"),
    *("SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE"),
    *("AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM"),
    *("BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
ALL_CAPABILITIES = (1 << len(CAPABILITIES)) - 1

PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "SeAssignPrimaryTokenPrivilege": ("SETUID", "SETGID"),
    "SeAuditPrivilege": ("AUDIT_WRITE",),
    "SeBackupPrivilege": ("DAC_READ_SEARCH",),
    "SeChangeNotifyPrivilege": (),
    "SeCreateGlobalPrivilege": (),
    "SeCreatePagefilePrivilege": ("SYS_ADMIN",),
    "SeCreatePermanentPrivilege": (),
    "SeCreateSymbolicLinkPrivilege": (),
    "SeCreateTokenPrivilege": ("SETUID", "SETGID", "SETPCAP"),
    "SeDebugPrivilege": ("SYS_PTRACE", "KILL"),
    "SeDelegateSessionUserImpersonatePrivilege": (),
    "SeEnableDelegationPrivilege": (),
    "SeImpersonatePrivilege": ("SETUID", "SETGID"),
    "SeIncreaseBasePriorityPrivilege": ("SYS_NICE",),
    "SeIncreaseQuotaPrivilege": ("SYS_RESOURCE",),
    "SeIncreaseWorkingSetPrivilege": (),
    "SeLoadDriverPrivilege": ("SYS_MODULE",),
    "SeLockMemoryPrivilege": ("IPC_LOCK",),
    "SeMachineAccountPrivilege": (),
    "SeManageVolumePrivilege": ("SYS_ADMIN",),
    "SeProfileSingleProcessPrivilege": ("PERFMON",),
    "SeRelabelPrivilege": ("MAC_ADMIN",),
    "SeRemoteShutdownPrivilege": ("SYS_BOOT",),
    "SeRestorePrivilege": ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"),
    "SeSecurityPrivilege": ("AUDIT_CONTROL", "AUDIT_READ"),
    "SeShutdownPrivilege": ("SYS_BOOT",),
    "SeSyncAgentPrivilege": (),
    "SeSystemEnvironmentPrivilege": (),
    "SeSystemProfilePrivilege": ("PERFMON", "SYSLOG"),
    "SeSystemtimePrivilege": ("SYS_TIME",),
    "SeTakeOwnershipPrivilege": ("CHOWN", "FOWNER"),
    "SeTcbPrivilege": CAPABILITIES,
    "SeTimeZonePrivilege": (),
    "SeTrustedCredManAccessPrivilege": (),
    "SeUndockPrivilege": (),
    "SeUnsolicitedInputPrivilege": (),
}
"""Of the privilege constants of winnt.h, what gives about the same right on Linux."""

_BITS = {name: 1 << number for number, name in enumerate(CAPABILITIES)}
_BY_UPPER = {
    **{f"CAP_{name}": bit for name, bit in _BITS.items()},
    **{
        privilege.upper(): sum(_BITS[name] for name in names)
        for privilege, names in PRIVILEGES.items()
    },
}


def capabilities_of(privilege: str) -> int | None:
    """The bits of a privilege's capabilities; None for a name that means nothing."""
    return _BY_UPPER.get(privilege.upper())
