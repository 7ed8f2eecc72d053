"""Frames over a non-blocking unix stream socket, for the processes without asyncio."""

from __future__ import annotations

import _socket
import os
from collections import deque
from sys import byteorder

from scmd.daemon.keeper_messages import FrameReader, Malformed, Message, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_READ_SIZE = 1 << 18
_RIGHTS_SPACE = _socket.CMSG_SPACE(64 * 4)


class Disconnected(Exception):
    """The other end is gone, or spoke nonsense."""


class FrameSocket:
    """One end; owns the socket and whatever descriptors wait on either side of it."""

    def __init__(self, connection: _socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._reader = FrameReader()
        self._pending: deque[tuple[bytes, tuple[int, ...], bool]] = deque()
        """Frames with their descriptors, and whether these are ours."""

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """Whether to call `flush` when the socket is writable."""
        return bool(self._pending)

    def send(self, message: Message, *descriptors: int, lent: bool = False) -> None:
        """Queue a message with duplicates of the descriptors; the caller keeps its own.

        `lent`: these stay open until they are received, so that many may wait without duplicates.
        """
        frame = encode(message, len(descriptors))
        if not self._pending and self._send_now(frame, descriptors):
            return
        waiting = descriptors if lent else tuple(map(os.dup, descriptors))
        self._pending.append((frame, waiting, not lent))

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        while self._pending:
            frame, descriptors, ours = self._pending[0]
            sent = self._transmit(frame, descriptors)
            if sent == 0:
                return
            if ours:
                _close(descriptors)
            if sent < len(frame):
                self._pending[0] = (frame[sent:], (), True)
                return
            self._pending.popleft()

    def receive(self) -> list[tuple[Message, list[int]]]:
        """The messages that have arrived, perhaps none; raises `Disconnected`."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                _READ_SIZE, _RIGHTS_SPACE, _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return []
        except OSError as failed:
            raise Disconnected(str(failed)) from failed
        self._reader.feed(data, _descriptors(ancillary))
        if not data:
            raise Disconnected("closed")
        try:
            return list(self._reader.messages())
        except Malformed as malformed:
            raise Disconnected(f"malformed: {malformed}") from malformed

    def close(self) -> None:
        for _, descriptors, ours in self._pending:
            if ours:
                _close(descriptors)
        self._pending.clear()
        _close(self._reader.leftover_descriptors())
        self._socket.close()

    def _send_now(self, frame: bytes, descriptors: tuple[int, ...]) -> bool:
        """Whether all of it went; the rest of what went in part is queued here."""
        sent = self._transmit(frame, descriptors)
        if 0 < sent < len(frame):
            self._pending.append((frame[sent:], (), True))
        return sent > 0

    def _transmit(self, frame: bytes, descriptors: tuple[int, ...]) -> int:
        """Bytes taken. A broken connection takes all; reading reports it."""
        ancillary: list[tuple[int, int, bytes]] = []
        if descriptors:
            packed = b"".join(number.to_bytes(4, byteorder) for number in descriptors)
            ancillary.append((_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed))
        try:
            return self._socket.sendmsg([frame], ancillary, _socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            return len(frame)


def inherited(descriptor: int) -> FrameSocket:
    """The socket that our parent left us at this number."""
    os.set_inheritable(descriptor, False)
    return FrameSocket(_socket.socket(fileno=descriptor))


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _descriptors(ancillary: list[tuple[int, int, Any]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            found += memoryview(data[: len(data) - len(data) % 4]).cast("i").tolist()
    return found
