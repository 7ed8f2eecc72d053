"""Asking an endpoint mapper, whatever it answers."""

from __future__ import annotations

import pytest

from scmd.client.mapping import NotMapped, tcp_port
from scmd.endpoint_mapper.operations import EPM, MAP, NOT_REGISTERED, MapResponse, TowerBytes
from scmd.endpoint_mapper.towers import decode_tower, encode_tower, tower_of
from scmd.rpc import events
from scmd.rpc.server import ServerConnection
from scmd.svcctl.interface import SVCCTL
from tests.client.canned import Answer, Canned


def told(*towers: TowerBytes | None, error: int = 0) -> Answer:
    def answer(far: ServerConnection, request: events.Request) -> None:
        response = MapResponse(count=len(towers), capacity=4, towers=towers, error=error)
        far.respond(request.call_id, MAP.encode_response(response))

    return answer


def tower(port: int) -> TowerBytes:
    return TowerBytes(octets=tuple(encode_tower(tower_of(SVCCTL, port=port))))


@pytest.mark.parametrize("piece", [1, 100_000])
def test_the_first_tower_with_a_port_is_taken(piece: int) -> None:
    broken = TowerBytes(octets=(1, 2, 3))
    mapper = Canned([EPM], told(None, broken, tower(0), tower(49204)), piece=piece)
    assert tcp_port(mapper, SVCCTL) == 49204
    [stub] = mapper.asked
    asked = MAP.decode_request(stub, 0)
    assert asked.tower is not None
    assert decode_tower(bytes(asked.tower.octets)) == tower_of(SVCCTL, port=0)
    assert asked.max_towers == 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "refuses to be asked"),
        (told(error=NOT_REGISTERED), "svcctl is not served by TCP"),
        (told(tower(0)), "svcctl is not served by TCP"),
        (lambda far, request: far.fault(request.call_id, 5), "has refused the question"),
        (lambda far, request: far.respond(request.call_id, b"short"), "something else"),
        (lambda far, request: far.outgoing.append(b"HTTP/1.1 400 Bad Request\r\n"), "something"),
        (lambda far, request: None, "the connection has ended"),
    ],
)
def test_any_other_answer_says_why_there_is_none(answer: Answer | None, reason: str) -> None:
    with pytest.raises(NotMapped, match=reason):
        tcp_port(Canned([EPM], answer), SVCCTL)
