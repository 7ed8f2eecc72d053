"""An installer that is killed: `python -m tests.client.killed_installer NAME CALL MOMENT`.

Its CALLth call to the SCM (from 0) is where it ends, `before` it is sent or `after` its answer.
Exit status 0: there were not so many calls.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import scmd
from scmd.client.connection import Connection


def main() -> None:
    name, last, moment = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    whole = Connection.call
    calls = 0

    def call(self: Connection, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = whole(self, *arguments, **options)
        if calls > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Connection.call = call  # type: ignore[method-assign] # it counts
    with scmd.connect() as scm:
        scm.install(
            name, ["/bin/sleep", "5"], start="delayed", description="Sleeps.", restart_delay=5
        )


if __name__ == "__main__":
    main()
