"""The sockets that the keeper listens at for the manager: TCP, and smbd's named pipe.

They outlive a manager, so that a client's connect waits for the next one instead of being
refused. Each has the name the manager gave it: `tcp:ADDRESS:PORT` with a numeric address (IPv6 in
brackets), or `pipe:PATH`, which names where it is.
"""

from __future__ import annotations

import _socket
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BACKLOG = 1024
TCP = "tcp:"
PIPE = "pipe:"
_IP_FREEBIND = 15
_KIND = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK


class CannotListen(Exception):
    """Nobody can be served there; the text says why."""


class Listeners:
    """What is listened at, by name."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._held.items())

    def __len__(self) -> int:
        return len(self._held)

    def open(self, name: str) -> int:
        """The descriptor of the listening socket of this name, made now if it is not held."""
        if name not in self._held:
            if name.startswith(TCP):
                listener = _listen_tcp(name[len(TCP) :])
            elif name.startswith(PIPE):
                listener = _listen_pipe(name[len(PIPE) :])
            else:
                raise CannotListen(f"{name} is no end point that this version knows")
            self._held[name] = listener.detach()
        return self._held[name]

    def close(self, name: str) -> None:
        """Listen there no more; what is connected is the manager's."""
        listener = self._held.pop(name, None)
        if listener is not None:
            os.close(listener)
            if name.startswith(PIPE):
                _unlink_quietly(name[len(PIPE) :])

    def close_all(self) -> None:
        for name in tuple(self._held):
            self.close(name)


def check_address(name: str) -> None:
    """CannotListen when the address of this TCP end point is not this machine's at present."""
    _listen_tcp(name[len(TCP) :], only_look=True).close()


def _listen_tcp(place: str, only_look: bool = False) -> _socket.socket:
    """The address may come later: when the machine starts, its network may not be up yet."""
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    made = _socket.socket(family, _KIND)
    try:
        made.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        made.setsockopt(_socket.IPPROTO_IP, _IP_FREEBIND, 0 if only_look else 1)
        if family == _socket.AF_INET6:
            made.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
        known = _socket.getaddrinfo(host, None, family, 0, 0, _socket.AI_NUMERICHOST)
        scope = known[0][4][2:]  # With IPv6.
        made.bind((host, 0 if only_look else int(port), *scope))
        if not only_look:
            made.listen(BACKLOG)
    except (OSError, ValueError, OverflowError) as failed:
        made.close()
        raise CannotListen(f"cannot listen at {place}: {_reason(failed)}") from failed
    return made


def _listen_pipe(path: str) -> _socket.socket:
    """A socket that only root can reach: what comes from it is believed.

    It is made under another name first, so that nobody finds it before its mode is right.
    """
    folder = os.path.dirname(path)
    _check_folder(folder)
    temporary = f"{path}.{os.getpid()}"
    made = _socket.socket(_socket.AF_UNIX, _KIND)
    try:
        _unlink_quietly(temporary)
        made.bind(temporary)
        os.chmod(temporary, 0o600)
        made.listen(BACKLOG)
        os.rename(temporary, path)
    except (OSError, ValueError) as failed:
        made.close()
        _unlink_quietly(temporary)
        raise CannotListen(f"cannot listen at {path}: {_reason(failed)}") from failed
    return made


def _check_folder(folder: str) -> None:
    try:
        found = os.stat(folder)
    except OSError as failed:
        raise CannotListen(f"{folder}: {_reason(failed)}") from failed
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise CannotListen(
            f"{folder} must be ours and closed to others (owner {os.geteuid()}, mode 0700), for "
            "whoever can connect there can say who he is"
        )


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # It is not there, or the next listener will say so.


def _reason(failed: Exception) -> str:
    return getattr(failed, "strerror", None) or str(failed)
