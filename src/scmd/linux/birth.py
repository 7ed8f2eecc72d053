"""A child that is born in a cgroup, by clone3 with CLONE_INTO_CGROUP (Linux 5.7).

Moving a process into a cgroup makes the kernel wait until every processor has passed a point of
rest, 7 to 15 ms; being born there does not. The price is a copy of our address space, some 2 ms.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# With the interpreter's lock held, so that nobody else has it in the child's copy of us.
_LIBC = ctypes.PyDLL(None, use_errno=True)
_CLONE3 = 435
_CLONE_INTO_CGROUP = 0x2_0000_0000
_ARGUMENTS = struct.Struct("=11Q")
"""struct clone_args up to `cgroup`, see clone(2)."""


class CannotBeBorn(Exception):
    """The kernel, or what guards its calls, does not have it, or not for this cgroup.

    `gone`: somebody has removed the cgroup.
    """

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.gone = number in (errno.ENOENT, errno.ENODEV)


def child_in(folder: str, work: Callable[[], bytes]) -> bytes:
    """Run `work` in a child born there, which ends then; what it returned, b"" when it died.

    Only for a process with one thread. What `work` starts becomes ours if we are a subreaper.
    """
    read, written = os.pipe2(os.O_CLOEXEC)
    try:
        pid = _clone_into(folder)
        if pid == 0:
            _work_and_end(written, work)
        os.close(written)
        written = -1
        said = b""
        while data := os.read(read, 4096):
            said += data
    finally:
        os.close(read)
        if written >= 0:
            os.close(written)
    os.waitpid(pid, 0)
    return said


def _clone_into(folder: str) -> int:
    """As os.fork: 0 in the child."""
    try:
        cgroup = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as failed:
        raise CannotBeBorn(failed.errno or 0) from failed
    try:
        packed = _ARGUMENTS.pack(
            *(_CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
        )
        pid: int = _LIBC.syscall(ctypes.c_long(_CLONE3), packed, ctypes.c_size_t(len(packed)))
        if pid < 0:
            raise CannotBeBorn(ctypes.get_errno())
    finally:
        os.close(cgroup)
    return pid


def _work_and_end(written: int, work: Callable[[], bytes]) -> None:
    try:
        said = work()
        while said:
            said = said[os.write(written, said) :]
    finally:
        os._exit(0)
