"""What is around a service: others in its process, its log, its Parameters."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable

import pytest

import scmd
from scmd.control_pipe.packets import ParametersChanged
from scmd.sdk.context import ServiceContext
from scmd.sdk.parameters import Parameters
from scmd.vocabulary.service import Control as Code
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.winerror import WinError
from tests.sdk.fake_scm import InProcess
from tests.sdk.test_pauses import busy_service
from tests.sdk.test_service import started, wait_for_stop


def test_two_services_in_one_process(scm: InProcess) -> None:
    first, working, may_go_on = busy_service("A")
    second = scmd.service("B")(wait_for_stop)
    started(scm, first, second)
    assert working.wait(20)
    scm.expect_state(ServiceState.RUNNING, service=2)
    # A is busy: B is controlled all the same.
    assert scm.control(Code.STOP, service=1) == 0
    assert scm.control(Code.PAUSE, service=2) == 0
    scm.expect_state(ServiceState.PAUSED, service=2)
    may_go_on.set()
    scm.expect_state(ServiceState.STOPPED, service=1)
    assert scm.control(Code.STOP, service=2) == 0
    scm.join()
    assert {report.status.type for report in scm.reports()} == {0x20}


def test_log_records_become_events(scm: InProcess, capsys: pytest.CaptureFixture[str]) -> None:
    @scmd.service("S.with.dots")
    def service(svc: ServiceContext) -> None:
        svc.log.debug("not this")
        svc.log.info("tick %d", 1)
        svc.log.warning("hm", extra={"event_id": 5, "category": 2})
        svc.log.error("\0" + "x" * 40_000)

    started(scm, service)
    scm.join()
    info, warning, error = scm.events()
    assert (info.type, info.event_id, info.strings) == (4, 0, ("tick 1",))
    assert (warning.type, warning.event_id, warning.category) == (2, 5, 2)
    assert error.type == 1
    assert len(error.strings[0]) > 31_000


def test_the_log_goes_to_stderr_too_unless_logging_is_configured(
    scm: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.log.info("to both")

    started(scm, service)
    scm.join()
    assert " INFO to both\n" in capsys.readouterr().err


def test_a_service_works_without_stderr(scm: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        svc.log.info("heard anyway")
        print("nobody hears")
        raise RuntimeError("x")

    started(scm, service)
    scm.join()
    assert [event.strings[0].splitlines()[0] for event in scm.events()] == [
        "heard anyway",
        "the service failed",
    ]


def test_parameters_are_live(scm: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: dict[str, str | int] = {"Interval": 60}
    reads: list[str] = []
    changed = threading.Event()
    contexts: list[ServiceContext] = []

    def read(name: str) -> dict[str, str | int]:
        reads.append(name)
        return dict(stored)

    monkeypatch.setattr("scmd.sdk.parameters.read_parameters", read)

    @scmd.service("S")
    def service(svc: ServiceContext) -> None:
        contexts.append(svc)
        assert svc.parameters["interval"] == 60
        assert dict(svc.parameters) == {"Interval": 60}
        assert svc.parameters.get("missing", "default") == "default"

        @svc.parameters.on_change
        def note() -> None:
            seen.append((threading.get_ident() == here, svc.parameters["INTERVAL"]))
            changed.set()

        here = threading.get_ident()
        wait_for_stop(svc)

    seen: list[tuple[bool, object]] = []
    started(scm, service)
    scm.expect_state(ServiceState.RUNNING)
    stored["Interval"] = 5
    scm.send(ParametersChanged(service=1))
    assert changed.wait(20)
    scm.control(Code.STOP)
    scm.join()
    assert seen == [(True, 5)]
    assert reads == ["S", "S"]


def test_when_they_may_have_changed_parameters_are_compared() -> None:
    hooks: list[Callable[[], object]] = []
    stored = {"Interval": 60}
    fails = False
    calls = 0

    def read(_: str) -> dict[str, int]:
        if fails:
            raise WinError(1726, "QueryParameters")
        return dict(stored)

    def is_called() -> bool:
        """Whether the callback is, when a manager has died."""
        before = calls
        parameters.invalidate(is_certain=False)
        while hooks:
            hooks.pop()()
        return calls > before

    def note() -> None:
        nonlocal calls
        calls += 1

    parameters = Parameters("S", hooks.append, read)
    parameters.on_change(note)
    assert parameters["Interval"] == 60
    assert not is_called()
    stored["Interval"] = 5
    assert is_called()
    assert not is_called()
    assert parameters["Interval"] == 5
    fails = True
    assert is_called()
    fails = False
    # What it was is not known any more.
    assert is_called()
    assert not is_called()
