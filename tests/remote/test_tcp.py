"""TCP with NTLM: our client against our server, users, limits, and what is on the wire."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from scmd.client.mapping import NotMapped, tcp_port
from scmd.client.scm import connect
from scmd.rpc.interface import Interface
from scmd.scmd_interface.operations import SCMD
from scmd.svcctl.interface import SVCCTL
from scmd.transport.tcp import TcpStream
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.remote.reach import ADMINISTRATOR, PASSWORD, PLAIN, Reach
from tests.system.machine import Machine, eventually


@pytest.fixture
def reach(machine: Machine) -> Reach:
    return Reach(machine).open()


def refusal(host: str, user: str | None, password: str | None) -> WinError:
    with pytest.raises(WinError) as caught, connect(host, user=user, password=password) as scm:
        scm.status()
    assert password is None or password not in str(caught.value)
    return caught.value


def test_every_command_works_by_tcp(machine: Machine, reach: Reach) -> None:
    far = (reach.host, *reach.credentials)
    machine.scmd("install", *far, "Sleeper", "--", "/bin/sleep", "1000")
    machine.scmd("sc", *far, "start", "Sleeper")
    machine.await_state("Sleeper", "RUNNING")
    assert "RUNNING" in machine.scmd("sc", *far, "query", "Sleeper")
    assert "stopped successfully" in machine.scmd("net", *far, "stop", "Sleeper")
    assert "manager" in machine.scmd("status", *far)
    machine.scmd("why", *far, "Sleeper")
    machine.scmd("set", *far, "Sleeper", "AppNice", "5")
    assert machine.scmd("get", *far, "Sleeper", "AppNice") == "5\n"
    machine.scmd("remove", *far, "Sleeper")
    for local in ("remote", "upgrade", "links"):
        done = machine.try_scmd(local, *far)
        assert (done.returncode, "for this machine" in done.stderr) == (2, True)


def test_who_calls_is_in_the_history(machine: Machine, reach: Reach) -> None:
    machine.install("Sleeper", "sleep", "1000")
    with connect(reach.host, user=f"LAB\\{ADMINISTRATOR}", password=PASSWORD) as scm:
        scm["Sleeper"].start(wait=True)
        scm["Sleeper"].stop(wait=True)
    last = machine.json("history", "Sleeper")[-1]
    assert last["actor"].endswith(f"\\{ADMINISTRATOR}")
    assert last["origin"].startswith("127.0.0.1:")


def test_who_is_not_let_in_is_told_so(machine: Machine, reach: Reach) -> None:
    for user, password in ((ADMINISTRATOR, "wrong"), ("stranger", PASSWORD), (None, None)):
        assert refusal(reach.host, user, password).winerror == Error.ACCESS_DENIED
    machine.scmd("remote", "deluser", PLAIN)
    assert refusal(reach.host, PLAIN, PASSWORD).winerror == Error.ACCESS_DENIED
    machine.scmd("remote", "passwd", ADMINISTRATOR, input="another\n")
    assert refusal(reach.host, ADMINISTRATOR, PASSWORD).winerror == Error.ACCESS_DENIED
    connect(reach.host, user=ADMINISTRATOR, password="another").close()
    trail = [event["message"] for event in machine.json("events", "--source", "scmd audit")]
    for said in ("the user name or the password is wrong", f"remote delete_user {PLAIN}"):
        assert any(said in line for line in trail), trail


def test_who_guesses_is_locked_out_alone(machine: Machine, reach: Reach) -> None:
    for _ in range(5):
        refusal(reach.host, PLAIN, "wrong")
    assert refusal(reach.host, PLAIN, PASSWORD).winerror == Error.ACCESS_DENIED
    connect(reach.host, user=ADMINISTRATOR, password=PASSWORD).close()


def test_a_user_has_what_the_descriptors_give(machine: Machine, reach: Reach) -> None:
    machine.install("Sleeper", "sleep", "1000")
    with connect(reach.host, user=PLAIN, password=PASSWORD) as scm:
        # A remote user may connect, and nothing else (scmr 8.1).
        assert scm.handle
        for refused in (scm.services, scm["Sleeper"].start, lambda: scm["Sleeper"].status):
            with pytest.raises(WinError) as caught:
                refused()
            assert caught.value.winerror == Error.ACCESS_DENIED


def test_the_mapper_tells_the_port(machine: Machine, reach: Reach) -> None:
    for interface in (SVCCTL, SCMD):
        stream = TcpStream(reach.address, reach.mapper, 30, 30)
        assert tcp_port(stream, interface) == reach.port
        stream.close()
    other = Interface("other", "12345678-1234-abcd-ef00-0123456789ab", 1, 0)
    stream = TcpStream(reach.address, reach.mapper, 30, 30)
    with pytest.raises(NotMapped, match="not served"):
        tcp_port(stream, other)
    stream.close()


def test_every_step_that_fails_is_named(machine: Machine, reach: Reach) -> None:
    machine.scmd("remote", "disable")
    error = refusal(reach.host, ADMINISTRATOR, PASSWORD)
    assert error.winerror == Error.RPC_SERVER_UNAVAILABLE
    assert f"TCP port {reach.port}" in str(error)
    error = refusal("//127.88.77.66", ADMINISTRATOR, PASSWORD)
    assert error.winerror == Error.RPC_SERVER_UNAVAILABLE
    assert "TCP port 135" in str(error)
    assert "named pipe" in str(error)
    assert (
        refusal("//no-such-host.invalid:1", "ann", PASSWORD).winerror
        == Error.RPC_SERVER_UNAVAILABLE
    )


def test_the_manager_may_die_under_a_client(machine: Machine, reach: Reach) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.expected_complaints = "manager ended"
    with connect(reach.host, user=ADMINISTRATOR, password=PASSWORD) as scm:
        before = scm.status()["manager_pid"]
        os.kill(int(str(before)), 9)
        assert eventually(lambda: scm.status()["manager_pid"] != before, "another manager")
        assert [service.name for service in scm.services()] == ["Sleeper"]
    machine.disconnect()


def test_a_restart_opens_the_same_places(machine: Machine, reach: Reach) -> None:
    before = reach.status()
    machine.restart()
    assert reach.status() == before
    connect(reach.host, user=ADMINISTRATOR, password=PASSWORD).close()


def test_a_change_that_fails_changes_nothing(machine: Machine, reach: Reach) -> None:
    before = reach.status()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = machine.try_scmd("remote", "enable", "--tcp", f"127.0.0.1:{port}")
        assert (done.returncode, "in use" in done.stderr) == (1, True)
    for wrong in (("--tcp", "web:1"), ("--level", "none"), ("--smbd", "/" + 99 * "x")):
        assert machine.try_scmd("remote", "enable", *wrong).returncode == 1
    assert reach.status() == before


def test_only_from_the_machine_itself_others_are_let_in(machine: Machine, reach: Reach) -> None:
    from scmd.client.management import change_remote, query_remote
    from scmd.vocabulary.service import ScmAccess

    with connect(reach.host, user=ADMINISTRATOR, password=PASSWORD) as scm:
        handle = scm.calls.open_scm(ScmAccess.ALL_ACCESS)
        assert b"administrator" in query_remote(scm.calls, handle)
        with pytest.raises(WinError) as caught:
            change_remote(scm.calls, handle, b'{"delete_user": "plain"}')
        assert caught.value.winerror == Error.ACCESS_DENIED
    assert machine.try_scmd("remote", "status", user=65534).returncode == 1


class Relay:
    """Between a client and the server: keeps what it passes on."""

    def __init__(self, reach: Reach) -> None:
        import threading

        self.heard = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"//127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._serve, args=(reach,), daemon=True)]
        self.threads[0].start()

    def _serve(self, reach: Reach) -> None:
        import threading

        client, _ = self.listener.accept()
        server = socket.create_connection((reach.address, reach.port))
        for source, sink in ((client, server), (server, client)):
            thread = threading.Thread(target=self._pass, args=(source, sink), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65536):
            self.heard += data
            sink.sendall(data)
        sink.close()


@pytest.fixture
def relay(reach: Reach) -> Iterator[Relay]:
    relay = Relay(reach)
    yield relay
    relay.listener.close()
    for thread in relay.threads:
        thread.join(30)


def test_nothing_of_a_call_can_be_read_on_the_way(machine: Machine, relay: Relay) -> None:
    secret = "NobodyMayReadThis"
    with connect(relay.address, user=ADMINISTRATOR, password=PASSWORD) as scm:
        scm.install(secret, ["/bin/true", secret], display=secret)
        assert scm[secret].config.display_name == secret
    assert secret in machine.sc("query", "state=", "all")
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert secret.encode(encoding) not in relay.heard
        assert PASSWORD.encode(encoding) not in relay.heard
    assert len(relay.heard) > 1000


def test_nothing_listens_by_default(machine: Machine) -> None:
    assert "Closed" in machine.scmd("remote", "status")
    status = machine.scm.status()
    assert status["end_points"] == [f"unix:{machine.runtime}/scm.sock"]
