"""scmd status: this SCM, its processes, what it holds and where it listens."""

from __future__ import annotations

import sys

from scmd.client.calls import open_calls
from scmd.client.management import manager_status
from scmd.tools.commands import CommandUsageError, Options

USAGE = """\
usage: scmd status [--json]

The SCM itself: keeper_pid, manager_pid, version, uptime, counts of services by state, end points.
"""


def run(arguments: list[str]) -> int:
    options = Options(arguments, (), ("--json",))
    if options.rest or options.after:
        raise CommandUsageError("takes no arguments")
    import json

    with open_calls() as calls:
        document = json.loads(manager_status(calls))
    if options.flag("--json"):
        from scmd.tools.sc_json import dump

        sys.stdout.write(dump(document))
    else:
        sys.stdout.write(as_text(document))
    return 0


def as_text(document: dict[str, object]) -> str:
    """A line for each member, those inside a member after its name."""
    lines = []
    for name, value in document.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            value = ", ".join(f"{count} {state}" for state, count in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        elif name == "uptime_ms" and isinstance(value, int):
            label, value = "uptime", duration(value)
        lines.append(f"{label:<12}: {value}\n")
    return "".join(lines)


def duration(milliseconds: int) -> str:
    """`1 d 02:03:04`."""
    seconds = milliseconds // 1000
    days, seconds = divmod(seconds, 86_400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{days} d {clock}" if days else clock
