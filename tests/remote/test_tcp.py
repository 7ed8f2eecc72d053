"""TCP with NTLM: our client against our server, users, limits, and what is on the wire."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

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
from tests.system.machine import Machine, eventually, finished


@pytest.fixture
def reach(machine: Machine) -> Reach:
    """A machine of the test's own."""
    return Reach(machine).open()


@pytest.fixture(scope="module")
def shared() -> Iterator[Reach]:
    """A machine for tests that leave it as it was, but for services of their own names."""
    with TemporaryDirectory(prefix="scmd-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o755)
        with finished(Machine(folder)) as machine:
            yield Reach(machine.start()).open()


def refusal(host: str, user: str | None, password: str | None) -> WinError:
    with pytest.raises(WinError) as caught, connect(host, user=user, password=password) as scm:
        scm.status()
    assert password is None or password not in str(caught.value)
    return caught.value


def test_every_command_works_by_tcp(shared: Reach) -> None:
    machine = shared.machine
    far = (shared.host, *shared.credentials)
    machine.scmd("install", *far, "Everything", "--", "/bin/sleep", "1000")
    machine.scmd("sc", *far, "start", "Everything")
    machine.await_state("Everything", "RUNNING")
    assert "RUNNING" in machine.scmd("sc", *far, "query", "Everything")
    assert "stopped successfully" in machine.scmd("net", *far, "stop", "Everything")
    assert "manager" in machine.scmd("status", *far)
    machine.scmd("why", *far, "Everything")
    machine.scmd("set", *far, "Everything", "AppNice", "5")
    assert machine.scmd("get", *far, "Everything", "AppNice") == "5\n"
    machine.scmd("remove", *far, "Everything")
    for local in ("remote", "upgrade", "links"):
        done = machine.try_scmd(local, *far)
        assert (done.returncode, "for this machine" in done.stderr) == (2, True)


def test_who_calls_is_in_the_history(shared: Reach) -> None:
    machine = shared.machine
    machine.install("Called", "sleep", "1000")
    with connect(shared.host, user=f"LAB\\{ADMINISTRATOR}", password=PASSWORD) as scm:
        scm["Called"].start(wait=True)
        scm["Called"].stop(wait=True)
    last = machine.json("history", "Called")[-1]
    assert last["actor"].endswith(f"\\{ADMINISTRATOR}")
    assert last["origin"].startswith("127.0.0.1:")


def test_who_is_not_let_in_is_told_so(machine: Machine, reach: Reach) -> None:
    for user, password, why in (
        (ADMINISTRATOR, "wrong", f"{reach.host}, TCP port {reach.port}: the server refuses"),
        ("stranger", PASSWORD, "the server refuses the credentials"),
        (None, None, "there is no Kerberos ticket to use"),
    ):
        error = refusal(reach.host, user, password)
        assert error.winerror == Error.ACCESS_DENIED
        assert why in str(error)
    machine.scmd("remote", "deluser", PLAIN)
    assert refusal(reach.host, PLAIN, PASSWORD).winerror == Error.ACCESS_DENIED
    machine.scmd("remote", "passwd", ADMINISTRATOR, input="another\r\n")
    assert refusal(reach.host, ADMINISTRATOR, PASSWORD).winerror == Error.ACCESS_DENIED
    connect(reach.host, user=ADMINISTRATOR, password="another").close()
    trail = [event["message"] for event in machine.json("events", "--source", "scmd audit")]
    for said in (
        "the user name or the password is wrong",
        f"remote delete_user {PLAIN}",
        f"remote add user {PLAIN}",
        f"remote add administrator {ADMINISTRATOR}",
        f"remote user {ADMINISTRATOR}",
        f"remote enable tcp={reach.address}:{reach.port} epm={reach.address}:{reach.mapper}",
    ):
        assert any(said in line for line in trail), trail
    refused = [line for line in trail if "log on" in line]
    assert len(refused) == 4, "each of them once"


def test_who_guesses_is_locked_out_alone(shared: Reach) -> None:
    shared.machine.scmd("remote", "adduser", "guessed", input=f"{PASSWORD}\n")
    for _ in range(5):
        refusal(shared.host, "guessed", "wrong")
    assert refusal(shared.host, "guessed", PASSWORD).winerror == Error.ACCESS_DENIED
    connect(shared.host, user=ADMINISTRATOR, password=PASSWORD).close()


def test_a_user_has_what_the_descriptors_give(shared: Reach) -> None:
    machine = shared.machine
    machine.install("Guarded", "sleep", "1000")
    with connect(shared.host, user=PLAIN, password=PASSWORD) as scm:
        # A remote user may connect, and nothing else (scmr 8.1).
        assert scm.handle
        for refused in (
            *(scm.services, scm["Guarded"].start, lambda: scm["Guarded"].status),
            scm.status,
        ):
            with pytest.raises(WinError) as caught:
                refused()
            assert caught.value.winerror == Error.ACCESS_DENIED


def test_the_status_says_who_administers(shared: Reach) -> None:
    machine = shared.machine
    for name in ("root", "x.", "a@b"):
        machine.try_scmd("remote", "adduser", name, input=f"{PASSWORD}\n")
    said = machine.scmd("remote", "status").splitlines()
    users = {f"administrator {ADMINISTRATOR}", f"user {PLAIN}", "administrator root"}
    assert users <= {*said}
    assert not {"user x.", "user a@b"} & {*said}
    machine.scmd("remote", "deluser", "root")


def test_the_mapper_tells_the_port(shared: Reach) -> None:
    for interface in (SVCCTL, SCMD):
        stream = TcpStream(shared.address, shared.mapper, 30, 30)
        assert tcp_port(stream, interface) == shared.port
        stream.close()
    other = Interface("other", "12345678-1234-abcd-ef00-0123456789ab", 1, 0)
    stream = TcpStream(shared.address, shared.mapper, 30, 30)
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
    for host in ("//no-such-host.invalid:1", "//no-such-host.invalid", "//a..b", f"//{64 * 'a'}:1"):
        error = refusal(host, "ann", PASSWORD)
        assert error.winerror == Error.RPC_SERVER_UNAVAILABLE
        assert "the name cannot be resolved" in str(error)
        assert "port" not in str(error)


def test_the_manager_may_die_under_a_client(machine: Machine, reach: Reach) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.expected_complaints = "manager ended"
    with connect(reach.host, user=ADMINISTRATOR, password=PASSWORD) as scm:
        before = scm.status()["manager_pid"]
        os.kill(int(str(before)), 9)
        assert eventually(lambda: scm.status()["manager_pid"] != before, "another manager")
        assert "Sleeper" in [service.name for service in scm.services()]
    machine.disconnect()


def test_a_restart_opens_the_same_places(machine: Machine, reach: Reach) -> None:
    before = reach.status()
    machine.restart()
    assert reach.status() == before
    connect(reach.host, user=ADMINISTRATOR, password=PASSWORD).close()


def test_a_place_that_is_taken_at_the_start_is_told(machine: Machine, reach: Reach) -> None:
    machine.stop()
    machine.expected_complaints = "cannot listen"
    place = f"{reach.address}:{reach.port}"
    with socket.create_server((reach.address, reach.port)):
        machine.start()
        said = machine.scmd("remote", "status")
        assert f"NOT OPEN: cannot listen at {place}: Address already in use\n" in said
        assert f"TCP {place}" not in said
        assert f"Endpoint mapper {reach.address}:{reach.mapper}: open" in said
    assert f"TCP {place}: open" in machine.scmd("remote", "enable", "--tcp", place)
    connect(reach.host, user=ADMINISTRATOR, password=PASSWORD).close()


def test_a_change_that_fails_changes_nothing(machine: Machine, reach: Reach) -> None:
    before = reach.status()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = machine.try_scmd("remote", "enable", "--tcp", f"127.0.0.1:{port}")
        assert (done.returncode, "in use" in done.stderr) == (1, True)
    with socket.create_server(("127.0.0.9", reach.port)):
        # The address of before is in the way too, and comes back.
        done = machine.try_scmd("remote", "enable", "--tcp", f"0.0.0.0:{reach.port}")
        assert (done.returncode, "in use" in done.stderr) == (1, True)
    connect(reach.host, user=ADMINISTRATOR, password=PASSWORD).close()
    for wrong, said in (
        (("--tcp", "web:1"), "not an IP address"),
        (("--tcp", "192.0.2.1:4711"), "assign requested address"),
        (("--level", "none"), "privacy, integrity"),
        (("--smbd", "/" + 99 * "x"), "too long"),
        (("--administrators", "no such group"), "there is no group no such group"),
        (("--keytab", "/nowhere/keytab"), "/nowhere/keytab cannot be read"),
    ):
        done = machine.try_scmd("remote", "enable", *wrong)
        assert (done.returncode, said in done.stderr) == (1, True), done
    for option in ("--smbd", "--keytab", "--administrators"):
        done = machine.try_scmd("remote", "enable", option, "/x\udcff")
        assert (done.returncode, "/x\\udcff is no printable text" in done.stderr) == (1, True), done
    done = machine.try_scmd("remote", "adduser", "x\udcff", input="p\n")
    assert (done.returncode, "is no user's name" in done.stderr) == (1, True), done
    assert reach.status() == before


def test_an_address_of_the_same_port_takes_the_place_of_the_other(
    machine: Machine, reach: Reach
) -> None:
    other = Reach(machine, "127.0.0.9")
    for place, host in ((f"0.0.0.0:{reach.port}", reach), (f"127.0.0.9:{reach.port}", other)):
        machine.scmd("remote", "enable", "--tcp", place)
        connect(f"//{host.address}:{reach.port}", user=ADMINISTRATOR, password=PASSWORD).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((reach.address, reach.port)).close()


def test_only_from_the_machine_itself_others_are_let_in(shared: Reach) -> None:
    machine = shared.machine
    from scmd.client.management import change_remote, query_remote
    from scmd.vocabulary.service import ScmAccess

    with connect(shared.host, user=ADMINISTRATOR, password=PASSWORD) as scm:
        handle = scm.calls.open_scm(ScmAccess.ALL_ACCESS)
        assert b"administrator" in query_remote(scm.calls, handle)
        with pytest.raises(WinError) as caught:
            change_remote(scm.calls, handle, b'{"delete_user": "plain"}')
        assert caught.value.winerror == Error.ACCESS_DENIED
    assert machine.try_scmd("remote", "status", user=65534).returncode == 1


class Relay:
    """Between a client and the server: keeps what it passes on."""

    def __init__(self, reach: Reach) -> None:
        self.heard = b""
        self.ends: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"//127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._serve, args=(reach,), daemon=True)]
        self.threads[0].start()

    def _serve(self, reach: Reach) -> None:
        client, _ = self.listener.accept()
        server = socket.create_connection((reach.address, reach.port))
        self.ends += (client, server)
        for source, sink in ((client, server), (server, client)):
            thread = threading.Thread(target=self._pass, args=(source, sink), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(shared: Reach) -> Iterator[Relay]:
    relay = Relay(shared)
    yield relay
    relay.listener.close()
    for thread in relay.threads:
        thread.join(30)
    for end in relay.ends:
        end.close()


def test_nothing_of_a_call_can_be_read_on_the_way(shared: Reach, relay: Relay) -> None:
    machine = shared.machine
    secret = "NobodyMayReadThis"
    with connect(relay.address, user=ADMINISTRATOR, password=PASSWORD) as scm:
        scm.install(secret, ["/bin/true", secret], display=secret)
        assert scm[secret].config.display_name == secret
    assert secret in machine.sc("query", "state=", "all")
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert secret.encode(encoding) not in relay.heard
        assert PASSWORD.encode(encoding) not in relay.heard
    assert len(relay.heard) > 1000


def test_users_that_cannot_be_read_are_said_and_left_alone(machine: Machine) -> None:
    machine.expected_complaints = "nobody can come from other machines"
    file = machine.state / "remote-users.json"
    file.touch(mode=0o600)
    machine.restart()
    why = f"{file} is damaged"
    assert machine.scmd("remote", "status").endswith(f"NOBODY MAY COME BY TCP: {why}\n")
    for verb in ("adduser", "passwd"):
        refused = machine.try_scmd("remote", verb, "ann", input="secret\n")
        assert (refused.returncode, refused.stderr) == (1, f"scmd remote: {why}\n")
    assert file.read_bytes() == b""


def test_nothing_listens_by_default(machine: Machine) -> None:
    assert "Closed" in machine.scmd("remote", "status")
    status = machine.scm.status()
    assert status["end_points"] == [f"unix:{machine.runtime}/scm.sock"]


def test_a_user_whom_unix_does_not_know_is_granted_by_name(shared: Reach) -> None:
    machine = shared.machine
    machine.install("Shared", "sleep", "1000")
    as_plain = ("sc", shared.host, "-U", f"{PLAIN}%{PASSWORD}")
    far = (shared.host, *shared.credentials)
    assert machine.refused(*as_plain[1:], "query", "Shared") == Error.ACCESS_DENIED
    for where in ((), far):
        # From here, and by an administrator from elsewhere.
        said = machine.scmd("grant", *where, PLAIN.upper(), "query,start", "Shared")
        assert said == "PLAIN may query,start Shared.\n"
        machine.scmd(*as_plain, "query", "Shared")
        assert machine.refused(*as_plain[1:], "stop", "Shared") == Error.ACCESS_DENIED
        assert f"user:{PLAIN} " in machine.scmd("grants", *where, "Shared")
        machine.scmd("revoke", *where, f"user:{PLAIN}", "Shared")
        assert PLAIN not in machine.scmd("grants", *where, "Shared")
        assert machine.refused(*as_plain[1:], "query", "Shared") == Error.ACCESS_DENIED
        for wrong in ("stranger", f"group:{PLAIN}"):
            done = machine.try_scmd("grant", *where, wrong, "query", "Shared")
            assert (done.returncode, "remote adduser" in done.stderr) == (1, True), done
