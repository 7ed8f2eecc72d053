"""The command line of a service program: `python clock.py install --start auto`.

Exit statuses: 0 done, 1 failed (with the Win32 error's text on stderr), 2 usage.
"""

from __future__ import annotations

import os
import sys

from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scmd.client.scm import Scm
    from scmd.client.service import Service as Installed
    from scmd.sdk.service import Service

OPTIONS = {"--start": "start", "--account": "account", "--depend": "depends"}
START_WORDS = ("auto", "delayed", "demand", "disabled")

USAGE = """\
usage: {program} install [--start auto|delayed|demand|disabled] [--account X] [--depend A,B]
       {program} remove | start [ARGUMENT...] | stop | restart | pause | continue | reload | status
       {program} debug    in the foreground, without an SCM; controls from the keyboard
       {program} run      under the SCM, which does this by itself
"""

NOT_STARTED_BY_AN_SCM = """\
{program}: {error}
A service is started by the SCM: `{program} install`, then `{program} start`.
To run it here in the foreground: `{program} debug`.
"""


class _UsageError(Exception):
    pass


def main(services: Sequence[Service], argv: Sequence[str] | None = None) -> int:
    """Do what `argv` says (sys.argv by default, without the program's name); the exit status."""
    from scmd.sdk.process import has_channel

    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments and has_channel():
        arguments = ["run"]
    try:
        return _command(services, arguments)
    except _UsageError as error:
        _complain(f"{error}\n" if str(error) else "")
        _complain(USAGE.format(program=_program()))
        return 2
    except WinError as error:
        _complain(f"{_program()}: {error}\n")
        return 1
    except (OSError, ValueError) as error:
        _complain(f"{_program()}: {error}\n")
        return 1


def _command(services: Sequence[Service], arguments: list[str]) -> int:
    if not arguments:
        raise _UsageError
    verb, *rest = arguments
    if verb in ("-h", "--help", "help"):
        print(USAGE.format(program=_program()), end="")
        return 0
    if verb == "start":
        return _with_scm(services, lambda installed: _start(installed, rest))
    if verb == "install":
        return _install(services, rest)
    if rest:
        raise _UsageError(f"{verb} takes no arguments")
    if verb in ("run", "debug"):
        return _run(services) if verb == "run" else _debug(services)
    action = _ACTIONS.get(verb)
    if action is None:
        raise _UsageError(f"unknown command {verb!r}")
    # What came first may be needed by what came after.
    ordered = services[::-1] if verb in ("stop", "remove") else services
    return _with_scm(ordered, action)


def _with_scm(services: Sequence[Service], action: Callable[[Installed], None]) -> int:
    with _connect() as scm:
        for service in services:
            action(scm[service.name])
    return 0


def _connect() -> Scm:
    from scmd.client.scm import connect

    return connect()


def _install(services: Sequence[Service], arguments: list[str]) -> int:
    from scmd.sdk.registration import install

    options = _options(arguments)
    depends = options.get("depends")
    with _connect() as scm:
        install(
            services,
            start=options.get("start"),
            account=options.get("account"),
            depends=None if depends is None else tuple(filter(None, depends.split(","))),
            scm=scm,
        )
    for service in services:
        print(f"{escaped(service.name)} installed")
    return 0


def _options(arguments: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in OPTIONS:
            raise _UsageError(f"unknown option {argument!r}")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise _UsageError(f"{name} needs a value")
            value = following
        options[OPTIONS[name]] = value
    if options.get("start", "auto") not in START_WORDS:
        raise _UsageError(f"--start is one of {', '.join(START_WORDS)}")
    return options


def _remove(installed: Installed) -> None:
    try:
        installed.stop()
    except WinError as error:
        if error.winerror != Error.SERVICE_NOT_ACTIVE:
            raise
    installed.delete()
    print(f"{escaped(installed.name)} removed")


def _start(installed: Installed, arguments: list[str]) -> None:
    installed.start(*arguments)
    print(f"{escaped(installed.name)} started")


def _stop(installed: Installed) -> None:
    installed.stop()
    print(f"{escaped(installed.name)} stopped")


def _restart(installed: Installed) -> None:
    installed.restart()
    print(f"{escaped(installed.name)} restarted")


def _pause(installed: Installed) -> None:
    installed.pause()
    print(f"{escaped(installed.name)} paused")


def _continue(installed: Installed) -> None:
    installed.continue_()
    print(f"{escaped(installed.name)} continued")


def _reload(installed: Installed) -> None:
    installed.reload()
    print(f"{escaped(installed.name)} told to reload")


def _status(installed: Installed) -> None:
    from scmd.sdk.debug import describe

    status = installed.status
    process = f", process {status.process_id}" if status.process_id else ""
    print(f"{escaped(installed.name)}: {describe(status)}{process}")


_ACTIONS: dict[str, Callable[[Installed], None]] = {
    "remove": _remove,
    "stop": _stop,
    "restart": _restart,
    "pause": _pause,
    "continue": _continue,
    "reload": _reload,
    "status": _status,
}


def _run(services: Sequence[Service]) -> int:
    from scmd.sdk.service import serve

    try:
        serve(services)
    except WinError as error:
        if error.winerror != Error.FAILED_SERVICE_CONTROLLER_CONNECT:
            raise
        _complain(NOT_STARTED_BY_AN_SCM.format(program=_program(), error=error))
        return 1
    return 0


def _debug(services: Sequence[Service]) -> int:
    from scmd.sdk.debug import Console
    from scmd.sdk.service import run_on

    console = Console()
    try:
        run_on(console, services)
    except KeyboardInterrupt:
        return 1
    return 1 if console.failed else 0


def _program() -> str:
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "service"


def _complain(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
