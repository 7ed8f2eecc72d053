"""Automatic starts: in group order, side by side within a batch, failures logged."""

from __future__ import annotations

from scmd.core.messages import LaunchId, Settings
from scmd.core.messages.commands import CreateService, ExplainService, OpenScm, QueryBoot
from scmd.core.messages.effects import LaunchProcess
from scmd.core.messages.events import AutoStart, LaunchFailed, ProcessStarted, Shutdown
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ScmAccess, ServiceState
from tests.core.bench import ALL, Bench


def launches(bench: Bench) -> dict[str, LaunchId]:
    return {effect.spec.name: effect.launch for effect in bench.found(LaunchProcess)}


def test_groups_come_in_order_and_the_rest_last() -> None:
    bench = Bench(settings=Settings(group_order=("First", "Second")))
    second = bench.create("S", start_type=2, load_order_group="second")
    first = bench.create("F", start_type=2, load_order_group="First")
    bench.create("F2", start_type=2, load_order_group="First")
    bench.create("Other", start_type=2, load_order_group="Elsewhere")
    bench.create("None", start_type=2)
    bench.create("Manual")
    bench.create("Disabled", start_type=4)
    bench.tell(AutoStart())
    batch = launches(bench)
    assert set(batch) == {"F", "F2"}
    bench.tell(LaunchFailed(batch["F2"], Error.FILE_NOT_FOUND, ""))
    assert bench.events() == [7000]
    bench.connect(batch["F"])
    bench.answer_start()
    assert not bench.found(LaunchProcess)
    bench.report(batch["F"], first, ServiceState.RUNNING)
    batch = launches(bench)
    assert set(batch) == {"S"}
    bench.connect(batch["S"])
    bench.answer_start()
    bench.report(batch["S"], second, ServiceState.STOPPED)
    batch = launches(bench)
    assert set(batch) == {"Other"}
    bench.tell(LaunchFailed(batch["Other"], Error.FILE_NOT_FOUND, ""))
    assert set(launches(bench)) == {"None"}


def test_a_service_that_hangs_does_not_hold_up_the_next_batch_for_ever() -> None:
    bench = Bench(settings=Settings(group_order=("First",)))
    hanging = bench.create("F", start_type=2, load_order_group="First")
    bench.create("Last", start_type=2)
    bench.tell(AutoStart())
    launch = launches(bench)["F"]
    bench.connect(launch)
    bench.answer_start()
    bench.report(launch, hanging, ServiceState.START_PENDING, 0)
    bench.pass_time(80_000)
    assert set(launches(bench)) == {"Last"}
    assert 7022 in bench.events()


def test_dependencies_override_the_order() -> None:
    bench = Bench()
    bench.create("Late", start_type=3)
    bench.create("Early", start_type=2, dependencies=("Late",))
    bench.tell(AutoStart())
    assert set(launches(bench)) == {"Late"}


def test_refused_starts_are_logged() -> None:
    bench = Bench()
    service = bench.create("A", start_type=2, dependencies=("nobody",))
    bench.tell(AutoStart())
    assert bench.events() == [7003]
    assert bench.status(service).win32_exit_code == Error.SERVICE_DEPENDENCY_DELETED
    findings = bench.result(ExplainService(bench.call(), service)).findings
    assert [finding.text for finding in findings][-1] == "needs nobody, which does not exist"
    assert not bench.found(LaunchProcess)


def test_failures_that_are_to_be_ignored_are_not_logged_while_the_machine_starts() -> None:
    bench = Bench()
    bench.create("A", start_type=2, error_control=0, dependencies=("nobody",))
    service = bench.create("B", start_type=2, error_control=0)
    bench.tell(AutoStart())
    launch = bench.launched()
    assert bench.events() == []
    bench.tell(LaunchFailed(launch, Error.FILE_NOT_FOUND, ""))
    assert bench.events() == []
    bench.start(service)
    bench.tell(LaunchFailed(bench.launched(), Error.FILE_NOT_FOUND, ""))
    assert bench.events() == [7000]


def test_delayed_services_come_later() -> None:
    bench = Bench()
    bench.create("D", start_type=2, delayed_auto_start=True)
    bench.create("P", start_type=2)
    bench.tell(AutoStart())
    assert set(launches(bench)) == {"P"}
    bench.tell(LaunchFailed(launches(bench)["P"], Error.FILE_NOT_FOUND, ""))
    bench.pass_time(119_999)
    assert not bench.found(LaunchProcess)
    bench.pass_time(1)
    assert set(launches(bench)) == {"D"}


def test_it_happens_once_and_not_after_a_shutdown() -> None:
    bench = Bench()
    bench.create("A", start_type=2)
    bench.tell(AutoStart())
    bench.tell(AutoStart())
    assert not bench.effects
    bench = Bench()
    bench.create("A", start_type=2)
    bench.tell(Shutdown())
    bench.tell(AutoStart())
    assert not bench.effects


def test_tags_decide_who_is_begun_first_within_a_group() -> None:
    bench = Bench(settings=Settings(tag_order={"FIRST": (3, 1)}))
    for name in ("One", "Two", "Three"):
        config = ServiceConfig(
            name=name, image_path="/bin/x", start_type=2, load_order_group="First"
        )
        bench.result(CreateService(bench.call(), bench.handle, config, ALL, assign_tag=True))
    bench.create("Untagged", start_type=2, load_order_group="First")
    bench.tell(AutoStart())
    assert list(launches(bench)) == ["Three", "One", "Two", "Untagged"]


def boot(bench: Bench, after: int = 0) -> list[tuple[str, int, int | None, int | None, int]]:
    found = bench.result(QueryBoot(bench.call(), bench.handle, after))
    return [(e.name, e.asked, e.begun, e.ended, e.error) for e in found]


def test_the_boot_is_written_down() -> None:
    bench = Bench()
    bench.create_hosted("Base")
    bench.create("Web", start_type=2, dependencies=("Base",))
    bench.create("Late", start_type=2, delayed_auto_start=True)
    bench.create("Broken", start_type=2)
    manual = bench.create("Manual")
    assert boot(bench) == []
    bench.pass_time(1_000)
    bench.tell(AutoStart())
    first = launches(bench)
    bench.tell(LaunchFailed(first["Broken"], Error.FILE_NOT_FOUND, ""))
    bench.pass_time(300)
    bench.tell(ProcessStarted(first["Base"], 1))
    web = launches(bench)["Web"]
    assert boot(bench) == [
        ("Base", 0, 0, 300, 0),
        ("Web", 0, 300, None, 0),
        ("Broken", 0, 0, 0, Error.FILE_NOT_FOUND),
    ]
    bench.pass_time(200)
    bench.tell(LaunchFailed(web, Error.ACCESS_DENIED, ""))
    bench.pass_time(120_000)
    late = launches(bench)["Late"]
    assert boot(bench, after=2) == [
        ("Late", 120_500, 120_500, None, 0),
        ("Broken", 0, 0, 0, Error.FILE_NOT_FOUND),
    ]
    bench.tell(LaunchFailed(late, Error.ACCESS_DENIED, ""))
    bench.start(manual)
    assert {name for name, *_ in boot(bench)} == {"Base", "Web", "Late", "Broken"}


def test_who_may_not_enumerate_does_not_see_the_boot() -> None:
    bench = Bench()
    connect_only = bench.result(OpenScm(bench.call(), None, int(ScmAccess.CONNECT)))
    assert bench.error(QueryBoot(bench.call(), connect_only, 0)) == Error.ACCESS_DENIED


def test_auto_started_services_get_no_arguments() -> None:
    bench = Bench()
    bench.create("A", start_type=2)
    bench.tell(AutoStart())
    launch = launches(bench)["A"]
    bench.tell(ProcessStarted(launch, 1))
    bench.connect(launch)
    assert bench.answer_start().arguments == ("A",)
