"""scmd watch: what happens to services, as it happens, one line each."""

from __future__ import annotations

import sys
from select import poll
from threading import Thread
from time import gmtime, localtime, strftime, time

from scmd.client.watching import Watch
from scmd.tools.commands import CommandError, CommandUsageError, Options
from scmd.tools.interruption import Endless
from scmd.tools.sc_output import word
from scmd.tools.target import open_calls
from scmd.vocabulary.durations import span
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.service import ServiceState
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import NoReturn

    from scmd.client.watching import Change

USAGE = """\
usage: scmd watch [NAME...] [--initial] [--after PLACE] [--json]
       scmd watch [NAME...] --listen [ADDRESS:]PORT

What happens to these services, which need not exist yet, or to all: state changes with their cause
and who asked for them, creations, deletions, changes of the configuration. Servers other than scmd
tell states and no causes, and of a state that is soon over perhaps nothing. Ctrl-C ends it, with
exit status 130.

  --initial        each service first, as it is now
  --after PLACE    on from the change whose `place` that was, in a line of --json: nothing is lost
  --json           one JSON object a line
  --listen         serve them over HTTP instead, to everybody who can reach the address (127.0.0.1
                   if none is given): http://ADDRESS:PORT/events is an event stream for browsers
                   and curl, with ?name=NAME, ?initial=1 and Last-Event-ID
"""
_TEXTS = {
    "created": "created",
    "delete_pending": "marked for deletion",
    "deleted": "deleted",
    "config": "its configuration has changed",
    "parameters": "its Parameters have changed",
}


def run(arguments: list[str]) -> int:
    options = Options(arguments, ("--after", "--listen"), ("--json", "--initial"))
    place = options.last("--listen")
    if place is not None:
        _serve(options, place)
    line = as_json if options.flag("--json") else as_text
    try:
        initial, after = options.flag("--initial"), options.last("--after") or ""
        watch = Watch(open_calls, options.rest, initial=initial, after=after)
    except ValueError as error:
        raise CommandUsageError(f"--after: {error}") from error
    with Endless(), watch:
        watch.begin()
        if options.rest:
            _tell_unknown(options.rest)
        Thread(target=_await_the_readers_end, args=(watch,), daemon=True).start()
        for change in watch:
            sys.stdout.write(line(change, time()))
            sys.stdout.flush()
    raise BrokenPipeError


def _serve(options: Options, place: str) -> NoReturn:
    """Over HTTP. CommandUsageError, CommandError: it cannot be."""
    if {"--json", "--initial", "--after"} & options.values.keys():
        raise CommandUsageError("--listen goes with none of --json, --initial and --after")
    try:
        from scmd.console.event_stream import EventStream
        from scmd.console.serving import serve
        from scmd.tools.remote import is_loopback
    except ImportError as error:
        raise CommandError(
            f"--listen needs a package that is not installed ({error.name}): "
            "pip install 'scmd[console]'"
        ) from error
    with listening_at(place) as listening:
        Watch(open_calls, options.rest, lossless=True).begin().close()
        if options.rest:
            _tell_unknown(options.rest)
        address, port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        text = f"scmd watch: http://{shown}:{port}/events\n"
        if not is_loopback(address):
            text += "scmd watch: whoever reaches that address is told, without proof who he is\n"
        sys.stderr.write(text)
        serve(EventStream(open_calls, options.rest, as_json), listening)


def listening_at(place: str) -> socket:
    """CommandUsageError: it is no place; CommandError: nothing can listen there."""
    address, colon, port = place.rpartition(":")
    number = decimal(port)
    if number is None or number > 0xFFFF or (colon and not address):
        raise CommandUsageError(f"--listen {place}: it must be PORT or ADDRESS:PORT")
    from socket import AF_INET, AF_INET6, create_server

    family = AF_INET6 if ":" in address else AF_INET
    address = address.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        return create_server((address, number), family=family)
    except OSError as error:
        raise CommandError(f"--listen {place}: {error.strerror}") from error


def _await_the_readers_end(watch: Watch) -> None:
    """Who reads may go between two changes, as `head` does."""
    poller = poll()
    poller.register(sys.stdout, 0)
    poller.poll()
    watch.close()


def _tell_unknown(names: list[str]) -> None:
    """A name that was mistyped would be watched in silence. WinError: no service can have it."""
    with open_calls() as calls:
        scm = calls.open_scm()
        for name in names:
            try:
                calls.display_name(scm, name)
            except WinError as error:
                if error.winerror != Error.SERVICE_DOES_NOT_EXIST:
                    raise
                sys.stderr.write(f"scmd watch: there is no service {escaped(name)} yet\n")


def as_text(change: Change, now: float) -> str:
    """`12:00:01 Web: RUNNING, was START_PENDING for 3.2 s; its program runs (root)`."""
    state = word(ServiceState, change.status.state)
    if change.kind == "service":
        text = f"is {state}, marked for deletion" if change.marked else f"is {state}"
    elif change.kind == "status":
        text = _status_text(change, state)
    else:
        text = _TEXTS[change.kind]
    if change.gap:
        text += " [changes before this one are missing]"
    elif change.sampled and change.kind == "status":
        text += " [states before this one may be missing]"
    return f"{strftime('%H:%M:%S', localtime(now))} {escaped(change.name)}: {text}\n"


def _status_text(change: Change, state: str) -> str:
    status = change.status
    if change.before == status.state:
        text = f"{state} again" if change.sampled else f"{state}, check point {status.check_point}"
    else:
        text = f"{state}, was {word(ServiceState, change.before)}"
        if change.lasted_ms is not None:
            text += f" for {span(change.lasted_ms)}"
    if status.state == ServiceState.STOPPED and status.win32_exit_code:
        text += f", exit code {status.win32_exit_code}"
        if status.service_specific_exit_code:
            text += f" ({status.service_specific_exit_code})"
    if change.cause:
        text += f"; {escaped(change.cause)}"
    if change.actor not in ("", "service"):
        text += f" ({escaped(change.actor)})"
    return text


def as_json(change: Change, now: float) -> str:
    """`time` is when it was heard of, UTC."""
    import json

    from scmd.tools.sc_json import status_object

    status = status_object(change.name, "", change.status)
    del status["display_name"]
    document = {
        "time": f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now * 1000) % 1000:03}Z",
        "kind": change.kind,
        **status,
        "before": word(ServiceState, change.before) if change.before else None,
        "lasted_ms": change.lasted_ms,
        "cause": change.cause,
        "actor": change.actor,
        "origin": change.origin,
        "marked": change.marked,
        "sequence": change.sequence,
        "gap": change.gap,
        "sampled": change.sampled,
        "place": change.place,
    }
    return json.dumps(document, ensure_ascii=False) + "\n"
