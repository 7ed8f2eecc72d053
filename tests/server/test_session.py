"""Sessions, byte by byte: a real client's end against a session with a canned core."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.core.messages import CONTEXT_MISMATCH, AssociationId, Caller, CallId, HandleId
from scmd.core.messages.commands import CloseHandle, Command, OpenScm, QueryConfig, QueryStatus
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded, CallsAbandoned
from scmd.ndr.errors import BAD_STUB_DATA, INVALID_TAG
from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.ndr.values import NULL_HANDLE, ContextHandle
from scmd.rpc.client import BindAccepted, BindRefused, ClientConnection, Fault, Response
from scmd.rpc.errors import OPERATION_RANGE
from scmd.rpc.events import Authenticated
from scmd.rpc.interface import Interface
from scmd.scmd_interface.operations import QUERY_VERSION, SCMD, EmptyRequest
from scmd.security.token import Token
from scmd.server.host_requests import HostRequest
from scmd.server.session import MAX_PENDING, Close, Output, Session, Sessions
from scmd.svcctl.configuration import (
    QUERY_SERVICE_CONFIG_EX,
    QUERY_SERVICE_CONFIG_W,
    QueryServiceConfigExRequest,
    QueryServiceConfigRequest,
)
from scmd.svcctl.control import QUERY_SERVICE_STATUS
from scmd.svcctl.interface import SVCCTL, ServiceRequest
from scmd.svcctl.opening import (
    CLOSE_SERVICE_HANDLE,
    OPEN_SC_MANAGER_W,
    CloseServiceHandleRequest,
    OpenScManagerRequest,
)
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.status import ServiceStatus

RUNNING = ServiceStatus(state=4)


def caller(name: str = "ann") -> Caller:
    token = Token(user=f"S-1-22-1-{name}", groups=frozenset(), privileges=frozenset())
    return Caller(token=token, name=name, origin="test")


class Client:
    """A client's end; everything the session puts out is kept in order."""

    def __init__(
        self,
        sessions: Sessions,
        name: str = "ann",
        group: int = 0,
        form: int = 0,
        interfaces: Sequence[Interface] = (SVCCTL, SCMD),
    ) -> None:
        self.sessions = sessions
        self.session: Session = sessions.open(caller(name))
        self.connection = ClientConnection(form=form)
        self.asked: list[Command | HostRequest] = []
        self.abandoned: tuple[CallId, ...] = ()
        self.answers: list[object] = []
        self.is_closed = False
        self.send(self.connection.bind(list(interfaces), group))

    def send(self, data: bytes) -> None:
        self.session.receive(data)
        self.drain()

    def drain(self) -> None:
        while (output := self.session.next()) is not None:
            self.take(output)

    def take(self, output: Output) -> None:
        if isinstance(output, bytes):
            assert not self.is_closed, "bytes after the end"
            self.answers += self.connection.receive_data(output)
        elif isinstance(output, Close):
            self.is_closed = True
        elif isinstance(output, CallsAbandoned):
            self.abandoned += output.calls
        else:
            assert not isinstance(output, Authenticated), "nobody authenticates here"
            self.asked.append(output)

    def call(self, opnum: int, stub: bytes, interface: Interface = SVCCTL) -> int:
        number, data = self.connection.call(interface, opnum, stub)
        self.send(data)
        return number

    def reply(self, error: int = 0, result: object = None) -> None:
        """Answer the oldest question."""
        asked = self.asked.pop(0)
        session = self.sessions.answer(Reply(asked.call.id, error, result))
        assert session is self.session
        self.drain()

    @property
    def last(self) -> object:
        return self.answers[-1]

    def query_status(self, handle: ContextHandle | None = None) -> int:
        wire = self.sessions.handles.to_wire(HandleId(5)) if handle is None else handle
        request = ServiceRequest(service=wire)
        return self.call(6, QUERY_SERVICE_STATUS.encode_request(request, self.connection.form))


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(b"testing!")


def fault_of(answer: object) -> int:
    assert isinstance(answer, Fault), answer
    return answer.status


@pytest.mark.parametrize("form", [0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN])
def test_a_call_becomes_a_command_and_its_reply_a_response(sessions: Sessions, form: int) -> None:
    client = Client(sessions, form=form)
    number = client.query_status()
    (asked,) = client.asked
    assert asked == QueryStatus(asked.call, HandleId(5))
    assert (asked.call.caller, asked.call.association) == (caller(), AssociationId(1))
    client.reply(0, RUNNING)
    answer = client.last
    assert isinstance(answer, Response)
    assert answer.call_id == number
    response = QUERY_SERVICE_STATUS.decode_response(answer.stub, answer.form)
    assert (response.status, response.error) == (RUNNING, 0)


def test_both_interfaces_are_on_one_connection(sessions: Sessions) -> None:
    client = Client(sessions)
    bound = client.last
    assert isinstance(bound, BindAccepted)
    assert bound.refused == ()
    client.call(6, QUERY_VERSION.encode_request(EmptyRequest()), SCMD)
    answer = client.last
    assert isinstance(answer, Response)
    assert QUERY_VERSION.decode_response(answer.stub, answer.form).major == 1


@pytest.mark.parametrize("opnum", [10, 22, 34, 43, 46, 52, 57, 63, 65, 1000, 0xFFFF])
def test_operations_that_are_not_served_are_a_fault(sessions: Sessions, opnum: int) -> None:
    client = Client(sessions)
    client.call(opnum, bytes(40))
    assert fault_of(client.last) == OPERATION_RANGE
    client.query_status()
    assert len(client.asked) == 1, "the connection goes on"


def test_foreign_handles_are_a_context_mismatch(sessions: Sessions) -> None:
    client = Client(sessions)
    for handle in (NULL_HANDLE, ContextHandle.of(b"another instance")):
        client.query_status(handle)
        assert fault_of(client.last) == CONTEXT_MISMATCH
    assert client.asked == []


def test_a_handle_the_core_does_not_know_is_a_context_mismatch(sessions: Sessions) -> None:
    client = Client(sessions)
    client.query_status()
    client.reply(CONTEXT_MISMATCH)
    assert fault_of(client.last) == CONTEXT_MISMATCH


@pytest.mark.parametrize("stub", [b"", b"short", bytes(19)])
def test_bad_stub_data_is_a_fault(sessions: Sessions, stub: bytes) -> None:
    client = Client(sessions)
    client.call(6, stub)
    assert fault_of(client.last) == BAD_STUB_DATA
    assert client.asked == []


def test_a_union_tag_without_an_arm_is_a_fault(sessions: Sessions) -> None:
    client = Client(sessions)
    handle = sessions.handles.to_wire(HandleId(5))
    client.call(37, bytes(handle) + b"\x0d\0\0\0" * 2 + bytes(4))
    assert fault_of(client.last) == INVALID_TAG
    request = QueryServiceConfigExRequest(service=handle, level=3)
    client.call(56, QUERY_SERVICE_CONFIG_EX.encode_request(request))
    assert fault_of(client.last) == INVALID_TAG


def test_an_answer_that_the_wire_cannot_carry_is_a_fault(sessions: Sessions) -> None:
    client = Client(sessions)
    request = QueryServiceConfigRequest(
        service=sessions.handles.to_wire(HandleId(5)), buffer_size=8192
    )
    client.call(17, QUERY_SERVICE_CONFIG_W.encode_request(request))
    client.reply(0, ServiceConfig(name="X", tag=-1))
    assert fault_of(client.last) == BAD_STUB_DATA


def test_replies_may_come_in_any_order(sessions: Sessions) -> None:
    client = Client(sessions)
    first, second = client.query_status(), client.query_status()
    client.asked.reverse()
    client.reply(0, RUNNING)
    client.reply(5)
    answered = [answer.call_id for answer in client.answers[1:] if isinstance(answer, Response)]
    assert answered == [second, first]


def test_a_connection_has_so_many_calls_in_work_and_the_rest_waits(sessions: Sessions) -> None:
    client = Client(sessions)
    for _ in range(MAX_PENDING):
        client.query_status()
    assert not client.session.is_backed_up
    client.query_status()
    assert (len(client.asked), client.session.is_backed_up) == (MAX_PENDING, True)
    client.reply(0, RUNNING)
    assert (len(client.asked), client.session.is_backed_up) == (MAX_PENDING, False)
    while client.asked:
        client.reply(0, RUNNING)
    assert len(client.answers) == 1 + MAX_PENDING + 1
    assert sessions.calls == 0


def test_outputs_are_given_one_at_a_time(sessions: Sessions) -> None:
    client = Client(sessions)
    handle = sessions.handles.to_wire(HandleId(5))
    stub = QUERY_SERVICE_STATUS.encode_request(ServiceRequest(service=handle))
    client.session.receive(b"".join(client.connection.call(SVCCTL, 6, stub)[1] for _ in range(3)))
    assert isinstance(client.session.next(), QueryStatus)
    assert client.session.is_backed_up
    client.drain()
    assert not client.session.is_backed_up


# Associations -------------------------------------------------------------------------------


def open_scm(client: Client) -> ContextHandle:
    stub = OPEN_SC_MANAGER_W.encode_request(OpenScManagerRequest(desired_access=1))
    client.call(15, stub)
    assert isinstance(client.asked[0], OpenScm)
    client.reply(0, HandleId(77))
    answer = client.last
    assert isinstance(answer, Response)
    return OPEN_SC_MANAGER_W.decode_response(answer.stub, answer.form).handle


def test_connections_of_one_association_share_handles(sessions: Sessions) -> None:
    first = Client(sessions)
    handle = open_scm(first)
    assert isinstance(first.answers[0], BindAccepted)
    second = Client(sessions, group=first.answers[0].group)
    close = CLOSE_SERVICE_HANDLE.encode_request(CloseServiceHandleRequest(handle=handle))
    second.call(0, close)
    (asked,) = second.asked
    assert asked == CloseHandle(asked.call, HandleId(77))
    assert asked.call.association == AssociationId(1)
    assert first.session.closed() == ()
    assert second.session.closed() == (AssociationEnded(AssociationId(1)),)
    assert second.session.closed() == ()


def test_an_association_of_somebody_else_does_not_exist(sessions: Sessions) -> None:
    Client(sessions)
    for group in (1, 2):
        stranger = Client(sessions, name="bob", group=group)
        assert isinstance(stranger.last, BindRefused)
        assert stranger.is_closed
        assert stranger.session.closed() == ()


def test_a_connection_that_never_bound_ends_no_association(sessions: Sessions) -> None:
    assert sessions.open(caller()).closed() == ()


def test_a_reply_to_a_connection_that_is_gone_goes_nowhere(sessions: Sessions) -> None:
    client = Client(sessions)
    client.query_status()
    client.query_status()
    assert client.session.closed() == (AssociationEnded(AssociationId(1)),)
    assert sessions.calls == 0
    for asked in client.asked:
        assert sessions.answer(Reply(asked.call.id, 0, RUNNING)) is None
    client.session.receive(b"more")
    assert client.session.next() is None


# Hostile bytes ------------------------------------------------------------------------------


def test_nothing_is_begun_of_who_breaks_the_protocol(sessions: Sessions) -> None:
    """Not even what came before, if it was not begun yet."""
    client = Client(sessions)
    stub = QUERY_SERVICE_STATUS.encode_request(
        ServiceRequest(service=sessions.handles.to_wire(HandleId(5)))
    )
    _, data = client.connection.call(SVCCTL, 6, stub)
    client.session.receive(data + b"GET / HTTP/1.1\r\n\r\n")
    assert not client.session.is_backed_up
    assert isinstance(client.session.next(), bytes)
    assert [client.session.next(), client.session.next()] == [Close(), None]


def test_a_violation_is_answered_and_ends_the_connection(sessions: Sessions) -> None:
    client = Client(sessions)
    client.query_status()
    client.session.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    outputs = [client.session.next(), client.session.next()]
    assert isinstance(outputs[0], bytes)
    assert outputs[1] == Close()
    client.session.receive(b"and more")
    client.reply(0, RUNNING)
    assert client.session.next() is None, "nothing follows the end"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=6), st.booleans())
def test_no_bytes_raise(chunks: list[bytes], is_bound: bool) -> None:
    sessions = Sessions(b"testing!")
    session = sessions.open(caller())
    if is_bound:
        session.receive(ClientConnection().bind([SVCCTL]))
    _outputs(session, chunks)
    session.closed()
    assert sessions.calls == 0


@st.composite
def broken_requests(draw: st.DrawFn) -> bytes:
    """A request for any operation with any stub, well framed."""
    opnum = draw(st.sampled_from([0, 1, 6, 11, 12, 14, 19, 20, 36, 37, 42, 51, 56, 60]))
    return draw(_stubs(opnum))


def _stubs(opnum: int) -> st.SearchStrategy[bytes]:
    handle = bytes(Sessions(b"testing!").handles.to_wire(HandleId(5)))
    prefix = st.sampled_from([b"", handle])
    words = st.lists(st.sampled_from([0, 1, 2, 3, 8, 257, 0x20000, 0xFFFFFFFF]), max_size=24)
    stub = st.tuples(prefix, words, st.binary(max_size=40)).map(
        lambda parts: parts[0] + b"".join(w.to_bytes(4, "little") for w in parts[1]) + parts[2]
    )
    return stub.map(lambda body: opnum.to_bytes(2, "little") + body)


@settings(max_examples=300, deadline=None)
@given(st.lists(broken_requests(), max_size=4))
def test_every_request_is_asked_or_answered(requests: list[bytes]) -> None:
    sessions = Sessions(b"testing!")
    client = Client(sessions)
    for request in requests:
        client.call(int.from_bytes(request[:2], "little"), request[2:])
    while client.asked:
        client.reply(5)
    assert len(client.answers) == 1 + len(requests)
    assert not client.is_closed


def _outputs(session: Session, chunks: list[bytes]) -> list[Output]:
    outputs: list[Output] = []
    ask: Callable[[], Output | None] = session.next
    for chunk in chunks:
        session.receive(chunk)
        while (output := ask()) is not None:
            outputs.append(output)
    return outputs


def test_configurations_come_through_in_fragments(sessions: Sessions) -> None:
    session = sessions.open(caller())
    connection = ClientConnection(max_fragment=2048)
    session.receive(connection.bind([SVCCTL]))
    first = session.next()
    assert isinstance(first, bytes)
    connection.receive_data(first)
    request = QueryServiceConfigRequest(
        service=sessions.handles.to_wire(HandleId(5)), buffer_size=8192
    )
    stub = QUERY_SERVICE_CONFIG_W.encode_request(request)
    session.receive(connection.call(SVCCTL, 17, stub)[1])
    asked = session.next()
    assert isinstance(asked, QueryConfig)
    config = ServiceConfig(name="X", image_path="/" + "x" * 3000)
    assert sessions.answer(Reply(asked.call.id, 0, config)) is session
    data = session.next()
    assert isinstance(data, bytes)
    answers = [answer for byte in data for answer in connection.receive_data(bytes([byte]))]
    (answer,) = answers
    assert isinstance(answer, Response)
    response = QUERY_SERVICE_CONFIG_W.decode_response(answer.stub, answer.form)
    assert response.config.binary_path_name == config.image_path
