"""Asking a machine's endpoint mapper where an interface is served by TCP."""

from __future__ import annotations

from scmd.endpoint_mapper.operations import EPM, MAP, MapRequest, TowerBytes
from scmd.endpoint_mapper.towers import TowerError, decode_tower, encode_tower, tower_of
from scmd.ndr.errors import NdrError
from scmd.rpc.client import BindAccepted, ClientConnection, Response
from scmd.rpc.errors import RpcError
from scmd.transport.blocking import RECEIVE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.rpc.client import ClientEvent
    from scmd.rpc.interface import Interface
    from scmd.transport.blocking import Stream

_MAX_TOWERS = 4


class NotMapped(Exception):
    """The mapper does not say where the interface is; the text says why."""


def tcp_port(stream: Stream, interface: Interface) -> int:
    """The port. OSError: the connection broke; it is the caller's to close."""
    rpc = ClientConnection()
    try:
        if not isinstance(_exchange(stream, rpc, rpc.bind([EPM]), 0), BindAccepted):
            raise NotMapped("it refuses to be asked")
        octets = tuple(encode_tower(tower_of(interface, port=0)))
        request = MapRequest(tower=TowerBytes(octets=octets), max_towers=_MAX_TOWERS)
        call_id, data = rpc.call(EPM, MAP.opnum, MAP.encode_request(request))
        answer = _exchange(stream, rpc, data, call_id)
        if not isinstance(answer, Response):
            raise NotMapped("it has refused the question")
        response = MAP.decode_response(answer.stub, answer.form)
    except (RpcError, NdrError) as error:
        raise NotMapped(f"it has answered something else: {error}") from error
    for tower in response.towers:
        try:
            port = decode_tower(bytes(tower.octets)).port if tower is not None else None
        except TowerError:
            continue
        if port:
            return port
    raise NotMapped(f"{interface.name} is not served by TCP there")


def _exchange(stream: Stream, rpc: ClientConnection, data: bytes, call_id: int) -> ClientEvent:
    """Send, and the answer to this call; 0: to a bind."""
    stream.send(data)
    while True:
        received = stream.receive(RECEIVE_BYTES)
        if not received:
            raise RpcError("the connection has ended")
        for event in rpc.receive_data(received):
            if getattr(event, "call_id", 0) == call_id:
                return event
