"""Servers that answer as ours does not: with nonsense, with several things, or by refusing."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from scmd.client.calls import Calls
from scmd.client.connection import connect_to
from scmd.client.management import manager_status
from scmd.client.scm import Scm
from scmd.client.status_requests import STATES, StatusRequests, names
from scmd.client.watching import Watch
from scmd.rpc.pdu import ALTER_CONTEXT, BIND_NAK, FAULT, LAST_FRAGMENT, REQUEST, RESPONSE
from scmd.svcctl.administration import (
    GET_NOTIFY_RESULTS,
    GetNotifyResultsResponse,
    NotifyParams,
    NotifyParams2,
    NotifyParamsList,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceAccess, ServiceState
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError
from tests.client.test_connection import server
from tests.client.world import World, report

Answer = Callable[[bytes], bytes | None]
"""To a PDU of the client's; None: what the SCM answers."""


@contextmanager
def behind(world: World, answer: Answer) -> Iterator[Calls]:
    """Calls by a connection on which some PDUs never reach the SCM."""

    def serve(end: socket.socket) -> None:
        # The client may close with an answer on its way.
        with suppress(ConnectionError), socket.socket(socket.AF_UNIX) as scm:
            scm.connect(str(world.runtime / "scm.sock"))
            while data := end.recv(65_536):
                while data:
                    size = struct.unpack_from("<H", data, 8)[0]
                    pdu, data = data[:size], data[size:]
                    own = answer(pdu)
                    if own is None:
                        scm.sendall(pdu)
                        own = whole(scm)
                    end.sendall(own)

    with server(serve) as path, Calls(connect_to(path)) as calls:
        yield calls


def whole(scm: socket.socket) -> bytes:
    """All fragments of one answer."""
    data, start = b"", 0
    while True:
        more = scm.recv(65_536)
        assert more, "the SCM has closed the connection"
        data += more
        while len(data) >= start + 16:
            end = start + struct.unpack_from("<H", data, start + 8)[0]
            if len(data) < end:
                break
            if data[start + 3] & LAST_FRAGMENT:
                return data
            start = end


def pdu(kind: int, request: bytes, body: bytes) -> bytes:
    """Whole, and about the request's call."""
    header = struct.pack("<BBBB4sHH", 5, 0, kind, 3, b"\x10\0\0\0", 16 + len(body), 0)
    return header + request[12:16] + body


def opnum(request: bytes) -> int:
    return int.from_bytes(request[22:24], "little") if request[2] == REQUEST else -1


@pytest.mark.parametrize(
    ("kind", "body"),
    [(BIND_NAK, b"\4\0\1\5\0\0\0\0"), (FAULT, bytes(8) + struct.pack("<II", 5, 0))],
)
def test_an_interface_that_is_refused_in_any_way_is_not_there(
    world: World, kind: int, body: bytes
) -> None:
    def refuse(request: bytes) -> bytes | None:
        return pdu(kind, request, body) if request[2] == ALTER_CONTEXT else None

    with behind(world, refuse) as calls, pytest.raises(WinError) as refused:
        manager_status(calls)
    assert refused.value.winerror == Error.CALL_NOT_IMPLEMENTED


def test_an_answer_that_is_nonsense_ends_its_request_only(world: World, scm: Scm) -> None:
    scm.create("Web", "/usr/bin/web")

    def nonsense(request: bytes) -> bytes | None:
        return pdu(RESPONSE, request, bytes(8) + b"?!") if opnum(request) == 47 else None

    with behind(world, nonsense) as calls:
        manager = calls.open_scm()
        handle = calls.open_service(manager, "Web", ServiceAccess.QUERY_STATUS)
        requests = StatusRequests(calls)
        requests.ask("key", handle, STATES)
        told = requests.next()
        assert told is not None
        key, outcome = told
        assert key == "key"
        assert isinstance(outcome, WinError)
        assert outcome.winerror == Error.RPC_CALL_FAILED
        requests.open_service(manager, "Web", ServiceAccess.QUERY_STATUS)
        requests.close()


def test_all_that_one_answer_tells_is_told(world: World, scm: Scm) -> None:
    world.has_feed = False
    scm.create("Web", "/usr/bin/web")
    passed = [ServiceState.START_PENDING, ServiceState.RUNNING]
    elements = tuple(
        NotifyParams(params=NotifyParams2(notify_mask=STATES, service_status=report(state)))
        for state in passed
    )
    several = GetNotifyResultsResponse(notify_params=NotifyParamsList(elements=elements), error=0)
    # First the SCM's request is waited for, then the service's.
    answers = [b"", bytes(8) + GET_NOTIFY_RESULTS.encode_response(several, 0)]

    def answer(request: bytes) -> bytes | None:
        if opnum(request) != 48:
            return None
        body = answers.pop(0) if answers else b""
        return pdu(RESPONSE, request, body) if body else b""

    with behind(world, answer) as calls, Watch(lambda: calls, ["Web"]) as changes:
        assert [next(changes).state, next(changes).state] == passed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ()),
        ("/New\0Old\0", ("/New", "Old")),
        # Where a string ends with its first NUL, one of them is left.
        ("/New", ("/New",)),
    ],
)
def test_names_are_found_however_they_end(text: str | None, found: tuple[str, ...]) -> None:
    params = NotifyParams2(notify_mask=0x180, service_status=ServiceStatus(), service_names=text)
    assert names(params) == found
