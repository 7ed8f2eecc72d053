"""The Win32 functions of control programs, through scmd.winsvc."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from scmd import winsvc
from scmd.client.sc_handle import ScHandle
from scmd.rpc.client import ClientConnection
from scmd.vocabulary.configuration import FailureAction, FailureActions
from scmd.vocabulary.service import ActionType, ConfigLevel, ServiceState, SidType
from tests.client.world import World

ALL = winsvc.SC_MANAGER_ALL_ACCESS


def create(scm: object, name: str = "Web", **more: object) -> object:
    return winsvc.CreateService(
        scm,  # type: ignore[arg-type] # a handle
        name,
        "Web Server",
        winsvc.SERVICE_ALL_ACCESS,
        winsvc.SERVICE_WIN32_OWN_PROCESS,
        winsvc.SERVICE_DEMAND_START,
        winsvc.SERVICE_ERROR_NORMAL,
        "/usr/bin/web",
        **more,  # type: ignore[arg-type] # further arguments
    )


def test_a_services_life(world: World) -> None:
    scm = winsvc.OpenSCManager(None, "ServicesActive", ALL)
    made = create(scm, dependencies=["Db"])
    with winsvc.OpenService(scm, "web", winsvc.SERVICE_ALL_ACCESS) as service:
        config = winsvc.QueryServiceConfig(service)
        assert (config.image_path, config.dependencies) == ("/usr/bin/web", ("Db",))
        assert winsvc.QueryServiceStatus(service).win32_exit_code == 1077
        winsvc.ChangeServiceConfig(service, dependencies=(), display_name="Server")
        winsvc.StartService(service, ["a"])
        assert winsvc.QueryServiceStatus(service).process_id == 0
        assert winsvc.QueryServiceStatusEx(service).process_id == 1001
        assert winsvc.ControlService(service, 3 - 1).state == ServiceState.PAUSED
        stopped = winsvc.ControlServiceEx(service, 1, 0x4002_0004, "an upgrade")
        assert stopped.state == ServiceState.STOPPED
        winsvc.StartService(service)
        assert winsvc.ControlServiceEx(service, 4).state == ServiceState.RUNNING
        assert winsvc.ControlServiceEx(service, 1).state == ServiceState.STOPPED
        with pytest.raises(winsvc.error) as refused:
            winsvc.ControlServiceEx(service, 1, 0)
        assert refused.value.winerror == 87
        assert winsvc.GetServiceDisplayName(scm, "Web") == "Server"
        assert winsvc.GetServiceKeyName(scm, "server") == "Web"
        assert [entry.name for entry in winsvc.EnumServicesStatus(scm)] == ["Web"]
        assert winsvc.EnumServicesStatusEx(scm, group_name="")[0].display_name == "Server"
        assert winsvc.EnumDependentServices(service) == []
        winsvc.DeleteService(service)
        with pytest.raises(winsvc.error) as caught:
            winsvc.DeleteService(service)
        assert caught.value.winerror == 1072
    winsvc.CloseServiceHandle(made)  # type: ignore[arg-type] # a handle
    with pytest.raises(winsvc.error) as caught:
        winsvc.OpenService(scm, "Web", winsvc.SERVICE_QUERY_STATUS)
    assert (caught.value.winerror, caught.value.funcname) == (1060, "OpenService")
    winsvc.CloseServiceHandle(scm)


def test_a_password_is_taken_up_to_its_length_and_shown_nowhere(world: World) -> None:
    """256 characters and their NUL are 514 bytes."""
    scm = winsvc.OpenSCManager(None, None, ALL)
    longest = "p" * 256
    create(scm, password=longest)
    service = winsvc.OpenService(scm, "Web", winsvc.SERVICE_ALL_ACCESS)
    winsvc.ChangeServiceConfig(service, password=longest)
    assert "ppp" not in repr(winsvc.QueryServiceConfig(service))
    with pytest.raises(winsvc.error) as caught:
        create(scm, "Other", password=longest + "p")
    assert (caught.value.winerror, caught.value.funcname) == (87, "CreateService")
    with pytest.raises(winsvc.error) as caught:
        winsvc.ChangeServiceConfig(service, password=longest + "p")
    assert (caught.value.winerror, caught.value.funcname) == (87, "ChangeServiceConfig")


def test_each_level_comes_back_as_it_went(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    create(scm)
    service = winsvc.OpenService(scm, "Web", winsvc.SERVICE_ALL_ACCESS)
    actions = FailureActions(
        reset_period_s=60,
        reboot_message="Bye",
        command="/bin/mail",
        actions=(FailureAction(type=ActionType.RESTART, delay=5000),),
    )
    values = {
        ConfigLevel.DESCRIPTION: "Serves €.",
        ConfigLevel.FAILURE_ACTIONS: actions,
        ConfigLevel.DELAYED_AUTO_START_INFO: True,
        ConfigLevel.FAILURE_ACTIONS_FLAG: True,
        ConfigLevel.SERVICE_SID_INFO: SidType.RESTRICTED,
        ConfigLevel.REQUIRED_PRIVILEGES_INFO: ("SeBackupPrivilege", "SeRestorePrivilege"),
        ConfigLevel.PRESHUTDOWN_INFO: 1234,
        ConfigLevel.PREFERRED_NODE: 3,
    }
    for level, value in values.items():
        winsvc.ChangeServiceConfig2(service, level, value)  # type: ignore[arg-type] # by level
        winsvc.ChangeServiceConfig2(service, level, value)  # type: ignore[arg-type] # by level
        assert winsvc.QueryServiceConfig2(service, level) == value
    winsvc.ChangeServiceConfig2(service, ConfigLevel.DESCRIPTION, None)
    assert winsvc.QueryServiceConfig2(service, ConfigLevel.DESCRIPTION) == "Serves €."
    winsvc.ChangeServiceConfig2(service, ConfigLevel.PREFERRED_NODE, None)
    assert winsvc.QueryServiceConfig2(service, ConfigLevel.PREFERRED_NODE) is None
    wrong: tuple[tuple[int, str | int, int], ...] = ((99, "x", 124), (1, 5, 87), (3, "x", 87))
    for number_of_level, data, number in wrong:
        with pytest.raises(winsvc.error) as caught:
            winsvc.ChangeServiceConfig2(service, number_of_level, data)
        assert caught.value.winerror == number
    with pytest.raises(winsvc.error) as caught:
        winsvc.QueryServiceConfig2(service, 99)
    assert caught.value.winerror == 124


def test_a_long_configuration_grows_its_buffer(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    create(scm)
    service = winsvc.OpenService(scm, "Web", winsvc.SERVICE_ALL_ACCESS)
    path = "/usr/bin/web " + "x" * 2000
    winsvc.ChangeServiceConfig(service, binary_path_name=path)
    winsvc.ChangeServiceConfig2(service, ConfigLevel.DESCRIPTION, "d" * 2000)
    assert winsvc.QueryServiceConfig(service).image_path == path
    assert winsvc.QueryServiceConfig2(service, ConfigLevel.DESCRIPTION) == "d" * 2000


def test_no_change_is_none_and_all_ones(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    create(scm)
    service = winsvc.OpenService(scm, "Web", winsvc.SERVICE_ALL_ACCESS)
    before = winsvc.QueryServiceConfig(service)
    winsvc.ChangeServiceConfig(service, winsvc.SERVICE_NO_CHANGE, -1, None)
    assert winsvc.QueryServiceConfig(service) == before
    assert winsvc.ChangeServiceConfig(service, load_order_group="Net", tag=True)


def test_a_closed_handle_is_6_and_closing_is_independent(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    create(scm)
    service = winsvc.OpenService(scm, "Web", winsvc.SERVICE_QUERY_STATUS)
    assert scm
    winsvc.CloseServiceHandle(scm)
    assert not scm
    assert winsvc.QueryServiceStatus(service).state == ServiceState.STOPPED
    for use in (
        lambda: winsvc.CloseServiceHandle(scm),
        lambda: winsvc.OpenService(scm, "Web", 4),
        lambda: winsvc.StartService(scm, None),
    ):
        with pytest.raises(winsvc.error) as caught:
            use()
        assert caught.value.winerror == 6
    scm.Close()
    assert "closed" in repr(scm)


def test_the_wrong_kind_of_handle_is_6(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    with pytest.raises(winsvc.error) as caught:
        winsvc.QueryServiceStatus(scm)
    assert caught.value.winerror == 6


NO_HANDLES = {
    "CloseServiceHandle": (),
    "ControlService": (1,),
    "ControlServiceEx": (1,),
    "ChangeServiceConfig": (),
    "ChangeServiceConfig2": (1, "text"),
    "CreateService": ("Web", None, 1, 16, 3, 1, "/bin/web"),
    "DeleteService": (),
    "EnumDependentServices": (),
    "EnumServicesStatus": (),
    "EnumServicesStatusEx": (),
    "GetServiceDisplayName": ("Web",),
    "GetServiceKeyName": ("Web",),
    "GetServiceRegistryStateKey": (),
    "LockServiceDatabase": (),
    "NotifyServiceStatusChange": (1, winsvc.ServiceNotify(print)),
    "OpenService": ("Web", 1),
    "QueryServiceConfig": (),
    "QueryServiceConfig2": (1,),
    "QueryServiceLockStatus": (),
    "QueryServiceObjectSecurity": (4,),
    "QueryServiceStatus": (),
    "QueryServiceStatusEx": (),
    "RegCloseKey": (),
    "RegDeleteValue": ("Name",),
    "RegNotifyChangeKeyValue": (False, 1),
    "RegQueryValueEx": ("Name",),
    "RegSetValueEx": ("Name", 1, "text"),
    "ResetEvent": (),
    "SetEvent": (),
    "SetServiceObjectSecurity": (4, b""),
    "StartService": (),
    "SubscribeServiceChangeNotifications": (0, print),
    "UnsubscribeServiceChangeNotifications": (),
    "WaitForSingleObject": (0,),
    "WaitForSingleObjectEx": (0,),
    "WaitServiceState": (1,),
    "UnlockServiceDatabase": (),
}
WITHOUT_HANDLE = {"CreateEvent", "NotifyBootConfigStatus", "OpenSCManager", "SleepEx"}


def test_every_function_that_takes_a_handle_is_known() -> None:
    lazy = {name for name in winsvc._PLACES if not isinstance(getattr(winsvc, name), type)}
    assert lazy == {*NO_HANDLES, *WITHOUT_HANDLE}


@pytest.mark.parametrize("name", sorted(NO_HANDLES))
def test_what_is_no_handle_is_refused(name: str) -> None:
    expected = 1071 if name == "UnlockServiceDatabase" else 6
    for given in (None, 0, 4711, "Web"):
        with pytest.raises(winsvc.error) as caught:
            getattr(winsvc, name)(given, *NO_HANDLES[name])
        assert (caught.value.winerror, caught.value.funcname) == (expected, name)


def test_handles_close_when_they_are_collected(world: World) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    create(scm)
    winsvc.OpenService(scm, "Web", winsvc.SERVICE_QUERY_STATUS)
    gc.collect()
    assert world.scm.counts()["handles"] == 1


def enumerate_services(scm: ScHandle) -> None:
    assert winsvc.EnumServicesStatus(scm)


def ask_to_be_told(scm: ScHandle) -> None:
    winsvc.NotifyServiceStatusChange(scm, 0x100, winsvc.ServiceNotify(lambda _: None))


@pytest.mark.parametrize("step", ["call", "receive_data"])
@pytest.mark.parametrize("use", [enumerate_services, ask_to_be_told])
def test_a_handle_collected_in_the_midst_of_a_call_is_closed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, use: Callable[[ScHandle], None]
) -> None:
    scm = winsvc.OpenSCManager(None, None, ALL)
    create(scm)
    known = getattr(ClientConnection, step)

    def collecting(self: ClientConnection, *arguments: object) -> object:
        gc.collect()
        return known(self, *arguments)

    circle: list[object] = [winsvc.OpenService(scm, "Web", winsvc.SERVICE_QUERY_STATUS)]
    circle.append(circle)
    gc.disable()
    try:
        del circle
        with monkeypatch.context() as patched:
            patched.setattr(ClientConnection, step, collecting)
            use(scm)
    finally:
        gc.enable()
    assert winsvc.EnumServicesStatus(scm)
    assert all(handle.record is None for handle in world.scm.state.handles.values())


def test_open_manager_refuses_as_documented(world: World) -> None:
    for database, number in (("ServicesFailed", 1065), ("Nope", 123)):
        with pytest.raises(winsvc.error) as caught:
            winsvc.OpenSCManager(None, database, ALL)
        assert (caught.value.winerror, caught.value.funcname) == (number, "OpenSCManager")
    with pytest.raises(winsvc.error) as caught:
        winsvc.OpenSCManager("\\\\not a host", None, ALL)
    assert caught.value.winerror == 87
