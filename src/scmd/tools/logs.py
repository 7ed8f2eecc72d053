"""scmd logs: what a service wrote to its standard output and error."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import deque

from scmd.client.management import LOG_END, explain, read_log
from scmd.tools.commands import Options
from scmd.tools.target import open_calls
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ServiceAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scmd.client.calls import Calls
    from scmd.client.management import LogPart
    from scmd.ndr.values import ContextHandle

    Reader = Callable[[int, int], LogPart]

USAGE = """\
usage: scmd logs NAME [-f] [-n LINES]

Shows the captured output of a service, as much of it as is kept. Services that share a process
share its output: it is in the log of the one the process was started for, and shown from there.

  -f         go on as it grows, until Ctrl-C, which gives exit status 130
  -n LINES   only the last LINES lines
"""

_CHUNK = 65_536
_FIRST_DELAY_S = 0.01
_LAST_DELAY_S = 0.25
# A log must not drive the reader's terminal: colours pass, everything else is shown as text.
_CONTROLS = re.compile(rb"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")


def run(arguments: list[str]) -> int:
    options = Options(arguments, ("-n",), ("-f",))
    name = options.only()
    count = options.number("-n", None)
    with open_calls() as calls:
        scm = calls.open_scm()
        service = calls.open_service(scm, name, ServiceAccess.START)
        owner = _owner(calls, scm, name)
        if owner:
            service = calls.open_service(scm, owner, ServiceAccess.START)
            text = f"{escaped(name)} shares its process with {escaped(owner)}"
            sys.stderr.write(f"scmd: {text}: this is the output of both\n")

        def read(position: int, size: int) -> LogPart:
            return read_log(calls, service, position, size)

        position = 0 if count is None else show_last(read, count)
        position = show_from(read, position)
        if options.flag("-f"):
            follow(read, position)
    return 0


def _owner(calls: Calls, scm: ContextHandle, name: str) -> str:
    """The service whose log has this one's output; "" for itself, or when nobody says."""
    try:
        service = calls.open_service(scm, name, ServiceAccess.QUERY_STATUS)
        explanation = json.loads(explain(calls, service))
    except WinError:
        return ""
    return str(explanation.get("log_of", ""))


def show_from(read: Reader, position: int) -> int:
    """Write all there is from a position on; the position of its end."""
    while True:
        part = read(position, _CHUNK)
        _write(part.data)
        position = part.next
        if not part.data:
            return position


def show_last(read: Reader, lines: int) -> int:
    """Write the last `lines` lines; the position of the end."""
    part = read(LOG_END, _CHUNK if lines else 0)
    whole = part.data.split(b"\n")[:-1]
    if len(whole) > lines or not lines:
        _write(b"".join(line + b"\n" for line in whole[-lines:]) if lines else b"")
        return part.next
    # The end of the newest file is not enough, and a position does not say where an earlier
    # one is: everything is read.
    kept, rest, position = deque[bytes](maxlen=lines), b"", 0
    while True:
        part = read(position, _CHUNK)
        position = part.next
        if not part.data:
            break
        *whole, rest = (rest + part.data).split(b"\n")
        kept.extend(whole)
    _write(b"".join(line + b"\n" for line in kept))
    return position


def follow(read: Reader, position: int) -> None:
    """Write what is added, for ever; the questions come rarer while nothing does."""
    delay = _FIRST_DELAY_S
    while True:
        part = read(position, _CHUNK)
        position = part.next
        if part.data:
            _write(part.data)
            delay = _FIRST_DELAY_S
        else:
            time.sleep(delay)
            delay = min(2 * delay, _LAST_DELAY_S)


def visible(data: bytes) -> bytes:
    """The bytes with control characters other than colours, tabs and line ends as text."""
    return _CONTROLS.sub(lambda found: b"\\x%02x" % found[0][0], data)


def _write(data: bytes) -> None:
    if data:
        sys.stdout.flush()
        sys.stdout.buffer.write(visible(data) if sys.stdout.isatty() else data)
        sys.stdout.buffer.flush()
