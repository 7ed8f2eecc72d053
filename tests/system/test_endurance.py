"""Kills, crashes and damage: what is promised survives, what cannot be used is left alone."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess

import pytest

from scmd.client.configuration import change_config
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceAccess, StartType
from tests.system import programs
from tests.system.machine import LIMIT_S, SCMD, Machine, eventually, is_gone
from tests.system.programs import PYTHON

EX_CONFIG = 78


def test_what_was_answered_survives_a_crash(machine: Machine) -> None:
    for number in range(20):
        machine.sc("create", f"S{number}", "binPath=", f"/bin/{number}")
        if number:
            with machine.scm[f"S{number - 1}"].opened(ServiceAccess.CHANGE_CONFIG) as handle:
                change_config(machine.scm.calls, handle, start_type=StartType.DISABLED)
        machine.crash()
        machine.start()
        expected = [f"S{known}" for known in range(number + 1)]
        found = {service.name: service.config for service in machine.scm.services()}
        assert sorted(found, key=lambda name: int(name[1:])) == expected
        assert found[f"S{number}"].image_path == f"/bin/{number}"
        if number:
            assert found[f"S{number - 1}"].start_type == StartType.DISABLED


def test_everything_configured_survives_a_restart(machine: Machine) -> None:
    machine.scmd(
        *("install", "Web", "--start", "disabled", "--env", "A=ü", "--display", "Das Web"),
        *("--description", "Später", "--", "sleep", "1000"),
    )
    machine.scmd("set", "Web", r"Deep\er\Value", "4294967295")
    machine.sc("failure", "Web", "reset=", "60", "actions=", "restart/1000/run/2000")
    before = (
        machine.sc("qc", "Web"),
        machine.sc("qdescription", "Web"),
        machine.sc("qfailure", "Web"),
        machine.json("get", "Web"),
    )
    machine.restart()
    after = (
        machine.sc("qc", "Web"),
        machine.sc("qdescription", "Web"),
        machine.sc("qfailure", "Web"),
        machine.json("get", "Web"),
    )
    assert after == before


def test_a_killed_keepers_services_are_ended_by_the_next(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.sc("start", "Sleeper")
    process_id = machine.await_state("Sleeper", "RUNNING").process_id
    machine.crash()
    machine.start()
    eventually(lambda: is_gone(process_id), "the end of the service")
    assert machine.status("Sleeper").state == 1
    machine.scmd("net", "start", "Sleeper")


def test_a_killed_manager_is_replaced_and_services_go_on(machine: Machine) -> None:
    clock = programs.write(machine.folder, "clock.py", programs.CLOCK)
    machine.run(PYTHON, clock, "install").check_returncode()
    machine.install("Sleeper", "sleep", "1000")
    for name in ("Clock", "Sleeper"):
        machine.scmd("net", "start", name)
    before = {name: machine.status(name) for name in ("Clock", "Sleeper")}
    status = machine.json("status")
    for time in (1, 2):
        os.kill(machine.json("status")["manager_pid"], signal.SIGKILL)
        machine.disconnect()
        machine.await_line("ready again", count=time)
    now = machine.json("status")
    assert now["keeper_pid"] == status["keeper_pid"]
    assert now["manager_pid"] != status["manager_pid"]
    assert {name: machine.status(name) for name in before} == before
    for name in before:
        machine.scmd("net", "stop", name)
        assert machine.status(name).win32_exit_code == 0
        machine.scmd("net", "start", name)


def test_one_scm_per_state_directory(machine: Machine) -> None:
    assert machine.process is not None
    second = Machine(machine.folder)
    second.runtime = machine.folder / "other"
    second.begin()
    assert second.await_end() == 1
    assert str(machine.process.pid) in "".join(second.lines)
    assert machine.json("status")["keeper_pid"] == machine.process.pid


def refuses(machine: Machine) -> str:
    """What an SCM says that cannot use its database, which it must leave as it is."""
    path = machine.state / "registry.db"
    before = path.read_bytes()
    machine.begin()
    assert machine.await_end() == EX_CONFIG
    assert path.read_bytes() == before
    said = "".join(machine.lines)
    assert "registry.db" in said
    assert not machine.runtime.joinpath("scm.sock").exists()
    return said


@pytest.mark.parametrize("damage", ["head", "middle", "half", "text", "empty log"])
def test_a_damaged_database_is_refused_and_left_alone(machine: Machine, damage: str) -> None:
    for number in range(30):
        machine.scm.create(f"S{number}", "/bin/true", description="x" * 500)
    assert machine.stop() == 0
    path = machine.state / "registry.db"
    data = bytearray(path.read_bytes())
    if damage == "head":
        data[:16] = b"\0" * 16
    elif damage == "middle":
        data[4096:8192] = os.urandom(4096)
    elif damage == "half":
        del data[len(data) // 2 :]
    elif damage == "text":
        data[:] = b"not a database at all\n" * 1000
    else:
        data.clear()
        (machine.state / "registry.db-wal").write_bytes(b"\x37\x7f\x06\x82" * 100)
    path.write_bytes(data)
    assert "left as it is" in refuses(machine)


def test_a_newer_database_is_refused_and_left_alone(machine: Machine) -> None:
    machine.sc("create", "Web", "binPath=", "/x")
    assert machine.stop() == 0
    database = sqlite3.connect(machine.state / "registry.db")
    (format,) = database.execute("PRAGMA user_version").fetchone()
    database.execute(f"PRAGMA user_version = {format + 1}")
    database.close()
    assert f"format {format + 1}" in refuses(machine)


@pytest.mark.parametrize(
    ("option", "name"), [("--state", "file"), ("--runtime", "file"), ("--runtime", "d" * 100)]
)
def test_a_directory_that_cannot_be_used_is_named(bare: Machine, option: str, name: str) -> None:
    (bare.folder / "file").write_text("")
    path = str(bare.folder / name)
    done = bare.try_scmd("run", option, path)
    assert done.returncode == 1
    assert path in done.stderr
    assert "Traceback" not in done.stderr


def test_options_name_the_directories(bare: Machine) -> None:
    state, runtime = bare.folder / "s", bare.folder / "r"
    bare.begin("--state", str(state), "--runtime", str(runtime))
    bare.await_line("ready")
    bare.state, bare.runtime = state, runtime
    assert bare.json("status")["end_points"] == [f"unix:{runtime}/scm.sock"]
    assert (state / "registry.db").exists()


def test_a_second_request_to_stop_waits_for_nobody(machine: Machine) -> None:
    assert machine.process is not None
    ignoring = "import signal; signal.signal(15, signal.SIG_IGN); print('on', flush=True)\n"
    machine.install("Deaf", PYTHON, "-c", ignoring + "while True: signal.pause()")
    machine.sc("start", "Deaf")
    machine.await_log("Deaf", "on\n")
    process_id = machine.status("Deaf").process_id
    machine.process.terminate()
    eventually(lambda: machine.status("Deaf").state == 3, "the stop")
    process = machine.process

    def asked_again() -> bool:
        process.terminate()
        return any("not waiting" in line for line in machine.lines)

    eventually(asked_again, "the end of its patience")
    assert machine.await_end() == 1
    assert is_gone(process_id)


def test_ready_is_told_to_systemd(bare: Machine) -> None:
    address = str(bare.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(address)
        told.settimeout(LIMIT_S)
        bare.more_environment = {"NOTIFY_SOCKET": address}
        bare.start()
        assert b"READY=1" in told.recv(1000)
        bare.install("Asks", "sh", "-c", "echo [$NOTIFY_SOCKET]; exec sleep 1000")
        bare.sc("start", "Asks")
        bare.await_log("Asks", r"\[\]\n")
        assert bare.stop() == 0
        assert b"STOPPING=1" in told.recv(1000)


def test_a_flood_of_clients_is_served(machine: Machine) -> None:
    machine.sc("create", "Web", "binPath=", "/x")
    clients = [
        subprocess.Popen(
            [*SCMD, "sc", "query", "Web"],
            env=machine.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    for client in clients:
        output, _ = client.communicate(timeout=LIMIT_S)
        assert (client.returncode, "STOPPED" in output) == (0, True)
    assert machine.refused("query", "Nobody") == Error.SERVICE_DOES_NOT_EXIST
