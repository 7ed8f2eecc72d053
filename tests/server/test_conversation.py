"""Conversations: outputs where they belong, turns, back-pressure; then over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scmd.core.messages import AssociationId, Caller, HandleId
from scmd.core.messages.commands import Command, QueryStatus
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded, CallsAbandoned
from scmd.rpc.client import ClientConnection, Fault, Response
from scmd.security.token import Token
from scmd.server.conversation import TURN, Conversation, Conversations
from scmd.server.session import MAX_PENDING, Sessions
from scmd.server.steps import Asked
from scmd.svcctl.administration import GET_NOTIFY_RESULTS, NotifyHandleRequest
from scmd.svcctl.control import QUERY_SERVICE_STATUS
from scmd.svcctl.interface import SVCCTL, ServiceRequest
from scmd.transport.local_server import LocalConnection, LocalServer
from scmd.vocabulary.status import ServiceStatus

RUNNING = ServiceStatus(state=4)


def caller(uid: int = 0) -> Caller:
    token = Token(user=f"S-1-22-1-{uid}", groups=frozenset(), privileges=frozenset())
    return Caller(token=token, name=str(uid), origin="test")


class Channel:
    """A connection whose client can be told not to read."""

    def __init__(self) -> None:
        self.congested = False
        self.sent: list[bytes] = []
        self.held: list[bool] = []
        self.is_closed = False
        self.limit = 10**9

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self.congested = len(self.sent) >= self.limit

    def hold(self, held: bool) -> None:
        self.held.append(held)

    def close(self) -> None:
        self.is_closed = True


class World:
    """A core that answers status queries at once, or when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.ended: list[AssociationEnded | CallsAbandoned] = []
        self.is_prompt = True
        self.turns: deque[Callable[[], None]] = deque()
        self.conversations = Conversations(Sessions(b"testing!"), self, self.turns.append)

    def perform(self, asked: Asked) -> None:
        self.asked.append(asked)
        if self.is_prompt:
            self.answer(asked)

    def answer(self, asked: Asked) -> None:
        self.conversations.answer(Reply(asked.call.id, 0, RUNNING))

    def happened(self, event: AssociationEnded | CallsAbandoned) -> None:
        self.ended.append(event)

    def open(self, channel: Channel) -> tuple[Conversation, ClientConnection]:
        conversation = self.conversations.open(caller(), channel)
        client = ClientConnection()
        conversation.received(client.bind([SVCCTL]))
        client.receive_data(channel.sent.pop())
        return conversation, client

    def queries(self, client: ClientConnection, count: int) -> bytes:
        return b"".join(query_status(client, self.conversations.sessions) for _ in range(count))


def query_status(client: ClientConnection, sessions: Sessions) -> bytes:
    request = ServiceRequest(service=sessions.handles.to_wire(HandleId(5)))
    return client.call(SVCCTL, 6, QUERY_SERVICE_STATUS.encode_request(request))[1]


def test_a_call_is_performed_and_answered() -> None:
    world, channel = World(), Channel()
    conversation, client = world.open(channel)
    conversation.received(world.queries(client, 1))
    (asked,) = world.asked
    assert isinstance(asked, QueryStatus)
    assert len(client.receive_data(channel.sent.pop())) == 1
    conversation.lost()
    assert world.ended == [AssociationEnded(AssociationId(1))]
    assert len(world.conversations) == 0


def test_a_thousand_calls_take_turns_with_others_and_no_stack() -> None:
    world, channel, other = World(), Channel(), Channel()
    conversation, client = world.open(channel)
    second, second_client = world.open(other)
    conversation.received(world.queries(client, 1000))
    assert len(world.asked) == TURN
    assert channel.held == [True]
    second.received(world.queries(second_client, 1))
    assert len(other.sent) == 1, "another client is served between two turns"
    while world.turns:
        world.turns.popleft()()
    assert len(world.asked) == 1001
    assert len(channel.sent) == 1000
    assert channel.held == [True, False]


def test_a_client_that_takes_no_replies_is_given_no_more() -> None:
    world, channel = World(), Channel()
    conversation, client = world.open(channel)
    channel.limit = 3
    conversation.received(world.queries(client, 10))
    assert len(channel.sent) == 3
    assert channel.held == [True]
    channel.limit, channel.congested = 10**9, False
    conversation.resumed()
    assert len(channel.sent) == 10
    assert channel.held == [True, False]


def test_slow_answers_hold_the_connection_only_while_it_is_backed_up() -> None:
    world, channel = World(), Channel()
    world.is_prompt = False
    conversation, client = world.open(channel)
    conversation.received(world.queries(client, MAX_PENDING + 1))
    while world.turns:
        world.turns.popleft()()
    assert len(world.asked) == MAX_PENDING
    assert channel.held == [True]
    world.answer(world.asked[5])
    assert channel.held == [True, False]
    for asked in world.asked[:5] + world.asked[6:]:
        world.answer(asked)
    assert len(channel.sent) == MAX_PENDING + 1


def test_answers_to_a_lost_connection_go_nowhere() -> None:
    world, channel = World(), Channel()
    world.is_prompt = False
    conversation, client = world.open(channel)
    conversation.received(world.queries(client, 2))
    conversation.lost()
    for asked in world.asked:
        world.answer(asked)
    assert channel.sent == []
    while world.turns:
        world.turns.popleft()()


def test_a_call_that_is_given_up_is_told_of() -> None:
    world, channel = World(), Channel()
    world.is_prompt = False
    conversation, client = world.open(channel)
    handle = world.conversations.sessions.handles.to_wire(HandleId(6))
    stub = GET_NOTIFY_RESULTS.encode_request(NotifyHandleRequest(notify_handle=handle))
    number, data = client.call(SVCCTL, GET_NOTIFY_RESULTS.opnum, stub)
    conversation.received(data)
    (asked,) = world.asked
    conversation.received(client.cancel(number))
    assert world.ended == [CallsAbandoned((asked.call.id,))]


def test_a_violation_closes_the_connection() -> None:
    world, channel = World(), Channel()
    conversation, _client = world.open(channel)
    conversation.received(b"\xff" * 100)
    assert channel.is_closed
    assert len(channel.sent) == 1


# Over real sockets --------------------------------------------------------------------------


class Service:
    """The whole server but for the core: sockets, sessions, canned statuses."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.world = World()
        self.peers: list[int] = []
        loop = asyncio.get_running_loop()
        self.world.conversations.later = loop.call_soon
        self.server = LocalServer(self.accept)

    def accept(self, connection: LocalConnection) -> Conversation:
        self.peers.append(connection.peer.uid)
        return self.world.conversations.open(caller(connection.peer.uid), connection)

    async def start(self) -> Service:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(self.path)
        self.server.start(listening)
        return self


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = await Service(str(tmp_path / "s")).start()
    yield service
    service.server.close()


class SocketClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.rpc = ClientConnection()

    @classmethod
    async def connect(cls, path: str) -> SocketClient:
        client = cls(*await asyncio.open_unix_connection(path))
        client.writer.write(client.rpc.bind([SVCCTL]))
        await client.answers(1)
        return client

    async def answers(self, count: int) -> list[object]:
        found: list[object] = []
        async with asyncio.timeout(100):
            while len(found) < count:
                data = await self.reader.read(65536)
                assert data, "the server closed the connection"
                found += self.rpc.receive_data(data)
        return found

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def test_calls_over_a_socket(service: Service) -> None:
    client = await SocketClient.connect(service.path)
    for _ in range(3):
        client.writer.write(query_status(client.rpc, service.world.conversations.sessions))
        (answer,) = await client.answers(1)
        assert isinstance(answer, Response)
        assert QUERY_SERVICE_STATUS.decode_response(answer.stub).status == RUNNING
    assert service.peers == [os.getuid()]
    await client.close()


async def test_many_calls_at_once_are_all_answered(service: Service) -> None:
    client = await SocketClient.connect(service.path)
    sessions = service.world.conversations.sessions
    client.writer.write(b"".join(query_status(client.rpc, sessions) for _ in range(5000)))
    answers = await client.answers(5000)
    assert not [answer for answer in answers if isinstance(answer, Fault)]
    await client.close()


async def test_a_client_that_does_not_read_makes_only_itself_wait(service: Service) -> None:
    sessions = service.world.conversations.sessions
    stuck = await SocketClient.connect(service.path)
    stuck.reader._transport.pause_reading()  # type: ignore[attr-defined] # what a stuck client does
    flood = b"".join(query_status(stuck.rpc, sessions) for _ in range(40_000))
    stuck.writer.write(flood)
    other = await SocketClient.connect(service.path)
    for _ in range(50):
        other.writer.write(query_status(other.rpc, sessions))
        await other.answers(1)
    stuck.reader._transport.resume_reading()  # type: ignore[attr-defined] # and reads at last
    assert len(await stuck.answers(40_000)) == 40_000
    await other.close()
    await stuck.close()


@pytest.mark.parametrize(
    "noise",
    [bytes(64), b"GET / HTTP/1.1\r\n\r\n", b"\x05\x00\x0b\x03" + b"\xff" * 60, bytes(range(256))],
    ids=["zeros", "http", "endless", "everything"],
)
async def test_hostile_bytes_end_only_their_own_connection(service: Service, noise: bytes) -> None:
    good = await SocketClient.connect(service.path)
    bad = await SocketClient.connect(service.path)
    bad.writer.write(noise)
    async with asyncio.timeout(100):
        while await bad.reader.read(65536):
            pass
    good.writer.write(query_status(good.rpc, service.world.conversations.sessions))
    assert len(await good.answers(1)) == 1
    await good.close()
    await bad.close()


async def test_the_association_ends_with_the_socket(service: Service) -> None:
    client = await SocketClient.connect(service.path)
    other = await SocketClient.connect(service.path)
    await client.close()
    # The other's answer shows that the loop has been through its sockets since.
    while not service.world.ended:
        other.writer.write(query_status(other.rpc, service.world.conversations.sessions))
        await other.answers(1)
    assert service.world.ended == [AssociationEnded(AssociationId(1))]
    assert all(isinstance(asked, Command) for asked in service.world.asked)
    await other.close()
