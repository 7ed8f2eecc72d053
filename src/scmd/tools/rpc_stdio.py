"""scmd rpc-stdio: this machine's SCM on standard input and output, for `ssh://HOST`."""

from __future__ import annotations

from scmd.client.connection import local_path
from scmd.tools.commands import CommandError, CommandUsageError
from scmd.transport.blocking import BlockingSocket
from scmd.transport.stdio_bridge import bridge

USAGE = """\
usage: scmd rpc-stdio

Joins standard input and output to the SCM of this machine. Not for people: it is what
`scmd sc ssh://HOST ...` runs at the other end. Who calls is the user who logged in there.
"""


def run(arguments: list[str]) -> int:
    if arguments:
        raise CommandUsageError("takes no arguments")
    path = local_path()
    try:
        connection = BlockingSocket(path)
    except OSError as error:
        raise CommandError(f"no SCM listens at {path} ({error.strerror or error})") from error
    try:
        bridge(connection)
    except BrokenPipeError:
        return 1
    finally:
        connection.close()
    return 0
