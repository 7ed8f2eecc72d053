"""Two ends of a connection joined in memory, and the interfaces they speak."""

from __future__ import annotations

from collections.abc import Sequence

from scmd.ndr.structure import Structure
from scmd.ndr.types import DWORD, Annotated, Bytes
from scmd.rpc import client, events, server
from scmd.rpc.interface import Interface

ECHO = Interface("echo", "11111111-2222-3333-4455-66778899aabb", 1, 2)
OTHER = Interface("other", "11111111-2222-3333-4455-66778899aacc", 3, 0)
UNKNOWN = Interface("unknown", "11111111-2222-3333-4455-66778899aadd", 1, 0)


class Blob(Structure):
    number: DWORD
    data: Annotated[bytes, Bytes(5_000_000)]


ECHO_BLOB = ECHO.operation(0, "Echo", Blob, Blob)


def new_server(*, max_fragment: int = server.REMOTE_FRAGMENT) -> server.ServerConnection:
    return server.ServerConnection(
        [ECHO, OTHER], secondary_address="135", max_fragment=max_fragment
    )


def bound(
    *, form: int = 0, max_fragment: int = server.REMOTE_FRAGMENT, group: int = 7
) -> tuple[client.ClientConnection, server.ServerConnection]:
    """A client and a server that have agreed."""
    near, far = client.ClientConnection(form=form), new_server(max_fragment=max_fragment)
    [event] = far.receive_data(near.bind([ECHO, OTHER]))
    assert isinstance(event, events.BindRequested)
    far.accept_bind(group)
    [accepted] = near.receive_data(far.data_to_send())
    assert isinstance(accepted, client.BindAccepted)
    return near, far


def requests(heard: Sequence[object]) -> list[events.Request]:
    """The events, all of which must be requests."""
    found = [event for event in heard if isinstance(event, events.Request)]
    assert len(found) == len(heard)
    return found
