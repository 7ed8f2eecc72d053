"""scmd events: the event log, oldest first."""

from __future__ import annotations

import json
import sys
from collections import deque

from scmd.client.management import LATEST_EVENTS, MAX_EVENTS, read_events
from scmd.tools.commands import CommandUsageError, Options, write_json
from scmd.tools.target import open_calls
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ScmAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle

USAGE = """\
usage: scmd events [-n N] [--source S] [--json]

Shows the event log: number, time (UTC), type, source, event id, message.

  -n N         only the last N events
  --source S   only those of one source, such as "Service Control Manager"
  --json       a list of objects
"""

_PART = 1000


def run(arguments: list[str]) -> int:
    options = Options(arguments, ("-n", "--source"), ("--json",))
    if options.rest:
        raise CommandUsageError("takes no arguments besides the options")
    count = options.number("-n", None)
    with open_calls() as calls:
        scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
        source = options.last("--source")
        lines = (
            list(all_lines(calls, scm, source))
            if count is None
            else last_lines(calls, scm, source, count)
        )
    if options.flag("--json"):
        write_json([json.loads(line) for line in lines])
    else:
        for line in lines:
            sys.stdout.write(as_text(json.loads(line)))
    return 0


def last_lines(calls: Calls, scm: ContextHandle, source: str | None, count: int) -> Sequence[bytes]:
    """The last `count` records; in one read when they fit into an answer."""
    if 0 < count <= MAX_EVENTS:
        part = read_events(calls, scm, LATEST_EVENTS, count, source)
        lines = part.lines.splitlines()
        if len(lines) == count or (lines and json.loads(lines[0])["number"] == 1):
            return lines
    return deque(all_lines(calls, scm, source), maxlen=count)


def all_lines(calls: Calls, scm: ContextHandle, source: str | None) -> Iterator[bytes]:
    """Every record as its JSON line, in as many reads as it takes."""
    after = 0
    while True:
        part = read_events(calls, scm, after, _PART, source)
        yield from part.lines.splitlines()
        if part.next == after:
            return
        after = part.next


def as_text(event: Mapping[str, object]) -> str:
    """One line; a message of several lines goes on indented."""
    message = str(event.get("message") or " ".join(_strings(event))).rstrip("\n")
    text = "\n    ".join(map(escaped, message.splitlines()))
    return (
        f"{event.get('number')}  {event.get('time')}  {event.get('type'):<11}  "
        f"{escaped(str(event.get('source')))}  {event.get('id')}  {text}\n"
    )


def _strings(event: Mapping[str, object]) -> list[str]:
    strings = event.get("strings")
    return [str(text) for text in strings] if isinstance(strings, list) else []
