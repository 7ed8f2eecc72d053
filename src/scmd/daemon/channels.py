"""Control channels: the manager's ends of the sockets that service processes inherited.

Packets in become the core's events, effects out become packets. The kernel names the
sender of each packet; one that does not come from the launched process is dropped and
logged, since a descriptor is easily inherited by somebody else. A malformed packet closes
the channel of that process only. A process that floods gets its turn and no more.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable

from scmd.control_pipe import packets
from scmd.core.messages import ControlId, LaunchId, ServiceId
from scmd.core.messages.events import (
    ChannelClosed,
    ControlAnswered,
    DispatcherConnected,
    Event,
    HandlerRegistered,
    StartAnswered,
    StatusReported,
)

log = logging.getLogger(__name__)

PACKETS_A_TURN = 16
"""How many packets one process may have handled before the others get their turn."""
_CREDENTIALS = struct.Struct("=iII")
_TRUNCATED = int(socket.MSG_TRUNC)
"""A plain number: `&` of a member of an enumeration is Python code, run for each packet."""
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size)
_MAX_QUEUED = 4096

EventReport = Callable[[LaunchId, packets.Event], None]


class Channel:
    """One connected process: its socket, what it still has to be sent, what it has said."""

    def __init__(self, channels: Channels, launch: LaunchId, connection: socket.socket) -> None:
        self.launch = launch
        self.process_id = 0
        self._channels = channels
        self._socket = connection
        self._decoder = packets.Decoder(packets.PROCESS_PACKETS)
        self._queue: deque[bytes] = deque()
        self._strangers = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._readable)

    def send(self, packet: packets.Packet) -> None:
        """Send, or queue while the process does not read; a queue past all reason ends it."""
        waiting = bool(self._queue)
        self._queue.extend(packets.encode(packet))
        if len(self._queue) > _MAX_QUEUED:
            self._end(f"does not read: {len(self._queue)} packets are waiting")
        elif not waiting:
            self._flush()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _flush(self) -> None:
        try:
            while self._queue:
                self._socket.send(self._queue[0])
                self._queue.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._flush)
            return
        except OSError:
            # The end of the process is on its way through the keeper, with its status.
            self._queue.clear()
        self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        for _ in range(PACKETS_A_TURN):
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(packets.MAX_PACKET, _ANCILLARY)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""  # It ended before it had read everything.
            except OSError as failed:
                self._end(f"cannot be read: {failed.strerror}")
                return
            if not data:
                self._end("")
                return
            if self._from_stranger(ancillary):
                continue
            if flags & _TRUNCATED:
                self._end(f"sent a packet longer than {packets.MAX_PACKET} bytes")
                return
            try:
                packet = self._decoder.feed(data)
            except packets.PacketError as malformed:
                self._end(f"sent nonsense: {malformed}")
                return
            if packet is not None:
                self._channels.received(self, packet)
            if self._socket.fileno() < 0:
                return

    def _from_stranger(self, ancillary: Iterable[tuple[int, int, bytes]]) -> bool:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                process_id, uid, _ = _CREDENTIALS.unpack(data)
                if process_id == self.process_id:
                    return False
                self._strangers += 1
                if self._strangers == 1:
                    log.warning(
                        "launch %d: dropped a packet of process %d (uid %d), expected process %d",
                        self.launch,
                        process_id,
                        uid,
                        self.process_id,
                    )
        return True

    def _end(self, why: str) -> None:
        if why:
            log.warning("launch %d: control channel closed: the process %s", self.launch, why)
        self.close()
        self._channels.ended(self)


class Channels:
    """All control channels, by launch."""

    def __init__(self, on_event: Callable[[Event], None], on_report: EventReport) -> None:
        self._on_event = on_event
        self._on_report = on_report
        self._channels: dict[LaunchId, Channel] = {}

    def open(self, launch: LaunchId, connection: socket.socket) -> None:
        """Take over the manager's end; `identify` must follow before anything is believed."""
        self._channels[launch] = Channel(self, launch, connection)

    def identify(self, launch: LaunchId, process_id: int) -> None:
        """The process whose packets count on this channel."""
        if launch in self._channels:
            self._channels[launch].process_id = process_id

    def send(self, launch: LaunchId, packet: packets.Packet) -> None:
        """Without effect when the channel is gone: the core hears of that as an event."""
        channel = self._channels.get(launch)
        if channel is not None:
            channel.send(packet)

    def close(self, launch: LaunchId) -> None:
        """The launch is over; nothing more is read from it."""
        channel = self._channels.pop(launch, None)
        if channel is not None:
            channel.close()

    def ended(self, channel: Channel) -> None:
        if self._channels.pop(channel.launch, None) is not None:
            self._on_event(ChannelClosed(channel.launch))

    def received(self, channel: Channel, packet: packets.Packet) -> None:
        launch = channel.launch
        match packet:
            case packets.Status():
                self._on_event(StatusReported(launch, ServiceId(packet.service), packet.status))
            case packets.Hello():
                channel.send(packets.Welcome(version=min(packet.version, packets.VERSION)))
                self._on_event(DispatcherConnected(launch, packet.table))
            case packets.StartAnswer():
                self._on_event(StartAnswered(launch, ServiceId(packet.service), packet.error))
            case packets.Registered():
                self._on_event(HandlerRegistered(launch, ServiceId(packet.service)))
            case packets.ControlAnswer():
                self._on_event(ControlAnswered(launch, ControlId(packet.control), packet.error))
            case packets.Event():
                self._on_report(launch, packet)
            case _:
                raise AssertionError(packet)
