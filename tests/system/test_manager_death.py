"""Managers, loggers and keepers that are killed: what services and users notice of it."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import scmd
from scmd.client.scm import connect
from scmd.tools import upgrade
from scmd.tools.commands import CommandError
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError
from tests.system import programs
from tests.system.machine import SCMD, Machine, eventually, is_gone
from tests.system.programs import PYTHON

STEADY = 20
LOOSE = 10
ROUNDS = 12
CLIENTS = 3
BROKEN = Error.RPC_CALL_FAILED
"""A start or control was on its way when the manager died: nobody knows what became of it."""


def kill_manager(machine: Machine, times: int = 1) -> None:
    """The `times`th death of a manager; returns when the next one serves."""
    os.kill(int(str(machine.scm.status()["manager_pid"])), signal.SIGKILL)
    machine.await_line("ready again", times)


class Load:
    """Clients that start, stop and query services until told to end."""

    def __init__(self, names: list[str], seed: int) -> None:
        self.names = names
        self.failures: list[BaseException] = []
        self.done = threading.Semaphore(0)
        """One for each operation."""
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed + number),))
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _work(self, dice: random.Random) -> None:
        try:
            with connect(timeout=60) as scm:
                while not self._ending.is_set():
                    try:
                        service = scm[dice.choice(self.names)]
                        if dice.random() < 0.5:
                            service.start(wait=False)
                        else:
                            service.stop(wait=False)
                        service.status  # noqa: B018 # asked for its own sake
                    except WinError as error:
                        if error.winerror not in {1051, 1052, 1053, 1056, 1061, 1062, BROKEN}:
                            raise
                    self.done.release()
        except BaseException as failed:
            self.failures.append(failed)
            for _ in range(1000):
                self.done.release()


def test_kills_under_load_lose_no_service(machine: Machine) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    steady = [f"Steady{number}" for number in range(STEADY)]
    loose = [f"Loose{number}" for number in range(LOOSE)]
    for name in (*steady, *loose):
        machine.scm.install(name, ["sleep", "1000"])
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.run(PYTHON, clock, "install").check_returncode()
    steady.append("Clock")
    for name in steady:
        machine.scm[name].start()
    before = {name: machine.status(name) for name in steady}
    with machine.as_environment(), Load(loose, seed) as load:
        for number in range(ROUNDS):
            for _ in range(dice.randrange(60)):
                load.done.acquire()
            kill_manager(machine, number + 1)
            assert {name: machine.status(name) for name in steady} == before
    assert load.failures == []
    eventually(lambda: rests(machine), "all services to rest")
    for name in loose:
        status = machine.status(name)
        runs = status.state == ServiceState.RUNNING
        assert runs or status.win32_exit_code in (0, Error.SERVICE_NEVER_STARTED), name
    alive = [command for command in machine.left_over() if "sleep" in command]
    running = [name for name in loose if machine.status(name).state == ServiceState.RUNNING]
    assert len(alive) == STEADY + len(running)
    assert machine.json("status")["counts"]["launches"] == STEADY + 1 + len(running)
    assert machine.events(7034) == machine.events(7031) == []


def rests(machine: Machine) -> bool:
    states = {service.last_status.state for service in machine.scm.services()}
    return states <= {ServiceState.RUNNING, ServiceState.STOPPED}


def test_states_and_exit_codes_outlive_the_manager(machine: Machine) -> None:
    program = programs.write(machine.folder, "jobs.py", programs.ODD_JOBS)
    machine.run(PYTHON, program, "install").check_returncode()
    machine.install("Failed", "/bin/sh", "-c", "exit 3")
    machine.install("Never", "sleep", "1000")
    machine.sc("start", "OddJobs")
    machine.await_state("OddJobs", "RUNNING")
    machine.scm["OddJobs"].pause()
    machine.sc("start", "Failed")
    machine.await_state("Failed", "STOPPED")
    names = ("OddJobs", "Failed", "Never")
    before = {name: machine.status(name) for name in names}
    kill_manager(machine)
    assert {name: machine.status(name) for name in names} == before
    assert [before[name].win32_exit_code for name in names] == [0, 1066, 1077]
    machine.scm["OddJobs"].continue_()
    machine.sc("control", "OddJobs", "200")
    machine.await_log("OddJobs", "two hundred")
    machine.scm["OddJobs"].stop()


def test_a_death_that_no_manager_saw_is_noticed_once(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.scmd("net", "start", "Sleeper")
    process_id = machine.status("Sleeper").process_id
    manager = int(str(machine.scm.status()["manager_pid"]))
    os.kill(manager, signal.SIGSTOP)
    os.kill(process_id, signal.SIGSEGV)
    eventually(lambda: is_gone(process_id), "the service's death")
    os.kill(manager, signal.SIGKILL)
    machine.await_line("ready again")
    status = machine.await_state("Sleeper", "STOPPED")
    assert status.win32_exit_code == Error.PROCESS_ABORTED
    kill_manager(machine, 2)
    assert machine.status("Sleeper") == status
    assert len(machine.events(7034)) == 1


def test_a_stop_that_was_asked_for_goes_on(machine: Machine) -> None:
    machine.install(
        "Stubborn", "/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done", AppStopTime=1500
    )
    machine.scmd("net", "start", "Stubborn")
    machine.sc("stop", "Stubborn")
    assert machine.status("Stubborn").state == ServiceState.STOP_PENDING
    kill_manager(machine)
    assert machine.await_state("Stubborn", "STOPPED").win32_exit_code == 0


def test_a_service_marked_for_deletion_goes_when_it_stops(machine: Machine) -> None:
    for name in ("Running", "Held"):
        machine.install(name, "sleep", "1000")
    machine.scmd("net", "start", "Running")
    machine.sc("delete", "Running")
    kill_manager(machine)
    assert machine.status("Running").state == ServiceState.RUNNING
    machine.scmd("net", "stop", "Running")
    machine.await_gone("Running")


def test_automatic_starts_happen_once_a_boot(machine: Machine) -> None:
    machine.scmd("install", "Auto", "--start", "auto", "--", "sleep", "1000")
    machine.restart()
    machine.await_state("Auto", "RUNNING")
    machine.scmd("net", "stop", "Auto")
    kill_manager(machine)
    assert machine.status("Auto").state == ServiceState.STOPPED
    machine.restart()
    machine.await_state("Auto", "RUNNING")


def test_a_lost_journal_costs_no_service(machine: Machine) -> None:
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.run(PYTHON, clock, "install").check_returncode()
    machine.install("Sleeper", "sleep", "1000")
    before: dict[str, ServiceStatus] = {}
    for name in ("Clock", "Sleeper"):
        machine.scmd("net", "start", name)
        before[name] = machine.status(name)
    machine.expected_complaints = "no journal"
    (machine.runtime / "journal").write_bytes(b"nonsense")
    kill_manager(machine)
    for name, status in before.items():
        assert machine.await_state(name, "RUNNING") == status
    for name in before:
        machine.scmd("net", "stop", name)


def test_a_journal_that_no_manager_can_go_on_from_is_set_aside(machine: Machine) -> None:
    """As one that a newer version has written may be, to which nobody should go back."""
    machine.install("Web", "sleep", "1000")
    machine.scmd("net", "start", "Web")
    before = machine.status("Web")
    journal = machine.runtime / "journal"
    with journal.open("a") as file:
        file.write('I{"epoch":1,"kind":"renamed","service":4711,"name":"Web"}\n')
    machine.expected_complaints = "journal|a bug; a new manager takes over|Traceback|KeyError"
    kill_manager(machine)
    assert machine.status("Web") == before
    assert "renamed" in journal.with_name("journal.unusable").read_text()
    kill_manager(machine)
    assert machine.status("Web") == before
    machine.scmd("net", "stop", "Web")


def test_files_that_cannot_be_used_cost_nothing_but_what_is_in_them(machine: Machine) -> None:
    """Directories, since nothing else is unreadable for root."""
    machine.install("Web", "sleep", "1000")
    machine.scmd("net", "start", "Web")
    process_id = machine.status("Web").process_id
    machine.expected_complaints = "is left as it is|cannot be written|no journal"
    in_the_way = [
        machine.runtime / name for name in ("events.waiting.1000", "history.waiting.1000")
    ]
    in_the_way += [machine.runtime / "journal", machine.state / "events" / "events.jsonl.2"]
    (machine.runtime / "journal").unlink()
    for path in in_the_way:
        path.mkdir()
    kill_manager(machine)
    for path in in_the_way[:2]:
        machine.await_line(f"{path} is left as it is: Is a directory")
    assert machine.await_state("Web", "RUNNING").process_id == process_id
    machine.scmd("net", "stop", "Web")
    states = [entry["state"] for entry in machine.json("history", "Web")]
    assert states == ["START_PENDING", "RUNNING", "RUNNING", "STOP_PENDING", "STOPPED"]
    assert "The Web service entered the stopped state." in machine.scmd("events")
    assert all(path.is_dir() for path in in_the_way)


def test_upgrade_replaces_all_but_the_keeper_and_the_services(machine: Machine) -> None:
    script = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.001; done"
    machine.install("Writer", "/bin/sh", "-c", script)
    machine.scmd("net", "start", "Writer")
    before, status = machine.status("Writer"), machine.json("status")
    for _ in range(2):
        said = machine.scmd("upgrade")
        now = machine.json("status")
        assert f"manager {status['manager_pid']} " in said
        assert f"by {now['manager_pid']} " in said
        assert now["keeper_pid"] == status["keeper_pid"]
        status = now
    assert machine.status("Writer") == before
    machine.scmd("net", "stop", "Writer")
    numbers = [int(line.split()[1]) for line in machine.log("Writer").splitlines()]
    assert numbers == list(range(len(numbers)))
    assert not any("the manager ended" in line for line in machine.lines)


def test_upgrades_under_load_say_nothing_of_bugs(machine: Machine) -> None:
    """What is heard while a manager makes room is heard, or left to the next one."""
    names = [f"Brief{number}" for number in range(LOOSE)]
    for name in names:
        machine.scm.install(name, ["/bin/true"])
    with machine.as_environment(), Load(names, 1) as load:
        for _ in range(ROUNDS):
            load.done.acquire()
            machine.scmd("upgrade")
    assert not load.failures
    assert not any("the manager ended" in line for line in machine.lines)


def test_a_log_is_followed_past_a_manager_s_death(machine: Machine) -> None:
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.run(PYTHON, clock, "install").check_returncode()
    machine.scmd("net", "start", "Clock")
    with subprocess.Popen(
        [*SCMD, "logs", "-f", "Clock"], env=machine.environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline()
        kill_manager(machine)
        said = len(machine.log("Clock").splitlines())
        for _ in range(said + 10):
            assert "tick" in follower.stdout.readline()
        follower.terminate()


def test_the_manager_goes_when_the_keeper_has_gone(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.scmd("net", "start", "Sleeper")
    process_id = machine.status("Sleeper").process_id
    manager = int(str(machine.scm.status()["manager_pid"]))
    assert machine.process is not None
    machine.process.kill()
    eventually(lambda: is_gone(manager), "the manager's end")
    machine.await_end()
    machine.expected_complaints = "the keeper is gone"
    assert not is_gone(process_id)
    machine.start()
    eventually(lambda: is_gone(process_id), "the end of what was left")
    assert machine.status("Sleeper").win32_exit_code == Error.SERVICE_NEVER_STARTED


def test_nothing_is_replaced_by_what_cannot_be_loaded(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = machine.json("status")["manager_pid"]
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Traceback' >&2\necho 'ImportError: half of it' >&2\nexit 1")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with machine.as_environment(), pytest.raises(CommandError, match="loaded: ImportError: half"):
        upgrade.run([])
    assert machine.json("status")["manager_pid"] == before


def test_a_runtime_directory_that_was_removed_is_made_again(machine: Machine) -> None:
    """As whoever tidies up /tmp may do to an SCM of a user's own."""
    machine.install("Web", "sleep", "1000")
    machine.scmd("net", "start", "Web")
    process_id = machine.status("Web").process_id
    machine.disconnect()
    shutil.rmtree(machine.runtime)
    machine.await_line("ready again", 1)
    assert machine.await_state("Web", "RUNNING").process_id == process_id
    # The manager before has written its journal once more: who asked is known.
    assert "(root" in machine.scmd("why", "Web")
    machine.disconnect()
    (machine.runtime / "notify.sock").unlink()
    machine.await_line("ready again", 2)
    assert (machine.runtime / "notify.sock").is_socket()
    machine.scmd("net", "stop", "Web")


def test_a_watch_of_an_scm_that_began_with_nothing_is_told_so(bare: Machine) -> None:
    """As in a container made anew: its changes may be more than the watch has heard of the last."""
    bare.start()
    with bare.as_environment(), scmd.watch() as changes:
        bare.install("Old", "/bin/sleep", "1000")
        while (last := next(changes)).kind != "created":
            pass
        assert bare.stop() == 0
        shutil.rmtree(bare.state)
        shutil.rmtree(bare.runtime)
        bare.start()
        for number in range(last.sequence + 20):
            bare.scm.create(f"New{number}", "/bin/true")
        while not (change := next(changes)).gap:
            assert change.name == "Old"
