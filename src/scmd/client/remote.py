"""Connecting to another machine's SCM: by ssh, by TCP with the endpoint mapper, by named pipe.

Every failure is a ConnectionFailed whose detail names the step that failed.
"""

from __future__ import annotations

from scmd.client.connection import Connection, ConnectionFailed
from scmd.client.credentials import Credentials
from scmd.client.hosts import Host, HostError, parse_host
from scmd.vocabulary.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scmd.transport.blocking import StreamSocket

CONNECT_S = 21.0
"""How long a machine may take to answer at all, unless the caller has a limit of its own."""


def connector(
    host: str, credentials: Credentials | None = None, timeout: float | None = None
) -> Callable[[], Connection]:
    """What connects to a HOST, each time it is called. ConnectionFailed 87: not a HOST."""
    try:
        place = parse_host(host)
    except HostError as error:
        raise ConnectionFailed(Error.INVALID_PARAMETER, "OpenSCManager", str(error)) from error
    if place.is_ssh:
        if credentials is not None:
            text = "ssh has its own user and keys: ssh://USER@HOST"
            raise ConnectionFailed(Error.INVALID_PARAMETER, "OpenSCManager", text)
        return lambda: _through_ssh(place, timeout)
    text = f"{host}: this version reaches other machines by ssh:// only"
    raise ConnectionFailed(Error.NOT_SUPPORTED, "OpenSCManager", text)


def _through_ssh(host: Host, timeout: float | None) -> Connection:
    from scmd.transport.ssh import SshStream

    try:
        stream = SshStream(host.name, host.user, host.port, timeout)
    except OSError as error:
        text = f"{host}: ssh cannot be run ({error.strerror or error})"
        raise ConnectionFailed(Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", text) from error
    return _bound(stream, host)


def _bound(stream: StreamSocket, host: Host) -> Connection:
    """The connection over a stream that is open; what the stream knows of a failure is told."""
    try:
        return Connection(stream)
    except ConnectionFailed as failed:
        detail = stream.diagnosis() or failed.detail
        raise ConnectionFailed(
            Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", f"{host}: {detail}"
        ) from failed
