"""A stream to another machine's SCM through ssh: `ssh HOST scmd rpc-stdio`.

ssh does what it does for its user: host keys, agents, keys and `~/.ssh/config` count. It
asks nothing (BatchMode), since its input is the connection; what it has to say goes to standard
error. `SCMD_SSH` names another program and its first arguments, `ssh -F FILE` for instance.
"""

from __future__ import annotations

import _socket
import os
import shlex
import subprocess

from scmd.transport.blocking import StreamSocket

REMOTE_COMMAND = "scmd rpc-stdio"
_END_S = 2.0
"""How long ssh may take to end after its connection did."""


class SshStream(StreamSocket):
    """The connection, and the ssh that carries it."""

    __slots__ = ("_process",)

    def __init__(self, host: str, user: str, port: int, timeout: float | None = None) -> None:
        """Start ssh; `user` "" and `port` 0 leave the choice to it. OSError: it cannot be run."""
        ours, theirs = _socket.socketpair()
        try:
            self._process = subprocess.Popen(
                ssh_command(host, user, port, timeout),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        super().__init__(ours, timeout)

    def close(self) -> None:
        super().close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def diagnosis(self) -> str:
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return ""
        if status == 255:
            return "ssh could not log in (status 255)"
        if status == 127:
            return f"the other machine has no program scmd on its PATH (status {status})"
        return f"`{REMOTE_COMMAND}` on the other machine ended with status {status}"


def ssh_command(host: str, user: str, port: int, timeout: float | None) -> list[str]:
    """The command line. ValueError: a host or user that ssh would take for an option."""
    for word in (host, user):
        if word.startswith("-"):
            raise ValueError(f"{word!r} cannot name a host or a user")
    command = shlex.split(os.environ.get("SCMD_SSH", "")) or ["ssh"]
    command += ["-T", "-o", "BatchMode=yes"]
    if timeout is not None:
        command += ["-o", f"ConnectTimeout={max(1, int(timeout))}"]
    if port:
        command += ["-p", str(port)]
    if user:
        command += ["-l", user]
    return [*command, "--", host, REMOTE_COMMAND]
