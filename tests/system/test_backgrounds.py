"""Other people's daemons that go into the background by themselves, and are told to reload."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from tests.free_ports import free_port
from tests.system.machine import Machine, eventually
from tests.system.programs import PYTHON
from tests.system.test_daemons import (
    HOST,
    NGINX,
    answers,
    ask_redis,
    ask_web,
    live_through_everything,
    peer,
)
from tests.system.test_manager_death import kill_manager

# Another process takes over and says so; the first one ends at once.
HANDS_OVER = """\
import os, signal, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
say("READY=1")
pid = os.fork()
if pid:
    say(f"MAINPID={pid}")
    os._exit(0)
os.setsid()
signal.pause()
"""


def install_redis(machine: Machine, port: int) -> None:
    file = machine.folder / "redis.pid"
    options = ("--port", str(port), "--bind", HOST, "--save", "", "--dir", str(machine.folder))
    daemon = ("--daemonize", "yes", "--pidfile", str(file))
    machine.install("Redis", peer("redis-server"), *options, *daemon, AppPidFile=str(file))


def nginx_settings(machine: Machine, port: int, daemon: str) -> Path:
    settings = machine.folder / "nginx.conf"
    text = NGINX.format(folder=machine.folder, host=HOST, port=port)
    settings.write_text(text.replace("daemon off", f"daemon {daemon}"))
    return settings


@pytest.mark.peers("redis-server")
def test_redis_in_the_background(machine: Machine) -> None:
    port = free_port()
    install_redis(machine, port)
    live_through_everything(machine, "Redis", lambda: answers(ask_redis, port))


@pytest.mark.peers("nginx")
def test_nginx_in_the_background_and_its_workers(machine: Machine) -> None:
    port = free_port()
    settings = nginx_settings(machine, port, "on")
    file = str(machine.folder / "nginx.pid")
    machine.install("Nginx", peer("nginx"), "-c", str(settings), AppPidFile=file)
    live_through_everything(machine, "Nginx", lambda: answers(ask_web, port))


@pytest.mark.peers("redis-server")
def test_a_daemon_outlives_the_manager_and_its_end_is_seen(machine: Machine) -> None:
    port = free_port()
    install_redis(machine, port)
    machine.sc("start", "Redis")
    pid = machine.await_state("Redis", "RUNNING").process_id
    assert int((machine.folder / "redis.pid").read_text()) == pid
    kill_manager(machine)
    assert machine.await_state("Redis", "RUNNING").process_id == pid
    assert ask_redis(port)
    os.kill(pid, signal.SIGKILL)
    assert machine.await_state("Redis", "STOPPED").win32_exit_code == Error.PROCESS_ABORTED


def test_a_pid_file_that_names_a_stranger_makes_nothing_run(machine: Machine) -> None:
    file = machine.folder / "stranger.pid"
    file.write_text(str(os.getpid()))
    machine.install(
        *("Liar", "/bin/sleep", "1000"),
        AppPidFile=str(file),
        AppReadyTime=400,
        AppReadyInterval=20,
    )
    machine.sc("start", "Liar")
    assert machine.await_state("Liar", "STOPPED").win32_exit_code == Error.PROCESS_ABORTED
    assert "is not one of its own" in machine.scmd("why", "Liar")


def test_the_process_that_is_named_is_the_service(machine: Machine) -> None:
    machine.install("Heir", PYTHON, "-c", HANDS_OVER, AppReady="notify")
    machine.sc("failure", "Heir", "reset=", "60", "actions=", "restart/0")
    machine.sc("start", "Heir")
    cause = eventually(
        lambda: found if "its main process is" in (found := machine.scmd("why", "Heir")) else None,
        "its main process",
    )
    pid = machine.await_state("Heir", "RUNNING").process_id
    assert f"its main process is {pid}" in cause
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: machine.status("Heir").process_id not in (0, pid), "another process")
    machine.sc("config", "Heir", "start=", "demand")


# Reloading ------------------------------------------------------------------------------------


@pytest.mark.peers("nginx")
def test_nginx_reloads_by_signal(machine: Machine) -> None:
    port, other = free_port(), free_port()
    settings = nginx_settings(machine, port, "off")
    machine.install("Nginx", peer("nginx"), "-c", str(settings), AppReloadSignal="HUP")
    machine.sc("start", "Nginx")
    eventually(lambda: answers(ask_web, port), "an answer")
    pid = machine.status("Nginx").process_id
    settings.write_text(settings.read_text().replace(f":{port};", f":{other};"))
    machine.scmd("reload", "Nginx")
    eventually(lambda: answers(ask_web, other), "an answer at the other port")
    assert machine.await_state("Nginx", "RUNNING").process_id == pid
    assert "RUNNING" in machine.sc("control", "Nginx", "paramchange")


@pytest.mark.peers("nginx")
def test_nginx_reloads_by_its_own_command(machine: Machine) -> None:
    port = free_port()
    settings = nginx_settings(machine, port, "off")
    reload = f"{peer('nginx')} -c {settings} -s reload"
    machine.install("Nginx", peer("nginx"), "-c", str(settings), AppReloadCommand=reload)
    machine.sc("start", "Nginx")
    eventually(lambda: answers(ask_web, port), "an answer")
    machine.scmd("reload", "Nginx")
    machine.await_event(8012, "Nginx")
    good = settings.read_text()
    settings.write_text("nonsense")
    assert "1066" in machine.try_scmd("sc", "control", "Nginx", "paramchange").stdout
    machine.await_event(8013, "Nginx")
    settings.write_text(good)


def test_what_cannot_reload_is_told_so(machine: Machine) -> None:
    machine.install("Plain", "/bin/sleep", "1000")
    machine.sc("start", "Plain")
    machine.await_state("Plain", "RUNNING")
    done = machine.try_scmd("reload", "Plain")
    assert (done.returncode, "AppReloadSignal" in done.stderr) == (1, True)
    assert machine.refused("control", "Plain", "paramchange") == 1052


HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend test
    bind {host}:{port}
    http-request return status 200 content-type text/plain string "from haproxy"
"""


@pytest.mark.peers("haproxy")
def test_haproxy_says_when_it_is_ready_and_has_reloaded(machine: Machine) -> None:
    port, other = free_port(), free_port()
    settings = machine.folder / "haproxy.cfg"
    settings.write_text(HAPROXY.format(host=HOST, port=port))
    haproxy = (peer("haproxy"), "-Ws", "-f", str(settings))
    machine.install("Proxy", *haproxy, AppReady="notify-reload", AppReloadSignal="USR2")
    machine.scmd("net", "start", "Proxy")
    assert ask_web(port)
    pid = machine.status("Proxy").process_id
    settings.write_text(HAPROXY.format(host=HOST, port=other))
    machine.scmd("reload", "Proxy")
    assert ask_web(other), "it had reloaded when the command ended"
    machine.await_event(8012, "Proxy")
    assert machine.await_state("Proxy", "RUNNING").process_id == pid
    machine.scmd("net", "stop", "Proxy")
    assert machine.status("Proxy").win32_exit_code == 0


@pytest.mark.peers("unbound")
def test_unbound_says_when_it_is_ready_and_reloads(machine: Machine) -> None:
    port = free_port()
    settings = machine.folder / "unbound.conf"
    settings.write_text(
        f"server:\n interface: {HOST}\n port: {port}\n chroot: ''\n username: ''\n"
        f" directory: {machine.folder}\n pidfile: ''\n use-syslog: no\n logfile: ''\n"
        " do-daemonize: no\n do-ip6: no\n module-config: iterator\n"
        "remote-control:\n control-enable: no\n"
    )
    unbound = (peer("unbound"), "-d", "-p", "-c", str(settings))
    machine.install("Names", *unbound, AppReady="notify", AppReloadSignal="HUP")
    machine.scmd("net", "start", "Names")
    machine.scmd("reload", "Names")
    machine.await_event(8012, "Names")
    machine.scmd("net", "stop", "Names")
    assert machine.status("Names").win32_exit_code == 0
