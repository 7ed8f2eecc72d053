"""The socket of sd_notify: datagrams in, events out, each for the launch that sent it.

The kernel names the sender. It speaks for a launch if it is its process, one of its
session, below it, or in its cgroup; all that cannot be forged. Without cgroups an orphan that
the keeper has taken in, as daemons that went into the background are, is believed what the
environment it was started with says. Everybody else is a stranger: dropped, and logged once a uid
and second. Whose sender has ended before we could look is a
stranger too. A program that floods gets its turn and no more.

A quick program may speak before the keeper has told that it runs. What it says waits in the
socket, and with it all that comes after, until that is told.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable

from scmd.core.messages import LaunchId
from scmd.core.messages.events import Event
from scmd.core.notifications import MAX_NOTIFICATION, parse
from scmd.linux import usage
from scmd.linux.process_tree import read_process, read_tag
from scmd.linux.spawn import LAUNCH_VARIABLE, launch_of_tag

log = logging.getLogger("scmd.manager")

DATAGRAMS_A_TURN = 32
_CREDENTIALS = struct.Struct("=iII")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * 253)
_DEEPEST = 64
"""Generations between a sender and its launch's first process."""


class Tags:
    """Finds the launch of a process that nobody known is above."""

    def __init__(self, instance: str, keeper: int) -> None:
        self._instance = instance
        self._keeper = keeper

    def launch_of(self, process_id: int) -> LaunchId | None:
        number = usage.launch_of(process_id, self._instance)
        if number is not None:
            return LaunchId(number)
        for _ in range(_DEEPEST):
            process = read_process(process_id)
            if process is None or process.parent <= 1:
                return None
            if process.parent == self._keeper:
                number = launch_of_tag(read_tag(process_id, LAUNCH_VARIABLE), self._instance)
                return None if number is None else LaunchId(number)
            process_id = process.parent
        return None


class NotifyListener:
    """Owns the manager's copy of the socket; `know` and `forget` say which processes count."""

    def __init__(
        self,
        notify: socket.socket,
        on_event: Callable[[Event], None],
        tags: Tags | None = None,
        is_starting: Callable[[LaunchId], bool] = lambda _: False,
    ) -> None:
        """`is_starting`: whether `know` or `forget` is still to come for a launch."""
        self._socket = notify
        self._on_event = on_event
        self._tags = tags
        self._is_starting = is_starting
        self._waits = False
        self._launches: dict[int, LaunchId] = {}
        self._pids: dict[LaunchId, int] = {}
        self._logged: dict[int, float] = {}

    def start(self) -> None:
        self._waits = False
        asyncio.get_running_loop().add_reader(self._socket, self.listen)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def know(self, launch: LaunchId, process_id: int) -> None:
        """This is the process of the launch, and not another one any more."""
        self.forget(launch)
        self._launches[process_id] = launch
        self._pids[launch] = process_id

    def forget(self, launch: LaunchId) -> None:
        """It has ended, or never began: its pid may be somebody else's by now."""
        if self._waits:
            self.start()
        process_id = self._pids.pop(launch, 0)
        if self._launches.get(process_id) == launch:
            del self._launches[process_id]

    def listen(self) -> None:
        """Take in what has been said by now."""
        for _ in range(DATAGRAMS_A_TURN):
            try:
                # Taken only when it has been dealt with: a new manager would find it again.
                data, ancillary, _, _ = self._socket.recvmsg(
                    MAX_NOTIFICATION, _ANCILLARY, socket.MSG_CMSG_CLOEXEC | socket.MSG_PEEK
                )
            except BlockingIOError:
                return
            try:
                if not self._heed(data, *_sender(ancillary)):
                    self._waits = True
                    asyncio.get_running_loop().remove_reader(self._socket)
                    return
            except Exception:
                self._socket.recv(1)  # Once is enough for what we cannot deal with.
                raise
            self._socket.recv(1)

    def _heed(self, data: bytes, sender: int, uid: int) -> bool:
        """Whether it has been dealt with."""
        launch = self._launch_of(sender)
        if launch is None and self._tags is not None:
            launch = self._tags.launch_of(sender)
            if launch is not None and self._is_starting(launch):
                return False
        if launch is None:
            self._drop(sender, uid)
        else:
            self._on_event(parse(launch, data))
        return True

    def _launch_of(self, process_id: int) -> LaunchId | None:
        for _ in range(_DEEPEST):
            if process_id in self._launches:
                return self._launches[process_id]
            process = read_process(process_id)
            if process is None:
                return None
            if process.session in self._launches:
                return self._launches[process.session]
            if process.parent <= 1:
                return None
            process_id = process.parent
        return None

    def _drop(self, process_id: int, uid: int) -> None:
        now = asyncio.get_running_loop().time()
        self._logged = {uid: at for uid, at in self._logged.items() if now - at < 1}
        if uid not in self._logged:
            self._logged[uid] = now
            log.warning(
                "dropped a notification of process %d (uid %d): it is of no service",
                process_id,
                uid,
            )


def _sender(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Pid and uid, as the kernel says; descriptors that came along are closed."""
    process_id, uid = 0, -1
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            process_id, uid, _ = _CREDENTIALS.unpack(data)
        elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            for (descriptor,) in struct.iter_unpack("i", data[: len(data) - len(data) % 4]):
                socket.close(descriptor)
    return process_id, uid
