"""Hosted programs that are RUNNING when they are ready: other people's daemons, and bad ones."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from scmd.vocabulary.errors import Error
from tests.free_ports import free_port
from tests.system.machine import SCMD, Machine, eventually
from tests.system.programs import PYTHON
from tests.system.test_daemons import HOST, NGINX, ask_redis, ask_web, peer

# Says what each line of a FIFO says, until the line is empty.
SAYS = """\
import os, signal, socket, sys
with open(sys.argv[1]) as orders:
    for line in orders:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(line.strip().encode(), os.environ["NOTIFY_SOCKET"])
        print("said", line.strip(), flush=True)
signal.pause()
"""


AT_ONCE = """\
import os, pathlib, signal, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""


class Speaker:
    """A hosted program that says what the test wants it to."""

    def __init__(self, machine: Machine, name: str, **parameters: str | int) -> None:
        fifo = machine.folder / f"{name}.fifo"
        os.mkfifo(fifo)
        machine.install(name, PYTHON, "-c", SAYS, str(fifo), **parameters)
        machine.sc("start", name)
        self._orders = fifo.open("w")

    def say(self, text: str) -> None:
        print(text, file=self._orders, flush=True)

    def close(self) -> None:
        self._orders.close()


def test_redis_says_when_it_is_ready(machine: Machine) -> None:
    port = free_port()
    redis = [peer("redis-server"), "--bind", HOST, "--port", str(port), "--save", ""]
    supervised = [*redis, "--dir", str(machine.folder), "--supervised", "systemd"]
    machine.install("Redis", *supervised, AppReady="notify")
    machine.sc("start", "Redis")
    machine.await_state("Redis", "RUNNING")
    assert ask_redis(port)
    machine.sc("stop", "Redis")
    assert machine.await_state("Redis", "STOPPED").win32_exit_code == 0


def test_nginx_runs_when_it_answers(machine: Machine) -> None:
    port = free_port()
    config = machine.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=machine.folder, host=HOST, port=port))
    url = f"http://{HOST}:{port}/"
    nginx = [peer("nginx"), "-p", str(machine.folder), "-c", str(config)]
    machine.install("Nginx", *nginx, AppReady=url, AppHealth=url, AppHealthInterval=50)
    machine.sc("start", "Nginx")
    machine.await_state("Nginx", "RUNNING")
    assert ask_web(port)


def test_a_dependent_waits_for_the_web_server(machine: Machine) -> None:
    port = free_port()
    web = (PYTHON, "-m", "http.server", str(port), "--bind", HOST)
    machine.install("Web", *web, AppReady=f"tcp:{HOST}:{port}", AppReadyInterval=20)
    ask = f"import urllib.request as u; print(u.urlopen('http://{HOST}:{port}/').status)"
    machine.install("Needs", PYTHON, "-c", ask)
    machine.sc("config", "Needs", "depend=", "Web")
    machine.sc("start", "Needs")
    machine.await_log("Needs", "200")


def test_a_late_program_is_pending_and_progress_shows(machine: Machine) -> None:
    speaker = Speaker(machine, "Late", AppReady="notify")
    speaker.say("STATUS=loading")
    assert eventually(lambda: machine.status("Late").check_point, "a check point") == 1
    assert machine.await_state("Late", "START_PENDING").wait_hint > 0
    speaker.say("READY=1")
    machine.await_state("Late", "RUNNING")
    speaker.close()


def test_a_line_of_the_log_makes_it_ready(machine: Machine) -> None:
    port = free_port()
    redis = [peer("redis-server"), "--bind", HOST, "--port", str(port), "--save", ""]
    ready = "log:Ready to accept connections"
    machine.install("Redis", *redis, "--dir", str(machine.folder), AppReady=ready)
    machine.sc("start", "Redis")
    machine.await_state("Redis", "RUNNING")
    assert ask_redis(port)
    machine.sc("config", "Redis", "start=", "demand")
    machine.install("Mute", "/bin/sleep", "1000", AppReady=ready)
    machine.sc("start", "Mute")
    machine.await_state("Mute", "START_PENDING")


def test_what_is_said_while_no_manager_lives_is_heard(machine: Machine) -> None:
    speaker = Speaker(machine, "Patient", AppReady="notify")
    machine.await_state("Patient", "START_PENDING")
    manager = int(str(machine.scm.status()["manager_pid"]))
    os.kill(manager, signal.SIGSTOP)
    speaker.say("READY=1")
    log = machine.state / "logs"
    eventually(lambda: any("said" in f.read_text() for f in log.glob("*.log")), "what it said")
    os.kill(manager, signal.SIGKILL)
    machine.disconnect()
    machine.await_line("ready again")
    machine.await_state("Patient", "RUNNING")
    speaker.close()


def test_what_is_said_before_the_keeper_tells_of_the_start_is_heard(machine: Machine) -> None:
    said = machine.folder / "said"
    machine.install("Quick", PYTHON, "-I", "-S", "-c", AT_ONCE, str(said), AppReady="notify")
    assert machine.process is not None
    keeper = machine.process.pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children")
    before = children.read_text()
    starter = subprocess.Popen([*SCMD, "sc", "start", "Quick"], env=machine.environment)
    while children.read_text() == before:
        pass
    os.kill(keeper, signal.SIGSTOP)
    try:
        eventually(said.exists, "what it said")
        # The manager has found it by now: it answers what was asked after that.
        machine.scm.status()
    finally:
        os.kill(keeper, signal.SIGCONT)
    machine.await_state("Quick", "RUNNING")
    assert starter.wait() == 0


def test_a_stranger_cannot_make_it_ready(machine: Machine) -> None:
    speaker = Speaker(machine, "Alone", AppReady="notify")
    known = f"NOTIFY_SOCKET={machine.runtime}/notify.sock"
    says = SAYS.replace("signal.pause()", "")
    machine.run("/usr/bin/env", known, PYTHON, "-c", says, "/dev/stdin", input="READY=1\n")
    machine.await_line("dropped a notification of process")
    speaker.say("STATUS=after that")
    eventually(lambda: machine.status("Alone").check_point, "its own word")
    machine.await_state("Alone", "START_PENDING")
    speaker.close()


def test_one_that_never_gets_ready_has_failed(machine: Machine) -> None:
    machine.install("Never", "/bin/sleep", "1000", AppReady="notify", AppReadyTime=50)
    machine.sc("start", "Never")
    status = machine.await_state("Never", "STOPPED")
    assert status.win32_exit_code == Error.PROCESS_ABORTED
    machine.await_event(7034, "Never")


def test_a_silent_watchdog_brings_a_restart(machine: Machine) -> None:
    speaker = Speaker(machine, "Dog", AppReady="notify", AppWatchdogTime=200)
    machine.sc("failure", "Dog", "reset=", "60", "actions=", "restart/0")
    first = eventually(lambda: machine.status("Dog").process_id, "its process")
    speaker.say("READY=1")
    eventually(lambda: machine.status("Dog").process_id not in (0, first), "another process")
    machine.await_event(7031, "Dog")
    speaker.close()
    history = machine.json("history", "Dog")
    assert any("watchdog" in line["cause"].lower() for line in history), history


def test_who_is_not_well_is_killed(machine: Machine) -> None:
    well = machine.folder / "well"
    well.touch()
    machine.install(
        *("Sick", "/bin/sleep", "1000"),
        AppHealth=f"command:/usr/bin/test -e {well}",
        AppHealthInterval=20,
        AppHealthFailures=2,
    )
    machine.sc("start", "Sick")
    machine.await_state("Sick", "RUNNING")
    Path(well).unlink()
    assert machine.await_state("Sick", "STOPPED").win32_exit_code == Error.PROCESS_ABORTED
