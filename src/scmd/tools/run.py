"""scmd run: the SCM in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.transport.places import PlaceError, runtime_directory, state_directory

USAGE = """\
usage: scmd run [--state DIR] [--runtime DIR]

The Service Control Manager in the foreground: keeper, manager and logger. One SCM per state
directory. Says on standard error, and to systemd, when it is ready. SIGTERM and Ctrl-C stop all
services and end it.

  --state DIR     the database, logs and events (SCMD_STATE; root: /var/lib/scmd)
  --runtime DIR   the socket (SCMD_RUNTIME; root: /run/scmd)
"""


def run(arguments: list[str]) -> int:
    """The keeper's exit status."""
    options = Options(arguments, ("--state", "--runtime"))
    if options.rest:
        raise CommandUsageError("takes no arguments besides the options")
    try:
        state = state_directory(options.last("--state"))
        runtime = runtime_directory(options.last("--runtime"))
    except PlaceError as error:
        raise CommandError(str(error)) from error
    from scmd.daemon import keeper

    return keeper.run(state, runtime)
