"""Histories and bundles from notices: what is news, when a bundle is written, what goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from scmd.core.messages import Actor, LaunchId, ServiceId
from scmd.core.messages.effects import ServiceFailed, StatusChanged
from scmd.core.messages.events import ProcessExited
from scmd.daemon import chronicle
from scmd.daemon.chronicle import Chronicle
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.status import ServiceStatus
from tests.begun import begun

WEB = ServiceId(7)
ROOT = Actor("root", "local pid 1")
STOPPED, START_PENDING, RUNNING = 1, 2, 4


def change(state: int, before: int, cause: str, lasted: int | None = None) -> StatusChanged:
    status = ServiceStatus(state=state, process_id=0 if state == STOPPED else 99)
    return StatusChanged(WEB, "Web", status, cause, ROOT, before, lasted)


def failure(cause: str = "it failed", exit_code: int = 3, launch: int = 1) -> ServiceFailed:
    config = ServiceConfig(name="Web", image_path="srvany")
    parameters = {"Application": RegistryValue.of("/bin/web")}
    status = ServiceStatus(win32_exit_code=1066, service_specific_exit_code=exit_code)
    return ServiceFailed(
        *(LaunchId(launch), WEB, "Web", cause, status, 99, exit_code, None, config, parameters)
    )


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Chronicle]:
    """The output of launch 1 has ended."""
    (tmp_path / "logs").mkdir()
    made = Chronicle(tmp_path, now=lambda: datetime(2031, 7, 1, 12, tzinfo=UTC))
    made.output_ended(LaunchId(1))
    yield made
    await made.close()


async def history(made: Chronicle) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await made.history(WEB)).splitlines()]


async def crash(made: Chronicle, age: int = 0) -> Any:
    return json.loads(await made.crash(WEB, age))


async def test_transitions_and_new_causes_are_news(made: Chronicle) -> None:
    made.noted(change(START_PENDING, STOPPED, "starts"))
    made.noted(change(START_PENDING, START_PENDING, "waits"))
    for _ in range(3):
        made.noted(change(START_PENDING, START_PENDING, "reported by the service"))
    made.noted(change(RUNNING, START_PENDING, "reported by the service", 1234))
    entries = await history(made)
    assert [(e["state"], e["cause"]) for e in entries] == [
        ("START_PENDING", "starts"),
        ("START_PENDING", "waits"),
        ("START_PENDING", "reported by the service"),
        ("RUNNING", "reported by the service"),
    ]
    assert entries[-1] == {
        "time": "2031-07-01T12:00:00.000Z",
        "state": "RUNNING",
        "before": "START_PENDING",
        "lasted_ms": 1234,
        "cause": "reported by the service",
        "actor": "root",
        "origin": "local pid 1",
        "process_id": 99,
    }


async def test_a_bundle_has_everything(made: Chronicle, tmp_path: Path) -> None:
    made.noted(change(STOPPED, RUNNING, "it failed", 5))
    log = "before\nTraceback (most recent call last):\n  File x\nKeyError: 1\n"
    (tmp_path / "logs/7.log").write_text(log)
    made.failed(failure())
    bundle = await crash(made)
    assert (bundle["scmd_crash"], bundle["number"], bundle["service"]) == (1, 1, "Web")
    assert (bundle["exit_code"], bundle["signal"], bundle["win32_exit_code"]) == (3, None, 1066)
    assert bundle["output"] == log.splitlines()
    assert bundle["traceback"] == "\n".join(log.splitlines()[1:])
    assert bundle["history"] == await history(made)
    assert bundle["configuration"]["image_path"] == "srvany"
    assert bundle["parameters"] == {"Application": "/bin/web"}
    assert await made.crash(WEB, 1) == b""


async def test_a_cause_that_is_no_text_in_utf_8_costs_no_bundle(made: Chronicle) -> None:
    made.failed(replace(failure(), cause="/bin/caf\udce9"))
    assert (await crash(made))["cause"] == "/bin/caf\ufffd"


async def test_a_bundle_waits_for_output_that_is_on_its_way(
    made: Chronicle, tmp_path: Path
) -> None:
    made.failed(failure(launch=5))
    question = await begun(crash(made))
    (tmp_path / "logs/7.log").write_text("last words\n")
    made.output_ended(LaunchId(4))
    assert not question.done()
    made.output_ended(LaunchId(5))
    assert (await question)["output"] == ["last words"]


async def test_a_process_that_writes_on_is_not_waited_for_for_ever(
    made: Chronicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chronicle, "LONGEST_WAIT_S", 0.01)
    made.failed(failure(launch=5))
    assert (await crash(made))["number"] == 1
    made.output_ended(LaunchId(5))


async def test_ends_of_output_are_forgotten_in_the_end(made: Chronicle) -> None:
    for launch in range(3 * chronicle.MAX_ENDED):
        made.output_ended(LaunchId(launch))
    assert len(made._ends) == chronicle.MAX_ENDED


async def test_what_one_that_is_waited_for_has_held_up_is_forgotten_after_it(
    made: Chronicle,
) -> None:
    made.failed(failure(launch=5))
    question = await begun(crash(made))
    for launch in range(6, 2 * chronicle.MAX_ENDED):
        made.output_ended(LaunchId(launch))
    made.output_ended(LaunchId(5))
    await question
    made.output_ended(LaunchId(4 * chronicle.MAX_ENDED))
    assert len(made._ends) == chronicle.MAX_ENDED


async def test_how_the_process_ended_is_added_when_it_comes_out(made: Chronicle) -> None:
    made.failed(replace(failure(), exit_code=None))
    question = await begun(crash(made))
    made.exited(ProcessExited(LaunchId(2), 7, None))
    assert not question.done()
    made.exited(ProcessExited(LaunchId(1), None, 9))
    bundle = await question
    assert (bundle["exit_code"], bundle["signal"]) == (None, 9)


async def test_failures_in_a_row_get_a_bundle_each_up_to_a_limit(made: Chronicle) -> None:
    for number in range(1, 20):
        made.failed(failure(f"failure {number}"))
    assert (await crash(made))["cause"] == "failure 19"
    assert (await crash(made, 4))["cause"] == "failure 15"
    assert await made.crash(WEB, 5) == b""


async def test_what_is_deleted_is_gone(made: Chronicle, tmp_path: Path) -> None:
    made.noted(change(RUNNING, STOPPED, "runs"))
    made.failed(failure())
    made.deleted(WEB)
    assert await made.crash(WEB, 0) == b""
    assert await history(made) == []
    assert not list((tmp_path / "history").iterdir())


async def test_strays_are_gone(made: Chronicle, tmp_path: Path) -> None:
    made.noted(change(RUNNING, STOPPED, "runs"))
    made.failed(failure())
    await crash(made)
    await asyncio.to_thread(made.retain, [ServiceId(8)])
    assert await made.crash(WEB, 0) == b""
    assert await history(made) == []


async def test_closing_writes_what_is_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chronicle, "LONGEST_WAIT_S", 3600)
    (tmp_path / "logs").mkdir()
    made = Chronicle(tmp_path)
    made.failed(failure())
    await made.close()
    assert (tmp_path / "crashes/7-1.json").exists()


async def test_a_disk_that_fails_costs_the_bundle_only(
    made: Chronicle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "crashes").write_text("no folder")
    made.failed(failure())
    with pytest.raises(OSError):
        await made.crash(WEB, 0)
    assert "no bundle of the failed service 7" in caplog.text
    (tmp_path / "crashes").unlink()
    made.failed(failure())
    assert (await crash(made))["number"] == 1
