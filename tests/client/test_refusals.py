"""What a server refuses or gets wrong: the error a caller sees, and the connection after it."""

from __future__ import annotations

import pytest

from scmd.client.connection import Connection, ConnectionFailed, ExplainedError, bad_answers
from scmd.ndr.errors import NdrError
from scmd.ndr.values import NULL_HANDLE
from scmd.rpc import events
from scmd.rpc.errors import ACCESS_DENIED, OPERATION_RANGE
from scmd.rpc.interface import Interface
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.provider import (
    INTEGRITY,
    KERBEROS,
    NTLM,
    PRIVACY,
    SPNEGO,
    SecurityError,
    SecurityPolicy,
)
from scmd.rpc.server import ServerConnection
from scmd.scmd_interface.operations import QUERY_VERSION, SCMD, EmptyRequest
from scmd.svcctl.control import QUERY_SERVICE_STATUS
from scmd.svcctl.interface import SVCCTL, ServiceRequest
from scmd.svcctl.opening import OPEN_SERVICE_W, OpenServiceRequest
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.client.canned import Answer, Canned
from tests.rpc.ends import OTHER
from tests.rpc.security.toy import LEGS, Toy, policy

REQUEST = ServiceRequest(service=NULL_HANDLE)


def faulting(status: int) -> Answer:
    def answer(far: ServerConnection, request: events.Request) -> None:
        far.fault(request.call_id, status)

    return answer


def silent(far: ServerConnection, request: events.Request) -> None:
    """Only closes."""


def connected(answer: Answer, *interfaces: Interface) -> tuple[Connection, Canned]:
    stream = Canned(interfaces or (SVCCTL,), answer)
    return Connection(stream), stream


def refused(connection: Connection) -> WinError:
    with pytest.raises(WinError) as caught:
        connection.call(QUERY_SERVICE_STATUS, REQUEST)
    return caught.value


@pytest.mark.parametrize(
    ("status", "error", "detail"),
    [
        (OPERATION_RANGE, 1745, "the server does not have QueryServiceStatus"),
        (ACCESS_DENIED, 5, "//web: the server refuses the credentials, or how"),
        (1783, 1783, None),
    ],
)
def test_a_fault_is_an_error_of_the_function(status: int, error: int, detail: str | None) -> None:
    connection, _ = connected(faulting(status))
    connection.place = "//web"
    failure = refused(connection)
    assert (failure.winerror, failure.funcname) == (error, "QueryServiceStatus")
    assert isinstance(failure, ExplainedError) is (detail is not None)
    assert (detail or "") in str(failure)
    assert not connection.is_closed, "the next call may be answered"


def test_an_answer_that_is_none_ends_the_connection() -> None:
    for answer in (lambda far, request: far.respond(request.call_id, b"short"), silent):
        connection, stream = connected(answer)
        failure = refused(connection)
        assert isinstance(failure, ConnectionFailed)
        assert (failure.winerror, failure.funcname) == (1726, "QueryServiceStatus")
        assert failure.sent
        assert connection.is_closed
        assert stream.is_closed
        again = refused(connection)
        assert isinstance(again, ConnectionFailed)
        assert (again.detail, again.sent) == ("the connection is closed", False)


def test_what_does_not_fit_the_wire_is_not_sent() -> None:
    connection, stream = connected(silent)
    long = OpenServiceRequest(scm=NULL_HANDLE, name="x" * 257, desired_access=0)
    for unfit, error in ((Error.INVALID_PARAMETER, 87), (Error.INVALID_NAME, 123)):
        with pytest.raises(WinError) as caught:
            connection.call(OPEN_SERVICE_W, long, unfit)
        assert (caught.value.winerror, caught.value.funcname) == (error, "OpenService")
    assert stream.asked == []
    assert not connection.is_closed


def test_a_server_that_is_not_scmd_says_so_and_svcctl_goes_on() -> None:
    connection, stream = connected(faulting(1783))
    for _ in range(2):
        with pytest.raises(ExplainedError, match="is not scmd") as caught:
            connection.call(QUERY_VERSION, EmptyRequest())
        assert (caught.value.winerror, caught.value.funcname) == (120, "scmd")
    assert stream.asked == []
    assert refused(connection).winerror == 1783
    both, _ = connected(faulting(1783), SVCCTL, SCMD)
    with pytest.raises(WinError) as found:
        both.call(QUERY_VERSION, EmptyRequest())
    assert found.value.winerror == 1783


def test_a_server_without_svcctl_is_none() -> None:
    stream = Canned([OTHER], silent)
    with pytest.raises(ConnectionFailed, match="does not speak svcctl") as caught:
        Connection(stream)
    assert (caught.value.winerror, caught.value.refused_at) == (1726, None)
    assert stream.is_closed


# Authentication -------------------------------------------------------------------------------


def secured(
    password: str, auth_type: int, level: int = PRIVACY, terms: SecurityPolicy | None = None
) -> tuple[Connection, Canned]:
    stream = Canned([SVCCTL], faulting(1783), policy=terms or policy())
    toy = Toy(LEGS[auth_type], password)
    return Connection(stream, Initiation(toy, auth_type, level)), stream


@pytest.mark.parametrize("auth_type", [NTLM, SPNEGO, KERBEROS])
def test_the_right_password_is_let_in(auth_type: int) -> None:
    connection, stream = secured("ann", auth_type)
    assert refused(connection).winerror == 1783
    assert len(stream.asked) == 1


@pytest.mark.parametrize("auth_type", [SPNEGO, KERBEROS])
def test_the_wrong_one_is_a_refusal_of_the_credentials(auth_type: int) -> None:
    with pytest.raises(ConnectionFailed, match="refuses the credentials") as caught:
        secured("bob", auth_type)
    assert (caught.value.winerror, caught.value.refused_at) == (5, "")


def test_a_type_that_is_not_spoken_is_one_too() -> None:
    terms = SecurityPolicy(acceptors={}, minimum_level=PRIVACY)
    with pytest.raises(ConnectionFailed, match="refuses the credentials") as caught:
        secured("ann", KERBEROS, terms=terms)
    assert caught.value.winerror == 5


def test_too_little_protection_shows_at_the_first_call() -> None:
    connection, stream = secured("ann", KERBEROS, INTEGRITY)
    failure = refused(connection)
    assert failure.winerror == 5
    assert "how the calls are protected" in str(failure)
    assert stream.asked == []


class Ticketless(Toy):
    def step(self, token: bytes) -> bytes | None:
        raise SecurityError("there is no ticket")


def test_a_context_that_cannot_be_begun_is_access_denied() -> None:
    stream = Canned([SVCCTL], silent)
    with pytest.raises(ConnectionFailed) as caught:
        Connection(stream, Initiation(Ticketless(2, "ann"), KERBEROS, PRIVACY))
    assert (caught.value.winerror, caught.value.funcname) == (5, "OpenSCManager")
    assert "no ticket" in str(caught.value)
    assert stream.is_closed


def test_a_bad_answer_is_an_error_of_the_function() -> None:
    with pytest.raises(WinError) as caught, bad_answers("EnumServicesStatus"):
        raise NdrError("cut short")
    assert (caught.value.winerror, caught.value.funcname) == (1726, "EnumServicesStatus")
    with pytest.raises(KeyError), bad_answers("EnumServicesStatus"):
        raise KeyError
