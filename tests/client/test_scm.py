"""The object API: Scm and Service against a real core."""

from __future__ import annotations

import threading

import pytest

import scmd
from scmd.client.scm import Scm, connect
from scmd.sdk.context import ServiceContext
from scmd.sdk.service import service
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryType, RegistryValue
from scmd.vocabulary.service import Control, ServiceState, ServiceType, StartType
from scmd.vocabulary.winerror import WinError
from tests.client.world import World, report


@service("Tick", display="Ticker", description="Ticks.")
def tick(svc: ServiceContext) -> None:
    svc.ready()
    svc.wait()


def test_create_config_and_delete(scm: Scm) -> None:
    web = scm.create(
        "Web",
        ["/usr/bin/web", "-g", "daemon off;"],
        start="delayed",
        depends=["Db", "+Net"],
        display="Web Server",
        description="Serves.",
        type=ServiceType.WIN32_SHARE_PROCESS,
        failure_actions_flag=True,
    )
    assert web.config == ServiceConfig(
        name="Web",
        display_name="Web Server",
        type=ServiceType.WIN32_SHARE_PROCESS,
        start_type=StartType.AUTO_START,
        image_path='/usr/bin/web -g "daemon off;"',
        dependencies=("Db", "+Net"),
        description="Serves.",
        delayed_auto_start=True,
        failure_actions_flag=True,
    )
    assert "web" in scm
    web.delete()
    assert "Web" not in scm


def test_an_unknown_service_is_1060_from_its_first_use(scm: Scm) -> None:
    service = scm["Nope"]
    with pytest.raises(WinError) as caught:
        _ = service.status
    assert caught.value.winerror == Error.SERVICE_DOES_NOT_EXIST
    assert caught.value.funcname == "OpenService"
    for bad in ("", "a/b", "a" * 257, "a\0b", "\ud800"):
        assert bad not in scm


def test_wrong_words_are_refused_before_anything_is_sent(scm: Scm) -> None:
    with pytest.raises(ValueError, match="often"):
        scm.create("Web", "/usr/bin/web", start="often")
    with pytest.raises(ValueError, match="asleep"):
        scm.services(state="asleep")
    assert not scm.services()


def test_services_by_state_carry_the_status_they_had(scm: Scm) -> None:
    for name in ("A", "B", "C"):
        scm.create(name, "/usr/bin/x", display=f"The {name}")
    scm["B"].start()
    scm["C"].start()
    scm["C"].pause()
    names = {
        state: [service.name for service in scm.services(state=state)]
        for state in ("all", "active", "inactive", "running", "stopped", "paused")
    }
    assert names == {
        "all": ["A", "B", "C"],
        "active": ["B", "C"],
        "inactive": ["A"],
        "running": ["B"],
        "stopped": ["A"],
        "paused": ["C"],
    }
    (running,) = scm.services(state=ServiceState.RUNNING)
    assert running.display_name == "The B"
    scm["B"].stop()
    assert running.last_status.state == ServiceState.RUNNING
    assert running.status.state == ServiceState.STOPPED
    assert [service.name for service in scm] == ["A", "B", "C"]
    assert scm.services(type=ServiceType.DRIVER) == []


def test_many_services_take_several_parts(scm: Scm) -> None:
    expected = [f"{number:03}".ljust(200, "n") for number in range(300)]
    for name in expected:
        scm.create(name, "/usr/bin/x", display=name.ljust(256, "d"))
    assert [service.name for service in scm.services()] == expected


@pytest.fixture
def web(scm: Scm) -> Scm:
    scm.create("Web", "/usr/bin/web")
    return scm


def test_start_waits_through_check_points(world: World, web: Scm) -> None:
    world.program("Web").reports[0] = [
        *(report(ServiceState.START_PENDING, check_point=n, wait_hint=1000) for n in range(1, 5)),
        report(ServiceState.RUNNING),
    ]
    status = web["Web"].start("a", "b", wait=True)
    assert status.state is ServiceState.RUNNING
    assert status.process_id == 1001
    assert world.program("Web").arguments == ("Web", "a", "b")


def test_without_waiting_the_state_is_what_it_is(world: World, web: Scm) -> None:
    world.program("Web").reports[0] = [report(ServiceState.START_PENDING)]
    assert web["Web"].start(wait=False).state is ServiceState.START_PENDING


def test_a_service_that_stops_again_fails_the_start_with_its_error(world: World, web: Scm) -> None:
    world.program("Web").reports[0] = [
        report(ServiceState.START_PENDING),
        report(ServiceState.STOPPED, win32_exit_code=1066, service_specific_exit_code=3),
    ]
    with pytest.raises(scmd.WaitFailed, match="STOPPED, not RUNNING: its own error 3") as caught:
        web["Web"].start()
    assert caught.value.winerror == Error.SERVICE_SPECIFIC_ERROR
    assert caught.value.status.service_specific_exit_code == 3


def test_time_runs_out(world: World, web: Scm) -> None:
    world.program("Web").reports[0] = [report(ServiceState.START_PENDING, check_point=7)]
    with pytest.raises(scmd.WaitFailed, match=r"still START_PENDING .*check point 7") as caught:
        web["Web"].start(wait=0.01)
    assert caught.value.winerror == Error.WAIT_TIMEOUT


def test_pause_continue_control_restart_stop(world: World, web: Scm) -> None:
    service = web["Web"]
    service.start()
    assert service.pause().state is ServiceState.PAUSED
    assert service.continue_().state is ServiceState.RUNNING
    assert service.control(200).state is ServiceState.RUNNING
    assert service.control(Control.PARAMCHANGE).state is ServiceState.RUNNING
    assert service.control(Control.INTERROGATE).state is ServiceState.RUNNING
    before = service.status.process_id
    assert service.restart("again").process_id != before
    assert world.program("Web").arguments == ("Web", "again")
    assert service.stop().state is ServiceState.STOPPED
    assert service.restart().state is ServiceState.RUNNING
    with pytest.raises(WinError, match="1056"):
        service.start()


def test_stop_with_dependents(scm: Scm) -> None:
    scm.create("Db", "/usr/bin/db")
    scm.create("App", "/usr/bin/app", depends=["Db"])
    scm.create("Top", "/usr/bin/top", depends=["App"])
    scm["Top"].start()
    assert [service.name for service in scm["Db"].dependents()] == ["Top", "App"]
    with pytest.raises(ValueError, match="'running' is none of active, inactive, all"):
        scm["Db"].dependents("running")
    with pytest.raises(WinError, match="1051"):
        scm["Db"].stop()
    assert scm["Db"].stop(dependents=True).state is ServiceState.STOPPED
    assert scm.services(state="active") == []


def test_credentials_are_for_other_hosts_and_ssh_has_its_own() -> None:
    for host in ("ssh://far", None):
        with pytest.raises(WinError) as caught:
            connect(host, user="ann", password="secret")
        assert caught.value.winerror == Error.INVALID_PARAMETER
        assert "secret" not in str(caught.value)


def test_a_declared_service_is_installed_with_options(scm: Scm) -> None:
    tick.install(scm=scm, start="auto", display="A Clock", description="Says the time.")
    config = scm["Tick"].config
    assert (config.display_name, config.description) == ("A Clock", "Says the time.")
    assert config.start_type == StartType.AUTO_START


def test_a_parameter_that_is_refused_says_what_was_expected(scm: Scm) -> None:
    with pytest.raises(WinError, match=r"AppStopSignal: expected a signal .* not 'LOUD'") as caught:
        scm.install("Nap", ["sleep", "1"], parameters={"AppStopSignal": "LOUD"})
    assert caught.value.winerror == Error.INVALID_PARAMETER
    assert "Nap" not in scm


def test_parameters_are_a_dictionary(web: Scm) -> None:
    parameters = web["Web"].parameters
    assert len(parameters) == 0
    parameters["Port"] = 8080
    parameters.update({"Root": "/srv", "Hosts": ["a", "b"]}, Key=b"\1\2")
    assert dict(parameters) == {"Port": 8080, "Root": "/srv", "Hosts": ("a", "b"), "Key": b"\1\2"}
    assert parameters["port"] == 8080
    assert dict(parameters.items()) == dict(parameters)
    assert "/srv" in parameters.values()
    parameters["port"] = RegistryValue(type=RegistryType.EXPAND_SZ, data="%PORT%")
    assert parameters.typed()["Port"].type == RegistryType.EXPAND_SZ
    del parameters["HOSTS"]
    assert "Hosts" not in parameters
    for missing in ("Hosts", "Nope"):
        with pytest.raises(KeyError):
            del parameters[missing]
        with pytest.raises(KeyError):
            _ = parameters[missing]
    with pytest.raises(WinError) as caught:
        parameters["Bad"] = ["a", ""]
    assert caught.value.winerror == Error.INVALID_PARAMETER


def test_holding_a_service_does_not_keep_its_record(web: Scm) -> None:
    held = web["Web"]
    _ = held.status
    web["Web"].delete()
    web.create("Web", "/usr/bin/other")
    assert held.config.image_path == "/usr/bin/other"


def test_a_refused_call_leaves_no_handle_open(world: World, web: Scm) -> None:
    _ = web["Web"].status
    kept = world.scm.counts()["handles"]
    with pytest.raises(WinError):
        web.create("Web", "/usr/bin/web")
    with pytest.raises(WinError):
        web["Web"].stop()
    assert world.scm.counts()["handles"] == kept


def test_status_is_the_managers_own(scm: Scm) -> None:
    assert scm.status()["keeper_pid"] == 4


def test_a_caller_without_rights_may_look_but_not_touch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with World(administrator=False) as world:
        monkeypatch.setenv("SCMD_RUNTIME", str(world.runtime))
        with connect() as scm:
            assert scm.services() == []
            with pytest.raises(WinError) as caught:
                scm.create("Web", "/usr/bin/web")
            assert caught.value.winerror == Error.ACCESS_DENIED


def test_threads_take_turns(web: Scm) -> None:
    def ask() -> None:
        states.extend(web["Web"].status.state for _ in range(50))

    states: list[int] = []
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == [ServiceState.STOPPED] * 200
