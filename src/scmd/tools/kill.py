"""scmd kill: the end of a stuck service's processes."""

from __future__ import annotations

import sys

from scmd.tools.commands import Options
from scmd.tools.target import connect
from scmd.vocabulary.names import escaped

USAGE = """\
usage: scmd kill NAME

Kills the process tree that a service runs in, without asking it, and waits until it is gone;
breaks off a start that has no process yet. Other services in the same process end with it.
It does not count as a failure: no failure action follows.
"""


def run(arguments: list[str]) -> int:
    name = Options(arguments, ()).only()
    with connect() as scm:
        scm[name].kill()
    sys.stdout.write(f"{escaped(name)} is stopped.\n")
    return 0
