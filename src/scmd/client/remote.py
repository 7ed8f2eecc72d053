"""Connecting to another machine's SCM: by ssh, by TCP with the endpoint mapper, by named pipe.

Every failure is a ConnectionFailed whose detail names the steps that failed.
"""

from __future__ import annotations

from _socket import gaierror

from scmd.client.connection import Connection, ConnectionFailed, reason
from scmd.client.credentials import Credentials
from scmd.client.hosts import Host, HostError, parse_host
from scmd.rpc.errors import RpcError
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scmd.rpc.security.initiation import Initiation
    from scmd.transport.blocking import Stream

CONNECT_S = 21.0
"""How long a machine may take to be there, unless the caller has a limit of its own."""


class _StepFailed(Exception):
    """A way to the machine is closed; there may be another one."""

    def __init__(self, text: str, error: Error = Error.RPC_SERVER_UNAVAILABLE) -> None:
        super().__init__(text)
        self.error = error


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
    known = credentials or Credentials()
    try:
        known.user.encode()
    except UnicodeEncodeError as error:
        text = f"{known.user!a} is no user's name"
        raise ConnectionFailed(Error.INVALID_PARAMETER, "OpenSCManager", text) from error
    return lambda: _through_network(place, known, timeout)


def _through_ssh(host: Host, timeout: float | None) -> Connection:
    from scmd.transport.ssh import SshStream

    try:
        stream = SshStream(host.name, host.user, host.port, timeout)
    except OSError as error:
        text = f"{host}: ssh cannot be run ({error.strerror or error})"
        raise ConnectionFailed(Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", text) from error
    return _bound(stream, str(host))


def _through_network(host: Host, credentials: Credentials, timeout: float | None) -> Connection:
    """TCP at the port that is given or that the mapper tells, then the named pipe."""
    limit = CONNECT_S if timeout is None else timeout
    failures: list[_StepFailed] = []
    try:
        port = host.port or _mapped_port(host, limit)
        return _by_tcp(host, port, credentials, limit, timeout)
    except _StepFailed as failed:
        failures.append(failed)
    if not host.port:
        try:
            return _by_pipe(host, credentials, limit, timeout)
        except _StepFailed as failed:
            failures.append(failed)
    text = f"{host}: {'; '.join(map(str, failures))}"
    last = failures[-1].error
    refused_at = _pipe_of(host) if last == Error.ACCESS_DENIED else None
    raise ConnectionFailed(last, "OpenSCManager", text, refused_at=refused_at)


def _mapped_port(host: Host, limit: float) -> int:
    from scmd.client import mapping
    from scmd.endpoint_mapper.operations import PORT
    from scmd.transport.tcp import TcpStream

    try:
        stream = TcpStream(host.name, PORT, limit, limit)
    except OSError as error:
        raise _not_there(host, "no endpoint mapper at TCP port 135", error) from error
    try:
        return mapping.tcp_port(stream, SVCCTL)
    except (mapping.NotMapped, OSError) as error:
        raise _StepFailed(f"the endpoint mapper at TCP port 135: {reason(error)}") from error
    finally:
        stream.close()


def _by_tcp(
    host: Host, port: int, credentials: Credentials, limit: float, timeout: float | None
) -> Connection:
    from scmd.client.authentication import initiation
    from scmd.transport.tcp import TcpStream

    security = initiation(credentials, host)
    try:
        stream = TcpStream(host.name, port, limit, limit)
    except OSError as error:
        raise _not_there(host, f"nobody answers at TCP port {port}", error) from error
    connection = _bound(stream, f"{host}, TCP port {port}", security)
    stream.set_timeout(timeout)
    return connection


def _by_pipe(
    host: Host, credentials: Credentials, limit: float, timeout: float | None
) -> Connection:
    try:
        from scmd.transport.smb import PipeStream, SmbFailed
    except ImportError as error:
        text = "the named pipe needs a package that is not installed: pip install 'scmd[smb]'"
        raise _StepFailed(text) from error
    if credentials.password is None:
        raise _StepFailed("the named pipe: no password was given, and tickets go by TCP only")
    try:
        stream = PipeStream(host.name, "svcctl", credentials.user, credentials.password, limit)
    except PermissionError as error:
        raise _StepFailed(f"SMB: {reason(error)}", Error.ACCESS_DENIED) from error
    except (SmbFailed, OSError) as error:
        raise _StepFailed(f"the named pipe: {reason(error)}") from error
    connection = _bound(stream, _pipe_of(host))
    stream.set_timeout(timeout)
    return connection


def _pipe_of(host: Host) -> str:
    return f"{host}, named pipe"


def _bound(stream: Stream, where: str, security: Initiation | None = None) -> Connection:
    """The connection over a stream that is open; what the stream knows of a failure is told."""
    try:
        connection = Connection(stream, security)
    except ConnectionFailed as failed:
        detail = failed.detail
        if not isinstance(failed.__cause__, RpcError):  # Whose end follows from ours.
            detail = stream.diagnosis() or detail
        error = Error.RPC_SERVER_UNAVAILABLE
        if failed.winerror == Error.ACCESS_DENIED:
            error = Error.ACCESS_DENIED
        text = f"{where}: {detail}"
        refused_at = None if failed.refused_at is None else where
        raise ConnectionFailed(error, "OpenSCManager", text, refused_at=refused_at) from failed
    connection.place = where
    return connection


def _not_there(host: Host, what: str, error: OSError) -> Exception:
    """Of a name that nobody knows every other way is closed too."""
    if isinstance(error, gaierror):
        text = f"{host}: the name cannot be resolved ({reason(error)})"
        return ConnectionFailed(Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", text)
    return _StepFailed(f"{what} ({reason(error)})")
