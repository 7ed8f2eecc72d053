"""SC.EXE's option grammar: `name= value`, `name=value`, any case, repeats collected.

An option's name includes its equals sign; the value is what follows it, or the next argument,
which may be empty (`depend= ""`). Which options a command takes, and what values mean, is the
commands' own business, but for the words of `type=`, which several commands take.
"""

from __future__ import annotations

from scmd.vocabulary.service import ServiceType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES = {
    "own": ServiceType.WIN32_OWN_PROCESS,
    "share": ServiceType.WIN32_SHARE_PROCESS,
    "interact": ServiceType.INTERACTIVE_PROCESS,
    "kernel": ServiceType.KERNEL_DRIVER,
    "filesys": ServiceType.FILE_SYSTEM_DRIVER,
    "rec": ServiceType.RECOGNIZER_DRIVER,
    "adapt": ServiceType.ADAPTER,
}


class UsageError(Exception):
    """The command line is wrong: exit status 2, after the message (if any) and the usage."""


def parse_options(arguments: list[str], names: tuple[str, ...]) -> dict[str, list[str]]:
    """The values of each option, by its lower-case name without `=`, in the order given.

    UsageError: an argument that is no such option, or an option without a value.
    """
    options: dict[str, list[str]] = {}
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        name, equals, value = argument.partition("=")
        name = name.lower()
        if not equals or name not in names:
            raise UsageError(f"ERROR:  Unrecognized option {argument}")
        position += 1
        if not value:
            if position == len(arguments):
                raise UsageError(f"ERROR:  {argument} needs a value")
            value = arguments[position]
            position += 1
        options.setdefault(name, []).append(value)
    return options


def is_option(argument: str, names: tuple[str, ...]) -> bool:
    """Whether the argument begins with one of these options rather than being a name."""
    name, equals, _ = argument.partition("=")
    return bool(equals) and name.lower() in names


def last(options: dict[str, list[str]], name: str) -> str | None:
    """The value of an option that counts once; a later one replaces an earlier one."""
    values = options.get(name)
    return values[-1] if values else None


def chosen(choices: Mapping[str, int], word: str, option: str) -> int:
    """The meaning of an option's word in any case; UsageError lists the words there are."""
    if word.lower() not in choices:
        words = ", ".join(filter(None, choices))
        raise UsageError(f"ERROR:  {option} must be one of {words}, not {word}")
    return choices[word.lower()]


def number(text: str, what: str, lowest: int = 0, highest: int = 0xFFFFFFFF) -> int:
    """A decimal or 0x number in a range. UsageError names `what`."""
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not lowest <= value <= highest:
        raise UsageError(f"ERROR:  {what} must be a number from {lowest} to {highest}, not {text}")
    return value


def no_more(arguments: list[str], count: int) -> None:
    """UsageError when there are more than `count` arguments."""
    if len(arguments) > count:
        raise UsageError(f"ERROR:  Unexpected argument {arguments[count]}")
