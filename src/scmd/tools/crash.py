"""scmd crash: what was bundled when a service failed."""

from __future__ import annotations

import json
import sys

from scmd.client.management import read_crash
from scmd.tools import history
from scmd.tools.commands import CommandError, Options, write_json
from scmd.tools.sc_json import type_name
from scmd.tools.sc_output import word
from scmd.tools.target import open_calls
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ActionType, ErrorControl, ServiceAccess, SidType, StartType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import IntEnum
    from typing import Any

_ENUMS: Mapping[str, type[IntEnum]] = {
    "start_type": StartType,
    "error_control": ErrorControl,
    "sid_type": SidType,
}

USAGE = """\
usage: scmd crash NAME [--older N] [--json]

The last failure of a service: cause, Python traceback, last 200 lines of output, history,
configuration. The last 5 failures are kept.

  --older N   the failure N before the last one
  --json      the whole bundle as an object
"""


def run(arguments: list[str]) -> int:
    options = Options(arguments, ("--older",), ("--json",))
    name = options.only()
    age = options.number("--older", 0)
    with open_calls() as calls:
        access = ServiceAccess.START | ServiceAccess.QUERY_CONFIG
        service = calls.open_service(calls.open_scm(), name, access)
        crash = read_crash(calls, service, age)
    if not crash:
        older = f" that was {age} before the last one" if age else ""
        raise CommandError(f"no failure of {escaped(name)} is kept{older}")
    document = json.loads(crash)
    if options.flag("--json"):
        write_json(document)
    else:
        sys.stdout.writelines(as_text(document))
    return 0


def as_text(document: Mapping[str, Any]) -> Iterator[str]:
    """Parts under headings, lines indented."""
    yield f"{escaped(document['service'])} failed at {document['time']}\n"
    yield f"  cause     : {escaped(document['cause'])}\n"
    yield f"  error     : {document['win32_exit_code']}{_specific(document)}\n"
    yield f"  process   : {document['process_id']}{_ending(document)}\n"
    if document["traceback"]:
        yield from _part("Traceback", document["traceback"].splitlines())
    yield from _part("Output", document["output"])
    yield "\nHistory\n"
    for transition in document["history"]:
        yield f"  {history.as_text(transition)}"
    both = {**document["configuration"], **document["parameters"]}
    lines = ((name, _words(name, value)) for name, value in both.items())
    yield from _part("Configuration", (f"{name}: {text}" for name, text in lines if text))


def _words(name: str, value: Any) -> str:
    """A member of the record for people; "" for one that says nothing."""
    if name in _ENUMS:
        return word(_ENUMS[name], value)
    if name == "type":
        return type_name(value)
    if name == "failure_actions":
        actions = ((word(ActionType, each["type"]), each["delay"]) for each in value["actions"])
        return ", ".join(f"{action} after {delay} ms" for action, delay in actions)
    return value if isinstance(value, str) else json.dumps(value) if value else ""


def _specific(document: Mapping[str, Any]) -> str:
    code = document["service_specific_exit_code"]
    return f" (its own: {code})" if code else ""


def _ending(document: Mapping[str, Any]) -> str:
    if document["signal"] is not None:
        return f", killed by signal {document['signal']}"
    if document["exit_code"] is not None:
        return f", exited with code {document['exit_code']}"
    return ", still there"


def _part(title: str, lines: Iterator[str] | list[str]) -> Iterator[str]:
    yield f"\n{title}\n"
    for line in lines:
        yield f"  {escaped(line)}\n"
