"""scmd history: the states a service has been through."""

from __future__ import annotations

import json
import sys

from scmd.client.management import read_history
from scmd.tools.commands import Options, write_json
from scmd.tools.target import open_calls
from scmd.tools.why import by
from scmd.vocabulary.durations import span
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ServiceAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

USAGE = """\
usage: scmd history NAME [-n N] [--json]

The last 200 transitions of a service, oldest first: when (UTC), the state, how long the
state before lasted, the cause, and who asked for it. A line without a state is about the
same one.

  -n N     only the last N
  --json   a list of objects
"""


def run(arguments: list[str]) -> int:
    options = Options(arguments, ("-n",), ("--json",))
    name = options.only()
    count = options.number("-n", 200)
    with open_calls() as calls:
        scm = calls.open_scm()
        service = calls.open_service(scm, name, ServiceAccess.QUERY_STATUS)
        lines = read_history(calls, service)
    transitions = [json.loads(line) for line in (lines[-count:] if count else [])]
    if options.flag("--json"):
        write_json(transitions)
    else:
        sys.stdout.writelines(as_text(transition) for transition in transitions)
    return 0


def as_text(transition: Mapping[str, Any]) -> str:
    """One line; the duration is that of the state before."""
    moved = transition.get("before")
    lasted = transition.get("lasted_ms")
    text = transition["cause"]
    if transition.get("win32_exit_code"):
        text += f" [error {transition['win32_exit_code']}]"
    text += f" ({by(transition['actor'], transition.get('origin', ''))})"
    state = transition["state"] if moved else ""
    duration = f"after {span(lasted)}" if lasted is not None else ""
    return f"{transition['time']}  {state:<16}  {duration:<18}  {escaped(text)}\n"
