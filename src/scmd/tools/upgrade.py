"""scmd upgrade: manager and logger from what is installed now, while all services run on."""

from __future__ import annotations

import sys
import time

from scmd.client.calls import open_calls
from scmd.client.management import manager_status, replace_manager
from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.vocabulary.service import ScmAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scmd.client.calls import Calls

USAGE = """\
usage: scmd upgrade

After a new version of scmd was installed: replaces the manager and the logger by it. Services run
on, and none of their output is lost. The keeper stays what it is until the next `scmd run`. Nothing
is replaced by what cannot even be loaded.
"""
LIMIT_S = 60.0
_LOAD = "import scmd.daemon.manager, scmd.daemon.logger"
_DELAY_S = 0.02


def run(arguments: list[str]) -> int:
    if Options(arguments, ()).rest:
        raise CommandUsageError("takes no arguments")
    with open_calls() as calls:
        before = _status(calls)
        _try_out()
        replace_manager(calls, calls.open_scm(ScmAccess.ALL_ACCESS))
    after = _await_another(before)
    running = after["counts"]["running"]
    sys.stdout.write(
        f"manager {before['manager_pid']} ({before['version']}) is replaced by "
        f"{after['manager_pid']} ({after['version']}), and so is the logger\n"
        f"services that run: {running}; {keeper(after)} goes on\n"
    )
    return 0


def keeper(status: dict[str, Any]) -> str:
    """What it is called, with its version where that is another one than the manager's."""
    version = status.get("keeper_version") or "of an older version"
    other = f" ({version})" if version != status["version"] else ""
    return f"keeper {status['keeper_pid']}{other}"


def _try_out() -> None:
    """CommandError when the keeper could not start what is installed now."""
    import subprocess

    loaded = subprocess.run(
        [sys.executable, "-I", "-c", _LOAD],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if loaded.returncode:
        said = loaded.stderr.strip().splitlines() or [f"exit status {loaded.returncode}"]
        raise CommandError(
            f"nothing was replaced, since what is installed now cannot be loaded: {said[-1]}"
        )


def _status(calls: Calls) -> dict[str, Any]:
    import json

    status: dict[str, Any] = json.loads(manager_status(calls))
    return status


def _await_another(before: dict[str, Any]) -> dict[str, Any]:
    """The status of the manager that comes after this one."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            # Its socket is held by the keeper: a connection waits until somebody answers.
            with open_calls(timeout=end - time.monotonic()) as calls:
                after = _status(calls)
        except WinError:
            after = before
        if after["manager_pid"] != before["manager_pid"]:
            return after
        time.sleep(_DELAY_S)
    raise CommandError(
        f"no new manager answers after {LIMIT_S:.0f} s; services run on, "
        "and the standard error of `scmd run` says why"
    )
