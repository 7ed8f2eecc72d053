"""Who a service's process is: virtual accounts, service SIDs, required privileges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scmd.core.messages import HandleId, Settings, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CloseHandle,
    CreateService,
    DeleteService,
)
from scmd.core.messages.effects import LaunchProcess, LaunchSpec
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.privileges import ALL_CAPABILITIES, PRIVILEGES, capabilities_of
from scmd.vocabulary.service import ConfigLevel, SidType
from tests.core.bench import Bench

FIRST = 5000
SHARED = 0x20


def bench_with(count: int = 10, **settings: Any) -> Bench:
    return Bench(settings=Settings(own_ids=range(FIRST, FIRST + count), **settings))


def spec_of(bench: Bench, service: HandleId) -> LaunchSpec:
    bench.start(service)
    return bench.one(LaunchProcess).spec


def change(bench: Bench, service: HandleId, level: ConfigLevel, value: Any) -> int:
    return bench.error(ChangeConfig2(bench.call(), service, level, value))


def test_a_virtual_account_is_a_number_of_the_services_own() -> None:
    bench = bench_with()
    bench.create("A")
    service = bench.create_hosted("Web", account="nt service\\WEB")
    spec = spec_of(bench, service)
    assert (spec.account, spec.uid, spec.groups) == ("nt service\\WEB", FIRST + 2, ())
    assert bench.scm.service_with(FIRST + 2) == "Web"
    assert bench.scm.service_with(FIRST + 1) is None


def test_a_number_is_never_given_out_again() -> None:
    bench = bench_with()
    service = bench.create("A", account="NT SERVICE\\A")
    bench.result(DeleteService(bench.call(), service))
    bench.result(CloseHandle(bench.call(), service))
    assert bench.scm.service_with(FIRST + 1) is None
    again = bench.create_hosted("A", account="NT SERVICE\\A")
    assert spec_of(bench, again).uid == FIRST + 2


def test_a_number_stays_whatever_is_changed() -> None:
    bench = bench_with()
    service = bench.create_hosted("A", account="NT SERVICE\\A")
    for account in ("LocalSystem", "NT SERVICE\\a"):
        bench.result(ChangeConfig(bench.call(), service, account=account))
    stored = [
        StoredService(record.id, record.config, record.parameters, record.deleted)
        for record in bench.scm.state.records.values()
    ]
    later = Bench(stored, Settings(own_ids=range(9000, 9010)))
    assert spec_of(later, later.open("A")).uid == FIRST + 1


@pytest.mark.parametrize("account", ["NT SERVICE\\B", "NT SERVICE\\", "NT SERVICE\\A\\A"])
def test_a_virtual_account_of_another_service_is_1057(account: str) -> None:
    bench = bench_with()
    config = ServiceConfig(name="A", image_path="/bin/a", account=account)
    create = CreateService(bench.call(), bench.handle, config, 0)
    assert bench.error(create) == Error.INVALID_SERVICE_ACCOUNT
    service = bench.create("A")
    assert bench.error(ChangeConfig(bench.call(), service, account=account)) == 1057


def test_a_range_that_is_used_up_is_1057() -> None:
    bench = bench_with(count=2)
    bench.create("A", account="NT SERVICE\\A")
    config = ServiceConfig(name="B", image_path="/bin/b", account="NT SERVICE\\B")
    assert bench.error(CreateService(bench.call(), bench.handle, config, 0)) == 1057
    assert bench.scm.counts()["services"] == 1


def test_a_service_sid_is_a_group_of_the_services_own() -> None:
    bench = bench_with()
    service = bench.create_hosted("A", account="LocalService")
    assert change(bench, service, ConfigLevel.SERVICE_SID_INFO, SidType.UNRESTRICTED) == 0
    spec = spec_of(bench, service)
    assert (spec.uid, spec.groups) == (0, (FIRST + 1,))


def test_without_root_nobody_has_numbers() -> None:
    bench = bench_with(single_user=True)
    service = bench.create_hosted("A")
    assert change(bench, service, ConfigLevel.SERVICE_SID_INFO, SidType.UNRESTRICTED) == 0
    assert spec_of(bench, service).groups == ()


# Required privileges ----------------------------------------------------------------------------


def test_required_privileges_are_capabilities() -> None:
    bench = bench_with()
    service = bench.create_hosted("A", **{"AppEvents/Stop/Pre": "/bin/x"})
    assert spec_of(bench, service).capabilities is None
    other = bench.create("B")
    names = ("setimezoneprivilege", "SeShutdownPrivilege", "CAP_NET_BIND_SERVICE")
    assert change(bench, other, ConfigLevel.REQUIRED_PRIVILEGES_INFO, names) == 0
    assert spec_of(bench, other).capabilities == 1 << 22 | 1 << 10


def test_hooks_have_the_services_capabilities() -> None:
    bench = bench_with()
    service = bench.create_hosted("A", **{"AppEvents/Start/Pre": "/bin/x"})
    change(bench, service, ConfigLevel.REQUIRED_PRIVILEGES_INFO, ("SeTimeZonePrivilege",))
    spec = spec_of(bench, service)
    assert (spec.hook, spec.capabilities) == (True, 0)


def test_a_privilege_that_does_not_exist_is_stored_and_fails_the_start() -> None:
    bench = bench_with()
    service = bench.create_hosted("A")
    assert change(bench, service, ConfigLevel.REQUIRED_PRIVILEGES_INFO, ("SeNonsense",)) == 0
    command = bench.start(service)
    assert bench.replies[command.call.id].error == Error.INCOMPATIBLE_SERVICE_PRIVILEGE
    assert bench.status(service).win32_exit_code == 1297


def test_a_shared_process_has_what_any_of_its_services_requires() -> None:
    bench = bench_with()
    first, second = (bench.create(name, type=SHARED, image_path="/bin/x") for name in "AB")
    bench.create("C", type=SHARED, image_path="/bin/other")
    for service, name in ((first, "SeDebugPrivilege"), (second, "SeShutdownPrivilege")):
        change(bench, service, ConfigLevel.REQUIRED_PRIVILEGES_INFO, (name,))
        change(bench, service, ConfigLevel.SERVICE_SID_INFO, SidType.UNRESTRICTED)
    spec = spec_of(bench, first)
    assert spec.capabilities == 1 << 19 | 1 << 5 | 1 << 22
    assert spec.groups == (FIRST + 1, FIRST + 2)


def test_a_service_without_a_list_in_a_shared_process_keeps_everything() -> None:
    bench = bench_with()
    first, _ = (bench.create(name, type=SHARED, image_path="/bin/x") for name in "AB")
    change(bench, first, ConfigLevel.REQUIRED_PRIVILEGES_INFO, ("SeDebugPrivilege",))
    assert spec_of(bench, first).capabilities is None


def test_every_privilege_is_known_in_any_case() -> None:
    for name in PRIVILEGES:
        assert capabilities_of(name.upper()) == capabilities_of(name.lower())
    assert capabilities_of("SeTcbPrivilege") == ALL_CAPABILITIES
    assert capabilities_of("NET_RAW") is None


def test_the_documentation_has_every_privilege_with_a_capability() -> None:
    text = Path("docs/accounts.md").read_text()
    told = {
        name: tuple(cells[2].strip().split(", "))
        for line in text.splitlines()
        if line.startswith("| `Se") and len(cells := line.split("|")) == 4
        for name in re.findall(r"`(Se\w+)`", cells[1])
    }
    expected = {name: caps for name, caps in PRIVILEGES.items() if caps}
    assert told == {**expected, "SeTcbPrivilege": ("all",)}
