"""scmd init: the SCM as the first process of a container.

Owns where its directories are, since a container may have no place for state and runs as any
user, and what of its surroundings the program gets: all of the environment, and the working
directory. Being init is `daemon/init.py`'s.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile

from scmd.client.hosting import hosting_parameters
from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.tools.scratch import make_scratch
from scmd.transport.places import PlaceError, runtime_directory, socket_path, state_directory
from scmd.vocabulary.registry import RegistryValue

USAGE = """\
usage: scmd init [--state DIR] [--runtime DIR] [-- PROGRAM [ARG...]]

The SCM as the first process (pid 1) of a container. It reaps every orphan. SIGTERM and SIGINT
shut all services down; other signals (HUP, USR1, USR2, WINCH...) go to the essential service. It
ends when the essential service does, with its exit code, or 128 and the number of the signal
that ended it (126, 127: it could not be run). Needs no privileges and no cgroups.

With a PROGRAM that is the essential service, by the name `main`, with init's environment and
working directory. Without one the database's services count that are marked so
(scmd set NAME AppEssential 1). What services write goes to standard output as well as to their
logs: of an essential one as it is, of others with their names.

  --state DIR     the database, logs and events (SCMD_STATE; with a PROGRAM: a private directory
                  that is removed at the end)
  --runtime DIR   the socket (SCMD_RUNTIME; the usual place, or with the private directory where
                  that cannot be written)
"""

CANNOT_RUN = 126
NOT_FOUND = 127
"""The shells' exit statuses for a program that is no program."""

_OWN = ("NOTIFY_SOCKET", "SCMD_LAUNCH", "SCMD_CONTROL_FD", "SCMD_SERVICE_TYPE")


def run(arguments: list[str]) -> int:
    """The essential service's exit status."""
    # Until the keeper has its handlers, pid 1 would ignore these and others would die of them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    options = Options(arguments, ("--state", "--runtime"), has_program=True)
    if options.rest or options.program == []:
        raise CommandUsageError("needs -- before the PROGRAM and its arguments")
    scratch: list[str] = []
    try:
        state = _state(options, scratch)
        runtime = _runtime(options.last("--runtime"), state, scratch)
        program = None
        if options.program is not None:
            try:
                program = _parameters(options.program, state, runtime)
            except OSError as error:
                sys.stderr.write(f"scmd init: {error}\n")
                return CANNOT_RUN if isinstance(error, PermissionError) else NOT_FOUND
        from scmd.daemon import init

        return init.run(state, runtime, program)
    except (PlaceError, OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    finally:
        for path in scratch:
            shutil.rmtree(path, ignore_errors=True)


def _state(options: Options, scratch: list[str]) -> str:
    told = options.last("--state") or os.environ.get("SCMD_STATE")
    if told or options.program is None:
        return state_directory(told)
    return os.path.join(_private(scratch), "state")


def _runtime(told: str | None, state: str, scratch: list[str]) -> str:
    """As told, else the usual place if it is free and ours, else a private one."""
    if told or os.environ.get("SCMD_RUNTIME"):
        return runtime_directory(told)
    try:
        usual = runtime_directory()
        os.makedirs(usual, 0o755 if os.geteuid() == 0 else 0o700, exist_ok=True)
        if os.stat(usual).st_uid == os.geteuid() and not _is_served(usual):
            with tempfile.TemporaryFile(dir=usual):
                return usual
    except (PlaceError, OSError):
        pass
    return os.path.join(scratch[0] if scratch else _private(scratch), "run")


def _private(scratch: list[str]) -> str:
    scratch.append(make_scratch("init", ", or name others with --state and --runtime"))
    return scratch[-1]


def _is_served(runtime: str) -> bool:
    """Whether an SCM listens there: in a container that shares the directory, perhaps."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(socket_path(runtime))
        except OSError:
            return False
    return True


def _parameters(command: list[str], state: str, runtime: str) -> dict[str, RegistryValue]:
    """Those of the hosted program; FileNotFoundError and so on when it cannot be run."""
    environment = {name: value for name, value in os.environ.items() if name not in _OWN}
    environment.update(SCMD_STATE=state, SCMD_RUNTIME=runtime)
    values = hosting_parameters(command, os.getcwd())
    parameters = {
        name: RegistryValue.of(value if isinstance(value, str) else tuple(value))
        for name, value in values.items()
    }
    variables = tuple(f"{name}={value}" for name, value in environment.items() if name)
    parameters["AppEnvironment"] = RegistryValue.of(variables)
    parameters["AppEssential"] = RegistryValue.of(1)
    return parameters
