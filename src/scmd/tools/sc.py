"""sc: SC.EXE's commands against an SCM; here the dispatch, the exit status and the errors.

The commands live in `sc_query`, `sc_control`, `sc_config`, `sc_questions` and `sc_rare`, of which
only the one that is needed is imported: this program starts often and lives for milliseconds.
"""

from __future__ import annotations

import sys

from scmd.tools import target
from scmd.tools.sc_grammar import UsageError
from scmd.tools.sc_request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scmd.client.calls import Calls
    from scmd.vocabulary.winerror import WinError

SUCCEEDED = 0
FAILED = 1
WRONG_USAGE = 2

_QUERIES = ("query", "queryex", "enumdepend")
_QUESTIONS = (
    "qc",
    "qdescription",
    "qfailure",
    "qfailureflag",
    "qsidtype",
    "qprivs",
    "getdisplayname",
    "getkeyname",
    "showsid",
)
_RARE_QUESTIONS = (
    "sdshow",
    "querylock",
    "qtriggerinfo",
    "qpreferrednode",
    "qmanagedaccount",
    "qprotection",
    "quserservice",
    "qrunlevel",
)
_RARE = ("sdset", "boot", "lock", "triggerinfo", "preferrednode", "managedaccount", "runlevel")
_WITHOUT_ARGUMENTS = ("query", "queryex", "lock", "querylock")
_CONTROLS = ("start", "stop", "pause", "continue", "interrogate", "control")


def run(arguments: list[str]) -> int:
    """Carry out one command line (without the program's name); the exit status."""
    try:
        arguments = target.choose(arguments)
    except target.TargetError as error:
        sys.stderr.write(f"scmd: {error}\n")
        return WRONG_USAGE
    if not arguments or arguments[0] in ("--help", "-h", "/?"):
        return _show_usage("", bool(arguments))
    verb = arguments[0].lower()
    command = find(verb)
    if command is None:
        return _show_usage(f"*** Unrecognized Command ***  {arguments[0]}\n", False)
    as_json = verb in _QUERIES + _QUESTIONS + _RARE_QUESTIONS and "--json" in arguments
    rest = [argument for argument in arguments[1:] if not (as_json and argument == "--json")]
    if rest in (["--help"], ["/?"]):
        return _show_command_usage(verb, "", True)
    return _perform(command, Request(verb, rest, as_json, sys.stdout.write))


def find(verb: str) -> Callable[[Calls, Request], None] | None:
    """The function of a command, by its lower-case name; None for an unknown one."""
    commands: Mapping[str, Callable[[Calls, Request], None]]
    if verb in _QUERIES:
        from scmd.tools.sc_query import COMMANDS as commands
    elif verb in _QUESTIONS:
        from scmd.tools.sc_questions import COMMANDS as commands
    elif verb in _CONTROLS:
        from scmd.tools.sc_control import COMMANDS as commands
    elif verb in _RARE_QUESTIONS + _RARE:
        from scmd.tools.sc_rare import COMMANDS as commands
    else:
        from scmd.tools.sc_config import COMMANDS as commands
    return commands.get(verb)


def _perform(command: Callable[[Calls, Request], None], request: Request) -> int:
    from scmd.vocabulary.winerror import WinError

    try:
        if not request.arguments and request.verb not in _WITHOUT_ARGUMENTS:
            raise UsageError("")
        with target.open_calls(at_once=False) as calls:
            command(calls, request)
    except UsageError as error:
        return _show_command_usage(request.verb, str(error), False)
    except WinError as error:
        return _show_failure(error)
    return SUCCEEDED


def _show_failure(error: WinError) -> int:
    from scmd.tools.sc_output import failure, needs

    sys.stdout.write(failure(error.funcname, error.winerror, error.strerror))
    needed = getattr(error, "needed", 0)
    if needed:
        sys.stdout.write(needs(error.funcname, error.winerror, needed))
    detail = getattr(error, "detail", "") or target.hint(error)
    if detail:
        sys.stderr.write(f"scmd: {detail}\n")
    return FAILED


def _show_usage(message: str, asked: bool) -> int:
    from scmd.tools.sc_usage import usage

    sys.stdout.write(message + usage())
    return SUCCEEDED if asked else WRONG_USAGE


def _show_command_usage(verb: str, message: str, asked: bool) -> int:
    from scmd.tools.sc_usage import command_usage

    sys.stdout.write((message + "\n\n" if message else "") + command_usage(verb))
    return SUCCEEDED if asked else WRONG_USAGE
