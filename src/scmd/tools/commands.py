"""The subcommands besides sc and net: their usage texts, options and errors in one way."""

from __future__ import annotations

import sys

from scmd.tools import target
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUCCEEDED = 0
FAILED = 1
WRONG_USAGE = 2


_LATER = ("apply", "console", "import", "plan", "reg")
_HERE = ("demo", "init", "links", "remote", "rpc-stdio", "run", "upgrade")
"""What is not for another host."""


class CommandError(Exception):
    """A command failed; the text says what and why. Exit status 1."""


class CommandUsageError(Exception):
    """The arguments are wrong; the text says how. Exit status 2."""


def find(name: str) -> Callable[[list[str]], int] | None:
    """The function of a subcommand; None for an unknown one."""
    loader = _LOADERS.get(name)
    if loader is None:
        return _not_yet if name in _LATER else None
    command, usage = loader()
    return lambda arguments: perform(name, command, usage, arguments)


def _not_yet(arguments: list[str]) -> int:
    sys.stderr.write("scmd: this command is not available in this version\n")
    return FAILED


def perform(
    name: str, command: Callable[[list[str]], int], usage: str, arguments: list[str]
) -> int:
    """Run a command; its help, its errors and the SCM's become text and an exit status."""
    before_program = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--help" in before_program or "-h" in before_program:
        sys.stdout.write(usage)
        return SUCCEEDED
    try:
        rest = target.choose(arguments)
        if target.is_remote() and name in _HERE:
            raise CommandUsageError("is for this machine, not for another host")
        return command(rest)
    except (CommandUsageError, target.TargetError) as error:
        sys.stderr.write(f"scmd {name}: {error}\n{usage}")
        return WRONG_USAGE
    except CommandError as error:
        sys.stderr.write(f"scmd {name}: {error}\n")
    except WinError as error:
        detail = getattr(error, "detail", "") or str(error)
        sys.stderr.write(f"scmd {name}: {detail}\n")
    return FAILED


class Options:
    """Options before the arguments: `--name VALUE`, `--name=VALUE` and flags, ended by `--`."""

    def __init__(self, arguments: list[str], valued: tuple[str, ...], flags: tuple[str, ...] = ()):
        self.values: dict[str, list[str]] = {}
        self.rest: list[str] = []
        """What is no option, in order."""
        self.after: list[str] | None = None
        """What stands after `--`; None without it."""
        position = 0
        while position < len(arguments):
            argument = arguments[position]
            position += 1
            if argument == "--":
                self.after = arguments[position:]
                return
            name, equals, value = argument.partition("=")
            if argument in flags:
                self.values.setdefault(argument, []).append("")
            elif name in valued:
                if not equals:
                    if position == len(arguments):
                        raise CommandUsageError(f"{name} needs a value")
                    value = arguments[position]
                    position += 1
                self.values.setdefault(name, []).append(value)
            elif argument.startswith("-") and len(argument) > 1:
                raise CommandUsageError(f"there is no option {argument}")
            else:
                self.rest.append(argument)

    def last(self, name: str) -> str | None:
        values = self.values.get(name)
        return values[-1] if values else None

    def flag(self, name: str) -> bool:
        return name in self.values

    def number(self, name: str, default: int, lowest: int = 0) -> int:
        """The option as a number, not under `lowest`."""
        text = self.last(name)
        if text is None:
            return default
        if not text.isdecimal() or int(text) < lowest:
            raise CommandUsageError(f"{name} needs a number from {lowest}, not {text}")
        return int(text)


def _run() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.run import USAGE, run

    return run, USAGE


def _init() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.init import USAGE, run

    return run, USAGE


def _demo() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.demo import USAGE, run

    return run, USAGE


def _install() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.install import INSTALL_USAGE, install

    return install, INSTALL_USAGE


def _remove() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.install import REMOVE_USAGE, remove

    return remove, REMOVE_USAGE


def _set() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.parameters import SET_USAGE, set_parameter

    return set_parameter, SET_USAGE


def _get() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.parameters import GET_USAGE, get_parameters

    return get_parameters, GET_USAGE


def _watch() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.watch import USAGE, run

    return run, USAGE


def _status() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.status import USAGE, run

    return run, USAGE


def _logs() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.logs import USAGE, run

    return run, USAGE


def _events() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.events import USAGE, run

    return run, USAGE


def _upgrade() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.upgrade import USAGE, run

    return run, USAGE


def _why() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.why import USAGE, run

    return run, USAGE


def _boot_plot() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.boot_plot import USAGE, run

    return run, USAGE


def _history() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.history import USAGE, run

    return run, USAGE


def _crash() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.crash import USAGE, run

    return run, USAGE


def _kill() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.kill import USAGE, run

    return run, USAGE


def _remote() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.remote import USAGE, run

    return run, USAGE


def _rpc_stdio() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.rpc_stdio import USAGE, run

    return run, USAGE


def _reload() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.reload import USAGE, run

    return run, USAGE


def _grant() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.grants import GRANT_USAGE, grant

    return grant, GRANT_USAGE


def _revoke() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.grants import REVOKE_USAGE, revoke

    return revoke, REVOKE_USAGE


def _grants() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.grants import GRANTS_USAGE, show

    return show, GRANTS_USAGE


def _links() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.links import USAGE, run

    return run, USAGE


def _settings() -> tuple[Callable[[list[str]], int], str]:
    from scmd.tools.settings import USAGE, run

    return run, USAGE


_LOADERS: dict[str, Callable[[], tuple[Callable[[list[str]], int], str]]] = {
    "run": _run,
    "init": _init,
    "demo": _demo,
    "install": _install,
    "remove": _remove,
    "set": _set,
    "get": _get,
    "settings": _settings,
    "status": _status,
    "watch": _watch,
    "logs": _logs,
    "events": _events,
    "upgrade": _upgrade,
    "boot-plot": _boot_plot,
    "why": _why,
    "history": _history,
    "crash": _crash,
    "kill": _kill,
    "reload": _reload,
    "grant": _grant,
    "grants": _grants,
    "revoke": _revoke,
    "links": _links,
    "rpc-stdio": _rpc_stdio,
    "remote": _remote,
}
NAMES = tuple(_LOADERS)
