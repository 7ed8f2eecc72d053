"""Who is at the other end of a local socket, as the kernel tells it.

The identity is the one the peer had when it connected: uid, primary group and process from
SO_PEERCRED, supplementary groups from SO_PEERGROUPS. Names are never looked up and /proc is
never read, so neither a directory service nor a reused process number can lie to us.
"""

from __future__ import annotations

import errno
import socket
import struct
from array import array
from dataclasses import dataclass

SO_PEERGROUPS = 59
"""asm-generic/socket.h, Linux 4.13 and later; the length of its answer varies."""

_CREDENTIALS = struct.Struct("=iII")
_PYTHON_LIMIT = 1024
"""socket.getsockopt gives no longer buffer: 256 groups."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as it was at that moment."""

    uid: int
    gids: tuple[int, ...]
    """The primary group first, then the supplementary ones, none twice."""
    pid: int
    """0 when the peer is in a process namespace that this one does not see."""


def peer_of(connection: socket.socket) -> Peer:
    """The peer of a connected unix socket. OSError: the kernel does not say."""
    size = _CREDENTIALS.size
    pid, uid, gid = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    groups = array("I", peer_groups(connection))
    return Peer(uid, tuple(dict.fromkeys((gid, *groups))), pid)


def peer_groups(connection: socket.socket) -> bytes:
    """The supplementary groups as 32-bit numbers in the machine's order."""
    try:
        return connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _PYTHON_LIMIT)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
    return _many_groups(connection.fileno())


def _many_groups(descriptor: int) -> bytes:
    """SO_PEERGROUPS beyond what Python's own call can receive (a member of 65,536 at most)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(4 * 65536)
    length = ctypes.c_uint32(len(buffer))
    if libc.getsockopt(descriptor, socket.SOL_SOCKET, SO_PEERGROUPS, buffer, ctypes.byref(length)):
        number = ctypes.get_errno()
        raise OSError(number, "SO_PEERGROUPS")
    return buffer.raw[: length.value]
