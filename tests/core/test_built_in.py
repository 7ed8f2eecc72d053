"""Built-in services: there from the first start, running in the manager, not to be meddled with."""

from __future__ import annotations

import pytest

from scmd.core.built_in import SmbFrontChanged
from scmd.core.messages import Settings, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    DeleteService,
    EnumServices,
    ExplainService,
    FailureActionsChange,
    KillService,
    QueryConfig,
    StartService,
)
from scmd.core.messages.effects import LaunchProcess, SaveRecord, ShutdownCompleted
from scmd.core.messages.events import Adopted, AutoStart, Shutdown
from scmd.vocabulary.service import ConfigLevel
from tests.core.bench import Bench

SETTINGS = Settings(built_in_services=True, process_id=4321)
NAMES = ["EventLog", "RpcSs", "Tcpip", "LanmanServer"]


def begun(bench: Bench) -> Bench:
    bench.tell(AutoStart())
    return bench


def with_built_ins() -> Bench:
    return begun(Bench(settings=SETTINGS))


def test_they_are_created_at_the_first_start_only() -> None:
    bench = with_built_ins()
    saved = bench.found(SaveRecord)
    assert [save.config.name for save in saved] == NAMES
    stored = [StoredService(save.service, save.config, {}) for save in saved]
    again = begun(Bench(stored, settings=SETTINGS))
    assert not again.found(SaveRecord)
    assert not again.found(LaunchProcess)
    assert again.status(again.open("RpcSs")).state == 4


def test_without_the_setting_there_are_none() -> None:
    bench = begun(Bench())
    assert not bench.found(SaveRecord)


def test_a_service_that_has_one_of_the_names_is_left_alone() -> None:
    bench = Bench(settings=SETTINGS)
    bench.create("RpcSs", image_path="/bin/own")
    bench.create("Mine", display_name="Server")
    begun(bench)
    assert [save.config.name for save in bench.found(SaveRecord)] == ["EventLog", "Tcpip"]
    assert bench.status(bench.open("RpcSs")).state == 1


@pytest.mark.parametrize(("name", "running"), [(name, name != "LanmanServer") for name in NAMES])
def test_they_run_in_the_manager(name: str, running: bool) -> None:
    bench = with_built_ins()
    status = bench.queried(bench.open(name))
    assert (status.state, status.controls_accepted) == (4 if running else 1, 0)
    in_process = running and name != "Tcpip"
    assert (status.process_id, status.service_flags) == ((4321, 1) if in_process else (0, 0))


def test_they_are_enumerated_like_others() -> None:
    bench = with_built_ins()
    seen = bench.result(EnumServices(bench.call(), bench.handle, 0x30, 1))
    assert [entry.name for entry in seen] == ["EventLog", "RpcSs"]
    drivers = bench.result(EnumServices(bench.call(), bench.handle, 0x0B, 3))
    assert [entry.name for entry in drivers] == ["Tcpip"]


@pytest.mark.parametrize("name", NAMES[:3])
def test_they_are_neither_started_nor_stopped(name: str) -> None:
    bench = with_built_ins()
    service = bench.open(name)
    assert bench.error(StartService(bench.call(), service)) == 1056
    for code in (1, 2, 3, 6, 128, 255):
        assert bench.replies[bench.control(service, code).call.id].error == 1052
    told = bench.replies[bench.control(service, 4).call.id]
    assert (told.error, told.result) == (0, bench.status(service))
    assert bench.error(KillService(bench.call(), service)) == 1052
    assert bench.status(service).state == 4


def test_the_server_is_there_while_smbd_fronts_the_scm() -> None:
    bench = with_built_ins()
    server = bench.open("LanmanServer")
    assert bench.error(StartService(bench.call(), server)) == 1058
    bench.tell(SmbFrontChanged(True))
    assert bench.status(server).state == 4
    bench.tell(SmbFrontChanged(False))
    assert bench.status(server).state == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_they_are_is_not_an_administrators_to_change(name: str) -> None:
    bench = with_built_ins()
    service = bench.open(name)
    assert bench.error(DeleteService(bench.call(), service)) == 5
    assert bench.error(ChangeConfig(bench.call(), service, start_type=4)) == 5
    assert bench.error(ChangeConfig(bench.call(), service)) == 0, "nothing would change"
    change = FailureActionsChange(0, None, None, ())
    level = ConfigLevel.FAILURE_ACTIONS
    assert bench.error(ChangeConfig2(bench.call(), service, level, change)) == 1081
    level = ConfigLevel.DESCRIPTION
    assert bench.error(ChangeConfig2(bench.call(), service, level, "text")) == 0
    assert bench.result(QueryConfig(bench.call(), service)).description == "text"
    assert bench.status(service).state == (1 if name == "LanmanServer" else 4)


def test_others_depend_on_them() -> None:
    bench = with_built_ins()
    service = bench.create("A", dependencies=("RpcSs", "Tcpip"))
    bench.start(service)
    assert bench.found(LaunchProcess)
    needy = bench.create("B", dependencies=("LanmanServer",))
    command = bench.start(needy)
    assert bench.replies[command.call.id].error == 1068


def test_a_new_manager_shows_its_own_process() -> None:
    first = with_built_ins()
    stored = [
        StoredService(record.id, record.config, {}) for record in first.scm.state.records.values()
    ]
    settings = Settings(built_in_services=True, process_id=99)
    second = begun(Bench(stored, settings, Adopted(tuple(first.journal), ())))
    status = second.queried(second.open("EventLog"))
    assert (status.state, status.process_id) == (4, 99)


def test_the_feed_says_that_the_server_has_gone_with_the_manager_that_smbd_fronted() -> None:
    first = with_built_ins()
    first.tell(SmbFrontChanged(True))
    number = first.scm.state.feed.last
    stored = [
        StoredService(record.id, record.config, {}) for record in first.scm.state.records.values()
    ]
    second = begun(Bench(stored, SETTINGS, Adopted(tuple(first.journal), ())))
    changes = [change for change in second.scm.state.feed.kept if change.number > number]
    assert [(c.name, c.before, c.status.state) for c in changes] == [("LanmanServer", 4, 1)]
    second.tell(SmbFrontChanged(True))
    last = second.scm.state.feed.kept[-1]
    assert (last.name, last.before, last.status.state) == ("LanmanServer", 1, 4)


def test_a_shutdown_does_not_wait_for_them() -> None:
    bench = with_built_ins()
    bench.tell(Shutdown())
    assert bench.found(ShutdownCompleted)


def test_they_can_be_explained() -> None:
    bench = with_built_ins()
    for name in NAMES:
        assert bench.error(ExplainService(bench.call(), bench.open(name))) == 0
