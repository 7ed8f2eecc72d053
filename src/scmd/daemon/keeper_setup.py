"""What the keeper needs of the host before it starts anything, or the reason it cannot have it.

Directories, the lock that makes one SCM of a state directory, the listening socket, limits,
and being the parent of orphans. Nothing here is undone: the process is the keeper.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import resource
import stat
import sys
import time

from scmd.transport.places import SOCKET_NAME, PlaceError, socket_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NOTIFY_NAME = "notify.sock"
LOCK_NAME = "lock"
_PR_SET_CHILD_SUBREAPER = 36
_BACKLOG = 4096


class CannotRun(Exception):
    """The keeper cannot run here; the text says why and what to do."""


def make_directory(path: str, mode: int, option: str) -> None:
    """Make it, or check that it is ours and that only we may change what is in it.

    `option` is what would name another one.
    """
    try:
        os.makedirs(path, mode)
    except FileExistsError:
        pass
    except OSError as failed:
        reason = f"cannot create {path}: {failed.strerror}"
        raise CannotRun(f"{reason}; {option} names a directory that can be written") from failed
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise CannotRun(f"{path} is not a directory")
    if found.st_uid != os.geteuid():
        raise CannotRun(f"{path} belongs to uid {found.st_uid}, not to us (uid {os.geteuid()})")
    if found.st_mode & 0o022:
        raise CannotRun(f"{path} can be changed by others (mode {found.st_mode & 0o7777:o})")
    if not os.access(path, os.W_OK | os.X_OK):
        raise CannotRun(f"{path} cannot be written; {option} names a directory that can")


def make_runtime(runtime: str) -> None:
    """RUNTIME, where root's SCM may be reached by everybody."""
    make_directory(runtime, 0o755 if os.geteuid() == 0 else 0o700, "--runtime")


def take_lock(state: str) -> tuple[int, bool]:
    """What holds the state directory while it is open; whether the last holder was killed."""
    path = os.path.join(state, LOCK_NAME)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as failed:
        raise CannotRun(f"cannot open {path}: {failed.strerror}") from failed
    holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failed:
        os.close(lock)
        pid = holder or "unknown"
        raise CannotRun(f"another SCM has the state directory {state}: pid {pid}") from failed
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as failed:
        raise CannotRun(f"cannot write {path}: {failed.strerror}") from failed
    return lock, bool(holder)


def release_lock(lock: int, clean: bool) -> None:
    """Leave the state directory; `clean` says that nothing that was launched is left."""
    if clean:
        os.ftruncate(lock, 0)
    os.close(lock)


class OwnSockets:
    """The sockets in RUNTIME that outlive a manager: one listens, one hears sd_notify."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        make_runtime(runtime)
        self.listener = listen(runtime)
        self.notify = hear_notifications(runtime)
        self._paths = _path(runtime, SOCKET_NAME), _path(runtime, NOTIFY_NAME)

    def restore(self) -> None:
        """Make what somebody has removed from RUNTIME again; what waited there is lost."""
        listener, notify = self._paths
        make_runtime(self._runtime)
        if not os.path.lexists(listener):
            gone, self.listener = self.listener, listen(self._runtime)
            os.close(gone)
        if not os.path.lexists(notify):
            gone, self.notify = self.notify, hear_notifications(self._runtime)
            os.close(gone)

    def close(self) -> None:
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                pass
        os.close(self.listener)
        os.close(self.notify)


def listen(runtime: str) -> int:
    """RUNTIME/scm.sock, open to every local user: who may do what is checked per caller."""
    path = _path(runtime, SOCKET_NAME)
    if _answers(path):
        raise CannotRun(f"another SCM serves {path}: choose another --runtime")
    listener = _bound(path, _socket.SOCK_STREAM)
    listener.listen(_BACKLOG)
    return listener.detach()


def hear_notifications(runtime: str) -> int:
    """RUNTIME/notify.sock, where hosted programs send sd_notify's datagrams.

    The kernel adds to each who sent it; what arrives while no manager lives waits here.
    """
    path = _path(runtime, NOTIFY_NAME)
    return _bound(path, _socket.SOCK_DGRAM).detach()


def _path(runtime: str, name: str) -> str:
    try:
        return socket_path(runtime, name)
    except PlaceError as error:
        raise CannotRun(str(error)) from error


def _bound(path: str, kind: int) -> _socket.socket:
    """A socket at this path that every local user may reach."""
    made = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    if kind == _socket.SOCK_DGRAM:
        made.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        made.bind(path)
        os.chmod(path, 0o666)
    except OSError as failed:
        made.close()
        raise CannotRun(f"cannot listen at {path}: {failed.strerror}") from failed
    return made


def _answers(path: str) -> bool:
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    probe.setblocking(False)
    try:
        probe.connect(path)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        probe.close()
    return True


def check_proc() -> None:
    """/proc shows this pid namespace: by any other, wrong processes would be killed."""
    try:
        shown = os.readlink("/proc/self")
    except OSError:
        shown = ""
    if shown != str(os.getpid()):
        raise CannotRun("/proc is not of this pid namespace: mount one (unshare --mount-proc does)")


def do_in_child(prepare: Callable[[str], None], state: str) -> None:
    """Run `prepare(state)` in a process that ends then, so that its imports and threads do too."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            prepare(state)
            status = 0
        except Exception as failed:  # Whatever it was: the parent has to hear of it.
            print(f"scmd: {failed}", file=sys.stderr)
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1]:
        raise CannotRun(f"the database in {state} could not be prepared")


def raise_descriptor_limit() -> tuple[int, int]:
    """Our limit goes up to what is allowed; the limit before is what services get."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    return before


def become_subreaper() -> None:
    """Orphaned descendants become our children instead of init's."""
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise CannotRun(f"prctl: {os.strerror(ctypes.get_errno())}")


def open_standard_descriptors() -> None:
    """0, 1 and 2 exist, so that nothing else of ours ends up there."""
    while True:
        descriptor = os.open("/dev/null", os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def boot_id() -> str:
    """Another one after each boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def instance_of(state: str) -> str:
    """What marks the processes of the SCM with this state directory."""
    found = os.stat(state)
    return f"{found.st_dev:x}-{found.st_ino:x}"


class Watchdog:
    """systemd's, where the unit asks for one (WatchdogSec): it is told twice in each period.

    It is the keeper that is watched; the keeper itself sees to manager and logger.
    """

    def __init__(self) -> None:
        self.due: float | None = None
        """On the monotonic clock; None: nobody asks."""
        period, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        if period.isdecimal() and int(period) and pid in ("", str(os.getpid())):
            self._period = int(period) / 2_000_000
            self.due = time.monotonic()

    def turn(self, now: float) -> None:
        """Called in each turn of the loop."""
        if self.due is not None and now >= self.due:
            notify_systemd("WATCHDOG=1", os.environ.get("NOTIFY_SOCKET"))
            self.due = now + self._period


def notify_systemd(text: str, address: str | None) -> None:
    """sd_notify(3); silent where nobody listens."""
    if not address:
        return
    where = "\0" + address[1:] if address.startswith("@") else address
    notifier = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        notifier.sendto(text.encode(), where)
    except OSError:
        pass
    finally:
        notifier.close()


def describe(status: int) -> str:
    """waitpid's status for people."""
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"
