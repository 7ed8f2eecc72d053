"""Running a program as a service process, and saying exactly why it could not be.

The child is the leader of its own session, has /dev/null on standard input, one pipe on
standard output and error, perhaps one end of a control channel, and nothing else of ours:
no descriptor, no signal setting, no limit we raised for ourselves, no variable.

It is CPython's own `fork_exec`, which `subprocess` stands on: vfork where the account
stays the same, error reports from between fork and exec. Only where limits, priority or
affinity are asked for does Python code run in the child (see `preparation`). The child is
born in the cgroup its caller is in (see `cgroups`).
"""

from __future__ import annotations

import _socket
import errno
import os
import resource
import sys
from _posixsubprocess import fork_exec
from functools import partial

from scmd.linux import oom_score
from scmd.linux.accounts import Account, resolve
from scmd.linux.birth import child_in
from scmd.linux.descriptors import for_launches
from scmd.linux.preparation import preparation
from scmd.vocabulary.errors import Error, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from scmd.linux.controllers import Bounds

    class Request(Protocol):
        """What is to be run; `core.messages.effects.LaunchSpec` says what the fields mean."""

        @property
        def number(self) -> int: ...
        @property
        def argv(self) -> Sequence[str]: ...
        @property
        def account(self) -> str: ...
        @property
        def control_channel(self) -> bool: ...
        @property
        def directory(self) -> str | None: ...
        @property
        def environment(self) -> Sequence[tuple[str, str]] | None: ...
        @property
        def extra_environment(self) -> Sequence[tuple[str, str]]: ...
        @property
        def umask(self) -> int | None: ...
        @property
        def nice(self) -> int | None: ...
        @property
        def affinity(self) -> Sequence[int]: ...
        @property
        def limits(self) -> Sequence[tuple[str, int]]: ...
        @property
        def shares(self) -> Sequence[tuple[str, int]]: ...
        @property
        def uid(self) -> int: ...
        @property
        def groups(self) -> Sequence[int]: ...
        @property
        def capabilities(self) -> int | None: ...


CONTROL_VARIABLE = "SCMD_CONTROL_FD"
"""As in `control_pipe.packets`, which the keeper does without."""
LAUNCH_VARIABLE = "SCMD_LAUNCH"
"""`NUMBER:INSTANCE`: which launch of which SCM a process belongs to."""


def launch_of_tag(tag: str, instance: str) -> int | None:
    """The launch that LAUNCH_VARIABLE names; None: of another SCM, or none."""
    number, _, its_instance = tag.partition(":")
    return int(number) if its_instance == instance and number.isdecimal() else None


# The errors of CreateProcess for the errno of execve(2).
EXEC_ERRORS = {
    errno.ENOENT: Error.FILE_NOT_FOUND,
    errno.ENOTDIR: Error.PATH_NOT_FOUND,
    errno.ENAMETOOLONG: Error.PATH_NOT_FOUND,
    errno.ELOOP: Error.PATH_NOT_FOUND,
    errno.EACCES: Error.ACCESS_DENIED,
    errno.EPERM: Error.ACCESS_DENIED,
    errno.ETXTBSY: Error.ACCESS_DENIED,
    errno.ENOEXEC: Error.BAD_EXE_FORMAT,
    errno.ELIBBAD: Error.BAD_EXE_FORMAT,
    errno.EINVAL: Error.BAD_EXE_FORMAT,
    errno.E2BIG: Error.INVALID_PARAMETER,
    errno.ENOMEM: Error.NOT_ENOUGH_MEMORY,
    errno.EAGAIN: Error.NOT_ENOUGH_MEMORY,
    errno.EMFILE: Error.NOT_ENOUGH_MEMORY,
    errno.ENFILE: Error.NOT_ENOUGH_MEMORY,
}


class Spawned:
    """A running child: its pid, the read end of its output, our end of its control channel."""

    __slots__ = ("channel", "output", "pid")

    def __init__(self, pid: int, output: int, channel: int | None) -> None:
        self.pid = pid
        self.output = output
        self.channel = channel


class Spawner:
    """Spawns for one SCM; `instance` marks its processes among all of the machine.

    Holds two descriptors of its own. `nofile` is the limit that programs get, as a pair
    (soft, hard); the caller may have raised its own. So with `oom_adjustment`, which the caller
    has lowered; None: it has not.
    """

    def __init__(
        self,
        instance: str,
        runtime: str,
        nofile: tuple[int, int],
        oom_adjustment: int | None = None,
    ) -> None:
        self._instance = instance
        self._runtime = runtime
        self._nofile = nofile
        self._oom_adjustment = oom_adjustment
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        # Every child finds its channel at this number, taken early and therefore small.
        self._slot = os.dup(self._null)
        self._end_of_room = for_launches()

    def close(self) -> None:
        os.close(self._null)
        os.close(self._slot)

    def spawn(
        self, request: Request, bounds: Bounds | None = None, *, born_in: str | None = None
    ) -> Spawned:
        """Run it; raises `Refused` with the Win32 code and what failed, and leaves nothing.

        With `bounds` it joins their cgroups before it is executed. With `born_in` it is the
        child of a child that was born in this cgroup, which a subreaper gets; CannotBeBorn.
        """
        try:
            return self._spawn(request, bounds, born_in)
        except (OSError, OverflowError) as failed:
            raise _cannot_spawn(failed) from failed

    def _spawn(self, request: Request, bounds: Bounds | None, born_in: str | None) -> Spawned:
        account = resolve(request.account, request.uid)
        arguments = _encoded(request.argv)
        if not arguments[0].startswith(b"/"):
            raise Refused(Error.FILE_NOT_FOUND, f"not an absolute path: {request.argv[0]!r}")
        environment = self._environment(request, account)
        directory = _encoded([request.directory or "/"])[0]
        prepare = preparation(request, account, bounds)
        output, output_write = os.pipe2(os.O_CLOEXEC)
        channel: int | None = None
        try:
            if output >= self._end_of_room:
                limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
                raise Refused(
                    Error.NOT_ENOUGH_MEMORY,
                    f"cannot spawn: more would run than RLIMIT_NOFILE, {limit} here, has room for",
                )
            os.set_blocking(output, False)
            if request.control_channel:
                channel = self._open_channel()
            run = partial(
                self._fork_exec,
                *(arguments, environment, directory, output_write, request, account, prepare),
            )
            pid = run() if born_in is None else _run_in(born_in, run)
        except BaseException:
            os.close(output)
            if channel is not None:
                os.close(channel)
            raise
        finally:
            os.close(output_write)
            if channel is not None:
                os.dup2(self._null, self._slot, inheritable=False)
        return Spawned(pid, output, channel)

    def _open_channel(self) -> int:
        ours, theirs = _socket.socketpair(
            _socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        )
        ours.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        ours.setblocking(False)
        os.dup2(theirs.fileno(), self._slot, inheritable=False)
        theirs.close()
        return ours.detach()

    def _environment(self, request: Request, account: Account) -> list[bytes]:
        values = {LAUNCH_VARIABLE: f"{request.number}:{self._instance}"}
        if request.control_channel:
            values[CONTROL_VARIABLE] = str(self._slot)
        if request.environment is None:
            values.update(account.environment(), SCMD_RUNTIME=self._runtime)
        else:
            values.update(request.environment)
        values.update(request.extra_environment)
        for name in values:
            if not name or "=" in name:
                raise Refused(Error.INVALID_PARAMETER, f"no name for a variable: {name!r}")
        return _encoded(f"{name}={value}" for name, value in values.items())

    def _fork_exec(
        self,
        arguments: list[bytes],
        environment: list[bytes],
        directory: bytes,
        output: int,
        request: Request,
        account: Account,
        prepare: Callable[[int], None] | None,
    ) -> int:
        here = resource.getrlimit(resource.RLIMIT_NOFILE)
        switch = account.switch and prepare is None
        error_read, error_write = os.pipe2(os.O_CLOEXEC)
        try:
            if here != self._nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, self._nofile)
            try:
                if self._oom_adjustment is not None:
                    oom_score.put(self._oom_adjustment)
                pid = fork_exec_compatible(
                    arguments,
                    environment,
                    directory,
                    descriptors=(self._null, output, output),
                    pass_descriptors=(self._slot,) if request.control_channel else (),
                    error_pipe=(error_read, error_write),
                    account=account if switch else None,
                    umask=-1 if request.umask is None else request.umask,
                    prepare=None if prepare is None else lambda: prepare(error_write),
                )
            finally:
                if here != self._nofile:
                    resource.setrlimit(resource.RLIMIT_NOFILE, here)
                if self._oom_adjustment is not None:
                    oom_score.protect()
            os.close(error_write)
            error_write = -1
            report = read_to_end(error_read)
            if report:
                os.waitpid(pid, 0)
                raise _refusal(report, request, account)
        finally:
            os.close(error_read)
            if error_write >= 0:
                os.close(error_write)
        return pid


def fork_exec_compatible(
    arguments: list[bytes],
    environment: list[bytes],
    directory: bytes,
    *,
    descriptors: tuple[int, int, int],
    pass_descriptors: tuple[int, ...],
    error_pipe: tuple[int, int],
    account: Account | None = None,
    umask: int = -1,
    prepare: Callable[[], None] | None = None,
) -> int:
    """`_posixsubprocess.fork_exec` for every CPython from 3.11: new session, all else closed."""
    options = (
        arguments,
        (arguments[0],),
        True,  # close_fds
        tuple(sorted((error_pipe[1], *pass_descriptors))),
        directory,
        environment,
        descriptors[0],
        -1,
        -1,
        descriptors[1],
        -1,
        descriptors[2],
        *error_pipe,
        True,  # restore_signals
        True,  # setsid
        -1,  # process group
        account.gid if account else None,
        account.groups() if account else None,
        account.uid if account else None,
        umask,
        prepare,
    )
    # The stub knows one number of arguments, and no tuple of them has the types it wants.
    if sys.version_info >= (3, 14):
        return fork_exec(*options)  # type: ignore[arg-type] # see above
    return fork_exec(*options, True)  # type: ignore[arg-type] # the last one: vfork


def _run_in(folder: str, run: Callable[[], int]) -> int:
    """What `run` returns or refuses, in a child born there."""

    def work() -> bytes:
        try:
            return b"%d" % run()
        except (OSError, OverflowError) as failed:
            refused = _cannot_spawn(failed)
        except Refused as failed:
            refused = failed
        return f"{-int(refused.error)} {refused.detail}".encode(errors="surrogateescape")

    number, _, detail = child_in(folder, work).partition(b" ")
    if not number:
        raise Refused(Error.NOT_ENOUGH_MEMORY, "cannot spawn: who should do it has died")
    if int(number) < 0:
        raise Refused(Error(-int(number)), detail.decode(errors="surrogateescape"))
    return int(number)


def read_to_end(descriptor: int) -> bytes:
    """A child that came by fork writes its report in pieces, while we read."""
    report = b""
    while data := os.read(descriptor, 4096):
        report += data
    return report


def _encoded(texts: Iterable[str]) -> list[bytes]:
    try:
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    except UnicodeEncodeError as failed:
        raise Refused(Error.INVALID_PARAMETER, "text that is no text in UTF-8") from failed
    if not encoded or any(b"\0" in text for text in encoded):
        raise Refused(Error.INVALID_PARAMETER, "an argument or a variable contains NUL")
    return encoded


# What went wrong ----------------------------------------------------------------------------


def failure(report: bytes) -> tuple[int, bytes, str]:
    """Of a child's `OSError:<errno in hex>:<step>`, as CPython writes it: both, and a text.

    The errno is 0 when it has met something else.
    """
    kind, _, rest = report.partition(b":")
    code, _, step = rest.partition(b":")
    if kind != b"OSError":
        return 0, b"", report.decode(errors="replace")
    return int(code, 16), step, os.strerror(int(code, 16))


def _cannot_spawn(failed: OSError | OverflowError) -> Refused:
    if isinstance(failed, OverflowError):
        return Refused(Error.INVALID_PARAMETER, str(failed))
    error = EXEC_ERRORS.get(failed.errno or 0, Error.NOT_SUPPORTED)
    return Refused(error, f"cannot spawn: {failed.strerror}")


def _refusal(report: bytes, request: Request, account: Account) -> Refused:
    number, step, text = failure(report)
    if not number:
        return Refused(Error.NOT_ENOUGH_MEMORY, text)
    if not step:
        return _exec_refusal(number, request.argv[0], text)
    if step.startswith(b"noexec"):
        return _early_refusal(number, request.directory or "/", account, text)
    if step == b"account":
        return Refused(Error.SERVICE_LOGON_FAILED, f"account {account.name}: {text}")
    error = Error.INVALID_PARAMETER if number == errno.EINVAL else Error.ACCESS_DENIED
    return Refused(error, f"{step.decode()}: {text}")


def _exec_refusal(number: int, program: str, text: str) -> Refused:
    error = EXEC_ERRORS.get(number, Error.NOT_SUPPORTED)
    if number == errno.ENOENT:
        if os.path.lexists(program):
            return Refused(error, f"{program}: its interpreter does not exist")
        if not os.path.isdir(os.path.dirname(program)):
            error = Error.PATH_NOT_FOUND
    return Refused(error, f"{program}: {text}")


def _early_refusal(number: int, directory: str, account: Account, text: str) -> Refused:
    """Between fork and exec there are, in this order, the directory and the account."""
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
        return Refused(Error.DIRECTORY, f"directory {directory}: {text}")
    if number == errno.EACCES:
        return Refused(Error.ACCESS_DENIED, f"directory {directory}: {text}")
    if number in (errno.EAGAIN, errno.ENOMEM):
        return Refused(Error.NOT_ENOUGH_MEMORY, text)
    return Refused(Error.SERVICE_LOGON_FAILED, f"account {account.name}: {text}")
