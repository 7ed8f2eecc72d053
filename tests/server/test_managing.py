"""What concerns the SCM itself: its settings, who may come from elsewhere, and mgmt's questions."""

from __future__ import annotations

import json

import pytest

from scmd.core.control_values import PIPE_TIMEOUT, SETTINGS
from scmd.core.messages import Call, Caller, Settings
from scmd.core.messages.commands import CheckScmHandle, QuerySettings, SetSettings
from scmd.rpc import mgmt
from scmd.rpc.client import Response
from scmd.rpc.mgmt import MGMT
from scmd.scmd_interface import operations
from scmd.scmd_interface.parameters import pack_changes
from scmd.scmd_interface.remote import CHANGE_REMOTE, QUERY_REMOTE, ChangeRemoteRequest
from scmd.security.token import unix_token
from scmd.server.host_requests import ChangeRemote, QueryRemote
from scmd.server.session import Sessions
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.registry import RegistryValue
from tests.server.exchange import CALL, SCM, WIRE_SCM, Exchange, error, ok
from tests.server.test_session import Client

CHECK = CheckScmHandle(CALL, SCM, 0xF003F)
SCM_REQUEST = operations.ScmRequest(scm=WIRE_SCM)


def call_from(*, local: bool) -> Call:
    token = unix_token(0, [0], administrator=True, local=local)
    return Call(CALL.id, CALL.association, Caller(token, "root", "test"))


def test_the_remote_end_points_are_told_to_administrators() -> None:
    exchange = Exchange()
    told = exchange.run(QUERY_REMOTE, SCM_REQUEST, ok(), ok(b"{}"))
    assert (told.document, told.error) == (b"{}", 0)
    assert exchange.asked == [CHECK, QueryRemote(CALL)]
    refused = Exchange()
    assert refused.run(QUERY_REMOTE, SCM_REQUEST, error(5)).error == 5
    assert refused.asked == [CHECK]


def test_they_are_changed_at_the_machine_itself() -> None:
    """However much a caller from elsewhere may do."""
    request = ChangeRemoteRequest(scm=WIRE_SCM, change=b'{"disable":null}')
    here = Exchange(call=call_from(local=True))
    wrong = here.run(CHANGE_REMOTE, request, ok(), error(87, "what is wrong"))
    assert (wrong.error, wrong.detail) == (87, "what is wrong")
    assert here.asked[1:] == [ChangeRemote(here.call, request.change)]
    elsewhere = Exchange(call=call_from(local=False))
    assert elsewhere.run(CHANGE_REMOTE, request, ok()).error == 5
    for exchange in (Exchange(call=call_from(local=True)), Exchange(call=call_from(local=False))):
        assert exchange.run(CHANGE_REMOTE, request, error(6)).error == 6
        assert exchange.asked == [CheckScmHandle(exchange.call, SCM, 0xF003F)]


def test_settings_are_told_with_their_defaults() -> None:
    exchange = Exchange()
    told = exchange.run(operations.QUERY_SETTINGS, SCM_REQUEST, ok(Settings(pipe_timeout=7)))
    lines = [json.loads(line) for line in told.document.splitlines()]
    assert exchange.asked == [QuerySettings(CALL, SCM)]
    assert [line["name"] for line in lines] == [setting.name for setting in SETTINGS]
    [timeout] = [line for line in lines if line["name"] == PIPE_TIMEOUT]
    assert (timeout["value"], timeout["default"], timeout["unit"]) == (7, 30000, "ms")
    assert timeout["meaning"].startswith("a process to connect")
    refused = Exchange().run(operations.QUERY_SETTINGS, SCM_REQUEST, error(5))
    assert (refused.document, refused.error) == (b"", 5)


def test_settings_are_changed_together_and_each_once() -> None:
    values = {PIPE_TIMEOUT: RegistryValue.of(9), "Other": None}
    changes = pack_changes(values)
    assert changes is not None
    exchange = Exchange()
    request = operations.SetSettingsRequest(scm=WIRE_SCM, changes=changes)
    refused = exchange.run(operations.SET_SETTINGS, request, error(87, "there is no such"))
    assert (refused.error, refused.detail) == (87, "there is no such")
    assert exchange.asked == [SetSettings(CALL, SCM, values)]
    twice = operations.SetSettingsRequest(scm=WIRE_SCM, changes=(*changes, changes[0]))
    for reply, expected in ((ok(), 87), (error(5), 5)):
        exchange = Exchange()
        assert exchange.run(operations.SET_SETTINGS, twice, reply).error == expected
        assert exchange.asked == [CHECK]


# mgmt --------------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Client:
    return Client(Sessions(b"testing!"), interfaces=(SVCCTL, MGMT))


def asked(client: Client, opnum: int, stub: bytes = b"") -> Response:
    client.call(opnum, stub, MGMT)
    assert isinstance(client.last, Response)
    return client.last


@pytest.mark.parametrize("count", [0, 2, 4, 5, 0xFFFFFFFF])
def test_the_statistics_are_as_many_as_are_asked_for(client: Client, count: int) -> None:
    """Calls received and made, PDUs received and sent: a bind, its answer, and this."""
    client.sessions.statistics.calls = 2**32
    request = mgmt.INQ_STATS.encode_request(mgmt.InqStatsRequest(count=count))
    answer = asked(client, 1, request)
    told = mgmt.INQ_STATS.decode_response(answer.stub, answer.form)
    assert (told.statistics, told.status) == ((1, 0, 2, 1)[:count], 0)


def test_the_server_listens_and_nobody_stops_that(client: Client) -> None:
    answer = asked(client, 2)
    told = mgmt.IS_SERVER_LISTENING.decode_response(answer.stub, answer.form)
    assert (told.is_listening, told.status) == (1, 0)
    answer = asked(client, 3)
    assert mgmt.STOP_SERVER_LISTENING.decode_response(answer.stub, answer.form).status == 5
    assert not client.is_closed


def test_the_interfaces_are_those_that_are_spoken(client: Client) -> None:
    answer = asked(client, 0)
    vector = mgmt.INQ_IF_IDS.decode_response(answer.stub, answer.form).vector
    assert vector is not None
    found = [(each.uuid, each.major, each.minor) for each in vector.ids if each is not None]
    spoken = client.sessions.interfaces
    assert found == [(each.uuid, each.major, each.minor) for each in spoken]
    assert MGMT.uuid in [uuid for uuid, _, _ in found]
