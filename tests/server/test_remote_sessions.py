"""Sessions of callers who authenticate on the connection, in memory."""

from __future__ import annotations

import pytest

from scmd.core.messages import Caller, HandleId
from scmd.core.messages.commands import CloseHandle, Command, OpenScm
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded, CallsAbandoned
from scmd.ndr.values import ContextHandle
from scmd.rpc import client
from scmd.rpc.client import BindAccepted, BindRefused, ClientConnection, Fault, Response
from scmd.rpc.errors import ACCESS_DENIED
from scmd.rpc.events import Authenticated
from scmd.rpc.mgmt import INQ_PRINC_NAME, MGMT, InqPrincNameRequest
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.provider import KERBEROS, NTLM, PRIVACY, Identity, SecurityPolicy
from scmd.security.token import unix_token
from scmd.server.host_requests import HostRequest
from scmd.server.session import INTERFACES, Close, Sessions, Terms
from scmd.svcctl.interface import SVCCTL
from scmd.svcctl.opening import (
    CLOSE_SERVICE_HANDLE,
    OPEN_SC_MANAGER_W,
    CloseServiceHandleRequest,
    OpenScManagerRequest,
)
from tests.rpc.security.toy import LEGS, Toy

NOBODY = Caller(unix_token(65534, (), administrator=False, local=False), "nobody", "10.0.0.7:1")
UIDS = {"ann": 1000, "bob": 1001}


class Remote:
    """A client that authenticates, and what its session asks."""

    def __init__(
        self,
        sessions: Sessions,
        user: str | None = "ann",
        *,
        auth_type: int = NTLM,
        machine: str = "10.0.0.7",
        group: int = 0,
        minimum_level: int = PRIVACY,
        principal: str = "",
        is_prompt: bool = True,
    ) -> None:
        self.refusals: list[str] = []
        self.unknown: list[Authenticated] = []
        """Who is still to be identified, where that is not prompt."""
        password = user or "nobody"
        terms = Terms(
            policy=SecurityPolicy(
                acceptors={auth_type: lambda: Toy(LEGS[auth_type], password)},
                minimum_level=minimum_level,
                open_interfaces=frozenset({MGMT}),
            ),
            refused=self.refusals.append,
            machine=machine,
            interfaces=sessions.with_management(INTERFACES, principal),
        )
        self.session = sessions.open(NOBODY, terms)
        security = None
        if user is not None:
            security = Initiation(Toy(LEGS[auth_type], password), auth_type, PRIVACY)
        self.near = ClientConnection(security=security)
        self.answers: list[object] = []
        self.asked: list[Command | HostRequest] = []
        self.is_closed = False
        self.is_prompt = is_prompt
        self.send(self.near.bind([SVCCTL, MGMT], group))

    def _caller_of(self, identity: Identity) -> Caller | None:
        uid = UIDS.get(identity.user)
        if uid is None:
            return None
        token = unix_token(uid, (uid,), administrator=False, local=False)
        return Caller(token, identity.user, "10.0.0.7:1")

    def identify(self) -> None:
        for event in self.unknown:
            self.session.identified(event, self._caller_of(event.identity))
        self.unknown.clear()

    def send(self, data: bytes) -> None:
        while data:
            self.session.receive(data)
            self.collect()
            data = self.near.data_to_send()

    def collect(self) -> None:
        while (output := self.session.next()) is not None:
            if isinstance(output, bytes):
                self.answers += self.near.receive_data(output)
            elif isinstance(output, Close):
                self.is_closed = True
            elif isinstance(output, Authenticated):
                self.unknown.append(output)
                if self.is_prompt:
                    self.identify()
            else:
                assert not isinstance(output, CallsAbandoned)
                self.asked.append(output)

    def call(self, opnum: int, stub: bytes) -> Command | HostRequest | None:
        """What the call makes the session ask."""
        before = len(self.asked)
        _, data = self.near.call(SVCCTL, opnum, stub)
        self.send(data)
        return self.asked[-1] if len(self.asked) > before else None


OPEN = OPEN_SC_MANAGER_W.encode_request(
    OpenScManagerRequest(machine=None, database=None, desired_access=1)
)


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(b"remote!!")


def opened(sessions: Sessions, remote: Remote, handle: int) -> ContextHandle:
    asked = remote.call(15, OPEN)
    assert isinstance(asked, OpenScm)
    sessions.answer(Reply(asked.call.id, 0, HandleId(handle)))
    remote.collect()
    response = remote.answers[-1]
    assert isinstance(response, Response)
    return OPEN_SC_MANAGER_W.decode_response(response.stub, response.form).handle


@pytest.mark.parametrize("auth_type", sorted(LEGS))
def test_a_call_is_made_by_who_authenticated(sessions: Sessions, auth_type: int) -> None:
    remote = Remote(sessions, auth_type=auth_type)
    asked = remote.call(15, OPEN)
    assert isinstance(asked, OpenScm)
    assert asked.call.caller.name == "ann"
    assert remote.refusals == []


@pytest.mark.parametrize("auth_type", sorted(LEGS))
def test_calls_wait_until_it_is_known_who_makes_them(sessions: Sessions, auth_type: int) -> None:
    remote = Remote(sessions, auth_type=auth_type, is_prompt=False)
    assert remote.call(15, OPEN) is None
    assert remote.session.is_backed_up
    remote.identify()
    remote.collect()
    (asked,) = remote.asked
    assert isinstance(asked, OpenScm)
    assert asked.call.caller.name == "ann"
    assert not remote.session.is_backed_up


def test_who_is_gone_before_it_is_known_who_it_was_leaves_nothing(sessions: Sessions) -> None:
    remote = Remote(sessions, is_prompt=False)
    remote.call(15, OPEN)
    remote.session.closed()
    remote.identify()
    remote.collect()
    assert remote.asked == []
    assert len(sessions.associations) == 0


def test_an_identity_without_an_account_is_denied(sessions: Sessions) -> None:
    remote = Remote(sessions, "eve")
    assert remote.call(15, OPEN) is None
    fault = remote.answers[-1]
    assert isinstance(fault, Fault)
    assert fault.status == ACCESS_DENIED
    assert remote.refusals == ["eve has no account here"]


def test_who_has_not_authenticated_is_denied(sessions: Sessions) -> None:
    remote = Remote(sessions, None)
    for _ in range(2):
        assert remote.call(15, OPEN) is None
        assert isinstance(remote.answers[-1], Fault)
    (refusal,) = remote.refusals
    assert "calls without the proof" in refusal
    assert refusal.endswith("by nobody known")


def test_groups_are_joined_from_the_same_machine_alone(sessions: Sessions) -> None:
    first = Remote(sessions)
    accepted = first.answers[0]
    assert isinstance(accepted, BindAccepted)
    second = Remote(sessions, group=accepted.group)
    assert isinstance(second.answers[0], BindAccepted)
    stranger = Remote(sessions, machine="10.0.0.8", group=accepted.group)
    assert isinstance(stranger.answers[0], BindRefused)


def test_a_group_shares_handles_of_one_caller_alone(sessions: Sessions) -> None:
    first = Remote(sessions)
    accepted = first.answers[0]
    assert isinstance(accepted, BindAccepted)
    handle = opened(sessions, first, 77)
    close = CLOSE_SERVICE_HANDLE.encode_request(CloseServiceHandleRequest(handle=handle))
    again = Remote(sessions, group=accepted.group).call(0, close)
    other = Remote(sessions, "bob", group=accepted.group).call(0, close)
    own = first.call(0, close)
    assert isinstance(again, CloseHandle)
    assert isinstance(other, CloseHandle)
    assert isinstance(own, CloseHandle)
    assert again.call.association == own.call.association
    assert other.call.association != own.call.association


def test_all_associations_of_a_group_end_with_it(sessions: Sessions) -> None:
    first = Remote(sessions)
    accepted = first.answers[0]
    assert isinstance(accepted, BindAccepted)
    second = Remote(sessions, "bob", group=accepted.group)
    used = set()
    for remote in (first, second):
        asked = remote.call(15, OPEN)
        assert isinstance(asked, OpenScm)
        used.add(asked.call.association)
    assert first.session.closed() == ()
    ended = set(second.session.closed())
    assert len(used) == 2
    assert {AssociationEnded(association) for association in used} <= ended
    assert len(sessions.associations) == 0


# mgmt --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "size", "name", "status"),
    [
        (KERBEROS, 100, "host/scmd.example", 0),
        (9, 18, "host/scmd.example", 0),
        (9, 17, "", 122),
        (9, 0, "", 122),
        (NTLM, 100, "", 1747),
        (9, 0xFFFF_FFFF, "host/scmd.example", 0),
    ],
)
def test_the_principal_name_is_told_to_anybody(
    sessions: Sessions, service: int, size: int, name: str, status: int
) -> None:
    remote = Remote(sessions, None, principal="host/scmd.example")
    request = InqPrincNameRequest(authentication_service=service, size=size)
    _, data = remote.near.call(MGMT, 4, INQ_PRINC_NAME.encode_request(request))
    remote.send(data)
    response = remote.answers[-1]
    assert isinstance(response, client.Response)
    decoded = INQ_PRINC_NAME.decode_response(response.stub, response.form)
    assert (decoded.name, decoded.status) == (name, status)
