"""A program that is part of the SCM, the manager or the logger, as the keeper's child.

Owns its process and its socket: starting, hearing it, noticing its end, and when to start it
again. What is said over the socket is the keeper's.
"""

from __future__ import annotations

import _socket
import os
import select
import signal

from scmd.daemon.keeper_socket import Disconnected, FrameSocket
from scmd.linux.spawn import failure, fork_exec_compatible, read_to_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scmd.daemon.keeper_messages import Message

    Heed = Callable[[Message, FrameSocket], None]

ENDING_LIMIT = 10.0
"""Seconds for it to end after its connection was closed."""
HEALTHY_AFTER = 1.0
"""Seconds after it was ready; who ran this long begins with the first delay again."""
_NOT_FOR_CHILDREN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")
_QUICK = 10
"""So many deaths of one that was ready count as one of another that never was."""
_LONGEST_QUICK = 0.1
"""Seconds before the restart of one that was ready."""


class Child:
    """`delays` are the seconds before each restart; the last one repeats.

    Who was ready and died soon has `_QUICK` tries before the next delay, and never a long one:
    it did its work, and whoever killed it may do so again. Who never was ready gets the next one
    each time.
    """

    def __init__(self, name: str, argv: Sequence[str], delays: Sequence[float]) -> None:
        self.name = name
        self.pid: int | None = None
        self.socket: FrameSocket | None = None
        self.restart_at: float | None = None
        """On the clock that `start` and `ended` are told; None: not to be started."""
        self.kill_at: float | None = None
        """When its patience ends for one that has closed its connection and goes on."""
        self._argv = [os.fsencode(argument) for argument in argv]
        self._delays = delays
        self._failures = 0
        self._ready_at: float | None = None

    def start(self) -> None:
        """Run it with its end of the socket as the last argument; raises OSError."""
        self._ready_at = None
        self.restart_at = None
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self.pid = _run([*self._argv, str(theirs.fileno()).encode()], theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.socket = FrameSocket(ours)

    def register(self, poll: select.poll) -> None:
        """Have `poll` tell what `converse` wants to know."""
        if self.socket is not None:
            wanted = select.POLLIN | (select.POLLOUT if self.socket.unsent else 0)
            poll.register(self.socket, wanted)

    def converse(self, happened: Mapping[int, int], heed: Heed, now: float) -> str:
        """Send what waits and have each message heeded; what was wrong with one, or "".

        `happened` is what poll has told. Without its connection it is useless, and is to end.
        """
        connection = self.socket
        if connection is None or connection.fileno() not in happened:
            return ""
        if happened[connection.fileno()] & select.POLLOUT:
            connection.flush()
        try:
            for message, descriptors in connection.receive():
                for descriptor in descriptors:
                    os.close(descriptor)
                heed(message, connection)
        except Disconnected as reason:
            self.dismiss(now)
            return str(reason) if "malformed" in str(reason) else ""
        return ""

    def dismiss(self, now: float) -> None:
        """Close its connection: it ends by itself, or is killed some time later."""
        self.disconnect()
        self.kill_at = now + ENDING_LIMIT

    def kill_if_due(self, now: float) -> None:
        if self.pid is not None and self.kill_at is not None and now >= self.kill_at:
            os.kill(self.pid, signal.SIGKILL)
            self.kill_at = None

    def ready(self, now: float) -> None:
        """It has begun to do its work."""
        self._ready_at = now

    def ended(self, now: float) -> float:
        """It is gone: forget it, and say after how many seconds it may be started again."""
        self.disconnect()
        self.pid = self.kill_at = None
        was_ready = self._ready_at is not None
        if self._ready_at is not None and now - self._ready_at >= HEALTHY_AFTER:
            self._failures = 0
        delay = self._delays[min(self._failures // _QUICK, len(self._delays) - 1)]
        if was_ready:
            delay = min(delay, _LONGEST_QUICK)
        self._failures += 1 if was_ready else _QUICK
        self.restart_at = now + delay
        return delay

    def finish(self, patience: float) -> None:
        """Close its connection, wait for its end (seconds), then kill it; it is not restarted."""
        self.disconnect()
        pid, self.restart_at = self.pid, None
        if pid is None:
            return
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(patience * 1000):
            os.kill(pid, signal.SIGKILL)
        os.close(handle)
        os.waitpid(pid, 0)

    def disconnect(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def _run(argv: list[bytes], descriptor: int) -> int:
    """Like a service: own session, clean signals; but with our output and our environment."""
    environment = [
        name.encode() + b"=" + os.fsencode(value)
        for name, value in os.environ.items()
        if name not in _NOT_FOR_CHILDREN and not name.startswith("SCMD_LAUNCH")
    ]
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    error_read, error_write = os.pipe2(os.O_CLOEXEC)
    try:
        pid = fork_exec_compatible(
            argv,
            environment,
            b"/",
            descriptors=(null, 1, 2),
            pass_descriptors=(descriptor,),
            error_pipe=(error_read, error_write),
        )
        os.close(error_write)
        error_write = -1
        report = read_to_end(error_read)
    finally:
        os.close(null)
        os.close(error_read)
        if error_write >= 0:
            os.close(error_write)
    if report:
        os.waitpid(pid, 0)
        raise OSError(f"{os.fsdecode(argv[0])}: {failure(report)[2]}")
    return pid
