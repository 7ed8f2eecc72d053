"""Connections that break under a client: what goes on by itself, and what must not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scmd.client import configuration
from scmd.client.calls import Calls
from scmd.client.connection import Connection, ConnectionFailed
from scmd.client.reconnection import MOST_ATTEMPTS
from scmd.client.scm import Scm
from scmd.ndr.values import ContextHandle
from scmd.transport.blocking import BlockingSocket
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ScmAccess, ServiceAccess, ServiceState
from scmd.vocabulary.winerror import WinError
from tests.client.world import World

ALL = int(ServiceAccess.ALL_ACCESS)


class FragileSocket(BlockingSocket):
    """A connection that a test can break before or after a call is sent."""

    broken = ""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.send_whole, self.receive_part = self.send, self.receive
        self.send = self.send_unless_broken
        self.receive = self.receive_unless_broken

    def send_unless_broken(self, data: bytes) -> None:
        if self.broken == "before":
            raise BrokenPipeError("the test has cut it")
        self.send_whole(data)

    def receive_unless_broken(self, count: int) -> bytes:
        data: bytes = self.receive_part(count)
        return b"" if self.broken == "after" else data


class Client:
    """Calls whose present connection breaks on demand."""

    def __init__(self, path: str) -> None:
        self.sockets: list[FragileSocket] = []
        self.path = path
        self.breaks_next = 0
        """So many of the next connections break once they are bound."""
        self.calls = Calls(self.connect)

    def connect(self) -> Connection:
        self.sockets.append(FragileSocket(self.path))
        connection = Connection(self.sockets[-1])
        if self.breaks_next:
            self.breaks_next -= 1
            self.cut("after")
        return connection

    def cut(self, when: str) -> None:
        self.sockets[-1].broken = when


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    made = Client(str(world.runtime / "scm.sock"))
    yield made
    made.calls.close()


def create(client: Client, name: str = "Web") -> ContextHandle:
    scm = client.calls.open_scm(ScmAccess.ALL_ACCESS)
    config = ServiceConfig(name=name, image_path=f"/bin/{name}")
    service, _ = configuration.create_service(client.calls, scm, config, ALL)
    return service


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_question_is_asked_again_with_the_same_handle(client: Client, when: str) -> None:
    service = create(client)
    for _ in range(3):
        client.cut(when)
        assert client.calls.query_status(service).state == ServiceState.STOPPED
    assert configuration.query_config(client.calls, service, "Web").image_path == "/bin/Web"
    assert len(client.sockets) == 4


@pytest.mark.parametrize(("breaking", "error"), [(MOST_ATTEMPTS - 1, 0), (MOST_ATTEMPTS, 1726)])
def test_the_next_connections_may_break_as_well(client: Client, breaking: int, error: int) -> None:
    service = create(client)
    client.cut("before")
    client.breaks_next = breaking
    if error:
        with pytest.raises(ConnectionFailed) as failed:
            client.calls.query_status(service)
        assert failed.value.winerror == error
    assert client.calls.query_status(service).state == ServiceState.STOPPED
    assert len(client.sockets) == breaking + 2


def test_threads_that_share_a_connection_go_on_together_when_it_breaks(client: Client) -> None:
    service, scm = create(client), client.calls.open_scm()
    kept, refusals = [service], list[WinError]()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                opened = client.calls.open_service(scm, "Web", ALL)
                for handle in (service, opened):
                    client.calls.query_status(handle)
                client.calls.close_handle(opened)
            except WinError as error:
                refusals.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        client.sockets[-1].shut_down()
        kept.append(client.calls.open_service(scm, "Web", ALL))
    is_over.set()
    for thread in threads:
        thread.join()
    for handle in kept:
        client.calls.query_status(handle)
    assert refusals == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_opening_and_enumerating_begin_again(client: Client, when: str) -> None:
    create(client)
    scm = client.calls.open_scm(ScmAccess.ALL_ACCESS)
    client.cut(when)
    assert len(client.calls.enum_services(scm, 0x30, 3)) == 1
    client.cut(when)
    assert client.calls.open_service(scm, "Web", ALL)


def test_a_start_that_was_not_sent_is_sent(client: Client) -> None:
    service = create(client)
    client.cut("before")
    client.calls.start_service(service, ())
    assert client.calls.query_status(service).state == ServiceState.RUNNING


def test_a_start_that_was_sent_is_not_sent_twice(client: Client) -> None:
    service = create(client)
    client.cut("after")
    with pytest.raises(ConnectionFailed) as caught:
        client.calls.start_service(service, ())
    assert caught.value.winerror == Error.RPC_CALL_FAILED
    assert client.calls.query_status(service).state == ServiceState.RUNNING


def test_a_control_that_was_sent_is_not_sent_twice(client: Client, world: World) -> None:
    service = create(client)
    client.calls.start_service(service, ())
    client.cut("after")
    with pytest.raises(ConnectionFailed):
        client.calls.control_service(service, Control.PAUSE)
    client.calls.query_status(service)
    assert world.programs["Web"].controls.count(Control.PAUSE) == 1


def test_a_handle_of_a_service_that_went_meanwhile_is_no_handle_any_more(client: Client) -> None:
    service = create(client)
    other = Client(client.path)
    opened = other.calls.open_service(other.calls.open_scm(), "Web", ALL)
    configuration.delete_service(other.calls, opened)
    other.calls.close()
    client.cut("before")
    client.sockets[-1].close()
    with pytest.raises(WinError) as caught:
        client.calls.query_status(service)
    assert caught.value.winerror == Error.INVALID_HANDLE


@pytest.mark.parametrize("when", ["before", "after"])
def test_closing_a_handle_needs_no_new_connection(client: Client, when: str) -> None:
    scm, service = client.calls.open_scm(), create(client)
    client.cut(when)
    client.calls.close_handle(service)
    client.calls.close_handle(scm)
    assert len(client.sockets) == 1


def test_the_object_api_goes_on(client: Client) -> None:
    create(client)
    scm = Scm(client.calls)
    assert scm["Web"].status.state == ServiceState.STOPPED
    client.cut("after")
    assert scm["Web"].status.state == ServiceState.STOPPED
    client.cut("before")
    assert scm["Web"].start(wait=True).state == ServiceState.RUNNING


def test_what_the_user_has_closed_stays_closed(client: Client) -> None:
    service = create(client)
    client.calls.close()
    with pytest.raises(ConnectionFailed):
        client.calls.query_status(service)
    assert len(client.sockets) == 1


def test_the_same_scm_is_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch, calls: Calls
) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", "/nowhere")
    calls.connection.close()
    assert calls.open_scm()
