"""The process's end of the control channel: one descriptor, an outbox, a way to be woken.

Any thread sends and none waits for it: what the socket does not take stays in the outbox and
goes out when it can. One thread receives. What the packets mean is the dispatcher's.

An outbox that cannot be sent stays small: a status report replaces the one before it if both
say the same state (only its check point can have moved), a service has at most `MAX_STATUSES`
waiting, of which the oldest goes first, and events past `MAX_EVENTS` are dropped.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque

from scmd.control_pipe.packets import (
    MAX_PACKET,
    SCM_PACKETS,
    Decoder,
    Event,
    Packet,
    PacketError,
    Status,
    encode,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Entry = tuple[Packet, list[bytes]]

MAX_STATUSES = 64
MAX_EVENTS = 1000


class ChannelClosed(Exception):
    """The SCM's end is gone, or what came from it was malformed."""


class Channel:
    """Owns `fd`: makes it non-blocking, not inherited by children, and closes it."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        self._fd = fd
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._outbox: deque[_Entry] = deque()
        self._fragments: deque[bytes] = deque()
        self._decoder = Decoder(SCM_PACKETS)
        self._open = True
        self._broken = False

    # Any thread ---------------------------------------------------------------------------

    def send(self, packet: Packet) -> None:
        """Send now or, when the socket is full, later; in order. Lost when the SCM is gone.

        PacketError: the packet's values do not fit.
        """
        entry = (packet, encode(packet))
        with self._lock:
            if not self._open or self._broken:
                return
            if not self._outbox or not self._replaces(entry):
                self._outbox.append(entry)
            if not self._flush():
                self._signal()

    def wake(self) -> None:
        """Make `receive` return None."""
        with self._lock:
            self._signal()

    def _signal(self) -> None:
        if self._open:
            os.eventfd_write(self._wake, 1)

    def _replaces(self, entry: _Entry) -> bool:
        """Whether the full outbox has taken the entry in place of another, or dropped it."""
        packet = entry[0]
        if isinstance(packet, Event):
            return sum(isinstance(other, Event) for other, _ in self._outbox) >= MAX_EVENTS
        if not isinstance(packet, Status):
            return False
        waiting = [
            (index, other)
            for index, (other, _) in enumerate(self._outbox)
            if isinstance(other, Status) and other.service == packet.service
        ]
        if waiting and waiting[-1][1].status.state == packet.status.state:
            self._outbox[waiting[-1][0]] = entry
            return True
        if len(waiting) >= MAX_STATUSES:
            del self._outbox[waiting[0][0]]
        return False

    def _flush(self) -> bool:
        """Send what the socket takes; False when something is left."""
        while self._fragments or self._outbox:
            if not self._fragments:
                self._fragments.extend(self._outbox.popleft()[1])
            try:
                os.write(self._fd, self._fragments[0])
            except BlockingIOError:
                return False
            except OSError:
                self._broken = True
                self._fragments.clear()
                self._outbox.clear()
                return True
            self._fragments.popleft()
        return True

    # The receiving thread -------------------------------------------------------------------

    def receive(self) -> Packet | None:
        """The next packet, waiting for it; None when woken. ChannelClosed at the end."""
        return self._wait(None)

    def poll(self) -> Packet | None:
        """The next packet if one is already there."""
        return self._wait(0)

    def _wait(self, timeout: int | None) -> Packet | None:
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        while True:
            with self._lock:
                wanted = select.POLLIN if self._flush() else select.POLLIN | select.POLLOUT
            poller.register(self._fd, wanted)
            ready = dict(poller.poll(timeout))
            if ready.get(self._fd, 0) & ~select.POLLOUT:
                packet = self._read()
                if packet is not None:
                    return packet
                continue
            if self._wake in ready:
                self._clear()
                return None
            if timeout is not None:
                return None

    def wait_for_wake(self) -> None:
        """Block until `wake`, for when nothing can be received any more."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.poll()
        self._clear()

    def _clear(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

    def _read(self) -> Packet | None:
        try:
            data = os.read(self._fd, MAX_PACKET + 1)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not data:
            raise ChannelClosed("the SCM closed the control channel")
        try:
            return self._decoder.feed(data)
        except PacketError as error:
            raise ChannelClosed(str(error)) from error

    def close(self, timeout: int) -> None:
        """Send what is left, for at most `timeout` milliseconds, and close."""
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        self._until(lambda: bool(poller.poll(timeout)))
        with self._lock:
            self._open = False
            os.close(self._fd)
            os.close(self._wake)

    def _until(self, writable: Callable[[], bool]) -> None:
        while True:
            with self._lock:
                if self._flush():
                    return
            if not writable():
                return
