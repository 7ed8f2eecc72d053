"""scmd reload: a service reads its configuration again, without being restarted."""

from __future__ import annotations

import sys

from scmd.tools.commands import CommandError, Options
from scmd.tools.target import connect
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.winerror import WinError

USAGE = """\
usage: scmd reload NAME

Tells a service that its configuration has changed (the control PARAMCHANGE). One that speaks the
control protocol has to accept that control. A hosted program gets the signal of AppReloadSignal,
or the command of AppReloadCommand is run, whose end is waited for.
"""


def run(arguments: list[str]) -> int:
    name = Options(arguments, ()).only()
    with connect() as scm:
        try:
            scm[name].reload()
        except WinError as error:
            if error.winerror != Error.INVALID_SERVICE_CONTROL:
                raise
            raise CommandError(
                f"{escaped(name)} cannot reload: it does not accept PARAMCHANGE; a hosted program "
                "needs AppReloadSignal or AppReloadCommand, and a restart after that"
            ) from error
    sys.stdout.write(f"{escaped(name)} was told to reload.\n")
    return 0
