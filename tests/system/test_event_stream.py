"""The event stream over HTTP, itself a service, while managers and the stream's server die."""

from __future__ import annotations

import os
import signal

from tests.event_streams import ask, events
from tests.free_ports import free_port
from tests.started import started
from tests.system.machine import SCMD, Machine


def test_nothing_is_lost_over_deaths_of_the_manager_and_of_the_server(machine: Machine) -> None:
    machine.expected_complaints = "manager ended"
    port = free_port()
    machine.install("Web", "sleep", "1000")
    machine.install("Events", *SCMD, "watch", "--listen", str(port), AppReady=f"tcp:{port}")
    machine.scm["Events"].start(wait=True)
    told: list[tuple[str, int]] = []
    after: dict[str, str] = {}
    for _ in range(3):
        with ask(port, "?name=Web", **after) as stream:
            coming = events(stream)
            for disturb in (_nothing, _kill_the_manager, _upgrade):
                machine.scm["Web"].start(wait=True)
                machine.scm["Web"].stop(wait=True)
                disturb(machine)
                state = ""
                while state != "STOPPED":
                    id, change = next(coming)
                    told.append((id, change["sequence"]))
                    state = change["state"]
                    assert not change["gap"]
        after = {"Last_Event_ID": told[-1][0]}
        machine.scm["Web"].start(wait=True)
        os.kill(machine.scm["Events"].status.process_id, signal.SIGKILL)
        machine.await_state("Events", "STOPPED")
        machine.scm["Web"].stop(wait=True)
        machine.scm["Events"].start(wait=True)
        with ask(port, "?name=Web", **after) as stream:
            for id, change in events(stream):
                told.append((id, change["sequence"]))
                if change["state"] == "STOPPED":
                    break
        after = {"Last_Event_ID": told[-1][0]}
    # The lines of the same machine's own watch, from the beginning.
    command = [*SCMD, "watch", "Web", "--after", told[0][0], "--json"]
    with started(command, machine.environment) as watch:
        assert watch.stdout is not None
        lines = [watch.stdout.readline() for _ in told[1:]]
    assert [id for id, _ in told[1:]] == [_place(line) for line in lines]
    assert len(set(told)) == len(told)


def _nothing(machine: Machine) -> None:
    pass


def _kill_the_manager(machine: Machine) -> None:
    os.kill(int(str(machine.scm.status()["manager_pid"])), signal.SIGKILL)
    machine.disconnect()


def _upgrade(machine: Machine) -> None:
    machine.scmd("upgrade")
    machine.disconnect()


def _place(line: str) -> str:
    return line.rpartition('"place": "')[2].partition('"')[0]


def test_while_there_is_no_scm_a_new_stream_is_refused(machine: Machine) -> None:
    with started([*SCMD, "watch", "--listen", "0"], machine.environment) as server:
        assert server.stderr is not None
        port = int(server.stderr.readline().partition("127.0.0.1:")[2].partition("/")[0])
        with ask(port) as stream:
            assert machine.stop() == 0
            with ask(port) as answer:
                assert answer.status == 503
                assert "no SCM listens" in answer.read().decode()
            machine.start()
            machine.install("Web", "sleep", "1000")
            # It is another boot, which numbers anew.
            assert next(change for _, change in events(stream))["gap"]
