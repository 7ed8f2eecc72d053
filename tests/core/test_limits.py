"""Limits: which launches get them, and what is said of those that are not in force."""

from __future__ import annotations

from typing import Any

from scmd.core.findings import Finding
from scmd.core.messages import HandleId
from scmd.core.messages.commands import ExplainService, SetParameters
from scmd.core.messages.effects import LaunchProcess, LogEvent
from scmd.core.messages.events import ProcessExited, ProcessStarted
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from tests.core.bench import PID, Bench


def set_parameter(bench: Bench, service: HandleId, name: str, text: str) -> int:
    values = {name: RegistryValue.of(text)}
    return bench.error(SetParameters(bench.call(), service, values))


def found(bench: Bench, service: HandleId, code: str) -> Finding:
    answer = bench.result(ExplainService(bench.call(), service))
    [finding] = [finding for finding in answer.findings if finding.code == code]
    assert isinstance(finding, Finding)
    return finding


LIMITS: dict[str, Any] = {"AppLimit/MemoryMax": "64M", "AppLimit/NOFILE": 100}
MEMORY = 64 << 20
MISSING = "MemoryMax: there is no controller memory"


def test_a_process_that_speaks_the_control_protocol_is_limited_too() -> None:
    bench = Bench()
    service = bench.create("A")
    for name, value in (("AppLimit\\memorymax", "64M"), ("AppLimit\\NOFILE", "100")):
        assert set_parameter(bench, service, name, value) == Error.SUCCESS
    bench.start(service)
    spec = bench.one(LaunchProcess).spec
    assert spec.control_channel
    assert (spec.limits, spec.shares) == ((("NOFILE", 100),), (("MemoryMax", MEMORY),))


def test_a_wrong_limit_is_refused_whatever_the_service_is() -> None:
    bench = Bench()
    service = bench.create("A")
    name = "AppLimit\\MemoryMax"
    assert set_parameter(bench, service, name, "much") == Error.INVALID_PARAMETER
    assert set_parameter(bench, service, "Application", "much") == Error.SUCCESS


def test_hooks_have_no_limits() -> None:
    bench = Bench()
    service = bench.create_hosted(**LIMITS, **{"AppEvents/Start/Pre": "/bin/pre"})
    bench.start(service)
    spec = bench.one(LaunchProcess).spec
    assert (spec.hook, spec.limits, spec.shares) == (True, (), ())


def test_limits_that_are_not_in_force_are_an_event_and_a_finding() -> None:
    bench = Bench()
    service = bench.create_hosted(**LIMITS)
    bench.start(service)
    bench.tell(ProcessStarted(bench.launched(), PID, (MISSING,)))
    [event] = [event for event in bench.found(LogEvent) if event.event_id == 8021]
    assert event.strings == ("A", MISSING)
    assert found(bench, service, "limit_missing").text == f"runs without its limit {MISSING}"


def test_the_kernels_kill_at_the_limit_is_an_event_and_the_cause() -> None:
    bench = Bench()
    service = bench.create_hosted(**LIMITS)
    bench.start(service)
    launch = bench.launched()
    bench.tell(ProcessStarted(launch, PID))
    bench.tell(ProcessExited(launch, None, 9, out_of_memory=True))
    [event] = [event for event in bench.found(LogEvent) if event.event_id == 8020]
    assert event.strings == ("A", f"MemoryMax of {MEMORY} bytes")
    text = found(bench, service, "stopped_with_error").text
    assert "was killed by signal 9 out of memory, at its limit MemoryMax" in text
