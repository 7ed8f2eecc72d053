"""Watching and waiting at servers that have no feed, with real processes on both sides."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import scmd
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.status import ServiceStatus
from tests.started import interrupt, started
from tests.system.machine import LIMIT_S, SCMD, Machine, eventually
from tests.system.other_server import NOTIFICATIONS, OtherServer

WAYS = pytest.mark.parametrize("notifies", [True, False], ids=["notifies", "is silent"])


@contextmanager
def other_server(machine: Machine, notifies: bool) -> Iterator[OtherServer]:
    """What this process and those in the machine's environment find instead of the machine."""
    with OtherServer(machine.folder / "other", machine.runtime, notifies=notifies) as other:
        yield other
    assert (48 in other.opnums) == notifies
    assert other.opnums & {*NOTIFICATIONS}


@contextmanager
def watching(machine: Machine, other: OtherServer, *names: str) -> Iterator[Iterator[Any]]:
    """What `scmd watch --json` prints, one object after the other."""
    environment = {**machine.environment, "SCMD_RUNTIME": str(other.folder)}
    with started([*SCMD, "watch", "--json", "--initial", *names], environment) as process:
        assert process.stdout is not None
        yield map(json.loads, process.stdout)
        assert interrupt(process)[0] == 130


@WAYS
def test_scmd_watch_tells_of_everything(machine: Machine, notifies: bool) -> None:
    machine.install("Sleeper", "sleep", "1000")
    with other_server(machine, notifies) as other, watching(machine, other) as said:
        first = next(said)
        assert (first["kind"], first["state"]) == ("service", "STOPPED")
        machine.scm["Sleeper"].start(wait=True)
        assert until(said, "Sleeper", "RUNNING")["kind"] == "status"
        machine.install("Brief", "sleep", "1000")
        assert next(said)["kind"] == "created"
        machine.scmd("remove", "Brief")
        until(said, "Brief", kind="deleted")
        # The manager's death is the end of every connection.
        machine.expected_complaints = "manager ended"
        os.kill(int(str(machine.scm.status()["manager_pid"])), signal.SIGKILL)
        again = next(said)
        assert (again["kind"], again["gap"], again["state"]) == ("service", True, "RUNNING")
        machine.disconnect()
        machine.scm["Sleeper"].stop(wait=True)
        until(said, "Sleeper", "STOPPED")


@WAYS
def test_scmd_watch_goes_on_after_a_shutdown(machine: Machine, notifies: bool) -> None:
    stubborn = ("sh", "-c", "trap : TERM; while :; do sleep 1000; done")
    machine.install("Stubborn", *stubborn, AppStopTime=500)
    machine.scm["Stubborn"].start(wait=True)
    with other_server(machine, notifies) as other, watching(machine, other, "Stubborn") as said:
        assert next(said)["state"] == "RUNNING"
        # While it takes its time the server refuses the next request, with 1115.
        machine.restart()
        while not until(said, "Stubborn", "STOPPED")["gap"]:
            pass
        machine.scm["Stubborn"].start(wait=True)
        until(said, "Stubborn", "RUNNING")
        machine.scm["Stubborn"].kill(wait=True)


def until(said: Iterator[Any], name: str, state: str = "", kind: str = "") -> Any:
    """The change that brings this service into a state, or that is of this kind."""
    for change in said:
        assert change["sampled"], change
        if change["service_name"] == name and (kind or state) in (change["kind"], change["state"]):
            return change
    raise AssertionError("it has ended")


@WAYS
def test_a_wait_ends_with_the_state(machine: Machine, notifies: bool) -> None:
    machine.install("Sleeper", "sleep", "1000")
    found: list[ServiceStatus] = []

    def wait() -> None:
        with scmd.connect() as scm:
            found.append(scm["Sleeper"].wait("running", timeout=LIMIT_S))

    with other_server(machine, notifies) as other, machine.as_environment():
        os.environ["SCMD_RUNTIME"] = str(other.folder)
        waiter = threading.Thread(target=wait)
        waiter.start()
        eventually(lambda: 47 in other.opnums, "a request or its refusal")
        machine.scm["Sleeper"].start(wait=False)
        waiter.join()
    assert [status.state for status in found] == [ServiceState.RUNNING]
