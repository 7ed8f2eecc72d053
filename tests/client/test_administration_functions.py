"""The Win32 functions that administer the SCM, through scmd.winsvc."""

from __future__ import annotations

import pytest

from scmd import winsvc
from scmd.security.descriptor import SecurityDescriptor
from scmd.security.sddl import descriptor_from_sddl
from scmd.vocabulary.configuration import Trigger, TriggerItem
from tests.client.test_functions import ALL, create
from tests.client.world import World

TRIGGER = Trigger(
    type=6, action=1, subtype=b"0123456789abcdef", items=(TriggerItem(type=2, data=b"x\0\0\0"),)
)


def test_the_lock(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    assert not winsvc.QueryServiceLockStatus(scm).is_locked
    lock = winsvc.LockServiceDatabase(scm)
    assert lock
    status = winsvc.QueryServiceLockStatus(scm)
    assert (status.is_locked, status.duration) == (True, 0)
    assert status.owner
    with pytest.raises(winsvc.error) as taken:
        winsvc.LockServiceDatabase(scm)
    assert taken.value.winerror == 1055
    winsvc.UnlockServiceDatabase(lock)
    assert not lock
    with pytest.raises(winsvc.error) as gone:
        winsvc.UnlockServiceDatabase(lock)
    assert (gone.value.winerror, gone.value.funcname) == (1071, "UnlockServiceDatabase")


def test_object_security(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    service = create(scm)
    new = descriptor_from_sddl("D:(A;;GA;;;BA)")
    dacl = winsvc.DACL_SECURITY_INFORMATION
    for handle in (service, scm):
        winsvc.SetServiceObjectSecurity(handle, dacl, new.to_bytes())  # type: ignore[arg-type] # handles
        data = winsvc.QueryServiceObjectSecurity(handle, dacl)  # type: ignore[arg-type] # handles
        assert SecurityDescriptor.from_bytes(data) == new
    with pytest.raises(winsvc.error) as refused:
        winsvc.QueryServiceObjectSecurity(scm, winsvc.SACL_SECURITY_INFORMATION)
    assert refused.value.winerror == 5


def test_a_long_descriptor_is_read_whole(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    entries = "".join(f"(A;;CC;;;S-1-22-1-{number})" for number in range(200))
    new = descriptor_from_sddl(f"D:(A;;GA;;;BA){entries}")
    dacl = winsvc.DACL_SECURITY_INFORMATION
    winsvc.SetServiceObjectSecurity(scm, dacl, new.to_bytes())
    data = winsvc.QueryServiceObjectSecurity(scm, dacl)
    assert SecurityDescriptor.from_bytes(data) == new


@pytest.mark.parametrize(
    ("level", "value"),
    [
        (winsvc.SERVICE_CONFIG_TRIGGER_INFO, (TRIGGER,)),
        (winsvc.SERVICE_CONFIG_TRIGGER_INFO, ()),
        (winsvc.SERVICE_CONFIG_RUNLEVEL_INFO, 2),
        (winsvc.SERVICE_CONFIG_MANAGED_ACCOUNT_INFO, True),
        (winsvc.SERVICE_CONFIG_LAUNCH_PROTECTED, winsvc.SERVICE_LAUNCH_PROTECTED_WINDOWS),
    ],
)
def test_the_late_levels(world: World, level: int, value: object) -> None:
    service = create(winsvc.OpenSCManager(None, None, ALL))
    winsvc.ChangeServiceConfig2(service, level, value)  # type: ignore[arg-type] # the level's
    assert winsvc.QueryServiceConfig2(service, level) == value  # type: ignore[arg-type] # a handle


def test_a_boot_is_accepted_once(world: World) -> None:
    winsvc.NotifyBootConfigStatus(True)
    with pytest.raises(winsvc.error) as again:
        winsvc.NotifyBootConfigStatus(True)
    assert (again.value.winerror, again.value.funcname) == (1076, "NotifyBootConfigStatus")
