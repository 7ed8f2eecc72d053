"""The subcommands besides sc and net: their usage texts, options and errors in one way."""

from __future__ import annotations

import sys

from scmd.tools import target
from scmd.vocabulary.numbers import decimal
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

SUCCEEDED = 0
FAILED = 1
WRONG_USAGE = 2
HIGHEST = 0xFFFF_FFFF

_COMMANDS = {
    "run": ("run", "run", "USAGE"),
    "init": ("init", "run", "USAGE"),
    "demo": ("demo", "run", "USAGE"),
    "install": ("install", "install", "INSTALL_USAGE"),
    "remove": ("install", "remove", "REMOVE_USAGE"),
    "set": ("parameters", "set_parameter", "SET_USAGE"),
    "get": ("parameters", "get_parameters", "GET_USAGE"),
    "settings": ("settings", "run", "USAGE"),
    "status": ("status", "run", "USAGE"),
    "watch": ("watch", "run", "USAGE"),
    "logs": ("logs", "run", "USAGE"),
    "events": ("events", "run", "USAGE"),
    "upgrade": ("upgrade", "run", "USAGE"),
    "boot-plot": ("boot_plot", "run", "USAGE"),
    "why": ("why", "run", "USAGE"),
    "history": ("history", "run", "USAGE"),
    "crash": ("crash", "run", "USAGE"),
    "kill": ("kill", "run", "USAGE"),
    "reload": ("reload", "run", "USAGE"),
    "grant": ("grants", "grant", "GRANT_USAGE"),
    "grants": ("grants", "show", "GRANTS_USAGE"),
    "revoke": ("grants", "revoke", "REVOKE_USAGE"),
    "links": ("links", "run", "USAGE"),
    "rpc-stdio": ("rpc_stdio", "run", "USAGE"),
    "remote": ("remote", "run", "USAGE"),
}
"""Where each is: module, function, usage text."""
NAMES = tuple(_COMMANDS)
_HERE = ("demo", "init", "links", "remote", "rpc-stdio", "run", "upgrade")
"""What is not for another host."""


class CommandError(Exception):
    """A command failed; the text says what and why. Exit status 1."""


class CommandUsageError(Exception):
    """The arguments are wrong; the text says how. Exit status 2."""


def find(name: str) -> Callable[[list[str]], int] | None:
    """The function of a subcommand, imported now; None for an unknown one."""
    if name not in _COMMANDS:
        return None
    place, function, usage = _COMMANDS[name]
    module = __import__(f"scmd.tools.{place}", fromlist=(function,))
    command: Callable[[list[str]], int] = getattr(module, function)
    text: str = getattr(module, usage)
    return lambda arguments: perform(name, command, text, arguments)


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
        detail = getattr(error, "detail", "") or f"{error} {target.hint(error)}".rstrip()
        sys.stderr.write(f"scmd {name}: {detail}\n")
    return FAILED


def write_json(document: object) -> None:
    """What `--json` shows."""
    from scmd.tools.sc_json import dump

    sys.stdout.write(dump(document))


class Options:
    """Options among the arguments: `--name VALUE`, `--name=VALUE` and flags, up to `--`."""

    def __init__(
        self,
        arguments: list[str],
        valued: tuple[str, ...],
        flags: tuple[str, ...] = (),
        *,
        has_program: bool = False,
    ) -> None:
        """`has_program`: what stands after `--` is a program with its own arguments."""
        self.values: dict[str, list[str]] = {}
        self.rest: list[str] = []
        """What is no option, in order; so is all after `--`, but for a program."""
        self.program: list[str] | None = None
        """None without `--`."""
        position = 0
        while position < len(arguments):
            argument = arguments[position]
            position += 1
            if argument == "--":
                if has_program:
                    self.program = arguments[position:]
                else:
                    self.rest += arguments[position:]
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

    def only(self, what: str = "NAME") -> str:
        """The one argument that is no option."""
        if len(self.rest) != 1:
            raise CommandUsageError(f"needs a {what}")
        return self.rest[0]

    def number(self, name: str, default: T, lowest: int = 0) -> int | T:
        """The option as a number from `lowest` to what fits into 32 bits."""
        text = self.last(name)
        if text is None:
            return default
        number = decimal(text)
        if number is None or not lowest <= number <= HIGHEST:
            wanted = f"a number from {lowest} to {HIGHEST}"
            raise CommandUsageError(f"{name} needs {wanted}, not {text}")
        return number
